"""Ports for a stack of the drill's own: such as nobody else is given while one of its processes is away."""

from __future__ import annotations

import errno
import random
import socket
from contextlib import suppress
from pathlib import Path

from service.errors import ServiceError

FIRST = 10_240
"""Below lie the ports of programs that people know by heart."""
EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
USUAL_EPHEMERAL = 32_768
FEWEST = 2_000
"""With fewer to choose from, two drills would too often want the same ones."""


class NoPorts(ServiceError):
    """Nearly everything is taken."""


def free_ports(count: int, *, range_file: Path = EPHEMERAL) -> list[int]:
    """Different ports on 127.0.0.1 that nobody listens on now.

    They lie below those that the kernel gives to outgoing connections: a drill ends a process for minutes and then starts it again,
    and of its own load's connections one would meanwhile have the port.

    Args:
        count: how many.
        range_file: where the kernel says which ones it gives away.

    Raises:
        NoPorts: there are not that many.
    """
    candidates = list(range(FIRST, _first_ephemeral(range_file)))
    if len(candidates) < FEWEST:
        candidates = list(range(FIRST, 65_536))
    random.SystemRandom().shuffle(candidates)
    found: list[int] = []
    for port in candidates:
        if len(found) == count:
            break
        if _free(port):
            found.append(port)
    if len(found) < count:
        raise NoPorts(f"there are no {count} free ports on 127.0.0.1; end something")
    return found


def _first_ephemeral(range_file: Path) -> int:
    with suppress(OSError, ValueError, IndexError):
        return int(range_file.read_text(encoding="ascii").split()[0])
    return USUAL_EPHEMERAL


def _free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno in {errno.EADDRINUSE, errno.EACCES}:
                return False
            raise
    return True
