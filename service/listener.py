"""The server's socket, bound before anything heavy is loaded, so that a taken port is said at once and with its owner."""

from __future__ import annotations

import errno
import socket
from pathlib import Path

from service.errors import StartupError

_LISTEN = "0A"  # TCP_LISTEN in the `st` column of /proc/net/tcp
BACKLOG = 2048
"""Connections that may wait to be accepted."""


class PortTaken(StartupError):
    """Another process listens where this one should."""

    exit_code = 73


def bind(host: str, port: int) -> socket.socket:
    """Take the port; 0 takes a free one. Nobody can connect until the server listens on it, so nobody waits for a model to load.

    Raises:
        PortTaken: the port is in use; names the owner where /proc tells.
        StartupError: the address is not of this machine, or the port needs privileges.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise _explained(error, host, port) from error
    except (TypeError, ValueError) as error:
        listener.close()
        raise StartupError(f"MGEO_HOST = {host!r}: is not an address; use 127.0.0.1, or an address of this machine") from error
    return listener


def listen(listener: socket.socket) -> None:
    """Let clients connect. Two processes may both have bound a port that nobody listened on yet; the second learns it here.

    Raises:
        PortTaken: another process was first; names it where /proc tells.
    """
    host, port = listener.getsockname()[:2]
    try:
        listener.listen(BACKLOG)
    except OSError as error:
        raise _explained(error, host, port) from error


def _explained(error: OSError, host: str, port: int) -> StartupError:
    if error.errno == errno.EADDRINUSE:
        owner = port_owner(port)
        return PortTaken(
            f"MGEO_PORT = {port}: {host}:{port} is taken by {owner or 'another process'}; stop it, or choose a port with --port",
        )
    if error.errno == errno.EACCES:
        return StartupError(f"MGEO_PORT = {port}: ports below 1024 need privileges; choose another with --port")
    return StartupError(f"MGEO_HOST = {host}: cannot listen there ({error.strerror}); use 127.0.0.1, or an address of this machine")


def port_owner(port: int, proc: Path = Path("/proc")) -> str | None:
    """Who listens on a TCP port, as `name (pid 123)`; None when nobody does or /proc does not tell."""
    inodes = {inode for table in ("tcp", "tcp6") for inode in _listening(proc / "net" / table, port)}
    if not inodes:
        return None
    for descriptor in proc.glob("[0-9]*/fd/*"):
        try:
            target = str(descriptor.readlink())
        except OSError:
            continue
        if target.startswith("socket:[") and target[8:-1] in inodes:
            pid = descriptor.parts[-3]
            return f"{_name(proc / pid)} (pid {pid})"
    return None


def _listening(table: Path, port: int) -> list[str]:
    try:
        rows = [line.split() for line in table.read_text().splitlines()[1:]]
    except OSError:
        return []
    return [row[9] for row in rows if row[3] == _LISTEN and int(row[1].rpartition(":")[2], 16) == port]


def _name(process: Path) -> str:
    try:
        return (process / "comm").read_text().strip()
    except OSError:
        return "a process"
