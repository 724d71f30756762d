"""Every port of the stack, looked at before anything starts: a taken one is named with its owner."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING

from service.errors import StartupError
from service.listener import PortTaken, port_owner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from cli.stack.process import Listener, Process


def check_ports(processes: Sequence[Process], *, owner: Callable[[int], str | None] = port_owner) -> None:
    """Whether every process can listen where it should.

    Raises:
        PortTaken: one or more ports are in use, or wanted twice; a line for each.
        StartupError: an address is not of this machine, or a port needs privileges.
    """
    problems = [*_wanted_twice(processes)]
    if not problems:
        for process in processes:
            problems += [problem for listener in process.listeners if (problem := _taken(process.name, listener, owner))]
    if problems:
        raise PortTaken("\n".join(["the stack needs ports that it cannot have:", *(f"  - {problem}" for problem in problems)]))


def _wanted_twice(processes: Sequence[Process]) -> Iterator[str]:
    first: dict[int, Listener] = {}
    for process in processes:
        for listener in process.listeners:
            other = first.setdefault(listener.port, listener)
            if other is not listener:
                yield f"{listener.setting} = {listener.port}: is {other.setting} too; give one of them another port"


def _taken(name: str, listener: Listener, owner: Callable[[int], str | None]) -> str | None:
    host, port = listener.host, listener.port
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            # Two sockets may be bound to one port as long as neither listens.
            probe.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                who = owner(port) or "another process"
                return f"{listener.setting} = {port} ({name}): {host}:{port} is taken by {who}; stop it, or set another {listener.setting}"
            if error.errno == errno.EACCES:
                return f"{listener.setting} = {port} ({name}): ports below 1024 need privileges; set another"
            raise StartupError(
                f"{name} cannot listen on {host} ({error.strerror}); use 127.0.0.1, or an address of this machine"
            ) from error
    return None
