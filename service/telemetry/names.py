"""Every name that leaves this project by telemetry, in one table.

Semantic conventions first, the prefix `mgeo.` otherwise; base units; closed value sets for every metric attribute.
`docs/telemetry.md`, the log schema, the instruments and the views are made from here.

Prometheus names follow from the OpenTelemetry names by the rules of Prometheus' own OTLP receiver, with one exception the
table makes on purpose: a gauge of unit `1` would become `…_ratio` there but not in a scrape of `/metrics`. Ratios
therefore carry the annotation `{ratio}`, which both translations drop.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from service.errors import ErrorType, Outcome
from service.telemetry.event import Stage

SCOPE = "mgeo"
SERVICE_NAME = "mgeo"

INFERENCE_SPAN = "mgeo.inference"
BATCH_SPAN = "mgeo.batch"


class EventName(StrEnum):
    """The closed set of `event` in log lines."""

    INFERENCE = "mgeo.inference"
    SERVICE_STARTED = "mgeo.service.started"
    SERVICE_STOPPED = "mgeo.service.stopped"
    MODEL_LOADED = "mgeo.model.loaded"
    WORKER_RESTARTED = "mgeo.worker.restarted"
    WORKER_STUCK = "mgeo.worker.stuck"
    BREAKER_OPENED = "mgeo.breaker.opened"
    BREAKER_CLOSED = "mgeo.breaker.closed"
    STORE_DEGRADED = "mgeo.store.degraded"
    STORE_RECOVERED = "mgeo.store.recovered"
    OTLP_REFUSED = "mgeo.otlp.refused"
    CALENDAR_UNCOVERED = "mgeo.calendar.uncovered"
    PROCESS_FAILED = "mgeo.process.failed"
    LIBRARY = "mgeo.library"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """One attribute of spans, metrics or logs; `values` is its closed set, if it has one."""

    name: str
    type: str
    description: str
    values: tuple[str, ...] = ()


class Kind(StrEnum):
    """The instrument kinds in use."""

    COUNTER = "counter"
    HISTOGRAM = "histogram"
    GAUGE = "gauge"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric: OpenTelemetry name and unit, Prometheus name, label names, bucket boundaries."""

    name: str
    prometheus: str
    kind: Kind
    unit: str
    description: str
    attributes: tuple[str, ...] = ()
    boundaries: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LogField:
    """One field of the log line: JSON types and meaning."""

    name: str
    types: tuple[str, ...]
    description: str
    values: tuple[str, ...] = ()
    minimum: float | None = None
    format: str | None = None


STATUS = "status"
ERROR_TYPE = "error.type"
STAGE = "stage"
SEVERITY = "severity"
FOLDER = "mgeo.folder"
STORE = "mgeo.store"

REQUEST_ID = "mgeo.request.id"
SPAN_STATUS = "mgeo.status"
FUNCTION = "code.function.name"
EXCEPTION_TYPE = "exception.type"
EXCEPTION_STACKTRACE = "exception.stacktrace"
ADDRESS1_LENGTH = "mgeo.address1.length"
ADDRESS2_LENGTH = "mgeo.address2.length"
ADDRESS1_HASH = "mgeo.address1.hash"
ADDRESS2_HASH = "mgeo.address2.hash"
TRUNCATED = "mgeo.truncated"
QUEUE_DEPTH = "mgeo.queue.depth"
BATCH_ID = "mgeo.batch.id"
BATCH_SIZE = "mgeo.batch.size"
MODEL_NAME = "mgeo.model.name"
MODEL_VERSION = "mgeo.model.version"
LABEL = "mgeo.label"
SIMILARITY = "mgeo.similarity"
PROBABILITY_NOT_MATCH = "mgeo.probability.not_match"
PROBABILITY_PARTIAL_MATCH = "mgeo.probability.partial_match"
PROBABILITY_EXACT_MATCH = "mgeo.probability.exact_match"
OUTPUT_LENGTH = "mgeo.output.length"
GPU_ID = "mgeo.gpu.id"
GPU_UTILIZATION = "mgeo.gpu.utilization"
GPU_MEMORY_USAGE = "mgeo.gpu.memory.usage"
GPU_MEMORY_LIMIT = "mgeo.gpu.memory.limit"
GPU_SAMPLE_AGE = "mgeo.gpu.sample.age"


