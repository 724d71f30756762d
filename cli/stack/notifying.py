"""The plan of what tells people: the notifier, and the simulator of DingTalk where no robots are configured. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cli.stack.doors import grafana_url
from cli.stack.drilling import notifier_lines
from cli.stack.probe import Probe
from cli.stack.process import Process
from cli.stack.profile import Profile
from cli.stack.simulated import allowed_hosts, receiver_table, robot_table
from cli.stack.site import is_loopback
from service import __version__

if TYPE_CHECKING:
    from cli.stack.site import Site

RECEIVERS = ("critical", "warning", "info")
"""The receivers of alertmanager/alertmanager.yml that groups hear; the simulator has a robot for each."""
HEARTBEAT_RECEIVER = "watchdog"


def notifier(site: Site) -> Process:
    """The notifier, with the configuration that was given, or with one that tells the simulator."""
    settings = site.settings
    config = settings.notifier_config or site.layout.notifier_config
    # No phone reaches a loopback address, so that messages had better have none.
    public = site.public_url is not None and not is_loopback(urlsplit(site.public_url).hostname or "")
    environment = {"PYTHONPATH": site.python_path}
    if site.profile is not Profile.LITE:
        environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = site.url("collector_grpc_port")
        environment["OTEL_EXPORTER_OTLP_PROTOCOL"] = "grpc"
    return Process(
        name="notifier",
        argv=(
            *_mgeo(site),
            "notifier",
            "run",
            f"--config={config.absolute()}",
            f"--host={settings.stack_host}",
            f"--port={settings.notifier_port}",
            f"--data-dir={site.layout.store('notifier')}",
            f"--alertmanager-url={site.url('alertmanager_port')}",
            f"--prometheus-url={site.url('prometheus_port')}",
            f"--token-file={site.layout.notifier_token}",
            f"--runbooks={site.configuration('docs', 'runbooks')}",
            *((f"--public-url={(site.public_url or '').rstrip('/')}",) if public else ()),
            *((f"--grafana-url={grafana_url(site).rstrip('/')}",) if public and site.grafana else ()),
        ),
        environment=environment,
        version=str(__version__),
        origin="this checkout",
        address=site.url("notifier_port"),
        listeners=site.listen("notifier_port"),
        probes=(Probe(url=f"{site.url('notifier_port')}/readyz"),),
        # Its sends under way, its connections and the last of its traces.
        stop_grace=30.0,
        advice=f"`mgeo notifier check --config {config}` finds what is wrong with its configuration",
    )


def simulator(site: Site) -> Process:
    """The simulator, whose page shows what groups would see."""
    settings = site.settings
    return Process(
        name="simulator",
        argv=(
            *_mgeo(site),
            "notifier",
            "simulate",
            f"--host={settings.stack_host}",
            f"--port={settings.simulator_port}",
            f"--journal={site.layout.simulator_journal}",
            *((f"--config={site.layout.simulator_config}",) if settings.drills == "on" else ()),
        ),
        environment={"PYTHONPATH": site.python_path},
        version=str(__version__),
        origin="this checkout",
        address=site.url("simulator_port"),
        listeners=site.listen("simulator_port"),
        probes=(Probe(url=f"{site.url('simulator_port')}/livez"),),
        advice="try `mgeo notifier simulate` by hand",
    )


def simulated_config(site: Site, *, key: str) -> str:
    """A configuration of the notifier, as TOML, that tells the simulator: a robot and a group for each receiver.

    Args:
        site: the stack.
        key: signs the heartbeats to the watcher of drills.
    """
    robots = [robot_table(site, name) for name in RECEIVERS]
    receivers = [receiver_table(name) for name in RECEIVERS]
    head = "# Made by `mgeo up`, since MGEO_NOTIFIER_CONFIG names none: tells the simulator.\n"
    head += f'{allowed_hosts(site)}\ndefault_receiver = "warning"\n'
    return "\n".join([head, *notifier_lines(site, key), "", *robots, *receivers])


def receiver_urls(site: Site) -> dict[str, str]:
    """Where Alertmanager posts, by receiver."""
    return {name: f"{site.url('notifier_port')}/v1/alertmanager/{name}" for name in (*RECEIVERS, HEARTBEAT_RECEIVER)}


def _mgeo(site: Site) -> tuple[str, ...]:
    return site.python, "-P", "-m", "cli.main"
