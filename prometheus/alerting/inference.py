"""The alerts about inference: what callers notice, and what slows or refuses them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus.alerting import foreign_metrics, limits
from prometheus.alerting.expression import (
    BY,
    FAILED,
    JUDGED,
    SUCCESS,
    enough,
    equal,
    greatest,
    increase,
    one_of,
    rate,
    select,
    share,
    summed,
)
from prometheus.alerting.recordings import BURN_RATIO, EXPECTED, LAST_HOUR, REQUESTS, SAME_WINDOW, TRAFFIC, TRANSIENT, burn_windows
from prometheus.alerting.rule import Alert, Area, Group, Severity
from prometheus.alerting.wording import PERCENT, SECONDS, WHERE, WHOLE, percent
from service.errors import ErrorType, Outcome
from service.telemetry import names

if TYPE_CHECKING:
    from prometheus.alerting.scale import Count, Duration, Scale

_ERRORS = "/v1/requests?status=error"
_SLOW = f"/v1/requests?status=success&min_latency_ms={limits.LATENCY_SECONDS * 1000:g}"

# Where nothing is expected, nothing is missed.
_UNLESS_SPORADIC = f"unless on (instance) {EXPECTED} == 0\nunless on (instance) {TRANSIENT}"


def inference(scale: Scale) -> Group:
    """What callers notice first, its causes after."""
    return Group(
        name="inference",
        why="What callers notice, and what slows or refuses them. By instance; ratios and percentiles only with enough traffic.",
        rules=(
            _high_error_rate(scale),
            _high_latency(scale),
            *_budget_burns(scale),
            _no_traffic(scale),
            _traffic_drop(scale),
            _breaker_open(scale),
            _overload(scale),
            _timeouts(scale),
            _queue_backlog(),
            _batch_saturated(scale),
            _error_logs(scale),
            _invalid_input_surge(scale),
        ),
    )


def _high_error_rate(scale: Scale) -> Alert:
    ratio = share(select(REQUESTS, FAILED), select(REQUESTS, JUDGED), limits.WINDOW, scale)
    return Alert(
        name="HighErrorRate",
        area=Area.INFERENCE,
        severity=Severity.CRITICAL,
        expr=f"{ratio} > {limits.ERROR_RATIO:g}\nand {enough(scale, select(REQUESTS, JUDGED))}",
        hold=limits.ERROR_HOLD,
        why="Failed (error, timeout, overloaded) over judged (those and success); invalid and cancelled say nothing of us.",
        summary="推理错误率过高",
        description=f"{WHERE} 的推理有 {PERCENT} 失败（error、timeout、overloaded）。",
        value=PERCENT,
        threshold=percent(limits.ERROR_RATIO),
        story=_ERRORS,
        drill="failing-part",
    )


def _high_latency(scale: Scale) -> Alert:
    buckets = select(f"{names.INFERENCE_DURATION.prometheus}_bucket", SUCCESS)
    count = select(f"{names.INFERENCE_DURATION.prometheus}_count", SUCCESS)
    quantile = f"histogram_quantile({limits.LATENCY_QUANTILE:g}, sum by (le, {BY}) ({rate(buckets, limits.WINDOW, scale)}))"
    return Alert(
        name="HighLatency",
        area=Area.INFERENCE,
        severity=Severity.WARNING,
        expr=f"{quantile} > {limits.LATENCY_SECONDS:g}\nand {enough(scale, count)}",
        hold=limits.LATENCY_HOLD,
        why="P95 of the successful: refusals take microseconds and would flatter it. The line is a bucket boundary.",
        summary="推理延迟过高",
        description=f"{WHERE} 成功推理的 P95 延迟为 {SECONDS}。",
        value=SECONDS,
        threshold=f"{limits.LATENCY_SECONDS:g}s",
        story=_SLOW,
        drill="slow-model",
    )


def _budget_burns(scale: Scale) -> tuple[Alert, Alert]:
    return (
        Alert(
            name="ErrorBudgetBurnFast",
            area=Area.INFERENCE,
            severity=Severity.CRITICAL,
            expr=_burn(limits.PAGE_BURNS, scale),
            hold=limits.PAGE_HOLD,
            why="The page windows of the SRE workbook: at this rate the month's budget is gone within days. Sees errors that come and go.",
            summary="错误预算消耗过快",
            description=f"{WHERE} 的长窗口错误率为 {PERCENT}；照此速度，一个月允许的错误（{percent(limits.ERROR_BUDGET)}）几天内用完。",
            value=PERCENT,
            threshold=_lines(limits.PAGE_BURNS),
            story=_ERRORS,
            no_drill="Its windows are hours long; promtool proves it.",
        ),
        Alert(
            name="ErrorBudgetBurnSlow",
            area=Area.INFERENCE,
            severity=Severity.WARNING,
            expr=_burn(limits.TICKET_BURNS, scale),
            hold=limits.TICKET_HOLD,
            why="The ticket windows of the SRE workbook: few errors, but for a day or longer.",
            summary="错误预算持续消耗",
            description=f"{WHERE} 的长窗口错误率为 {PERCENT}；照此速度，一个月允许的错误（{percent(limits.ERROR_BUDGET)}）月底前用完。",
            value=PERCENT,
            threshold=_lines(limits.TICKET_BURNS),
            story=_ERRORS,
            no_drill="Its windows are days long; promtool proves it.",
        ),
    )


def _lines(burns: tuple[tuple[Duration, Duration, float], ...]) -> str:
    return " / ".join(percent(factor * limits.ERROR_BUDGET) for _, _, factor in burns)


def _burn(burns: tuple[tuple[Duration, Duration, float], ...], scale: Scale) -> str:
    number = {window: position + 1 for position, window in enumerate(burn_windows())}
    pairs = []
    for long, short, factor in burns:
        line = f"{factor * limits.ERROR_BUDGET:g}"
        pairs.append(
            f"(\n  {BURN_RATIO}{number[long]} > {line}\n  and {BURN_RATIO}{number[short]} > {line}"
            f"\n  and {enough(scale, select(REQUESTS, JUDGED), limits.BURN_ENOUGH, long)}\n)"
        )
    return "\nor ".join(pairs)


def _no_traffic(scale: Scale) -> Alert:
    usual = _expected(limits.ENOUGH, scale)
    return Alert(
        name="NoTraffic",
        area=Area.INFERENCE,
        severity=Severity.CRITICAL,
        expr=f"{TRAFFIC} == 0\nand on ({BY}) (\n  {usual}\n)\n{_UNLESS_SPORADIC}",
        hold=limits.NO_TRAFFIC_HOLD,
        keep=limits.WINDOW_KEEP,
        why="Of a process that reports and says zero. One that does not report is ServiceGone, AgentGone or MetricsMissing.",
        summary="没有任何请求",
        description=f"{WHERE} 正常运行，但一个请求也没有收到；按往日同一时段或过去一小时，此时应有请求。",
        value="0",
        threshold=f"≥ {scale.count(limits.ENOUGH)} / {scale.spoken(limits.WINDOW)}",
        drill="traffic-stops",
    )


def _expected(number: Count, scale: Scale) -> str:
    """Instances that usually have so much traffic now: by earlier days, by the last hour only where there are none."""
    line = scale.count(number)
    return f"{SAME_WINDOW} >= {line}\n  or ({LAST_HOUR} >= {line} unless on ({BY}) {SAME_WINDOW})"


def _traffic_drop(scale: Scale) -> Alert:
    # Series that have vanished are no traffic, and without the zeros a comparison with them would say nothing at all.
    now = f"({TRAFFIC} or 0 * {SAME_WINDOW} or 0 * {LAST_HOUR})"
    left, line = f"{1 - limits.TRAFFIC_DROP:g}", scale.count(limits.TRAFFIC_ENOUGH)
    under_days = f"{now} <= {left} * ({SAME_WINDOW} >= {line})"
    under_hour = f"{now} <= {left} * ({LAST_HOUR} >= {line})"
    told = f'{foreign_metrics.ALERTS}{{alertname="TrafficDrop", alertstate="firing"}}'
    ratio = f"{now} / ({SAME_WINDOW} or {LAST_HOUR})"
    return Alert(
        name="TrafficDrop",
        area=Area.INFERENCE,
        severity=Severity.WARNING,
        expr=(
            f"1 - {ratio}\nand on ({BY}) (\n"
            f"  (({under_days}) and on ({BY}) (({under_hour}) or {told}))\n"
            f"  or (({under_hour}) unless on ({BY}) {SAME_WINDOW})\n)\n{_UNLESS_SPORADIC}"
        ),
        hold=limits.TRAFFIC_HOLD,
        why=(
            "Under both the last hour and the earlier days of the same kind; the last hour alone while there are no earlier days. "
            "Once told, the last hour, which the fall itself lowers, has no say any more."
        ),
        summary="请求量骤降",
        description=f"{WHERE} 的请求量比往日同一时段（没有历史时比过去一小时）少 {PERCENT}。",
        value=PERCENT,
        threshold=f"≥ {percent(limits.TRAFFIC_DROP)}",
        drill="traffic-falls",
    )


def _breaker_open(scale: Scale) -> Alert:
    return Alert(
        name="BreakerOpen",
        area=Area.INFERENCE,
        severity=Severity.CRITICAL,
        expr=greatest(f"max_over_time({names.BREAKER_STATE.prometheus}[{scale.duration(limits.BREAKER_WINDOW)}])") + " > 0",
        hold=limits.BREAKER_HOLD,
        keep=limits.WINDOW_KEEP,
        why="It opens, probes and opens again; the maximum over a window sees that as one state.",
        summary="熔断器打开，请求被拒绝",
        description=f"{WHERE} 的模型接连失败，熔断器已打开：除了探测，所有请求都得到 503。",
        value=WHOLE,
        threshold="> 0",
        story=_ERRORS,
        drill="failing-model",
    )


def _overload(scale: Scale) -> Alert:
    refused = select(REQUESTS, equal(names.STATUS, Outcome.OVERLOADED), equal("error_type", ErrorType.QUEUE_FULL))
    return Alert(
        name="Overload",
        area=Area.INFERENCE,
        severity=Severity.WARNING,
        expr=f"{share(refused, select(REQUESTS, JUDGED), limits.WINDOW, scale)} > {limits.REFUSED_RATIO:g}\n"
        f"and {enough(scale, select(REQUESTS, JUDGED))}",
        hold=limits.REFUSED_HOLD,
        why="Only what a full queue refused: an open breaker and a shutdown speak for themselves.",
        summary="过载，请求被拒绝",
        description=f"{WHERE} 的队列已满，{PERCENT} 的推理得到 503（queue_full）。",
        value=PERCENT,
        threshold=percent(limits.REFUSED_RATIO),
        story="/v1/requests?status=overloaded",
        drill="overload",
    )


def _timeouts(scale: Scale) -> Alert:
    late = select(REQUESTS, equal(names.STATUS, Outcome.TIMEOUT))
    return Alert(
        name="Timeouts",
        area=Area.INFERENCE,
        severity=Severity.WARNING,
        expr=f"{share(late, select(REQUESTS, JUDGED), limits.WINDOW, scale)} > {limits.TIMEOUT_RATIO:g}\n"
        f"and {enough(scale, select(REQUESTS, JUDGED))}",
        hold=limits.TIMEOUT_HOLD,
        why="One of a hundred; HighErrorRate speaks when it is one of twenty.",
        summary="推理超时",
        description=f"{WHERE} 的推理有 {PERCENT} 超过期限（504）。",
        value=PERCENT,
        threshold=percent(limits.TIMEOUT_RATIO),
        story="/v1/requests?status=timeout",
        no_drill="A model so slow that requests end by deadline is the drill slow-model taken further; promtool proves the line.",
    )


def _queue_backlog() -> Alert:
    return Alert(
        name="QueueBacklog",
        area=Area.INFERENCE,
        severity=Severity.WARNING,
        expr=f"{greatest(names.QUEUE_LENGTH.prometheus)} > {limits.QUEUE_DEPTH}",
        hold=limits.QUEUE_HOLD,
        keep=limits.WINDOW_KEEP,
        why="A quarter of the queue: time to act before it is full and refuses.",
        summary="推理队列积压",
        description=f"{WHERE} 有 {WHOLE} 个推理在排队。",
        value=WHOLE,
        threshold=f"{limits.QUEUE_DEPTH}",
        drill="queue-backlog",
    )


def _batch_saturated(scale: Scale) -> Alert:
    total, number = (summed(rate(names.BATCH_SIZES.prometheus + part, limits.WINDOW, scale)) for part in ("_sum", "_count"))
    never_empty = greatest(f"min_over_time({names.QUEUE_LENGTH.prometheus}[{scale.duration(limits.WINDOW)}])")
    return Alert(
        name="BatchSaturated",
        area=Area.INFERENCE,
        severity=Severity.INFO,
        expr=f"{total} / {number} >= {limits.BATCH_SIZE:g}\nand on ({BY}) {never_empty} > 0",
        hold=limits.BATCH_HOLD,
        why="Full batches and a queue that is never empty: the model is at its limit, even though nobody is refused yet.",
        summary="批处理已饱和",
        description=f"{WHERE} 的平均批大小为 {WHOLE}，队列一直不空：模型已到极限。",
        value=WHOLE,
        threshold=f"{limits.BATCH_SIZE:g}",
        no_drill="The drill queue-backlog passes through it; promtool proves the line.",
    )


def _error_logs(scale: Scale) -> Alert:
    lines = select(names.LOG_RECORDS.prometheus, one_of("severity", ("CRITICAL", "ERROR")))
    return Alert(
        name="ErrorLogs",
        area=Area.INFERENCE,
        severity=Severity.WARNING,
        expr=f"{summed(increase(lines, limits.ERROR_LINES_WINDOW, scale))} > {scale.count(limits.ERROR_LINES)}",
        hold=limits.ERROR_LINES_HOLD,
        keep=limits.ERROR_LINES_KEEP,
        why="Counted where lines are made, so that a log pipeline that is down cannot hide them.",
        summary="错误日志过多",
        description=f"{WHERE} 在 {scale.spoken(limits.ERROR_LINES_WINDOW)}内写了 {WHOLE} 条 ERROR 日志。",
        value=WHOLE,
        threshold=f"{scale.count(limits.ERROR_LINES)} / {scale.spoken(limits.ERROR_LINES_WINDOW)}",
        story=_ERRORS,
        drill="error-logs",
    )


def _invalid_input_surge(scale: Scale) -> Alert:
    invalid = select(REQUESTS, equal(names.STATUS, Outcome.INVALID))
    return Alert(
        name="InvalidInputSurge",
        area=Area.INFERENCE,
        severity=Severity.WARNING,
        expr=f"{share(invalid, REQUESTS, limits.INVALID_WINDOW, scale)} > {limits.INVALID_RATIO:g}\n"
        f"and {enough(scale, invalid, limits.ENOUGH, limits.INVALID_WINDOW)}",
        hold=limits.INVALID_HOLD,
        why="Does not count against us, but somebody is sending what cannot be answered, perhaps since a release of theirs or ours.",
        summary="无效输入激增",
        description=f"{WHERE} 收到的请求有 {PERCENT} 无效（4xx）。",
        value=PERCENT,
        threshold=percent(limits.INVALID_RATIO),
        story="/v1/requests?status=invalid",
        no_drill="It is the callers' fault, which our drills do not imitate; promtool proves the line.",
    )
