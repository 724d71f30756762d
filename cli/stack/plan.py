"""Which processes make up a profile, planned in the order in which they are started. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.stack import auditing, doors, drilling, notifying, senders, stores
from cli.stack.profile import process_names

if TYPE_CHECKING:
    from collections.abc import Callable

    from cli.stack.process import Process
    from cli.stack.profile import Profile
    from cli.stack.site import Site

_PLANNERS: dict[str, Callable[[Site], Process]] = {
    "simulator": notifying.simulator,
    "watcher": drilling.watcher,
    "notifier": notifying.notifier,
    "prometheus": stores.prometheus,
    "loki": stores.loki,
    "jaeger": stores.jaeger,
    "alertmanager": stores.alertmanager,
    "collector": senders.collector,
    "service": senders.service,
    "auditor": auditing.auditor,
    "driller": drilling.driller,
    "grafana": doors.grafana,
    "gateway": doors.gateway,
}
_PROGRAMS = {"gateway": "caddy"}
_HERE = {"service", "auditor", "driller", "notifier", "simulator", "watcher"}


def plan(site: Site) -> tuple[Process, ...]:
    """Every process, what others send to first."""
    names = process_names(site.profile, gateway=site.gateway, grafana=site.grafana, simulator=site.simulator, drills=site.settings.drills)
    return tuple(_PLANNERS[name](site) for name in names)


def program_names(profile: Profile, *, gateway: bool) -> tuple[str, ...]:
    """The programs to locate: all but what is part of this package, and Grafana, which may be missing."""
    names = process_names(profile, gateway=gateway, grafana=False, simulator=False)
    return tuple(_PROGRAMS.get(name, name) for name in names if name not in _HERE)