def stage_offset(stage: Stage) -> str:
    """The span attribute with the seconds from the span's start to the stage's start."""
    return f"mgeo.stage.{stage}.offset"


def stage_duration(stage: Stage) -> str:
    """The span attribute with the stage's seconds."""
    return f"mgeo.stage.{stage}.duration"


_OUTCOMES = tuple(outcome.value for outcome in Outcome)
_ERROR_TYPES = tuple(error.value for error in ErrorType)
_LABELS = ("not_match", "partial_match", "exact_match")
SEVERITIES = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
FOLDERS = ("data", "collector", "prometheus", "loki", "jaeger", "alertmanager", "notifier")
STORES = ("prometheus", "loki", "jaeger")

NOTIFIER_FORMS = ("group", "digest", "plain", "notice")
NOTIFIER_OUTCOMES = (
    "delivered", "retry", "throttled", "robot_dead", "content_blocked", "too_big", "over_quota", "misconfigured", "malformed",
)  # fmt: skip

INFERENCE_ATTRIBUTES: tuple[Attribute, ...] = (
    Attribute(name=REQUEST_ID, type="string", description="Id of the inference; `<request_id>:<index>` for a pair of a batch call."),
    Attribute(name=FUNCTION, type="string", description="What was called: `match`, `match_batch`, or the decorated function's name."),
    Attribute(name=SPAN_STATUS, type="string", description="How the inference ended.", values=_OUTCOMES),
    Attribute(name=ERROR_TYPE, type="string", description="Why it did not succeed; absent on success.", values=_ERROR_TYPES),
    Attribute(
        name=EXCEPTION_TYPE, type="string", description="Qualified name of the exception behind an error; its message is never recorded."
    ),
    Attribute(name=EXCEPTION_STACKTRACE, type="string", description="Frames of that exception as `file:line function`, innermost last."),
    Attribute(name=ADDRESS1_LENGTH, type="int", description="Characters of the first address as received."),
    Attribute(name=ADDRESS2_LENGTH, type="int", description="Characters of the second address as received."),
    Attribute(
        name=ADDRESS1_HASH,
        type="string",
        description="HMAC-SHA256 of the cleaned first address, keyed per data folder, first 32 hex digits.",
    ),
    Attribute(name=ADDRESS2_HASH, type="string", description="The same of the second address."),
    Attribute(name=TRUNCATED, type="boolean", description="Whether an address was cut before the model saw it."),
    Attribute(name=QUEUE_DEPTH, type="int", description="Inferences waiting when this one joined the queue."),
    Attribute(name=BATCH_ID, type="string", description="Id of the batch it ran in; opens the batch's own trace."),
    Attribute(name=BATCH_SIZE, type="int", description="Inferences in that batch."),
    Attribute(name=MODEL_NAME, type="string", description="Name of the model that answered."),
    Attribute(name=MODEL_VERSION, type="string", description="Version of the model; changes with its weights."),
    Attribute(name=LABEL, type="string", description="The answer.", values=_LABELS),
    Attribute(name=SIMILARITY, type="double", description="P(exact) + ½ P(partial), 0 to 1."),
    Attribute(name=PROBABILITY_NOT_MATCH, type="double", description="P(not_match), 0 to 1."),
    Attribute(name=PROBABILITY_PARTIAL_MATCH, type="double", description="P(partial_match), 0 to 1."),
    Attribute(name=PROBABILITY_EXACT_MATCH, type="double", description="P(exact_match), 0 to 1."),
    Attribute(
        name=OUTPUT_LENGTH,
        type="int",
        description="Length of the result: characters of the label, or `len()` of what a decorated function returned.",
    ),
    Attribute(
        name=GPU_ID,
        type="string[]",
        description="`hw.id` of each device in the nearest GPU sample; the following arrays are in this order.",
    ),
    Attribute(name=GPU_UTILIZATION, type="double[]", description="Utilisation of each device, 0 to 1; -1 where the driver does not tell."),
    Attribute(name=GPU_MEMORY_USAGE, type="int[]", description="Bytes of device memory in use; -1 where the driver does not tell."),
    Attribute(name=GPU_MEMORY_LIMIT, type="int[]", description="Bytes of device memory there are; -1 where the driver does not tell."),
    Attribute(name=GPU_SAMPLE_AGE, type="double", description="Seconds between the sample and the start of the inference."),
    *(
        Attribute(name=make(stage), type="double", description=f"Seconds {what} of the stage `{stage}`; absent when it was not reached.")
        for stage in Stage
        for make, what in ((stage_offset, "from the span's start to the start"), (stage_duration, "spent in"))
    ),
)

