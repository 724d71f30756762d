"""The plan of the four stores: Prometheus, Loki, Jaeger, Alertmanager. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.stack.probe import Probe
from cli.stack.process import Process
from cli.stack.profile import Profile

if TYPE_CHECKING:
    from cli.stack.site import Site

JAEGER_PREFIX = "jaeger"


def prometheus(site: Site) -> Process:
    """Prometheus. Behind the gateway it knows its public address, but keeps answering at the root, where the others find it."""
    settings, found = site.settings, site.programs["prometheus"]
    full = site.profile is Profile.FULL
    return Process(
        name="prometheus",
        argv=(
            str(found.path),
            f"--config.file={site.layout.prometheus / 'prometheus.yml'}",
            f"--storage.tsdb.path={site.layout.store('prometheus') / 'data'}",
            f"--storage.tsdb.retention.time={settings.prometheus_retention_days}d",
            # A restart while an alert fires says nothing; otherwise it would be told as over, and ten minutes later as new.
            "--rules.alert.for-grace-period=0s",
            f"--web.listen-address={_listen(settings.stack_host, settings.prometheus_port)}",
            *_external(site, "prometheus", "prometheus_port"),
            *(("--web.enable-otlp-receiver", "--enable-feature=exemplar-storage") if full else ()),
            "--log.level=warn",
        ),
        # The lite profile promises little memory and has little to keep; the garbage collector makes up for it.
        environment={} if full else {"GOMEMLIMIT": "160MiB", "GOGC": "50"},
        version=str(found.version),
        origin=found.origin,
        address=site.url("prometheus_port"),
        listeners=site.listen("prometheus_port"),
        probes=(Probe(url=f"{site.url('prometheus_port')}/-/ready"),),
        stop_grace=30.0,
        start_deadline=180.0,
        advice="its data may be of a newer version or damaged; the lines above say so. Its folder is data_dir/stack/prometheus/data",
    )


def alertmanager(site: Site) -> Process:
    """Alertmanager, alone: it gossips with nobody."""
    settings, found = site.settings, site.programs["alertmanager"]
    return Process(
        name="alertmanager",
        argv=(
            str(found.path),
            f"--config.file={site.layout.alertmanager / 'alertmanager.yml'}",
            f"--storage.path={site.layout.store('alertmanager')}",
            f"--web.listen-address={_listen(settings.stack_host, settings.alertmanager_port)}",
            "--cluster.listen-address=",
            *_external(site, "alertmanager", "alertmanager_port"),
            "--log.level=warn",
        ),
        environment={} if site.profile is Profile.FULL else {"GOMEMLIMIT": "64MiB", "GOGC": "50"},
        # The files with the notifier's addresses and its token are named relative to it.
        folder=str(site.layout.alertmanager),
        version=str(found.version),
        origin=found.origin,
        address=site.url("alertmanager_port"),
        listeners=site.listen("alertmanager_port"),
        probes=(Probe(url=f"{site.url('alertmanager_port')}/-/ready"),),
        advice="check alertmanager/alertmanager.yml with `amtool check-config`",
    )


def loki(site: Site) -> Process:
    """Loki, ready about twenty seconds after its start: so long its ring waits before it trusts itself."""
    settings, found = site.settings, site.programs["loki"]
    return Process(
        name="loki",
        argv=(str(found.path), f"-config.file={site.configuration('loki', 'loki.yaml')}", "-config.expand-env=true"),
        environment={
            "MGEO_STACK_HOST": settings.stack_host,
            "MGEO_LOKI_PORT": str(settings.loki_port),
            "MGEO_LOKI_GRPC_PORT": str(settings.loki_grpc_port),
            "MGEO_LOKI_DIR": str(site.layout.store("loki")),
            "MGEO_LOKI_RETENTION": f"{settings.loki_retention_days * 24}h",
        },
        version=str(found.version),
        origin=found.origin,
        address=site.url("loki_port"),
        listeners=(*site.listen("loki_port"), *site.listen("loki_grpc_port", host="127.0.0.1")),
        probes=(Probe(url=f"{site.url('loki_port')}/ready"),),
        stop_grace=30.0,
        start_deadline=180.0,
        advice="after a crash it first replays its log, which may take minutes; the lines above say so",
    )


def jaeger(site: Site) -> Process:
    """Jaeger. Behind the gateway its API and pages stand under a prefix, for this box too."""
    settings, found = site.settings, site.programs["jaeger"]
    base = f"/{JAEGER_PREFIX}" if site.gateway else "/"
    return Process(
        name="jaeger",
        argv=(str(found.path), f"--config={site.configuration('jaeger', 'jaeger.yaml')}"),
        environment={
            "MGEO_STACK_HOST": settings.stack_host,
            "MGEO_JAEGER_QUERY_PORT": str(settings.jaeger_query_port),
            "MGEO_JAEGER_QUERY_GRPC_PORT": str(settings.jaeger_query_grpc_port),
            "MGEO_JAEGER_OTLP_PORT": str(settings.jaeger_otlp_port),
            "MGEO_JAEGER_METRICS_PORT": str(settings.jaeger_metrics_port),
            "MGEO_JAEGER_HEALTH_PORT": str(settings.jaeger_health_port),
            "MGEO_JAEGER_DIR": str(site.layout.store("jaeger")),
            "MGEO_JAEGER_RETENTION": f"{settings.jaeger_retention_days * 24}h",
            "MGEO_JAEGER_BASE_PATH": base,
        },
        version=str(found.version),
        origin=found.origin,
        address=jaeger_url(site),
        listeners=site.listen(
            "jaeger_query_port", "jaeger_query_grpc_port", "jaeger_otlp_port", "jaeger_metrics_port", "jaeger_health_port"
        ),
        probes=(Probe(url=f"{site.url('jaeger_health_port')}/status"), Probe(url=f"{jaeger_url(site)}/api/v3/services")),
        start_deadline=120.0,
        advice="its store may be damaged or locked by another Jaeger; its folder is data_dir/stack/jaeger",
    )


def jaeger_url(site: Site) -> str:
    """Jaeger's API, as this box reaches it."""
    return site.url("jaeger_query_port") + (f"/{JAEGER_PREFIX}" if site.gateway else "")


def _external(site: Site, prefix: str, port_setting: str) -> tuple[str, str]:
    # Without it, links in alerts would have the host's name, which nobody need be able to resolve.
    return f"--web.external-url={site.below(prefix) if site.gateway else site.url(port_setting)}", "--web.route-prefix=/"


def _listen(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
