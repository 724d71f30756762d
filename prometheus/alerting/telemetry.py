"""The alerts about the way of the telemetry: from the service over the Collector to the stores, and their disks and clocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus.alerting import foreign_metrics, limits
from prometheus.alerting.expression import BY, equal, greatest, grown, increase, one_of, other_than, select, summed, with_store
from prometheus.alerting.recordings import ITEMS_LOST
from prometheus.alerting.rule import Alert, Area, Group, Severity
from prometheus.alerting.wording import PERCENT, SECONDS, WHERE, WHOLE, label, percent
from service.telemetry import names

if TYPE_CHECKING:
    from prometheus.alerting.scale import Scale

_NEEDS_BROKEN_STORE = "It needs a store that answers wrongly, which the real ones do not on request; promtool proves it."
_LONG = "It takes hours; promtool proves it."


def telemetry(scale: Scale) -> Group:
    """From sender to store, then what all of them stand on."""
    return Group(
        name="telemetry",
        why="Whether what the service tells arrives, and stays.",
        rules=(
            _collector_gone(),
            _store_gone(),
            _collector_queue_filling(),
            _collector_loss(
                "CollectorQueueFull", "queue_full", "Collector 队列已满", "的队列已满，不再接收数据；服务把数据留在自己的 spool 里"
            ),
            _collector_loss("CollectorSendFailed", "send_failed", "Collector 丢弃了数据", "被存储永久拒绝，数据已丢弃"),
            _collector_refused(),
            _telemetry_dropped(scale),
            _spool_waiting(scale),
            _loki_rejecting(scale),
            _jaeger_rejecting(),
            _retention_below_floor(scale),
            _disk_nearly_full(),
            _disk_filling(),
            _clock_skew(),
            _audit_difference(),
            _audit_overdue(scale),
        ),
    )


def _collector_gone() -> Alert:
    return Alert(
        name="CollectorGone",
        area=Area.TELEMETRY,
        severity=Severity.CRITICAL,
        expr=f"{select(foreign_metrics.UP, equal('job', 'collector'))} == 0",
        hold=limits.GONE_HOLD,
        why="Nothing is lost, since the service spools; but until it is back nothing watches inference.",
        summary="OpenTelemetry Collector 不可达",
        description=f"抓取不到 Collector（{label('instance')}）；遥测数据留在服务的 spool 里，推理告警暂时失效。",
        value="0",
        threshold="up = 1",
        drill="collector-killed",
    )


def _store_gone() -> Alert:
    return Alert(
        name="StoreGone",
        area=Area.TELEMETRY,
        severity=Severity.WARNING,
        expr=with_store(f"{select(foreign_metrics.UP, one_of('job', ('alertmanager', 'jaeger', 'loki')))} == 0", "job"),
        hold=limits.STORE_HOLD,
        why="The Collector keeps what is for it. Prometheus cannot miss itself: the Watchdog's receiver does.",
        summary="存储组件不可达",
        description=f"抓取不到 {label('job')}（{label('instance')}）；发往它的数据留在 Collector 的磁盘队列里。",
        value="0",
        threshold="up = 1",
        drill="loki-away",
    )


def _collector_queue_filling() -> Alert:
    ratio = f"{foreign_metrics.QUEUE_SIZE} / {foreign_metrics.QUEUE_CAPACITY}"
    return Alert(
        name="CollectorQueueFilling",
        area=Area.TELEMETRY,
        severity=Severity.WARNING,
        expr=with_store(f"{greatest(ratio, 'instance, exporter')} > {limits.COLLECTOR_QUEUE_RATIO:g}", "exporter"),
        hold=limits.COLLECTOR_QUEUE_HOLD,
        why="A store is away or too slow; full, the queue refuses and the service's spool fills instead.",
        summary="Collector 队列将满",
        description=f"Collector 发往 {label('exporter')} 的磁盘队列已用 {PERCENT}。",
        value=PERCENT,
        threshold=percent(limits.COLLECTOR_QUEUE_RATIO),
        no_drill="Its queue is sized for an outage of a quarter of an hour; promtool proves the line.",
    )


def _collector_loss(name: str, what: str, summary: str, says: str) -> Alert:
    lost = select(ITEMS_LOST, equal("job", "collector"), equal("what", what))
    return Alert(
        name=name,
        area=Area.TELEMETRY,
        severity=Severity.WARNING,
        expr=with_store(f"{summed(lost, 'instance, exporter, signal')} > 0", "exporter"),
        why="Any is too many: queues on disk that are tried for ever should neither fill nor lose.",
        summary=summary,
        description=f"Collector 发往 {label('exporter')} 的 {WHOLE} 条 {label('signal')} {says}。",
        value=WHOLE,
        threshold="> 0",
        no_drill=_NEEDS_BROKEN_STORE if what == "send_failed" else "As CollectorQueueFilling, and later; promtool proves it.",
    )


def _collector_refused() -> Alert:
    lost = select(ITEMS_LOST, equal("job", "collector"), one_of("what", ("refused", "not_received")))
    return Alert(
        name="CollectorRefused",
        area=Area.TELEMETRY,
        severity=Severity.WARNING,
        expr=f"{summed(lost, 'instance, receiver, signal')} > 0",
        hold=limits.COLLECTOR_LOSS_HOLD,
        why="Over its memory limit, or behind a full queue, it refuses; senders that have no spool lose then.",
        summary="Collector 拒收数据",
        description=f"Collector（{label('instance')}）拒收了 {WHOLE} 条 {label('signal')}；服务会重试，没有 spool 的发送方会丢数据。",
        value=WHOLE,
        threshold="> 0",
        no_drill="It needs more memory pressure than a shared machine should bear; promtool proves it.",
    )


def _telemetry_dropped(scale: Scale) -> Alert:
    dropped = names.TELEMETRY_DROPPED.prometheus
    by = f"{BY}, signal, reason"
    ours = f"{summed(increase(select(dropped, other_than('reason', 'corrupt')), limits.EVENT_WINDOW, scale), by)} > 0"
    torn = f"{summed(increase(select(dropped, equal('reason', 'corrupt')), limits.EVENT_WINDOW, scale), by)} > {limits.TORN_RECORDS}"
    full = equal("error_type", "queue_full")
    sdk = [
        f'label_replace({summed(grown(select(name, full), limits.EVENT_WINDOW, scale))} > 0, "signal", "{signal}", "instance", ".*")'
        for name, signal in zip(foreign_metrics.SDK_PROCESSED, ("traces", "logs"), strict=True)
    ]
    return Alert(
        name="TelemetryDropped",
        area=Area.TELEMETRY,
        severity=Severity.WARNING,
        expr="\nor ".join((ours, torn, *sdk)),
        why="SDK queue, log queue, store queue, spool: each is bounded, and a loss is counted where it happens.",
        summary="服务丢失了遥测数据",
        description=f"{WHERE} 丢失了 {WHOLE} 条 {label('signal')} 数据"
        f"{{{{ with $labels.reason }}}}（{{{{ . }}}}）{{{{ else }}}}（SDK 队列满）{{{{ end }}}}。",
        value=WHOLE,
        threshold="> 0",
        no_drill="It needs a full spool or a full disk of the data folder; promtool proves it.",
    )


def _spool_waiting(scale: Scale) -> Alert:
    return Alert(
        name="SpoolWaiting",
        area=Area.TELEMETRY,
        severity=Severity.WARNING,
        expr=f"{greatest(names.SPOOL_AGE.prometheus)} > {scale.seconds(limits.SPOOL_AGE)}",
        hold=limits.SPOOL_HOLD,
        why="Seen where metrics still come through while logs or traces do not, as with a wrong token of an agent.",
        summary="遥测数据积压在服务的 spool",
        description=f"{WHERE} 的 spool 里最旧的数据已等待 {SECONDS}：OTLP 端点不收。",
        value=SECONDS,
        threshold=scale.duration(limits.SPOOL_AGE),
        no_drill="While the endpoint is away its metrics wait in the spool too; promtool proves it.",
    )


def _loki_rejecting(scale: Scale) -> Alert:
    discarded = grown(select(foreign_metrics.LOKI_DISCARDED, equal("job", "loki")), limits.EVENT_WINDOW, scale)
    return Alert(
        name="LokiRejecting",
        area=Area.TELEMETRY,
        severity=Severity.WARNING,
        expr=f"{summed(discarded, 'instance, reason')} > 0",
        why="Its limits threw lines away: too old, too long, too many.",
        summary="Loki 拒收日志",
        description=f"Loki 丢弃了 {WHOLE} 行日志，原因 {label('reason')}。",
        value=WHOLE,
        threshold="> 0",
        no_drill=_NEEDS_BROKEN_STORE,
    )


def _jaeger_rejecting() -> Alert:
    lost = select(ITEMS_LOST, equal("job", "jaeger"), equal("signal", "spans"))
    return Alert(
        name="JaegerRejecting",
        area=Area.TELEMETRY,
        severity=Severity.WARNING,
        expr=f"{summed(lost, 'instance, what')} > 0",
        why="What its receiver did not take, and what Badger did not.",
        summary="Jaeger 拒收 span",
        description=f"Jaeger 有 {WHOLE} 个 span 没有存下（{label('what')}）。",
        value=WHOLE,
        threshold="> 0",
        no_drill=_NEEDS_BROKEN_STORE,
    )


def _retention_below_floor(scale: Scale) -> Alert:
    floor = scale.seconds(limits.RETENTION_FLOOR)
    cut = increase(foreign_metrics.SIZE_RETENTIONS, limits.RETENTION_WINDOW, scale)
    kept = f"time() - {foreign_metrics.LOWEST_TIMESTAMP}"
    ours = greatest(names.RETENTION_CUT.prometheus, f"{BY}, mgeo_store")
    return Alert(
        name="RetentionBelowFloor",
        area=Area.TELEMETRY,
        severity=Severity.WARNING,
        expr=f"({kept} < {floor} and on (instance) {cut} > 0)\nor {ours} < {floor}",
        hold=limits.RETENTION_HOLD,
        why="A cap of size cut what is younger than seven days. A young store without a cut, or a shorter setting, is no fault.",
        summary="保留期被容量上限截短",
        description=f"{{{{ or $labels.mgeo_store $labels.job }}}} 的容量上限删掉了不到 {scale.spoken(limits.RETENTION_FLOOR)}的数据，"
        f"现在只能保留 {SECONDS}。",
        value=SECONDS,
        threshold=scale.duration(limits.RETENTION_FLOOR),
        no_drill=_LONG,
    )


def _disk(line: float) -> str:
    by = f"{BY}, mgeo_folder"
    return f"{greatest(names.FILESYSTEM_USAGE.prometheus, by)} / {greatest(names.FILESYSTEM_LIMIT.prometheus, by)} > {line:g}"


def _disk_nearly_full() -> Alert:
    return Alert(
        name="DiskNearlyFull",
        area=Area.TELEMETRY,
        severity=Severity.CRITICAL,
        expr=_disk(limits.DISK_FULL),
        hold=limits.DISK_FULL_HOLD,
        why="Before a store corrupts itself or the notifier cannot store an alert any more.",
        summary="磁盘几乎写满",
        description=f"{WHERE} 上 {label('mgeo_folder')} 目录所在磁盘已用 {PERCENT}。",
        value=PERCENT,
        threshold=percent(limits.DISK_FULL),
        drill="disk-nearly-full",
    )


def _disk_filling() -> Alert:
    return Alert(
        name="DiskFilling",
        area=Area.TELEMETRY,
        severity=Severity.WARNING,
        expr=_disk(limits.DISK_FILLING),
        hold=limits.DISK_FILLING_HOLD,
        why="While there is still a day to act.",
        summary="磁盘空间不足",
        description=f"{WHERE} 上 {label('mgeo_folder')} 目录所在磁盘已用 {PERCENT}。",
        value=PERCENT,
        threshold=percent(limits.DISK_FILLING),
        no_drill="The drill disk-nearly-full passes through it; promtool proves the line.",
    )


def _clock_skew() -> Alert:
    stores = f"{greatest(f'abs({names.CLOCK_SKEW.prometheus})', f'{BY}, mgeo_store')} > {limits.CLOCK_SKEW_SECONDS}"
    robots = f"{greatest(f'abs({foreign_metrics.NOTIFIER_CLOCK_SKEW})', 'instance, robot')} > {limits.ROBOT_CLOCK_SKEW_SECONDS}"
    return Alert(
        name="ClockSkew",
        area=Area.TELEMETRY,
        severity=Severity.WARNING,
        expr=f"{stores}\nor {robots}",
        hold=limits.CLOCK_HOLD,
        why="Against a store, lines and samples come out of order; against DingTalk, signatures expire.",
        summary="时钟偏差",
        description=f"{WHERE} 与 {{{{ with $labels.mgeo_store }}}}{{{{ . }}}} {{{{ else }}}}钉钉（{{{{ $labels.robot }}}}）{{{{ end }}}}"
        f"的时钟相差 {SECONDS}。",
        value=SECONDS,
        threshold=f"{limits.CLOCK_SKEW_SECONDS}s / {limits.ROBOT_CLOCK_SKEW_SECONDS}s",
        no_drill="Nobody sets the clock of a shared machine; promtool proves it.",
    )


def _audit_difference() -> Alert:
    return Alert(
        name="AuditDifference",
        area=Area.TELEMETRY,
        severity=Severity.WARNING,
        expr=f"{greatest(f'abs({names.AUDIT_DIFFERENCE.prometheus})')} > 0",
        why="The newest hourly audit found a store that does not have what was served. It waited for what is on its way.",
        summary="对账有差异",
        description=f"{WHERE} 最近一次对账有 {WHOLE} 条差异：某个存储与实际服务的推理不一致。",
        value=WHOLE,
        threshold="0",
        no_drill="The audit runs hourly; promtool proves it.",
    )


def _audit_overdue(scale: Scale) -> Alert:
    age = f"time() - {greatest(names.AUDIT_TIMESTAMP.prometheus)} > {scale.seconds(limits.AUDIT_OVERDUE)}"
    unread = f"{greatest(f'min_over_time({names.AUDIT_UNREAD.prometheus}[{scale.duration(limits.AUDIT_OVERDUE)}])')} > 0"
    return Alert(
        name="AuditOverdue",
        area=Area.TELEMETRY,
        severity=Severity.INFO,
        expr=f"{age}\nor {unread}",
        why="Three audits did not run, or three in a row could not read a store: nobody knows whether something is lost.",
        summary="对账没有完成",
        description=f"{WHERE} 超过 {scale.spoken(limits.AUDIT_OVERDUE)}没有一次完整的对账。",
        value=WHOLE,
        threshold=scale.duration(limits.AUDIT_OVERDUE),
        no_drill=_LONG,
    )