BATCH_ATTRIBUTES: tuple[Attribute, ...] = (
    Attribute(name=BATCH_ID, type="string", description="Id of the batch."),
    Attribute(name=BATCH_SIZE, type="int", description="Inferences in it; the span has a link to each."),
    Attribute(name=MODEL_NAME, type="string", description="Name of the model."),
    Attribute(name=MODEL_VERSION, type="string", description="Version of the model."),
    Attribute(name=ERROR_TYPE, type="string", description="Why the batch failed; absent on success.", values=_ERROR_TYPES),
    Attribute(name=EXCEPTION_TYPE, type="string", description="Qualified name of the exception that failed it."),
    Attribute(name=EXCEPTION_STACKTRACE, type="string", description="Frames of that exception."),
    Attribute(name=stage_duration(Stage.TOKENIZE), type="double", description="Seconds to turn the batch's text into tensors."),
    Attribute(name=stage_duration(Stage.INFERENCE), type="double", description="Seconds in the model proper."),
)

# The notifier writes them, which does not see this package; `dingtalk/names.py` has the same names, and a test compares the two.
NOTIFIER_SPANS: dict[str, tuple[Attribute, ...]] = {
    "mgeo.notifier.receive": (
        Attribute(name="mgeo.notifier.receiver", type="string", description="The receiver that the notification is for."),
        Attribute(name="mgeo.notifier.duplicate", type="boolean", description="Another replica's, known already; absent on others."),
        Attribute(name="http.response.status_code", type="int", description="How the call was answered."),
    ),
    "mgeo.notifier.deliver": (
        Attribute(name="mgeo.notifier.message", type="int", description="Number of the message, as its page has it."),
        Attribute(name="mgeo.notifier.receiver", type="string", description="The receiver."),
        Attribute(name="mgeo.notifier.form", type="string", description="How it was written.", values=NOTIFIER_FORMS),
        Attribute(name="mgeo.notifier.lane", type="string", description="Which queue it was in.", values=("critical", "normal")),
        Attribute(name="mgeo.notifier.state", type="string", description="How it ended.", values=("delivered", "merged", "dead")),
        Attribute(name="mgeo.notifier.attempts", type="int", description="Attempts by robots."),
        Attribute(name="mgeo.notifier.robot", type="string", description="The last robot, or `fallback`; absent when there was none."),
    ),
    "mgeo.notifier.attempt": (
        Attribute(name="mgeo.notifier.robot", type="string", description="The robot."),
        Attribute(name="mgeo.notifier.outcome", type="string", description="What became of it.", values=NOTIFIER_OUTCOMES),
        Attribute(name="mgeo.notifier.errcode", type="int", description="DingTalk's `errcode`; absent where there was none."),
        Attribute(name="mgeo.notifier.attempt", type="int", description="Which attempt of the message it was, from 1."),
    ),
}

# From 1 ms, geometric where nothing is decided, with 0.8 s (the alert's line) exactly on a boundary, up to three deadlines.
DURATION_BOUNDARIES = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 2.5, 5, 10, 30)
BATCH_SIZE_BOUNDARIES = (1, 2, 4, 8, 16, 32, 64, 128, 256)

