"""The server's socket: bound at once, and refused in words that say who or what is in the way."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from service.errors import StartupError
from service.listener import PortTaken, _explained, bind, listen, port_owner

HEADER = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
PORT = 8000  # 1F40 in the tables
LISTENS, ESTABLISHED = "0A", "01"


def row(*, state: str, port: int = PORT, inode: int, address: str = "0100007F") -> str:
    """A line of /proc/net/tcp, as the kernel writes it."""
    return (
        f"   0: {address}:{port:04X} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000  1000        0 {inode} 1 0 100 0 0 10 0"
    )


class Proc:
    """A tree like /proc."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def table(self, name: str, *rows: str) -> None:
        (self.root / "net").mkdir(exist_ok=True)
        (self.root / "net" / name).write_text("\n".join([HEADER, *rows, ""]))

    def process(self, pid: str, name: str | None, *targets: str) -> Path:
        """A process with these open files."""
        folder = self.root / pid
        (folder / "fd").mkdir(parents=True)
        if name is not None:
            (folder / "comm").write_text(f"{name}\n")
        for number, target in enumerate(targets):
            (folder / "fd" / str(number)).symlink_to(target)
        return folder


@pytest.fixture
def proc(tmp_path: Path) -> Proc:
    return Proc(tmp_path)


# --- binding ----------------------------------------------------------------------------------------------------------


def test_port_0_takes_a_free_one_and_nobody_can_connect_yet() -> None:
    """The port is ours, but whoever comes before the model is loaded is refused at once instead of left waiting."""
    with bind("127.0.0.1", 0) as listener:
        host, port = listener.getsockname()

        assert (host, listener.family, port > 0) == ("127.0.0.1", socket.AF_INET, True)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5)
        listener.listen()
        socket.create_connection(("127.0.0.1", port), timeout=5).close()


def test_an_address_with_colons_is_one_of_ipv6() -> None:
    """Without brackets, as in the setting."""
    try:
        listener = bind("::1", 0)
    except StartupError:
        pytest.skip("this machine has no IPv6")
    with listener:
        assert (listener.family, listener.getsockname()[0]) == (socket.AF_INET6, "::1")


