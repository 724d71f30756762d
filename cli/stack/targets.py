"""What Prometheus scrapes: the files that its configuration reads beside itself, written anew at every start."""

from __future__ import annotations

import json
import re
import secrets
import shutil
import socket
import urllib.request
from typing import TYPE_CHECKING

from cli.stack.drilling import scale_of, simulator_config, watcher_config
from cli.stack.notifying import receiver_urls, simulated_config
from cli.stack.profile import Profile
from cli.stack.site import authority
from cli.stack.state import write_private
from prometheus.alerting.file import rule_files
from prometheus.alerting.routing import alertmanager
from prometheus.alerting.server import scaled_server
from service.data_dir import unusable
from service.instance import instance_id, instance_name

if TYPE_CHECKING:
    from cli.stack.site import Site

LINKED = ("prometheus.yml", "rules", "alerts")
TIMEOUT = 5.0
_TARGET_INFO = re.compile(r'^target_info\{[^}]*service_instance_id="([^"]*)"', re.MULTILINE)
_METRICS_PORTS = {
    "collector": "collector_metrics_port",
    "prometheus": "prometheus_port",
    "loki": "loki_port",
    "jaeger": "jaeger_metrics_port",
    "alertmanager": "alertmanager_port",
    "notifier": "notifier_port",
}


def prepare_prometheus(site: Site, *, host: str | None = None) -> None:
    """Fill Prometheus' run folder: links to the configuration of the checkout, and the targets of this stack.

    Args:
        site: the stack.
        host: the name of this machine; None asks the operating system.

    Raises:
        StartupError: the folder cannot be written.
    """
    folder = site.layout.prometheus
    path = folder
    try:
        for name in LINKED:
            path = folder / name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            path.unlink(missing_ok=True)
        if site.settings.drill_scale == 1:
            for name in LINKED:
                path = folder / name
                source = site.root / "prometheus" / name
                if source.exists():
                    path.symlink_to(source)
        else:
            for name, text in scaled_files(site).items():
                path = folder / name
                path.parent.mkdir(exist_ok=True)
                path.write_text(text, encoding="utf-8")
        targets = folder / "targets"
        targets.mkdir(exist_ok=True)
        for path in targets.glob("*.json"):
            path.unlink()
        for name, groups in target_files(site, host or socket.gethostname()).items():
            path = targets / name
            path.write_text(json.dumps(groups, indent=1), encoding="utf-8")
    except OSError as error:
        raise unusable(path, error) from error


def prepare_alertmanager(site: Site) -> None:
    """Fill Alertmanager's run folder: a link to its configuration, where it posts, and with which token; new at every start.

    Raises:
        StartupError: the folder cannot be written.
    """
    folder = site.layout.alertmanager
    path = folder / "alertmanager.yml"
    try:
        path.unlink(missing_ok=True)
        if site.settings.drill_scale == 1:
            path.symlink_to(site.root / "alertmanager" / "alertmanager.yml")
        else:
            path.write_text(alertmanager(scale_of(site.settings)), encoding="utf-8")
        for name, url in receiver_urls(site).items():
            path = folder / "targets" / f"{name}.url"
            path.write_text(f"{url}\n", encoding="utf-8")
    except OSError as error:
        raise unusable(path, error) from error
    write_private(site.layout.notifier_token, secrets.token_urlsafe(24))
    if site.simulator:
        key = secrets.token_hex(32)
        write_private(site.layout.notifier_config, simulated_config(site, key=key))
        if site.settings.drills == "on":
            write_private(site.layout.watcher_config, watcher_config(site, key))
            write_private(site.layout.simulator_config, simulator_config(site))


def scaled_files(site: Site) -> dict[str, str]:
    """Prometheus' configuration and rules with the shorter minutes of drills, by name below its run folder."""
    scale = scale_of(site.settings)
    server = (site.root / "prometheus" / "prometheus.yml").read_text(encoding="utf-8")
    return {"prometheus.yml": scaled_server(server, scale), **rule_files(scale)}


def target_files(site: Site, host: str) -> dict[str, list[dict[str, object]]]:
    """The target groups by file name. The service's own carry the labels that its pushed series have."""
    settings = site.settings
    full = site.profile is Profile.FULL
    names = [name for name in _METRICS_PORTS if full or name in {"prometheus", "alertmanager", "notifier"}]
    labels = {
        "instance": instance_id(site.layout.data_dir, "serve", 0, host=host),
        "service_name": "mgeo",
        "mgeo_instance_name": settings.instance_name or instance_name("serve", 0, host=host),
    }
    return {
        "alertmanager.json": [{"targets": [site.address("alertmanager_port")]}],
        "stack.json": [{"targets": [site.address(_METRICS_PORTS[name])], "labels": {"job": name}} for name in names],
        "service-up.json" if full else "service.json": [{"targets": [authority(settings.host, settings.port)], "labels": labels}],
    }


def write_running_instance(site: Site) -> bool:
    """Write the id of the service that really runs into the targets; whether it was another than foreseen.

    It is another when a `mgeo serve` outside the stack already had the first slot of the data folder.
    """
    answered = urllib.request.urlopen(f"http://{authority(site.settings.host, site.settings.port)}/metrics", timeout=TIMEOUT)
    with answered:
        found = _TARGET_INFO.search(answered.read().decode())
    if found is None:
        return False
    changed = False
    for path in site.layout.prometheus.glob("targets/service*.json"):
        groups = json.loads(path.read_text(encoding="utf-8"))
        for group in groups:
            changed |= group["labels"]["instance"] != found[1]
            group["labels"]["instance"] = found[1]
        # Whole or not at all: Prometheus reads it whenever it changes.
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(groups, indent=1), encoding="utf-8")
        fresh.replace(path)
    return changed