REQUESTS = Metric(
    name="mgeo.requests",
    prometheus="mgeo_requests_total",
    kind=Kind.COUNTER,
    unit="{request}",
    description="Inferences that ended, by status and, but for success, by error type.",
    attributes=(STATUS, ERROR_TYPE),
)
INFERENCE_DURATION = Metric(
    name="mgeo.inference.duration",
    prometheus="mgeo_inference_duration_seconds",
    kind=Kind.HISTOGRAM,
    unit="s",
    description="Seconds from the start to the end of an inference, of every status.",
    attributes=(STATUS,),
    boundaries=DURATION_BOUNDARIES,
)
STAGE_DURATION = Metric(
    name="mgeo.inference.stage.duration",
    prometheus="mgeo_inference_stage_duration_seconds",
    kind=Kind.HISTOGRAM,
    unit="s",
    description="Seconds an inference spent in each stage it reached.",
    attributes=(STAGE,),
    boundaries=(0.00001, 0.0001, *DURATION_BOUNDARIES),
)
REQUESTS_ACTIVE = Metric(
    name="mgeo.requests.active",
    prometheus="mgeo_requests_active",
    kind=Kind.GAUGE,
    unit="{request}",
    description="Inferences that are open now.",
)
BATCH_SIZES = Metric(
    name="mgeo.batch.size",
    prometheus="mgeo_batch_size",
    kind=Kind.HISTOGRAM,
    unit="{request}",
    description="Inferences in each run of the model.",
    boundaries=BATCH_SIZE_BOUNDARIES,
)
QUEUE_LENGTH = Metric(
    name="mgeo.queue.depth",
    prometheus="mgeo_queue_depth",
    kind=Kind.GAUGE,
    unit="{request}",
    description="Inferences waiting for the model now.",
)
QUEUE_WAIT = Metric(
    name="mgeo.queue.wait",
    prometheus="mgeo_queue_wait_seconds",
    kind=Kind.HISTOGRAM,
    unit="s",
    description="Seconds in the queue, also of inferences that left it by deadline or cancellation.",
    boundaries=(0.00001, 0.0001, *DURATION_BOUNDARIES),
)
LOG_RECORDS = Metric(
    name="mgeo.log.records",
    prometheus="mgeo_log_records_total",
    kind=Kind.COUNTER,
    unit="{record}",
    description="Log lines by severity, counted before any can be dropped.",
    attributes=(SEVERITY,),
)
MODEL_INFO = Metric(
    name="mgeo.model.info",
    prometheus="mgeo_model_info",
    kind=Kind.GAUGE,
    unit="{model}",
    description="Always 1; its labels say which model answers, and where it runs.",
    attributes=("name", "version", "device"),
)
WORKER_RESTARTS = Metric(
    name="mgeo.worker.restarts",
    prometheus="mgeo_worker_restarts_total",
    kind=Kind.COUNTER,
    unit="{restart}",
    description="Model workers that were replaced, by reason.",
    attributes=("reason",),
)
BREAKER_STATE = Metric(
    name="mgeo.breaker.open",
    prometheus="mgeo_breaker_open",
    kind=Kind.GAUGE,
    unit="{breaker}",
    description="1 while the circuit breaker refuses requests, 0.5 while it probes, 0 otherwise.",
)
TELEMETRY_DROPPED = Metric(
    name="mgeo.telemetry.dropped",
    prometheus="mgeo_telemetry_dropped_total",
    kind=Kind.COUNTER,
    unit="{item}",
    description="Items that a bound or a failing destination lost, by signal and reason.",
    attributes=("signal", "reason"),
)
TELEMETRY_QUEUE = Metric(
    name="mgeo.telemetry.queue.depth",
    prometheus="mgeo_telemetry_queue_depth",
    kind=Kind.GAUGE,
    unit="{item}",
    description="Items waiting to be written or sent, by signal.",
    attributes=("signal",),
)
TELEMETRY_SENT = Metric(
    name="mgeo.telemetry.sent",
    prometheus="mgeo_telemetry_sent_total",
    kind=Kind.COUNTER,
    unit="{item}",
    description="Spans, log records and collections of metrics that the OTLP endpoint has acknowledged, by signal.",
    attributes=("signal",),
)
SPOOL_SIZE = Metric(
    name="mgeo.spool.size",
    prometheus="mgeo_spool_size_bytes",
    kind=Kind.GAUGE,
    unit="By",
    description="Bytes on disk that wait for the OTLP endpoint, those of all processes in the data folder.",
)
SPOOL_AGE = Metric(
    name="mgeo.spool.age",
    prometheus="mgeo_spool_age_seconds",
    kind=Kind.GAUGE,
    unit="s",
    description="Seconds since the oldest item that waits for the OTLP endpoint was spooled; 0 when none waits.",
)
STORE_SIZE = Metric(
    name="mgeo.store.size",
    prometheus="mgeo_store_size_bytes",
    kind=Kind.GAUGE,
    unit="By",
    description="Bytes of the embedded store on disk.",
)
RETENTION_CUT = Metric(
    name="mgeo.retention.cut",
    prometheus="mgeo_retention_cut_seconds",
    kind=Kind.GAUGE,
    unit="s",
    description="Age of what a size limit let go of last, before its time was over; no series while that has not happened.",
    attributes=(STORE,),
)
PROCESS_UPTIME = Metric(
    name="process.uptime",
    prometheus="process_uptime_seconds",
    kind=Kind.GAUGE,
    unit="s",
    description="Seconds since this life of the process began.",
)
FILESYSTEM_USAGE = Metric(
    name="system.filesystem.usage",
    prometheus="system_filesystem_usage_bytes",
    kind=Kind.GAUGE,
    unit="By",
    description="Bytes taken on the file system of a data folder: the service's own, and of each program of the stack beside it.",
    attributes=(FOLDER,),
)
FILESYSTEM_LIMIT = Metric(
    name="system.filesystem.limit",
    prometheus="system_filesystem_limit_bytes",
    kind=Kind.GAUGE,
    unit="By",
    description="Bytes there are on it for a user that is not root, taken or free.",
    attributes=(FOLDER,),
)
CLOCK_SKEW = Metric(
    name="mgeo.clock.skew",
    prometheus="mgeo_clock_skew_seconds",
    kind=Kind.GAUGE,
    unit="s",
    description="Seconds our clock is ahead of a store's, by the Date of its answers; below 1 s it is 0. Absent while it does not answer.",
    attributes=(STORE,),
)
AUDIT_DIFFERENCE = Metric(
    name="mgeo.audit.difference",
    prometheus="mgeo_audit_difference",
    kind=Kind.GAUGE,
    unit="{request}",
    description="Inferences by which served and stored differ, by the newest `mgeo audit --record`. Absent when none was run yet.",
)
AUDIT_UNFLUSHED = Metric(
    name="mgeo.audit.unflushed",
    prometheus="mgeo_audit_unflushed",
    kind=Kind.GAUGE,
    unit="{request}",
    description="Inferences that ended after the last collection of a process that was killed, by that audit.",
)
AUDIT_UNREAD = Metric(
    name="mgeo.audit.unread",
    prometheus="mgeo_audit_unread",
    kind=Kind.GAUGE,
    unit="{store}",
    description="Stores that this audit could not read.",
)
AUDIT_TIMESTAMP = Metric(
    name="mgeo.audit.timestamp",
    prometheus="mgeo_audit_timestamp_seconds",
    kind=Kind.GAUGE,
    unit="s",
    description="When this audit ended, in seconds since 1970.",
)
DRILL_FAILURES = Metric(
    name="mgeo.drill.failures",
    prometheus="mgeo_drill_failures",
    kind=Kind.GAUGE,
    unit="{drill}",
    description="Drills that failed, of the newest `mgeo drill --record`: alerts come wrongly. Absent when none was run yet.",
)
DRILL_TIMESTAMP = Metric(
    name="mgeo.drill.timestamp",
    prometheus="mgeo_drill_timestamp_seconds",
    kind=Kind.GAUGE,
    unit="s",
    description="When these drills ended, in seconds since 1970.",
)
WORKDAY = Metric(
    name="mgeo.workday",
    prometheus="mgeo_workday",
    kind=Kind.GAUGE,
    unit="{day}",
    description="1 when today is a working day in mainland China, in its time zone; else 0.",
)
TRAFFIC_EXPECTED = Metric(
    name="mgeo.traffic.expected",
    prometheus="mgeo_traffic_expected",
    kind=Kind.GAUGE,
    unit="{expectation}",
    description="1 when requests are to come steadily, 0 with MGEO_TRAFFIC=sporadic: then their absence is no alert.",
)
GPU_MEMORY_USAGE_METRIC = Metric(
    name="hw.gpu.memory.usage",
    prometheus="hw_gpu_memory_usage_bytes",
    kind=Kind.GAUGE,
    unit="By",
    description="Bytes of GPU memory in use. Absent without a GPU.",
    attributes=("hw.id", "hw.model", "hw.vendor"),
)
GPU_MEMORY_LIMIT_METRIC = Metric(
    name="hw.gpu.memory.limit",
    prometheus="hw_gpu_memory_limit_bytes",
    kind=Kind.GAUGE,
    unit="By",
    description="Bytes of GPU memory there are. Absent without a GPU.",
    attributes=("hw.id", "hw.model", "hw.vendor"),
)
GPU_MEMORY_UTILIZATION_METRIC = Metric(
    name="hw.gpu.memory.utilization",
    prometheus="hw_gpu_memory_utilization",
    kind=Kind.GAUGE,
    unit="{ratio}",
    description="Used part of GPU memory, 0 to 1. Absent without a GPU.",
    attributes=("hw.id", "hw.model", "hw.vendor"),
)
GPU_UTILIZATION_METRIC = Metric(
    name="hw.gpu.utilization",
    prometheus="hw_gpu_utilization",
    kind=Kind.GAUGE,
    unit="{ratio}",
    description="Part of the last sample period in which a kernel ran, 0 to 1. Absent without a GPU.",
    attributes=("hw.id", "hw.model", "hw.vendor"),
)
HTTP_SERVER_DURATION = Metric(
    name="http.server.request.duration",
    prometheus="http_server_request_duration_seconds",
    kind=Kind.HISTOGRAM,
    unit="s",
    description="Seconds of each HTTP request, by the stable semantic conventions.",
    attributes=("http.request.method", "url.scheme", "http.response.status_code", "http.route", "error.type", "network.protocol.version"),
    boundaries=DURATION_BOUNDARIES,
)

