"""The recording rules: what several rules need, or what is compared with earlier times."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus.alerting import foreign_metrics, limits
from prometheus.alerting.expression import BY, FAILED, JOB, JUDGED, either, grown, increase, rate, select, summed
from prometheus.alerting.rule import Group, Recording
from prometheus.alerting.scale import days
from service.telemetry import names

if TYPE_CHECKING:
    from prometheus.alerting.scale import Duration, Scale

FAILED_RATE = "mgeo:requests_failed:rate"
JUDGED_RATE = "mgeo:requests_judged:rate"
TRAFFIC = "mgeo:requests:increase"
LAST_HOUR = "mgeo:requests:last_hour"
SAME_WINDOW = "mgeo:requests:same_window"
WORKDAY = "mgeo:workday"
EXPECTED = "mgeo:server:traffic_expected"
TRANSIENT = "mgeo:transient:info"
BURN_RATIO = "mgeo:requests_failed:ratio"
ITEMS_LOST = "mgeo:otelcol_items_lost:increase"
LOSSES = {
    "refused": foreign_metrics.REFUSED,
    "not_received": foreign_metrics.NOT_RECEIVED,
    "send_failed": foreign_metrics.SEND_FAILED,
    "queue_full": foreign_metrics.ENQUEUE_FAILED,
}

REQUESTS = names.REQUESTS.prometheus


def burn_windows() -> list[Duration]:
    """Every window over which the error ratio of the service level is taken, the shortest first."""
    pairs = (*limits.PAGE_BURNS, *limits.TICKET_BURNS)
    return sorted({window for pair in pairs for window in pair[:2]}, key=lambda window: window.seconds)


def slo(scale: Scale) -> Group:
    """The error ratio over each window of the burn rates."""
    failed, judged = (rate(select(REQUESTS, matcher), limits.WINDOW, scale) for matcher in (FAILED, JUDGED))
    rules = [
        Recording(record=FAILED_RATE, expr=summed(failed), why="Failed inferences in a second, over the short window."),
        Recording(record=JUDGED_RATE, expr=summed(judged), why="Judged inferences in a second: failed and successful."),
    ]
    for number, window in enumerate(burn_windows()):
        over = scale.duration(window)
        rules.append(
            Recording(
                record=f"{BURN_RATIO}{number + 1}",
                expr=f"sum by ({BY}) (avg_over_time({FAILED_RATE}[{over}])) / sum by ({BY}) (avg_over_time({JUDGED_RATE}[{over}]))",
                why="The failed part over a window. Of the two series above, since days of the counters themselves are dear to read.",
            )
        )
    return Group(name="slo", why="The error ratio over the windows of the burn rates, shortest first.", rules=tuple(rules))


def instances(scale: Scale) -> Group:
    """Which processes are servers, and which end by themselves."""
    memory = scale.duration(limits.AGENT_LATCH)
    info = select(foreign_metrics.TARGET_INFO, JOB)
    return Group(
        name="instances",
        why="Which processes are servers, whose silence matters, and which end when their work is done.",
        rules=(
            Recording(
                record=EXPECTED,
                expr=f"max by (instance) (last_over_time({names.TRAFFIC_EXPECTED.prometheus}[{memory}]))",
                why="Servers alone tell whether traffic is expected: 1, or 0 with MGEO_TRAFFIC=sporadic.",
            ),
            Recording(
                record=TRANSIENT,
                expr=(
                    f"group by (instance) (last_over_time({info}[{memory}]))\nunless on (instance) {EXPECTED}\nand on () group({EXPECTED})"
                ),
                why="Processes that tell no such thing while others do: `mgeo match`, and scripts with a decorated function.",
            ),
        ),
    )


def traffic(scale: Scale) -> Group:
    """How much comes in, how much came in before, and what kind of day it is."""
    local = f"vector(time() + {limits.ZONE_OFFSET_SECONDS})"
    return Group(
        name="traffic",
        why="How much comes in, and how much would be usual: what TrafficDrop and NoTraffic compare.",
        rules=(
            Recording(
                record=TRAFFIC,
                expr=summed(increase(REQUESTS, limits.WINDOW, scale)),
                why="Requests in the window, whatever became of them.",
            ),
            Recording(
                record=WORKDAY,
                expr=f"max({names.WORKDAY.prometheus})\nor (day_of_week({local}) > bool 0) * (day_of_week({local}) < bool 6)",
                why="1 on a working day in China, 0 on others: as the service's calendar says, Monday to Friday where it says nothing.",
            ),
            Recording(
                record=LAST_HOUR,
                expr=(
                    f"quantile_over_time(0.5, {TRAFFIC}[{scale.duration(limits.LAST_HOUR)}] offset {scale.duration(limits.LAST_HOUR_ENDS)})"
                ),
                why="The median of a window in the hour before the fall that is looked for could have begun: a rush is not what is usual.",
            ),
            Recording(
                record=SAME_WINDOW,
                expr=f"{_median(scale, same_kind=True)}\nor {_median(scale, same_kind=False)}",
                why="The median of the same window on the earlier days of this day's kind; of all days where none is of its kind.",
            ),
        ),
    )


def losses(scale: Scale) -> Group:
    """What programs made of the Collector's parts lost, under one name whatever their own is called."""
    return Group(
        name="losses",
        why="Items that the Collector and Jaeger refused or lost, whether their counters end in _total or not, and from the first one on.",
        rules=tuple(
            Recording(
                record=ITEMS_LOST,
                labels={"what": what, "signal": signal},
                expr=summed(_grown_by_either_name(f"{counter}_{signal}", scale), "job, instance, exporter, receiver"),
                why=f"{counter}_{signal}.",
            )
            for what, counter in LOSSES.items()
            for signal in foreign_metrics.SIGNALS
        ),
    )


def _grown_by_either_name(counter: str, scale: Scale) -> str:
    plain, total = (grown(series, limits.EVENT_WINDOW, scale) for series in either(counter, 'job=~"collector|jaeger"'))
    return f"{plain}\nor {total}"


def _median(scale: Scale, *, same_kind: bool) -> str:
    values = []
    for day in range(1, limits.EARLIER_DAYS + 1):
        ago = scale.duration(days(day))
        like_today = f" and on () ({WORKDAY} offset {ago} == {WORKDAY})" if same_kind else ""
        # The label keeps the days apart, which would be one series otherwise.
        values.append(f'label_replace({TRAFFIC} offset {ago}{like_today}, "day", "{day}", "instance", ".*")')
    return f"quantile by ({BY}) (0.5,\n  " + "\n  or ".join(values) + "\n)"