def test_a_port_just_left_can_be_taken_again() -> None:
    """A restart does not wait for the old connections to be forgotten."""
    with bind("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        listener.listen()
        with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
            accepted, _ = listener.accept()
            accepted.close()  # first, so that it is this side that waits
            assert client.recv(1) == b""
    with bind("127.0.0.1", port) as again:
        assert again.getsockname()[1] == port


def test_a_taken_port_is_refused_with_its_owner_and_what_to_do() -> None:
    """By name and process id, and with an exit code of its own."""
    with socket.create_server(("127.0.0.1", 0)) as owner:
        port = owner.getsockname()[1]
        name = Path("/proc/self/comm").read_text().strip()

        with pytest.raises(PortTaken) as caught:
            bind("127.0.0.1", port)

    assert str(caught.value) == (
        f"MGEO_PORT = {port}: 127.0.0.1:{port} is taken by {name} (pid {os.getpid()}); stop it, or choose a port with --port"
    )
    assert caught.value.exit_code == 73
    assert isinstance(caught.value.__cause__, OSError)


def test_a_port_taken_by_another_process_names_that_one() -> None:
    """Not this one."""
    script = "import socket; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        port = int(other.stdout.readline())

        with pytest.raises(PortTaken, match=rf" is taken by .+ \(pid {other.pid}\); "):
            bind("127.0.0.1", port)
        other.communicate("\n", timeout=20)


def test_of_two_that_bound_the_same_port_the_second_to_listen_is_refused() -> None:
    """Two services started at once both pass `bind`; only one of them serves, and the other says why it does not."""
    with bind("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with bind("127.0.0.1", port) as second:
            listen(first)
            with pytest.raises(PortTaken, match=f"^MGEO_PORT = {port}: 127.0.0.1:{port} is taken by .*pid {os.getpid()}") as refused:
                listen(second)
    assert refused.value.exit_code == 73


def test_an_owner_that_cannot_be_found_is_another_process() -> None:
    """Here one that has the port and does not listen on it."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]

        with pytest.raises(PortTaken, match=rf"^MGEO_PORT = {port}: 127\.0\.0\.1:{port} is taken by another process; stop it, or "):
            bind("127.0.0.1", port)


def test_an_address_of_another_machine_cannot_be_bound() -> None:
    """192.0.2.0/24 is for documentation; nobody has it."""
    with pytest.raises(StartupError) as caught:
        bind("192.0.2.1", 0)

    assert str(caught.value) == (
        "MGEO_HOST = 192.0.2.1: cannot listen there (Cannot assign requested address); use 127.0.0.1, or an address of this machine"
    )
    assert (type(caught.value), caught.value.exit_code) == (StartupError, 78)


@pytest.mark.parametrize("host", ["127.0.0.1\0", "\0", "\ud800", "杭" * 100])
def test_a_host_that_is_no_address_at_all_is_a_message_and_no_traceback(host: str) -> None:
    """NUL, half a surrogate pair, a name that no name server takes."""
    with pytest.raises(StartupError) as caught:
        bind(host, 0)

    assert str(caught.value) == f"MGEO_HOST = {host!r}: is not an address; use 127.0.0.1, or an address of this machine"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1\0", "192.0.2.1"])
def test_no_socket_is_left_open_by_a_refusal(host: str) -> None:
    """A socket that was forgotten would be a warning, and warnings are errors here."""
    with socket.create_server(("127.0.0.1", 0)) as owner:
        before = len(list(Path("/proc/self/fd").iterdir()))
        with pytest.raises(StartupError):
            bind(host, owner.getsockname()[1])
        assert len(list(Path("/proc/self/fd").iterdir())) == before


# --- reasons ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "host", "port", "message"),
    [
        (errno.EACCES, "0.0.0.0", 80, "MGEO_PORT = 80: ports below 1024 need privileges; choose another with --port"),
        (
            errno.EADDRNOTAVAIL, "10.0.0.9", 8000,
            "MGEO_HOST = 10.0.0.9: cannot listen there (Cannot assign requested address); use 127.0.0.1, or an address of this machine",
        ),
        (
            errno.ENETUNREACH, "fe80::1", 8000,
            "MGEO_HOST = fe80::1: cannot listen there (Network is unreachable); use 127.0.0.1, or an address of this machine",
        ),
    ],
)  # fmt: skip
def test_each_reason_has_its_words(error: int, host: str, port: int, message: str) -> None:
    """Each names the setting, what is wrong with it and what to do; the same exit code as for any wrong setting."""
    refusal = _explained(OSError(error, os.strerror(error)), host, port)

    assert (type(refusal), str(refusal), refusal.exit_code) == (StartupError, message, 78)


# --- who has a port ---------------------------------------------------------------------------------------------------


def test_the_owner_is_the_process_that_holds_the_listening_socket(proc: Proc) -> None:
    """Found by the socket's inode among the open files of all processes."""
    proc.table("tcp", row(state=LISTENS, port=22, inode=11), row(state=LISTENS, inode=4242))
    proc.process("7", "sshd", "socket:[11]")
    proc.process("321", "python3", "/dev/null", "pipe:[4242]", "socket:[4242]")

    assert port_owner(PORT, proc.root) == "python3 (pid 321)"
    assert port_owner(22, proc.root) == "sshd (pid 7)"


def test_the_owner_of_an_ipv6_socket_is_found_too(proc: Proc) -> None:
    """It stands in a table of its own."""
    proc.table("tcp")
    proc.table("tcp6", row(state=LISTENS, inode=5, address="00000000000000000000000001000000"))
    proc.process("9", "java", "socket:[5]")

    assert port_owner(PORT, proc.root) == "java (pid 9)"


def test_a_connection_from_that_port_owns_nothing(proc: Proc) -> None:
    """Only who listens is in the way."""
    proc.table("tcp", row(state=ESTABLISHED, inode=6), row(state=LISTENS, port=PORT + 1, inode=6))
    proc.process("9", "curl", "socket:[6]")

    assert port_owner(PORT, proc.root) is None


def test_a_process_of_another_user_stays_unknown(proc: Proc) -> None:
    """Its open files are not for us to see, nor are those that were closed meanwhile."""
    proc.table("tcp", row(state=LISTENS, inode=77))
    folder = proc.process("9", "postgres")
    (folder / "fd" / "0").write_text("not a link")

    assert port_owner(PORT, proc.root) is None


def test_a_process_without_a_name_is_told_by_its_id(proc: Proc) -> None:
    """It may have ended between two looks."""
    proc.table("tcp", row(state=LISTENS, inode=77))
    proc.process("9", None, "socket:[77]")

    assert port_owner(PORT, proc.root) == "a process (pid 9)"


def test_without_proc_nobody_is_known(tmp_path: Path) -> None:
    """As on a system that has none."""
    assert port_owner(PORT, tmp_path / "proc") is None
