"""Cases of the alerts about the way of the telemetry. A value each 30 s unless a case says otherwise."""

from __future__ import annotations

from collections.abc import Mapping

from tests.rules.promtool import BOX, Case, Fires, ours, series

COLLECTOR = {"job": "collector", "instance": "127.0.0.1:8888"}
COLLECTOR_UP = series("up", **COLLECTOR)
LOKI = {"job": "loki", "instance": "127.0.0.1:3100"}
JAEGER = {"job": "jaeger", "instance": "127.0.0.1:8889"}
PROMETHEUS = {"job": "prometheus", "instance": "127.0.0.1:9090"}


def collector(name: str, **labels: str) -> str:
    return series(name, **COLLECTOR, **labels)


def store_gone(job: str, address: str) -> Fires:
    return Fires(
        labels={"job": job, "instance": address, "store": job},
        description=f"StoreGone：抓取不到 {job}（{address}）；发往它的数据留在 Collector 的磁盘队列里。",
    )


def exporter_labels(signal: str | None = None) -> Mapping[str, str]:
    labels = {"instance": "127.0.0.1:8888", "exporter": "otlp_http/loki", "store": "loki"}
    return {**labels, "signal": signal} if signal else labels


def queue(size: str) -> dict[str, str]:
    about = {"exporter": "otlp_http/loki", "data_type": "logs"}
    return {collector("otelcol_exporter_queue_size", **about): size, collector("otelcol_exporter_queue_capacity", **about): "1000x40"}


GONE = (
    Case(
        alert="CollectorGone",
        says="no scrape for two minutes",
        series={COLLECTOR_UP: "1 1 0x20"},
        at="4m",
        fires=(
            Fires(
                labels=COLLECTOR,
                description="CollectorGone：抓取不到 Collector（127.0.0.1:8888）；遥测数据留在服务的 spool 里，推理告警暂时失效。",
            ),
        ),
    ),
    Case(alert="CollectorGone", says="one missed scrape", series={COLLECTOR_UP: "1 1 0 1x20"}, at="4m"),
    Case(alert="CollectorGone", says="there is none in profile lite", series={series("up", **PROMETHEUS): "1x20"}, at="4m"),
    Case(
        alert="StoreGone",
        says="Loki is away for four minutes",
        series={series("up", **LOKI): "1 1 0x20", series("up", **JAEGER): "1x20"},
        at="6m",
        fires=(store_gone("loki", "127.0.0.1:3100"),),
    ),
    Case(alert="StoreGone", says="Loki starts anew within a minute", series={series("up", **LOKI): "1 1 0 0 1x20"}, at="3m"),
    Case(alert="StoreGone", says="the Collector is away", series={COLLECTOR_UP: "0x20"}, at="6m"),
)

