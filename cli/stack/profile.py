"""The shapes in which the stack comes up: which processes each has. Pure."""

from __future__ import annotations

from enum import StrEnum


class Profile(StrEnum):
    """How much of the stack runs on this box."""

    LITE = "lite"
    FULL = "full"
    AGENT = "agent"


_TELLERS = ("simulator", "notifier")
_STORES = ("prometheus", "loki", "jaeger", "alertmanager")
_PROCESSES = {
    Profile.LITE: (*_TELLERS, "prometheus", "alertmanager", "service", "auditor"),
    Profile.FULL: (*_TELLERS, *_STORES, "collector", "service", "auditor"),
    Profile.AGENT: ("collector", "service"),
}
_TIERS = (("simulator",), ("notifier",), _STORES, ("collector",), ("service",), ("grafana", "gateway", "auditor"))


def process_names(profile: Profile, *, gateway: bool, grafana: bool, simulator: bool) -> tuple[str, ...]:
    """The processes of a profile in the order in which they are started: what others send to comes first."""
    names = [name for name in _PROCESSES[profile] if simulator or name != "simulator"]
    return (*names, *(("grafana",) if grafana else ()), *(("gateway",) if gateway else ()))


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
