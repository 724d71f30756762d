"""The settings of the telemetry stack that `mgeo up` runs beside the service, and of the link into one elsewhere.

The configuration files of the programs read the same `MGEO_…` variables, with the same defaults.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel

from service.setting import FilePath, Secret, setting


def _port(default: int, what: str) -> int:
    port: int = setting(default, f"TCP port of {what}.", ge=1, le=65535)
    return port


def _binary(program: str) -> Path | None:
    binary: Path | None = setting(
        None, f"The program {program} itself. None: PATH, then a bundle, the official release, a build, in this order."
    )
    return binary


class StackPortSettings(BaseModel):
    """Where the programs of the stack listen; loopback, unless `MGEO_STACK_HOST` opens them."""

    stack_host: str = setting("127.0.0.1", "Address the programs of the stack listen on. None of them asks for a password.")
    collector_grpc_port: int = _port(4317, "the Collector's OTLP receiver, gRPC")
    collector_http_port: int = _port(4318, "the Collector's OTLP receiver, HTTP")
    collector_ingest_port: int = _port(4319, "the Collector's receiver for agents, HTTP with a bearer token")
    collector_metrics_port: int = _port(8888, "the Collector's own metrics")
    collector_health_port: int = _port(13133, "the Collector's health")
    prometheus_port: int = _port(9090, "Prometheus")
    alertmanager_port: int = _port(9093, "Alertmanager")
    loki_port: int = _port(3100, "Loki, HTTP")
    loki_grpc_port: int = _port(9095, "Loki, gRPC, which it speaks with itself")
    jaeger_query_port: int = _port(16686, "Jaeger's API and pages")
    jaeger_query_grpc_port: int = _port(16685, "Jaeger's API, gRPC")
    jaeger_otlp_port: int = _port(14317, "Jaeger's OTLP receiver, HTTP")
    jaeger_metrics_port: int = _port(8889, "Jaeger's own metrics")
    jaeger_health_port: int = _port(13134, "Jaeger's health")
    grafana_port: int = _port(3000, "Grafana, where there is one")
    gateway_port: int = _port(6006, "the gateway, with `mgeo up --gateway`")
    notifier_port: int = _port(8060, "the notifier, to which Alertmanager posts")
    simulator_port: int = _port(8061, "the simulator of DingTalk, where no robots are configured")
    watcher_port: int = _port(8062, "the watcher that plays the second machine, where drills are on")


class RetentionSettings(BaseModel):
    """How long each store of the stack keeps what it has, and what may pile up before one that is away."""

    prometheus_retention_days: int = setting(7, "How long Prometheus keeps metrics.", unit="days", ge=1, le=3650)
    loki_retention_days: int = setting(7, "How long Loki keeps log lines.", unit="days", ge=1, le=3650)
    jaeger_retention_days: int = setting(7, "How long Jaeger keeps traces.", unit="days", ge=1, le=3650)
    collector_queue_bytes: int = setting(
        268_435_456,
        "What the Collector keeps on disk for each store that is away; `mgeo up` sets half as much again aside for each. At 100 requests a "
        "second a signal makes 0.1 to 0.25 MB a second: more than a quarter of an hour, then the service's spool goes on.",
        unit="bytes",
        ge=1_048_576,
    )
    collector_memory_bytes: int = setting(
        419_430_400,
        "Memory of the Collector; beyond it the Collector refuses, and senders wait.",
        unit="bytes",
        ge=67_108_864,
    )


class AuditSettings(BaseModel):
    """The audit that `mgeo up` runs again and again, in the profiles that have a store to compare with."""

    audit_interval: float = setting(
        3600.0,
        "Time from one audit to the next; each looks two of them back. Much shorter, and the stores are busy with being audited.",
        unit="seconds",
        ge=60,
        le=86_400,
    )


class NotifierSettings(BaseModel):
    """What tells DingTalk groups of alerts: `mgeo up` runs it beside Alertmanager."""

    notifier_config: FilePath | None = setting(
        None,
        "Configuration of the notifier with your robots, receivers and people (docs/notifier.md). None: alerts are told to a simulator of "
        "DingTalk, whose page shows what groups would see.",
    )


class DrillStackSettings(BaseModel):
    """How drills run."""

    drill_scale: float = setting(
        1.0,
        "Factor of every window, delay and interval of rules, Alertmanager, notifier and simulator, so that drills take minutes instead of "
        "hours. 1, unless the stack is there for drills alone.",
        unit="ratio",
        ge=0.01,
        le=1,
    )
    drill_day: int = setting(3, "Day of the week of the weekly drills: 1 is Monday, 7 is Sunday.", unit="days", ge=1, le=7)
    drill_hour: float = setting(10.0, "Time of that day at which they begin, in hours of this machine's clock.", unit="hours", ge=0, lt=24)


class ProgramSettings(BaseModel):
    """Where the programs of the stack come from."""

    collector_binary: FilePath | None = _binary("otelcol")
    prometheus_binary: FilePath | None = _binary("prometheus")
    alertmanager_binary: FilePath | None = _binary("alertmanager")
    loki_binary: FilePath | None = _binary("loki")
    jaeger_binary: FilePath | None = _binary("jaeger")
    caddy_binary: FilePath | None = _binary("caddy")
    grafana_binary: FilePath | None = setting(
        None, "The program grafana. None: the one on PATH; without any, `mgeo up` tells how to point an existing Grafana at the stack."
    )
    stack_cache: FilePath = setting(
        Path("~/.cache/mgeo/stack"), "Folder of downloaded and built programs, by version. Outside the data folder: it can be made again."
    )
    release_mirror: str | None = setting(
        None, "Put before the address of every official release archive, for places that reach those only through a mirror."
    )


class GatewaySettings(BaseModel):
    """The one door to every page: `mgeo up --gateway`."""

    gateway_host: str = setting("127.0.0.1", "Address the gateway listens on; `0.0.0.0` for a box whose one open port it is.")
    gateway_user: str = setting("mgeo", "Name to log in with.")
    gateway_password: Secret | None = setting(None, "Password to log in with. At most one of this and the file.")
    gateway_password_file: FilePath | None = setting(
        None, "File with that password. Neither: one is made once in the data folder, mode 0600, and its place is printed."
    )
    gateway_certificate_file: FilePath | None = setting(
        None, "File with the gateway's TLS certificate (PEM). None: plain HTTP, for a box whose provider ends TLS before it."
    )
    gateway_key_file: FilePath | None = setting(None, "File with that certificate's key (PEM).")
    ingest_token: Secret | None = setting(
        None, "Bearer token that agents send; with one, the full stack takes their telemetry. At most one of this and the file."
    )
    ingest_token_file: FilePath | None = setting(None, "File with that token.")


class UpstreamSettings(BaseModel):
    """The link of an agent into a full stack elsewhere: `mgeo up --profile agent --upstream URL`."""

    upstream: str | None = setting(None, "Address of the other stack's OTLP door, such as `https://box.example:6006/otlp`.")
    upstream_token: Secret | None = setting(None, "Bearer token for it. At most one of this and the file.")
    upstream_token_file: FilePath | None = setting(None, "File with that token.")
    upstream_ca_file: FilePath | None = setting(None, "File with the certificate authority to trust (PEM). None: the system's.")


STACK_CONCERNS: tuple[type[BaseModel], ...] = (
    StackPortSettings,
    RetentionSettings,
    AuditSettings,
    NotifierSettings,
    DrillStackSettings,
    ProgramSettings,
    GatewaySettings,
    UpstreamSettings,
)