COLLECTOR_CASES = (
    Case(
        alert="CollectorQueueFilling",
        says="nine tenths for eight minutes",
        series=queue("900x40"),
        at="8m",
        fires=(
            Fires(
                labels=exporter_labels(),
                description="CollectorQueueFilling：Collector 发往 otlp_http/loki 的磁盘队列已用 90%。",
                value="90%",
            ),
        ),
    ),
    Case(alert="CollectorQueueFilling", says="three quarters", series=queue("750x40"), at="8m"),
    Case(alert="CollectorQueueFilling", says="it is emptied again", series=queue("900x6 0x40"), at="8m"),
    Case(
        alert="CollectorQueueFull",
        says="the first refusal is seen, though the counter is born with it",
        series={COLLECTOR_UP: "1x60", collector("otelcol_exporter_enqueue_failed_log_records", exporter="otlp_http/loki"): "_x30 12x30"},
        at="16m",
        fires=(
            Fires(
                labels=exporter_labels("log_records"),
                description="CollectorQueueFull：Collector 发往 otlp_http/loki 的 12 条 log_records "
                "的队列已满，不再接收数据；服务把数据留在自己的 spool 里。",
                value="12",
            ),
        ),
    ),
    Case(
        alert="CollectorQueueFull",
        says="an hour later",
        series={COLLECTOR_UP: "1x200", collector("otelcol_exporter_enqueue_failed_log_records", exporter="otlp_http/loki"): "_x30 12x170"},
        at="75m",
    ),
    Case(
        alert="CollectorQueueFull",
        says="Prometheus was away, and finds what it knew before",
        series={
            COLLECTOR_UP: "1x30 _x60 1x60",
            collector("otelcol_exporter_enqueue_failed_log_records", exporter="otlp_http/loki"): "12x30 _x60 12x60",
        },
        at="46m",
    ),
    Case(
        alert="CollectorSendFailed",
        says="a store refused for good",
        series={COLLECTOR_UP: "1x60", collector("otelcol_exporter_send_failed_spans", exporter="otlp_http/loki"): "_x30 5x30"},
        at="16m",
        fires=(
            Fires(
                labels=exporter_labels("spans"),
                description="CollectorSendFailed：Collector 发往 otlp_http/loki 的 5 条 spans 被存储永久拒绝，数据已丢弃。",
                value="5",
            ),
        ),
    ),
    Case(
        alert="CollectorSendFailed",
        says="the same by the other name that a newer version gives it",
        series={COLLECTOR_UP: "1x60", collector("otelcol_exporter_send_failed_spans_total", exporter="otlp_http/loki"): "_x30 5x30"},
        at="16m",
        fires=(
            Fires(
                labels=exporter_labels("spans"),
                description="CollectorSendFailed：Collector 发往 otlp_http/loki 的 5 条 spans 被存储永久拒绝，数据已丢弃。",
                value="5",
            ),
        ),
    ),
    Case(
        alert="CollectorSendFailed",
        says="all is sent",
        series={COLLECTOR_UP: "1x60", collector("otelcol_exporter_sent_spans", exporter="otlp_http/loki"): "0+60x60"},
        at="16m",
    ),
    Case(
        alert="CollectorSendFailed",
        says="Jaeger's own exporter has its own alert",
        series={series("up", **JAEGER): "1x60", series("otelcol_exporter_send_failed_spans", **JAEGER, exporter="x"): "_x30 5x30"},
        at="16m",
    ),
    Case(
        alert="CollectorRefused",
        says="it refuses spans",
        series={COLLECTOR_UP: "1x60", collector("otelcol_receiver_refused_spans", receiver="otlp", transport="grpc"): "_x10 7x50"},
        at="8m",
        fires=(
            Fires(
                labels={"instance": "127.0.0.1:8888", "receiver": "otlp", "signal": "spans"},
                description="CollectorRefused：Collector（127.0.0.1:8888）拒收了 7 条 spans；服务会重试，没有 spool 的发送方会丢数据。",
                value="7",
            ),
        ),
    ),
    Case(
        alert="CollectorRefused",
        says="it accepts",
        series={COLLECTOR_UP: "1x60", collector("otelcol_receiver_accepted_spans", receiver="otlp", transport="grpc"): "0+9x60"},
        at="8m",
    ),
    Case(
        alert="CollectorRefused",
        says="long ago",
        series={COLLECTOR_UP: "1x90", collector("otelcol_receiver_refused_spans", receiver="otlp", transport="grpc"): "7x90"},
        at="40m",
    ),
)


def drop(signal: str, reason: str) -> str:
    return ours("mgeo_telemetry_dropped_total", signal=signal, reason=reason)