SDK_METRICS: tuple[Metric, ...] = tuple(
    Metric(name=name, prometheus=prometheus, kind=kind, unit=unit, description=description, attributes=attributes)
    for item, prefix in (("span", "span"), ("log", "log"))
    for name, prometheus, kind, unit, description, attributes in (
        (
            f"otel.sdk.processor.{prefix}.processed",
            f"otel_sdk_processor_{prefix}_processed_total",
            Kind.COUNTER,
            f"{{{'span' if item == 'span' else 'log_record'}}}",
            f"The SDK's own count of {item}s that left its queue; `error.type` = `queue_full` for those a full queue lost.",
            ("otel.component.name", "otel.component.type", "error.type"),
        ),
        (
            f"otel.sdk.processor.{prefix}.queue.size",
            f"otel_sdk_processor_{prefix}_queue_size",
            Kind.GAUGE,
            f"{{{item}}}",
            f"{item.capitalize()}s in the SDK's queue now.",
            ("otel.component.name", "otel.component.type"),
        ),
        (
            f"otel.sdk.processor.{prefix}.queue.capacity",
            f"otel_sdk_processor_{prefix}_queue_capacity",
            Kind.GAUGE,
            f"{{{'span' if item == 'span' else 'log_record'}}}",
            f"{item.capitalize()}s the SDK's queue can hold.",
            ("otel.component.name", "otel.component.type"),
        ),
    )
)

