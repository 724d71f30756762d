"""The alerts about the service's processes: whether they are there, stay there, and whether their model works."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus.alerting import foreign_metrics, limits
from prometheus.alerting.expression import BY, JOB, LASTING, equal, greatest, increase, select, summed
from prometheus.alerting.recordings import REQUESTS, TRANSIENT
from prometheus.alerting.rule import Alert, Area, Group, Severity
from prometheus.alerting.wording import WHERE, WHOLE
from service.errors import ErrorType
from service.telemetry import names

if TYPE_CHECKING:
    from prometheus.alerting.scale import Duration, Scale

_DIED = "/v1/requests?status=error"


def process(scale: Scale) -> Group:
    """Gone, silent, restarted, stuck."""
    return Group(
        name="process",
        why="Whether the service is there, stays there, and its model works.",
        rules=(
            _service_gone(),
            _agent_gone(scale),
            _metrics_missing(scale),
            _crash_loop(scale),
            _service_restarted(scale),
            _worker_stuck(scale),
            _worker_restarted(scale),
        ),
    )


def _service_gone() -> Alert:
    return Alert(
        name="ServiceGone",
        area=Area.PROCESS,
        severity=Severity.CRITICAL,
        expr=f"{greatest(select(foreign_metrics.UP, JOB))} == 0",
        hold=limits.GONE_HOLD,
        why="By the scrape, which profile full makes too, only for this.",
        summary="推理服务不可达",
        description=f"Prometheus 抓取不到 {WHERE}：进程已退出、卡死，或网络不通。",
        value="0",
        threshold="up = 1",
        drill="service-killed",
    )


def _agent_gone(scale: Scale) -> Alert:
    about = select(foreign_metrics.TARGET_INFO, JOB, LASTING)
    silent = f"unless on (instance) present_over_time({select(foreign_metrics.TARGET_INFO, JOB)}[{scale.duration(limits.AGENT_WINDOW)}])"
    scraped = f"unless on (instance) {select(foreign_metrics.UP, JOB)}"
    seen, remembered = (greatest(f"last_over_time({about}[{scale.duration(span)}])") for span in (limits.AGENT_MEMORY, limits.AGENT_LATCH))
    told = f'on ({BY}) {foreign_metrics.ALERTS}{{alertname="AgentGone", alertstate="firing"}}'
    return Alert(
        name="AgentGone",
        area=Area.PROCESS,
        severity=Severity.CRITICAL,
        expr=f"(\n  {seen}\n  or ({remembered} and {told})\n)\n{silent}\n{scraped}\nunless on (instance) {TRANSIENT}",
        hold=limits.AGENT_HOLD,
        why=(
            "Pushed series have neither `up` nor staleness: who reported within the hour and is silent now is gone. "
            "Once told, for a day, since a box that stays away has not recovered when the hour is over."
        ),
        summary="远端实例不再上报",
        description=f"{WHERE} 一小时内上报过指标，现在已沉默超过 {scale.spoken(limits.AGENT_WINDOW)}：进程、机器或上行链路有问题。",
        value="0",
        threshold=f"{scale.spoken(limits.AGENT_WINDOW)}内应有上报",
        no_drill="It needs a second box, and a day to be forgotten again; the drill box-gone is about this one, and promtool proves it.",
    )


def _metrics_missing(scale: Scale) -> Alert:
    present = f"present_over_time({REQUESTS}[{scale.duration(limits.BLIND_WINDOW)}])"
    return Alert(
        name="MetricsMissing",
        area=Area.TELEMETRY,
        severity=Severity.WARNING,
        expr=f"{greatest(select(foreign_metrics.UP, JOB))} == 1\nunless on (instance) {present}",
        hold=limits.BLIND_HOLD,
        why="It answers the scrape, but its pushed metrics do not arrive: until they do, nothing watches inference.",
        summary="服务在运行，但指标没有到达",
        description=f"{WHERE} 可达，但 Prometheus 里没有它最近的指标；在恢复之前，推理方面的告警都是瞎的。",
        value="0",
        threshold=f"{scale.spoken(limits.BLIND_WINDOW)}内应有样本",
        no_drill="It needs a Collector that lives and does not deliver to Prometheus alone; promtool proves it.",
    )


def _resets(window: Duration, scale: Scale) -> str:
    over = scale.duration(window)
    # Counters of lines fall at a restart that came after some traffic; the uptime falls at every one.
    return greatest(f"resets({names.LOG_RECORDS.prometheus}[{over}]) or resets({names.PROCESS_UPTIME.prometheus}[{over}])")


def _crash_loop(scale: Scale) -> Alert:
    return Alert(
        name="CrashLoop",
        area=Area.PROCESS,
        severity=Severity.CRITICAL,
        expr=f"{_resets(limits.CRASHES_WINDOW, scale)} >= {limits.CRASHES}",
        why="Three within a quarter of an hour: it will not mend itself.",
        summary="服务反复崩溃",
        description=f"{WHERE} 在 {scale.spoken(limits.CRASHES_WINDOW)}内重启了 {WHOLE} 次。",
        value=WHOLE,
        threshold=f"{limits.CRASHES} / {scale.spoken(limits.CRASHES_WINDOW)}",
        story=_DIED,
        no_drill="The supervisor's own pauses between starts do not scale; promtool proves it.",
    )


def _service_restarted(scale: Scale) -> Alert:
    cut_off = summed(increase(select(REQUESTS, equal("error_type", ErrorType.PROCESS_DIED)), limits.EVENT_WINDOW, scale))
    return Alert(
        name="ServiceRestarted",
        area=Area.PROCESS,
        severity=Severity.INFO,
        expr=f"{_resets(limits.RESTARTS_WINDOW, scale)} >= {limits.RESTARTS}\nor {cut_off} > 0",
        why="Not the one restart of a deploy, which is nothing to tell: several, or one that cut requests off.",
        summary="服务意外重启",
        description=f"{WHERE} 在 {scale.spoken(limits.RESTARTS_WINDOW)}内多次重启，或重启时有请求被中断（process_died）；计数 {WHOLE}。",
        value=WHOLE,
        threshold=f"{limits.RESTARTS} / {scale.spoken(limits.RESTARTS_WINDOW)}",
        story=_DIED,
        no_drill="Part of the drill service-killed, whose load decides whether a request is cut off; promtool proves it.",
    )


def _worker(reason: str, scale: Scale) -> str:
    restarts = select(names.WORKER_RESTARTS.prometheus, equal("reason", reason))
    return f"{summed(increase(restarts, limits.EVENT_WINDOW, scale))} > 0"


def _worker_stuck(scale: Scale) -> Alert:
    return Alert(
        name="WorkerStuck",
        area=Area.PROCESS,
        severity=Severity.CRITICAL,
        expr=_worker("stuck", scale),
        why="One is enough: a run of the model that never ends, and the second within ten minutes ends the process.",
        summary="模型工作线程卡死",
        description=f"{WHERE} 的模型工作线程卡死（次数约 {WHOLE}），已被放弃并替换。",
        value=WHOLE,
        threshold="> 0",
        story=_DIED,
        drill="worker-stuck",
    )


def _worker_restarted(scale: Scale) -> Alert:
    return Alert(
        name="WorkerRestarted",
        area=Area.PROCESS,
        severity=Severity.WARNING,
        expr=_worker("died", scale),
        why="The worker died by an exception that nobody caught; its batch failed, and a new one serves on.",
        summary="模型工作线程崩溃",
        description=f"{WHERE} 的模型工作线程崩溃（次数约 {WHOLE}），已自动替换；当时那一批推理失败。",
        value=WHOLE,
        threshold="> 0",
        story=_DIED,
        no_drill="A worker that is killed alone would need a hook in the product; promtool proves it.",
    )