LOSSES = (
    Case(
        alert="TelemetryDropped",
        says="the spool was full",
        series={drop("traces", "spool_full"): "0 0 0 40x20"},
        at="4m",
        fires=(
            Fires(
                labels={**BOX, "signal": "traces", "reason": "spool_full"},
                description="TelemetryDropped：box 丢失了 40 条 traces 数据（spool_full）。",
                value="40",
            ),
        ),
    ),
    Case(
        alert="TelemetryDropped",
        says="the SDK's queue was full, by a counter that is born then",
        series={ours("otel_sdk_processor_span_processed_total", error_type="queue_full"): "_x10 9x20"},
        at="8m",
        fires=(
            Fires(
                labels={**BOX, "signal": "traces"}, description="TelemetryDropped：box 丢失了 9 条 traces 数据（SDK 队列满）。", value="9"
            ),
        ),
    ),
    Case(
        alert="TelemetryDropped",
        says="nothing was",
        series={drop("traces", "spool_full"): "0x20", drop("file", "queue_full"): "0x20"},
        at="4m",
    ),
    Case(alert="TelemetryDropped", says="a kill tore two records", series={drop("logs", "corrupt"): "0 0 0 2x20"}, at="4m"),
    Case(
        alert="TelemetryDropped",
        says="the SDK handed everything on",
        series={ours("otel_sdk_processor_span_processed_total"): "0+90x20"},
        at="8m",
    ),
    Case(
        alert="SpoolWaiting",
        says="the oldest waits for ten minutes",
        series={ours("mgeo_spool_age_seconds"): "0+30x30"},
        at="10m",
        fires=(Fires(description="SpoolWaiting：box 的 spool 里最旧的数据已等待 10m 0s：OTLP 端点不收。", value="10m 0s"),),
    ),
    Case(
        alert="SpoolWaiting",
        says="four minutes, while the Collector starts anew",
        series={ours("mgeo_spool_age_seconds"): "0+30x8 0x30"},
        at="10m",
    ),
    Case(alert="SpoolWaiting", says="nothing waits", series={ours("mgeo_spool_age_seconds"): "0x30"}, at="10m"),
    Case(
        alert="LokiRejecting",
        says="its first line too old",
        series={
            series("up", **LOKI): "1x60",
            series("loki_discarded_samples_total", **LOKI, reason="too_far_behind", tenant="fake"): "_x20 3x40",
        },
        at="12m",
        fires=(
            Fires(
                labels={"instance": "127.0.0.1:3100", "reason": "too_far_behind"},
                description="LokiRejecting：Loki 丢弃了 3 行日志，原因 too_far_behind。",
                value="3",
            ),
        ),
    ),
    Case(alert="LokiRejecting", says="it takes everything", series={series("up", **LOKI): "1x60"}, at="12m"),
    Case(
        alert="LokiRejecting",
        says="that was yesterday",
        series={series("up", **LOKI): "1x60", series("loki_discarded_samples_total", **LOKI, reason="too_far_behind"): "3x60"},
        at="25m",
    ),
    Case(
        alert="JaegerRejecting",
        says="Badger did not take two spans",
        series={
            series("up", **JAEGER): "1x60",
            series("otelcol_exporter_send_failed_spans_total", **JAEGER, exporter="jaeger_storage_exporter"): "_x20 2x40",
        },
        at="12m",
        fires=(
            Fires(
                labels={"instance": "127.0.0.1:8889", "what": "send_failed"},
                description="JaegerRejecting：Jaeger 有 2 个 span 没有存下（send_failed）。",
                value="2",
            ),
        ),
    ),
    Case(
        alert="JaegerRejecting",
        says="the Collector's spans are not Jaeger's",
        series={COLLECTOR_UP: "1x60", collector("otelcol_exporter_send_failed_spans", exporter="otlp_http/jaeger"): "_x20 2x40"},
        at="12m",
    ),
    Case(
        alert="JaegerRejecting",
        says="it takes everything",
        series={series("up", **JAEGER): "1x60", series("otelcol_exporter_sent_spans_total", **JAEGER, exporter="x"): "0+9x60"},
        at="12m",
    ),
)

LOWEST = series("prometheus_tsdb_lowest_timestamp_seconds", **PROMETHEUS)
CUT = series("prometheus_tsdb_size_retentions_total", **PROMETHEUS)
RETENTION = (
    Case(
        alert="RetentionBelowFloor",
        says="Prometheus cut by size and has three hours left",
        series={LOWEST: "0x240", CUT: "0x100 1x140"},
        step="1m",
        at="180m",
        fires=(
            Fires(
                labels=PROMETHEUS,
                description="RetentionBelowFloor：prometheus 的容量上限删掉了不到 7 天的数据，现在只能保留 3h 0m 0s。",
                value="3h 0m 0s",
            ),
        ),
    ),
    Case(
        alert="RetentionBelowFloor",
        says="the embedded store cut rows of two days",
        series={ours("mgeo_retention_cut_seconds", mgeo_store="embedded"): "172800x60"},
        at="15m",
        fires=(
            Fires(
                labels={**BOX, "mgeo_store": "embedded"},
                description="RetentionBelowFloor：embedded 的容量上限删掉了不到 7 天的数据，现在只能保留 2d 0h 0m 0s。",
                value="2d 0h 0m 0s",
            ),
        ),
    ),
    Case(alert="RetentionBelowFloor", says="a store that is young", series={LOWEST: "0x240", CUT: "0x240"}, step="1m", at="180m"),
    Case(
        alert="RetentionBelowFloor",
        says="what was cut was eight days old",
        series={ours("mgeo_retention_cut_seconds", mgeo_store="embedded"): "691200x60"},
        at="15m",
    ),
)


def disk(used: str, folder: str = "loki") -> dict[str, str]:
    return {
        ours("system_filesystem_usage_bytes", mgeo_folder=folder): used,
        ours("system_filesystem_limit_bytes", mgeo_folder=folder): "1000x40",
    }


