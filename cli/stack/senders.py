"""The plan of what sends telemetry: the service and its Collector. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.stack.doors import grafana_url
from cli.stack.drilling import service_variables
from cli.stack.probe import Probe
from cli.stack.process import Process
from cli.stack.profile import Profile
from cli.stack.site import authority
from cli.stack.stores import jaeger_url
from service import __version__

if TYPE_CHECKING:
    from cli.stack.site import Site

_MIB = 1_048_576
LAST_FLUSH = 10.0
"""Seconds the service may take beyond its grace, for the last flush."""


def collector(site: Site) -> Process:
    """The Collector: to the stores of this box, or, as an agent's, to a full stack elsewhere."""
    settings, found = site.settings, site.programs["collector"]
    files = ["config.yaml", "redaction.yaml"]
    environment = {
        "MGEO_STACK_HOST": settings.stack_host,
        "MGEO_COLLECTOR_GRPC_PORT": str(settings.collector_grpc_port),
        "MGEO_COLLECTOR_HTTP_PORT": str(settings.collector_http_port),
        "MGEO_COLLECTOR_METRICS_PORT": str(settings.collector_metrics_port),
        "MGEO_COLLECTOR_HEALTH_PORT": str(settings.collector_health_port),
        "MGEO_COLLECTOR_MEMORY_MIB": str(settings.collector_memory_bytes // _MIB),
        "MGEO_COLLECTOR_MEMORY_SPIKE_MIB": str(settings.collector_memory_bytes // _MIB // 5),
        "MGEO_COLLECTOR_QUEUE_BYTES": str(settings.collector_queue_bytes),
        "MGEO_COLLECTOR_QUEUE_DIR": str(site.layout.store("collector")),
        "MGEO_COLLECTOR_QUEUE_COMPACTION": "false",
        # The garbage collector works harder before the memory limiter has to refuse.
        "GOMEMLIMIT": f"{settings.collector_memory_bytes // _MIB * 4 // 5}MiB",
    }
    ports = ["collector_grpc_port", "collector_http_port", "collector_metrics_port", "collector_health_port"]
    if site.profile is Profile.AGENT:
        files.append("agent.yaml")
        environment["MGEO_UPSTREAM"] = (settings.upstream or "").rstrip("/")
        environment["MGEO_UPSTREAM_TOKEN_FILE"] = str(site.secrets.upstream_token_file)
        if settings.upstream_ca_file is not None:
            environment["MGEO_UPSTREAM_CA_FILE"] = str(settings.upstream_ca_file.absolute())
    else:
        environment["MGEO_PROMETHEUS_URL"] = site.url("prometheus_port")
        environment["MGEO_LOKI_URL"] = site.url("loki_port")
        environment["MGEO_JAEGER_OTLP_URL"] = site.url("jaeger_otlp_port")
        if site.secrets.ingest_token_file is not None:
            files.append("ingest.yaml")
            ports.append("collector_ingest_port")
            environment["MGEO_COLLECTOR_INGEST_PORT"] = str(settings.collector_ingest_port)
            environment["MGEO_INGEST_TOKEN_FILE"] = str(site.secrets.ingest_token_file)
    return Process(
        name="collector",
        argv=(str(found.path), *(f"--config={site.configuration('otel-collector', file)}" for file in files)),
        environment=environment,
        version=str(found.version),
        origin=found.origin,
        address=site.url("collector_grpc_port"),
        listeners=site.listen(*ports),
        probes=(Probe(url=f"{site.url('collector_health_port')}/"),),
        advice="check its files with `otelcol validate`; a queue that was damaged lies in data_dir/stack/collector",
    )


def service(site: Site) -> Process:
    """The service: `mgeo serve` by the same interpreter."""
    settings = site.settings
    environment = {"PYTHONPATH": site.python_path}
    if site.profile is Profile.LITE:
        drops: tuple[str, ...] = ()
    else:
        # A stray OTEL_EXPORTER_OTLP_... would lead one signal past the Collector.
        drops = ("OTEL_EXPORTER_OTLP_",)
        environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = site.url("collector_grpc_port")
        environment["OTEL_EXPORTER_OTLP_PROTOCOL"] = "grpc"
    environment |= store_urls(site)
    environment |= service_variables(settings)
    if site.grafana:
        environment["MGEO_GRAFANA_URL"] = grafana_url(site).rstrip("/")
    if site.public_url is not None:
        environment["MGEO_PUBLIC_URL"] = site.public_url
    if site.gateway:
        environment["MGEO_GATEWAY_LINKS"] = "true"
    address = f"http://{authority(settings.host, settings.port)}"
    return Process(
        name="service",
        argv=(
            site.python,
            "-P",
            "-m",
            "cli.main",
            "serve",
            f"--host={settings.host}",
            f"--port={settings.port}",
            f"--data-dir={site.layout.data_dir}",
            f"--model={settings.model}",
        ),
        environment=environment,
        drops=drops,
        version=str(__version__),
        origin="this checkout",
        address=address,
        listeners=site.listen("port", host=settings.host),
        probes=(Probe(url=f"{address}/readyz"),),
        stop_grace=settings.shutdown_grace + LAST_FLUSH,
        start_deadline=300.0,
        advice="`mgeo doctor` looks for the cause",
    )


def store_urls(site: Site) -> dict[str, str]:
    """The variables that say where the stores of this box are."""
    urls = {}
    if site.profile is not Profile.AGENT:
        urls["MGEO_PROMETHEUS_URL"] = site.url("prometheus_port")
    if site.profile is Profile.FULL:
        urls["MGEO_JAEGER_URL"] = jaeger_url(site)
        urls["MGEO_LOKI_URL"] = site.url("loki_port")
    return urls