METRICS: tuple[Metric, ...] = (
    REQUESTS,
    INFERENCE_DURATION,
    STAGE_DURATION,
    REQUESTS_ACTIVE,
    BATCH_SIZES,
    QUEUE_LENGTH,
    QUEUE_WAIT,
    LOG_RECORDS,
    MODEL_INFO,
    WORKER_RESTARTS,
    BREAKER_STATE,
    TELEMETRY_DROPPED,
    TELEMETRY_QUEUE,
    TELEMETRY_SENT,
    SPOOL_SIZE,
    SPOOL_AGE,
    STORE_SIZE,
    RETENTION_CUT,
    PROCESS_UPTIME,
    FILESYSTEM_USAGE,
    FILESYSTEM_LIMIT,
    CLOCK_SKEW,
    AUDIT_DIFFERENCE,
    AUDIT_UNFLUSHED,
    AUDIT_UNREAD,
    AUDIT_TIMESTAMP,
    DRILL_FAILURES,
    DRILL_TIMESTAMP,
    WORKDAY,
    TRAFFIC_EXPECTED,
    GPU_MEMORY_USAGE_METRIC,
    GPU_MEMORY_LIMIT_METRIC,
    GPU_MEMORY_UTILIZATION_METRIC,
    GPU_UTILIZATION_METRIC,
    HTTP_SERVER_DURATION,
)