LOKI_DISK = {**BOX, "mgeo_folder": "loki"}
DISK = (
    Case(
        alert="DiskNearlyFull",
        says="97 % for five minutes",
        series=disk("970x40"),
        at="5m",
        fires=(Fires(labels=LOKI_DISK, description="DiskNearlyFull：box 上 loki 目录所在磁盘已用 97%。", value="97%"),),
    ),
    Case(alert="DiskNearlyFull", says="90 %", series=disk("900x40"), at="5m"),
    Case(alert="DiskNearlyFull", says="for a minute, while something is compacted", series=disk("500x4 970 970 500x30"), at="4m"),
    Case(
        alert="DiskFilling",
        says="90 % for twelve minutes",
        series=disk("900x40"),
        at="12m",
        fires=(Fires(labels=LOKI_DISK, description="DiskFilling：box 上 loki 目录所在磁盘已用 90%。", value="90%"),),
    ),
    Case(alert="DiskFilling", says="80 %", series=disk("800x40"), at="12m"),
    Case(alert="DiskFilling", says="a few minutes only", series=disk("900x10 500x30"), at="12m"),
)

CLOCKS = (
    Case(
        alert="ClockSkew",
        says="we are twelve seconds behind Loki",
        series={ours("mgeo_clock_skew_seconds", mgeo_store="loki"): "-12x40"},
        at="8m",
        fires=(Fires(labels={**BOX, "mgeo_store": "loki"}, description="ClockSkew：box 与 loki 的时钟相差 12s。", value="12s"),),
    ),
    Case(
        alert="ClockSkew",
        says="the notifier is two minutes ahead of DingTalk",
        series={series("mgeo_notifier_clock_skew_seconds", job="notifier", instance="127.0.0.1:8060", robot="main"): "120x40"},
        at="8m",
        fires=(
            Fires(
                labels={"instance": "127.0.0.1:8060", "robot": "main"},
                description="ClockSkew：127.0.0.1:8060 与 钉钉（main）的时钟相差 2m 0s。",
                value="2m 0s",
            ),
        ),
    ),
    Case(alert="ClockSkew", says="two seconds", series={ours("mgeo_clock_skew_seconds", mgeo_store="loki"): "2x40"}, at="8m"),
    Case(
        alert="ClockSkew",
        says="half a minute against DingTalk, whose signatures last an hour",
        series={series("mgeo_notifier_clock_skew_seconds", job="notifier", instance="127.0.0.1:8060", robot="main"): "30x40"},
        at="8m",
    ),
    Case(
        alert="ClockSkew",
        says="set right within minutes",
        series={ours("mgeo_clock_skew_seconds", mgeo_store="loki"): "12x4 0x40"},
        at="8m",
    ),
)

DIFFERENCE = ours("mgeo_audit_difference")
UNREAD = ours("mgeo_audit_unread")
RUN_AT = ours("mgeo_audit_timestamp_seconds")
AUDIT = (
    Case(
        alert="AuditDifference",
        says="three are missing somewhere",
        series={DIFFERENCE: "0 0 3x20"},
        at="4m",
        fires=(Fires(description="AuditDifference：box 最近一次对账有 3 条差异：某个存储与实际服务的推理不一致。", value="3"),),
    ),
    Case(
        alert="AuditDifference",
        says="a store has two too many",
        series={DIFFERENCE: "-2x20"},
        at="4m",
        fires=(Fires(description="AuditDifference：box 最近一次对账有 2 条差异：某个存储与实际服务的推理不一致。", value="2"),),
    ),
    Case(alert="AuditDifference", says="none", series={DIFFERENCE: "0x20"}, at="4m"),
    Case(alert="AuditDifference", says="no audit was run yet", series={ours("mgeo_requests_total"): "0x20"}, at="4m"),
    Case(
        alert="AuditOverdue",
        says="the newest is of four hours ago",
        series={RUN_AT: "0x300"},
        step="1m",
        at="240m",
        fires=(Fires(description="AuditOverdue：box 超过 3 小时没有一次完整的对账。", value="14400"),),
    ),
    Case(
        alert="AuditOverdue",
        says="for three hours one store could not be read",
        series={RUN_AT: "0x60 3600x60 7200x60 10800x60", UNREAD: "1x240"},
        step="1m",
        at="200m",
        fires=(Fires(description="AuditOverdue：box 超过 3 小时没有一次完整的对账。", value="1"),),
    ),
    Case(
        alert="AuditOverdue",
        says="hourly, and all were read",
        series={RUN_AT: "0x60 3600x60 7200x60", UNREAD: "0x180"},
        step="1m",
        at="170m",
    ),
    Case(
        alert="AuditOverdue",
        says="one audit could not read a store",
        series={RUN_AT: "0x60 3600x60 7200x60 10800x60", UNREAD: "0x60 1x60 0x120"},
        step="1m",
        at="200m",
    ),
)

CASES = (*GONE, *COLLECTOR_CASES, *LOSSES, *RETENTION, *DISK, *CLOCKS, *AUDIT)
