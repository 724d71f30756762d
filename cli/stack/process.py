"""One process of the stack, planned: what runs, with what, where it listens, and when it counts as ready. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from cli.stack.probe import Probe


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """A port that a process will listen on, and the setting that says so."""

    setting: str
    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process as it will be started.

    Attributes:
        name: as `mgeo status` shows it.
        argv: the program itself, absolute, and its arguments.
        environment: variables it gets beside those that are inherited; may hold secrets.
        drops: beginnings of variables that are not inherited, since a stray one would change what the program does.
        keeps: variables that are inherited all the same.
        folder: working directory; None is that of the supervisor.
        listed: whether `mgeo status` shows it.
        version: of the program.
        origin: where the program was found.
        address: where people and other programs reach it.
        listeners: every port it takes.
        probes: all must be answered well before it counts as ready.
        stop_grace: seconds between SIGTERM and SIGKILL.
        start_deadline: seconds within which it must be ready.
        advice: what to look at when it does not start.
    """

    name: str
    argv: tuple[str, ...]
    environment: dict[str, str] = field(repr=False)
    drops: tuple[str, ...] = ("MGEO_", "OTEL_")
    keeps: tuple[str, ...] = ()
    folder: str | None = None
    listed: bool = True
    version: str
    origin: str
    address: str
    listeners: tuple[Listener, ...]
    probes: tuple[Probe, ...]
    stop_grace: float = 15.0
    start_deadline: float = 60.0
    advice: str

    def as_json(self) -> dict[str, Any]:
        """JSON values; `of_json` reads them."""
        return asdict(self)

    @classmethod
    def of_json(cls, members: dict[str, Any]) -> Process:
        """Read what `as_json` gave.

        Raises:
            KeyError, TypeError: it is something else.
        """
        lists = {name: tuple(members[name]) for name in ("argv", "drops", "keeps")}
        listeners = tuple(Listener(**listener) for listener in members["listeners"])
        probes = tuple(Probe(**{**probe, "accepted": tuple(probe["accepted"])}) for probe in members["probes"])
        return cls(**{**members, **lists, "listeners": listeners, "probes": probes})
