"""The shapes in which the stack comes up: which processes each has. Pure."""

from __future__ import annotations

from enum import StrEnum


class Profile(StrEnum):
    """How much of the stack runs on this box."""

    LITE = "lite"
    FULL = "full"
    AGENT = "agent"


class Drills(StrEnum):
    """Whether fire drills may disturb this stack, or are run on one of their own."""

    OFF = "off"
    ON = "on"
    WEEKLY = "weekly"


_TELLERS = ("simulator", "notifier")
_STORES = ("prometheus", "loki", "jaeger", "alertmanager")
_PROCESSES = {
    Profile.LITE: (*_TELLERS, "prometheus", "alertmanager", "service", "auditor"),
    Profile.FULL: (*_TELLERS, *_STORES, "collector", "service", "auditor"),
    Profile.AGENT: ("collector", "service"),
}
_TIERS = (("simulator",), ("watcher",), ("notifier",), _STORES, ("collector",), ("service",), ("grafana", "gateway", "auditor", "driller"))


def process_names(profile: Profile, *, gateway: bool, grafana: bool, simulator: bool, drills: str = "off") -> tuple[str, ...]:
    """The processes of a profile in the order in which they are started: what others send to comes first.

    Args:
        profile: how much.
        gateway: whether there is one.
        grafana: whether one is installed.
        simulator: whether DingTalk is simulated.
        drills: `on` has a watcher, `weekly` somebody who drills; an agent has neither.
    """
    names = [name for name in _PROCESSES[profile] if simulator or name != "simulator"]
    told = profile is not Profile.AGENT
    if told and drills == "on":
        names.insert(names.index("notifier"), "watcher")
    more = (("driller", told and drills == "weekly"), ("grafana", grafana), ("gateway", gateway))
    return (*names, *(name for name, wanted in more if wanted))


def stop_tiers(names: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The same processes in the order in which they end; those of one tier end together.

    Who sends ends before who receives, so that the last telemetry of each still finds its way.
    """
    known = {name for tier in _TIERS for name in tier}
    tiers = [
        tuple(name for name in names if name not in known),
        *(tuple(name for name in tier if name in names) for tier in reversed(_TIERS)),
    ]
    return [tier for tier in tiers if tier]
