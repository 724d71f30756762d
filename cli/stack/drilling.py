"""What a stack has for fire drills: shorter minutes, people to call, and a watcher that plays the second machine. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from cli.stack.probe import Probe
from cli.stack.process import Process
from cli.stack.simulated import allowed_hosts, receiver_table, robot_table
from prometheus.alerting.scale import TimeScale
from service import __version__

if TYPE_CHECKING:
    from cli.stack.site import Site
    from service.settings import Settings

BOX = "drilled-box"
"""What the watcher calls this box."""
ON_CALL = {"critical": "13800000001", "warning": "13800000002"}
"""Who is called for which severity, by mobile; nobody has these numbers. For what is only to be read nobody is called."""
QUOTA = 1_000_000
"""Calls a month in drills, which have hours in minutes: their messages would look like far too many."""
EXPORT_INTERVAL = 10.0
"""Seconds between two collections of metrics, as the SDK has it set by `mgeo up` at scale 1."""
SHORTEST_EXPORT = 0.2
"""Seconds; the SDK gives a collection no longer than its interval."""
SHORTEST_STUCK = 4.0
"""Seconds in which an honest run of the model ends on a busy machine."""
SHORTEST_COOLDOWN = 0.5
"""Seconds an open breaker waits at least."""
SHORTEST_AUDIT = 60.0
"""Seconds; as the setting has it."""


def scale_of(settings: Settings) -> TimeScale:
    """How long the minutes of this stack are."""
    return TimeScale(settings.drill_scale)


def service_variables(settings: Settings) -> dict[str, str]:
    """What the service is told: whether drills may disturb it, and its own durations where minutes are shorter."""
    variables = {"MGEO_DRILLS": "on" if settings.drills == "on" else "off"}
    if settings.drill_scale != 1:
        variables["OTEL_METRIC_EXPORT_INTERVAL"] = f"{max(EXPORT_INTERVAL * settings.drill_scale, SHORTEST_EXPORT) * 1000:.0f}"
        variables["MGEO_BREAKER_COOLDOWN"] = f"{max(settings.breaker_cooldown * settings.drill_scale, SHORTEST_COOLDOWN):g}"
        variables["MGEO_STUCK_AFTER"] = f"{max(settings.stuck_after * settings.drill_scale, SHORTEST_STUCK):g}"
    return variables


def audit_interval(settings: Settings) -> float:
    """Seconds from one audit to the next: as often as the rule that misses it expects."""
    return max(settings.audit_interval * settings.drill_scale, SHORTEST_AUDIT)


def notifier_lines(site: Site, key: str) -> list[str]:
    """What the simulated configuration of the notifier has beside its robots.

    Args:
        site: the stack.
        key: signs its heartbeats.
    """
    settings = site.settings
    lines = [] if settings.drill_scale == 1 else [f"scale = {settings.drill_scale:g}"]
    if settings.drills == "on":
        lines += [
            f"watchers = [{{url = {json.dumps(site.url('watcher_port'))}, key = {json.dumps(key)}, box = {json.dumps(BOX)}}}]",
            f'organisations = [{{name = "default", monthly_quota = {QUOTA}}}]',
            "people = [",
            *(f'  {{name = "on call for {severity}", mobile = "{mobile}"}},' for severity, mobile in ON_CALL.items()),
            "]",
            "owners = [",
            *(f'  {{match = {{severity = "{severity}"}}, people = ["on call for {severity}"]}},' for severity in ON_CALL),
            "]",
        ]
    return lines


def simulator_config(site: Site) -> str:
    """Rules of the simulator, as TOML, for what drills would break that no real month would."""
    return f"# Made by `mgeo up`: drills have hours in minutes.\nquota = {QUOTA}\nscale = {site.settings.drill_scale:g}\n"


def watcher_config(site: Site, key: str) -> str:
    """The configuration of the second machine, as TOML: one box, told in the group of the critical ones."""
    settings = site.settings
    return "\n".join(
        [
            "# Made by `mgeo up`: plays the second machine in drills.",
            f"scale = {settings.drill_scale:g}",
            'alertmanager_url = ""',
            'prometheus_url = ""',
            allowed_hosts(site),
            f'people = [{{name = "on call for critical", mobile = "{ON_CALL["critical"]}"}}]',
            'owners = [{match = {severity = "critical"}, people = ["on call for critical"]}]',
            f'organisations = [{{name = "default", monthly_quota = {QUOTA}}}]',
            robot_table(site, "critical"),
            receiver_table("critical"),
            "[[boxes]]",
            f"name = {json.dumps(BOX)}",
            f"key = {json.dumps(key)}",
            "",
        ]
    )


def watcher(site: Site) -> Process:
    """`mgeo watch`, which survives when the drill kills the box."""
    return _ours(
        site,
        "watcher",
        "watch",
        f"--config={site.layout.watcher_config}",
        f"--host={site.settings.stack_host}",
        f"--port={site.settings.watcher_port}",
        f"--data-dir={site.layout.store('watcher')}",
        port="watcher_port",
    )


def driller(site: Site) -> Process:
    """What drills a stack of its own once a week; it says nothing to anybody, the service shows what came of it."""
    settings = site.settings
    return Process(
        name="driller",
        argv=(
            site.python,
            "-P",
            "-m",
            "cli.drill.weekly",
            str(site.layout.data_dir),
            f"{settings.drill_day}",
            f"{settings.drill_hour:g}",
        ),
        # Its drills take the settings that say where programs come from, and the very programs of this stack before those.
        environment={
            "PYTHONPATH": site.python_path,
            **{f"MGEO_{name.upper()}_BINARY": str(found.path) for name, found in site.programs.items()},
        },
        drops=(),
        listed=False,
        version=str(__version__),
        origin="this checkout",
        address="",
        listeners=(),
        probes=(),
        # It ends the stack that it drills.
        stop_grace=120.0,
        advice="try `mgeo drill all --apart` by hand",
    )


def _ours(site: Site, name: str, *arguments: str, port: str) -> Process:
    return Process(
        name=name,
        argv=(site.python, "-P", "-m", "cli.main", *arguments),
        environment={"PYTHONPATH": site.python_path},
        version=str(__version__),
        origin="this checkout",
        address=site.url(port),
        listeners=site.listen(port),
        probes=(Probe(url=f"{site.url(port)}/livez"),),
        stop_grace=30.0,
        advice="try `mgeo watch` by hand",
    )