REQUEST_LABEL_SETS: tuple[dict[str, str], ...] = (
    {STATUS: Outcome.SUCCESS.value},
    *({STATUS: error.outcome.value, ERROR_TYPE: error.value} for error in ErrorType),
)
WORKER_RESTART_REASONS = ("died", "stuck")
OTLP_SIGNALS = ("traces", "metrics", "logs")
# The bounds of the spool; the endpoint, of a whole payload and of single items; the disk, when writing and when reading; the encoder.
_OTLP_DROPS = ("spool_full", "spool_expired", "refused", "rejected", "write_failed", "corrupt", "encode_failed")
DROP_REASONS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(OTLP_SIGNALS, _OTLP_DROPS),
    "file": ("queue_full", "write_failed"),
    "store": ("queue_full", "write_failed"),
    "recorder": ("exception",),
    "open_events": ("table_full",),
    "collection": ("exception",),
}

LOG_FIELDS: tuple[LogField, ...] = (
    LogField(
        name="timestamp",
        types=("string",),
        format="date-time",
        description="UTC, RFC 3339 with microseconds: when the inference started, or when the event happened.",
    ),
    LogField(
        name="level",
        types=("string",),
        values=SEVERITIES,
        description="By the outcome: ERROR for error, WARNING for overloaded and timeout, INFO otherwise.",
    ),
    LogField(name="event", types=("string",), values=tuple(EventName), description="What the line tells of."),
    LogField(name="service", types=("string",), description="`service.name` of the process."),
    LogField(name="instance", types=("string",), description="`service.instance.id` of the process; stable over restarts."),
    LogField(name="request_id", types=("string", "null"), description="Id of the inference."),
    LogField(name="trace_id", types=("string", "null"), description="32 hex digits."),
    LogField(name="span_id", types=("string", "null"), description="16 hex digits: the span `mgeo.inference`."),
    LogField(
        name="function",
        types=("string", "null"),
        description=(
            "What was called; for `mgeo.library`, the name of the library's logger; "
            "for `mgeo.otlp.refused`, the signal and the status it was refused with; "
            "for `mgeo.calendar.uncovered`, the year of which the calendar does not know the holidays."
        ),
    ),
    LogField(name="status", types=("string", "null"), values=_OUTCOMES, description="How the inference ended."),
    LogField(name="latency_ms", types=("number", "null"), minimum=0, description="Milliseconds from start to end."),
    LogField(name="output_length", types=("integer", "null"), minimum=0, description="Length of the result; null without one."),
    LogField(name="error_type", types=("string", "null"), values=_ERROR_TYPES, description="Why it did not succeed; null on success."),
    LogField(
        name="error_message", types=("string", "null"), description="The fixed text of the error type; never the message of an exception."
    ),
    LogField(name="address1_length", types=("integer", "null"), minimum=0, description="Characters of the first address as received."),
    LogField(name="address2_length", types=("integer", "null"), minimum=0, description="Characters of the second address as received."),
    LogField(name="address1_hash", types=("string", "null"), description="Keyed hash of the cleaned first address."),
    LogField(name="address2_hash", types=("string", "null"), description="Keyed hash of the cleaned second address."),
    LogField(name="truncated", types=("boolean", "null"), description="Whether an address was cut."),
    LogField(name="batch_id", types=("string", "null"), description="Id of the batch it ran in."),
    LogField(name="batch_size", types=("integer", "null"), minimum=1, description="Inferences in that batch."),
    LogField(name="queue_ms", types=("number", "null"), minimum=0, description="Milliseconds in the queue."),
    LogField(name="inference_ms", types=("number", "null"), minimum=0, description="Milliseconds in the model proper."),
    LogField(name="model", types=("string", "null"), description="`name@version` of the model."),
    LogField(name="label", types=("string", "null"), values=_LABELS, description="The answer."),
    LogField(name="similarity", types=("number", "null"), minimum=0, description="P(exact) + ½ P(partial), 0 to 1."),
)
