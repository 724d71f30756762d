"""The plan of what people enter by: the gateway, and a Grafana where there is one. Pure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cli.stack.probe import Probe
from cli.stack.process import Process
from cli.stack.profile import Profile
from cli.stack.site import authority
from cli.stack.stores import jaeger_url

if TYPE_CHECKING:
    from cli.stack.site import Site

_HOMES = (Path("/usr/share/grafana"), Path("/opt/grafana"))
_DEFAULTS = Path("conf/defaults.ini")


def gateway(site: Site) -> Process:
    """Caddy before everything that has pages. Ready means that it asks for the login."""
    settings, found = site.settings, site.programs["caddy"]
    folder = site.layout.store("gateway")
    environment = {
        "XDG_DATA_HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder),
        "MGEO_GATEWAY_DIR": str(folder),
        "MGEO_GATEWAY_HOST": settings.gateway_host,
        "MGEO_GATEWAY_PORT": str(settings.gateway_port),
        "MGEO_GATEWAY_USER": settings.gateway_user,
        "MGEO_GATEWAY_PASSWORD_HASH": site.secrets.gateway_hash or "",
        "MGEO_SERVICE_ADDRESS": authority(settings.host, settings.port),
        "MGEO_PROMETHEUS_ADDRESS": site.address("prometheus_port"),
        "MGEO_ALERTMANAGER_ADDRESS": site.address("alertmanager_port"),
        "MGEO_JAEGER_QUERY_ADDRESS": site.address("jaeger_query_port"),
        "MGEO_GRAFANA_ADDRESS": site.address("grafana_port"),
        "MGEO_NOTIFIER_ADDRESS": site.address("notifier_port"),
        "MGEO_SIMULATOR_ADDRESS": site.address("simulator_port"),
        "MGEO_NOTIFIER_TOKEN_FILE": str(site.layout.notifier_token),
        "MGEO_COLLECTOR_INGEST_ADDRESS": site.address("collector_ingest_port"),
    }
    if settings.gateway_certificate_file is not None and settings.gateway_key_file is not None:
        environment["MGEO_GATEWAY_SCHEME"] = "https"
        environment["MGEO_GATEWAY_TLS"] = "with-tls.caddy"
        environment["MGEO_GATEWAY_CERTIFICATE_FILE"] = str(settings.gateway_certificate_file.absolute())
        environment["MGEO_GATEWAY_KEY_FILE"] = str(settings.gateway_key_file.absolute())
    if settings.api_keys is not None or settings.api_keys_file is not None:
        environment["MGEO_GATEWAY_KEYS"] = "with-keys.caddy"
    return Process(
        name="gateway",
        argv=(str(found.path), "run", "--config", site.configuration("gateway", "Caddyfile"), "--adapter", "caddyfile"),
        environment=environment,
        version=str(found.version),
        origin=found.origin,
        address=site.gateway_url,
        listeners=site.listen("gateway_port", host=settings.gateway_host),
        probes=(Probe(url=f"{site.gateway_url}/", accepted=(401,)),),
        advice="check certificate and key, if you gave any; the lines above name what it could not read",
    )


def grafana(site: Site) -> Process:
    """A Grafana that is installed already, with our data sources and dashboards, its own data below the data folder."""
    settings, found = site.settings, site.programs["grafana"]
    folder = site.layout.store("grafana")
    home = grafana_home(found.path)
    url = site.url("grafana_port")
    environment = {
        "GF_PATHS_DATA": str(folder),
        "GF_PATHS_LOGS": str(folder / "log"),
        "GF_PATHS_PLUGINS": str(folder / "plugins"),
        "GF_PATHS_PROVISIONING": site.configuration("grafana", "provisioning"),
        "GF_SECURITY_ADMIN_PASSWORD": f"$__file{{{site.secrets.grafana_password_file}}}",
        "MGEO_STACK_HOST": settings.stack_host,
        "MGEO_GRAFANA_PORT": str(settings.grafana_port),
        "MGEO_GRAFANA_URL": grafana_url(site),
        **grafana_variables(site),
    }
    return Process(
        name="grafana",
        argv=(
            str(found.path),
            "server",
            f"--config={site.configuration('grafana', 'grafana.ini')}",
            *((f"--homepath={home}",) if home else ()),
        ),
        environment=environment,
        drops=("MGEO_", "OTEL_", "GF_"),
        # Where a package has put the data sources, which from 13.2 on are plugins; only who installed it knows.
        keeps=("GF_PATHS_BUNDLED_PLUGINS",),
        version=str(found.version),
        origin=found.origin,
        address=url,
        listeners=site.listen("grafana_port"),
        probes=(Probe(url=f"{url}/{'grafana/' if site.gateway else ''}api/health"),),
        start_deadline=120.0,
        advice="start it by hand to see more; its folder is data_dir/stack/grafana",
    )


def grafana_variables(site: Site) -> dict[str, str]:
    """The variables that our provisioning reads."""
    urls = {"MGEO_PROMETHEUS_URL": site.url("prometheus_port"), "MGEO_ALERTMANAGER_URL": site.url("alertmanager_port")}
    if site.profile is Profile.FULL:
        urls |= {"MGEO_LOKI_URL": site.url("loki_port"), "MGEO_JAEGER_URL": jaeger_url(site)}
    public = (site.public_url or f"http://{authority(site.settings.host, site.settings.port)}").rstrip("/")
    dashboards = site.configuration("grafana", "dashboards")
    return {**urls, "MGEO_PUBLIC_URL": public, "MGEO_GRAFANA_DASHBOARDS": dashboards}


def grafana_url(site: Site) -> str:
    """Grafana, as people reach it."""
    return site.below("grafana") if site.gateway else site.url("grafana_port")


def grafana_home(binary: Path) -> Path | None:
    """The folder with Grafana's own files, which an archive keeps above the program and packages keep elsewhere."""
    return next((home for home in (binary.resolve().parent.parent, *_HOMES) if (home / _DEFAULTS).is_file()), None)
