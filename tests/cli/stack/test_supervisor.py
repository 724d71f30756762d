"""The configuration of supervisord, literally, and what its socket may answer."""

from __future__ import annotations

import os
import signal
import socket
import threading
import xmlrpc.client
from contextlib import suppress
from pathlib import Path

import pytest

from cli.stack import supervisor
from cli.stack.interrupts import Interrupted, interrupts
from cli.stack.layout import Layout
from cli.stack.supervisor import Control, Supervised, SupervisorGone, configuration_text
from service.errors import StartupError
from tests.cli.stack.sites import process
from tests.deadline import until


def text(folder="/data", *, root=False):
    return configuration_text(Layout(Path(folder)), [process("loki", stop_grace=30.0)], python="/python", password="secret", root=root)


def test_a_process_is_kept_alive_for_ever_and_its_log_rotated():
    """It is started through the launcher, which reads the state file."""
    program = text().partition("[program:loki]\n")[2].splitlines()
    assert program[0].startswith("command=/python -I -S /")
    assert program[0].endswith("/cli/stack/launch.py /data/stack/state.json loki")
    assert program[1:] == [
        "priority=0",
        "autorestart=true",
        "startsecs=5",
        "startretries=1000000000",
        "stopwaitsecs=60",
        "stopasgroup=false",
        "killasgroup=true",
        "stdout_logfile=/data/stack/logs/loki.log",
        "stdout_logfile_maxbytes=10485760",
        "stdout_logfile_backups=3",
        "redirect_stderr=true",
    ]


def test_root_is_said_to_be_meant():
    """Else supervisord complains in its log."""
    assert "\nuser=root\n" in text(root=True)
    assert "\nuser=" not in text()


def test_a_path_with_a_space_is_quoted():
    """Supervisord splits commands there."""
    quoted = text("/a b")
    assert "logfile=/a b/stack/logs/supervisord.log" in quoted
    assert "'/a b/stack/state.json' loki" in quoted


@pytest.mark.parametrize("folder", ["/a ;b", "/a #b", "/a\nb", "/50%"])
def test_a_path_that_the_file_cannot_hold_is_refused(folder):
    """Supervisord would misread it."""
    with pytest.raises(StartupError, match=r"MGEO_DATA_DIR: .* has a character that supervisord's configuration cannot hold"):
        text(folder)


def test_a_socket_that_is_not_there_is_a_supervisor_that_is_gone(tmp_path):
    """Whatever is asked."""
    control = Control(socket=str(tmp_path / "none"), password="secret")
    for ask in (control.processes, control.shut_down, lambda: control.stop("loki")):
        with pytest.raises(SupervisorGone):
            ask()
    assert "secret" not in repr(control)


class Answering:
    """A socket that takes one connection after the other and does with each what it is told to."""

    def __init__(self, path, answer):
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(path)
        self._listener.listen()
        self._answer = answer
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        while True:
            connection, _ = self._listener.accept()
            connection.settimeout(5)
            with connection, suppress(OSError):
                # Whole, since what is left unread would be a reason to reset the connection.
                asked = b""
                while b"</methodCall>" not in asked:
                    piece = connection.recv(65536)
                    if not piece:
                        return
                    asked += piece
                self._answer(connection)

    def close(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as last:
            last.connect(self._listener.getsockname())
        self._thread.join()
        self._listener.close()


@pytest.fixture
def control(tmp_path, monkeypatch):
    """A supervisord that answers as a test wants it to, and the patience of a tenth of a second."""
    monkeypatch.setattr(supervisor, "RPC_TIMEOUT", 0.1)
    path, servers = str(tmp_path / "control.sock"), []

    def answering(answer):
        servers.append(Answering(path, answer if callable(answer) else lambda connection: connection.sendall(answer)))
        return Control(socket=path, password="secret")

    yield answering
    for server in servers:
        server.close()


def answer_of(body, *, status="200 OK", length=None):
    """An HTTP/1.0 answer, whose connection ends with it."""
    lengths = "" if length is None else f"Content-Length: {length}\r\n"
    return f"HTTP/1.0 {status}\r\nContent-Type: text/xml\r\n{lengths}\r\n{body}".encode()


def connections():
    """How many sockets this process has open."""
    links = [os.readlink(link) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return sum(link.startswith("socket:") for link in links)


LOKI = xmlrpc.client.dumps(([{"name": "loki", "statename": "RUNNING", "pid": 7}],), methodresponse=True)
NOT_RUNNING = xmlrpc.client.dumps(xmlrpc.client.Fault(70, "NOT_RUNNING: loki"))
WRONG = xmlrpc.client.dumps(xmlrpc.client.Fault(10, "BAD_NAME: loki"))


def test_what_supervisord_tells_is_read(control):
    """Processes by name; one that does not run is stopped already."""
    assert control(answer_of(LOKI, length=len(LOKI))).processes() == {"loki": Supervised(state="RUNNING", pid=7)}


def test_to_stop_what_does_not_run_is_no_error(control):
    """Nor is it news."""
    assert control(answer_of(NOT_RUNNING)).stop("loki") is None


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(answer_of(WRONG), "BAD_NAME: loki", id="a fault"),
        pytest.param(answer_of("go away", status="401 Unauthorized"), "401 Unauthorized", id="refused without a length"),
        pytest.param(answer_of("<html>no end"), "not what supervisord says", id="no XML"),
        pytest.param(answer_of(""), "not what supervisord says", id="nothing in it"),
        pytest.param(answer_of(LOKI[:40], length=4000), "IncompleteRead", id="cut short"),
        pytest.param(b"HTTP/1.0 200 OK\r\nContent-Le", "not what supervisord says", id="cut in a header"),
        pytest.param(b"SSH-2.0\r\n", "SSH-2.0", id="something else"),
        pytest.param(b"", "without response", id="closed at once"),
        pytest.param(lambda connection: connection.recv(1), "timed out", id="never answered"),
        pytest.param(
            lambda connection: (connection.sendall(answer_of(LOKI[:40], length=4000)), connection.recv(1)),
            "timed out",
            id="never ended",
        ),
    ],
)
def test_an_answer_that_is_none_is_a_supervisor_that_is_gone_and_leaves_no_connection(control, answer, reason):
    """Even while somebody still holds the error, and with it everything that was at hand when it came."""
    asked = control(answer)
    before = connections()
    with pytest.raises(SupervisorGone, match=reason) as caught:
        asked.processes()
    until(lambda: connections() == before, deadline=5)
    assert caught.value.__cause__ is not None


def test_a_signal_in_the_middle_of_an_answer_leaves_no_connection(control):
    """It raises where the program stands, which may be here."""
    main = threading.main_thread().ident

    def interrupt(connection):
        connection.sendall(answer_of(LOKI[:40]))
        signal.pthread_kill(main, signal.SIGTERM)
        connection.recv(1)

    asked = control(interrupt)
    before = connections()
    with interrupts(), pytest.raises(Interrupted) as caught:
        asked.processes()
    until(lambda: connections() == before, deadline=5)
    assert caught.tb is not None
