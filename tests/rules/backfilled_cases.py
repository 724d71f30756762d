"""Cases of the alerts that look back over an hour, as histories of up to eight days, each of an instance of its own."""

from __future__ import annotations

from collections.abc import Mapping

from tests.rules.past import DAY, HOUR, Counted, Drawn, Level, Past, Stamped, Steps
from tests.rules.promtool import series

# The database ends on a Saturday. What is asked of a working day is asked a day before.
SATURDAY, FRIDAY = 0, DAY
# What the service's calendar said: a Friday, a weekend, five working days, and a Saturday.
NOON = 12 * HOUR
CALENDAR: Mapping[str, Drawn] = {
    series("mgeo_workday", job="mgeo"): Level(((8 * DAY + HOUR, 1), (7 * DAY + NOON, 0), (5 * DAY + NOON, 1), (NOON, 0))),
}


def ours(name: str, **labels: str) -> str:
    """A series of the service."""
    return series(name, job="mgeo", mgeo_instance_name="box", **labels)


SUCCESS = ours("mgeo_requests_total", status="success")
ERROR = ours("mgeo_requests_total", status="error", error_type="model_failed")
EXPECTED = ours("mgeo_traffic_expected")
INFO = ours("target_info")
UP = ours("up")


def told(alert: str) -> str:
    """That an alert fires, as Prometheus itself notes it."""
    return series("ALERTS", alertname=alert, alertstate="firing", mgeo_instance_name="box")


# Traffic -----------------------------------------------------------------------------------------------------------------------


def week(*earlier: float, today: Steps) -> Mapping[str, Drawn]:
    """Requests a minute on the seven days before, yesterday's first, and on the day itself."""
    assert len(earlier) == 7
    before = tuple((day * DAY + (NOON if day < 7 else HOUR), earlier[day - 1]) for day in range(7, 0, -1))
    return {SUCCESS: Counted((*before, *today))}


def daily(otherwise: float, around_now: float, *, today: Steps) -> Mapping[str, Drawn]:
    """Requests a minute in the two hours around the moment's time of the day, and in the others; from three hours before, as said."""
    before: list[tuple[int, float]] = []
    for day in range(7, 0, -1):
        before += [(day * DAY + (HOUR if day == 7 else 2 * HOUR), around_now), (day * DAY - HOUR, otherwise)]
    return {SUCCESS: Counted((*before, *today))}


def habit(usual: float, at_this_time: float) -> Mapping[str, Drawn]:
    """Each day alike: twenty minutes before the moment's time of the day it changes, for an hour."""
    before: list[tuple[int, float]] = [(7 * DAY + HOUR, usual)]
    for day in range(7, 0, -1):
        before += [(day * DAY + 20, at_this_time), (day * DAY - 40, usual)]
    return {SUCCESS: Counted((*before, (20, at_this_time)))}


def same(today: Steps) -> Mapping[str, Drawn]:
    """A hundred a minute on each earlier day."""
    return week(100, 100, 100, 100, 100, 100, 100, today=((NOON, 100), *today))


def only(day: int, then: Steps, today: Steps) -> Mapping[str, Drawn]:
    """A box that was there for two hours on one earlier day, around this time, and then was away until today."""
    return {SUCCESS: Counted((*((day * DAY + ago, value) for ago, value in then), (day * DAY - HOUR, None), *today))}


EACH_EARLIER_DAY = tuple(
    case
    for day in range(1, 8)
    for case in (
        Past(
            alert="TrafficDrop",
            says=f"before today it was there only {day} days ago, and has been under that for four hours, as was told",
            history={**only(day, ((HOUR, 100),), ((NOON, 100), (4 * HOUR, 60))), told("TrafficDrop"): Level(((3 * HOUR, 1),))},
            ago=FRIDAY,
            fires=True,
        ),
        Past(
            alert="TrafficDrop",
            says=f"before today it was there only {day} days ago, and fell at this time then too",
            history=only(day, ((HOUR, 100), (20, 60)), ((NOON, 100), (20, 60))),
            ago=FRIDAY,
            fires=False,
        ),
    )
)
TRAFFIC_DROP = (
    Past(
        alert="TrafficDrop",
        says="forty per cent under the same hour of seven earlier days, whose other hours had less",
        history=daily(30, 100, today=((3 * HOUR, 100), (30, 60))),
        ago=FRIDAY,
        fires=True,
    ),
    Past(alert="TrafficDrop", says="barely over thirty per cent", history=same(((30, 69),)), ago=FRIDAY, fires=True),
    Past(
        alert="TrafficDrop",
        says="a working day that falls to what is usual on days off",
        history=week(100, 100, 100, 100, 50, 50, 100, today=((NOON, 100), (30, 50))),
        ago=FRIDAY,
        fires=True,
    ),
    Past(
        alert="TrafficDrop",
        says="a Saturday at half of other days off, which are half of a working day",
        history=week(100, 100, 100, 100, 100, 50, 50, today=((NOON, 50), (30, 25))),
        fires=True,
    ),
    Past(
        alert="TrafficDrop",
        says="two earlier days without any are not what is usual",
        history=week(100, 0, 0, 100, 100, 100, 100, today=((NOON, 100), (30, 60))),
        ago=FRIDAY,
        fires=True,
    ),
    Past(
        alert="TrafficDrop",
        says="in the first days none is of this kind, so all of them count",
        history={SUCCESS: Counted(((4 * DAY + HOUR, 100), (30, 60)))},
        fires=True,
    ),
    Past(
        alert="TrafficDrop",
        says="four hours later it has not recovered, though the last hour was as low, since it was told",
        history={**same(((4 * HOUR, 60),)), told("TrafficDrop"): Level(((3 * HOUR, 1),))},
        ago=FRIDAY,
        fires=True,
    ),
    Past(
        alert="TrafficDrop",
        says="the last word that traffic is sporadic is twenty-five hours old",
        history={**same(((30, 60),)), EXPECTED: Level(((DAY + 2 * HOUR, 0), (DAY + HOUR, None)))},
        fires=True,
    ),
    Past(
        alert="TrafficDrop",
        says="a server of which nothing comes any more",
        history={**same(((30, None),)), EXPECTED: Level(((DAY, 1), (30, None))), INFO: Level(((DAY, 1), (30, None)))},
        ago=FRIDAY,
        fires=True,
    ),
    Past(alert="TrafficDrop", says="twenty per cent", history=same(((30, 80),)), ago=FRIDAY, fires=False),
    Past(alert="TrafficDrop", says="barely under thirty per cent", history=same(((30, 71),)), ago=FRIDAY, fires=False),
    Past(
        alert="TrafficDrop",
        says="a weekend that is always lower, at whose hour it falls too",
        history=week(100, 100, 100, 100, 100, 50, 50, today=((NOON, 100), (30, 50))),
        fires=False,
    ),
    Past(
        alert="TrafficDrop",
        says="a rush is over; two earlier days with ten times as many are not what is usual",
        history=week(100, 1000, 1000, 100, 100, 100, 100, today=((NOON, 150), (30, 100))),
        ago=FRIDAY,
        fires=False,
    ),
    Past(alert="TrafficDrop", says="as every day at this time", history=habit(100, 60), ago=FRIDAY, fires=False),
    Past(
        alert="TrafficDrop",
        says="four hours later, of which it was never told",
        history=same(((4 * HOUR, 60),)),
        ago=FRIDAY,
        fires=False,
    ),
    Past(
        alert="TrafficDrop",
        says="too few to mean something: of ninety-five in five minutes there are fifty-five",
        history=week(*[19] * 7, today=((NOON, 40), (30, 11))),
        ago=FRIDAY,
        fires=False,
    ),
    Past(
        alert="TrafficDrop",
        says="that traffic is sporadic was said twenty-three hours ago",
        history={**same(((30, 60),)), EXPECTED: Level(((DAY + 2 * HOUR, 0), (DAY - HOUR, None)))},
        fires=False,
    ),
    Past(
        alert="TrafficDrop",
        says="`mgeo match` of which nothing comes any more, while servers tell whether they expect traffic",
        history={**same(((30, None),)), INFO: Level(((DAY, 1), (30, None)))},
        ago=FRIDAY,
        fires=False,
    ),
)

NO_TRAFFIC = (
    Past(alert="NoTraffic", says="none for ten minutes, after seven days with requests", history=same(((10, 0),)), fires=True),
    Past(
        alert="NoTraffic",
        says="twenty-five in the same five minutes of earlier days",
        history=week(*[5] * 7, today=((NOON, 5), (10, 0))),
        fires=True,
    ),
    Past(
        alert="NoTraffic",
        says="closed on days off, and this is none",
        history=week(100, 100, 100, 100, 0, 0, 100, today=((NOON, 100), (10, 0))),
        ago=FRIDAY,
        fires=True,
    ),
    Past(
        alert="NoTraffic",
        says="for a whole day, which the last hour does not know any more",
        history=week(0, 100, 100, 100, 0, 0, 100, today=((NOON, 0),)),
        ago=FRIDAY,
        fires=True,
    ),
    Past(
        alert="NoTraffic",
        says="the last word that traffic is sporadic is twenty-five hours old",
        history={**same(((10, 0),)), EXPECTED: Level(((DAY + 2 * HOUR, 0), (DAY + HOUR, None)))},
        fires=True,
    ),
    Past(
        alert="NoTraffic",
        says="fifteen in the same five minutes of earlier days",
        history=week(*[3] * 7, today=((NOON, 30), (10, 0))),
        fires=False,
    ),
    Past(
        alert="NoTraffic",
        says="closed on days off, and this is one",
        history=week(100, 100, 100, 100, 100, 0, 0, today=((NOON, 100), (10, 0))),
        fires=False,
    ),
    Past(alert="NoTraffic", says="none at this time of any day", history=habit(100, 0), ago=FRIDAY, fires=False),
    Past(alert="NoTraffic", says="one a minute is some", history=same(((10, 1),)), fires=False),
    Past(
        alert="NoTraffic",
        says="that traffic is sporadic was said twenty-three hours ago",
        history={**same(((10, 0),)), EXPECTED: Level(((DAY + 2 * HOUR, 0), (DAY - HOUR, None)))},
        fires=False,
    ),
    Past(
        alert="NoTraffic",
        says="`mgeo match` has nothing to do, while servers tell whether they expect traffic",
        history={**same(((10, 0),)), INFO: Level(((DAY, 1),))},
        fires=False,
    ),
)

# Budget ------------------------------------------------------------------------------------------------------------------------


def served(*steps: tuple[int, float, float]) -> Mapping[str, Drawn]:
    """From when on, how many a minute, and which part of them fails."""
    return {
        SUCCESS: Counted(tuple((ago, number * (1 - failed)) for ago, number, failed in steps)),
        ERROR: Counted(tuple((ago, number * failed) for ago, number, failed in steps)),
    }


def day_of(*failed: tuple[int, float]) -> Mapping[str, Drawn]:
    """From when on which part fails, after two busier days without failures, so that three days together stay below their line."""
    return served((3 * DAY + HOUR, 2000, 0), (DAY + 2 * HOUR, 1000, 0), *((ago, 1000, part) for ago, part in failed))


def three_days_of(*failed: tuple[int, float]) -> Mapping[str, Drawn]:
    """From when on which part fails: of ten thousand a minute, since a line of five in a thousand needs many."""
    return served((3 * DAY + 2 * HOUR, 10_000, 0), *((ago, 10_000, part) for ago, part in failed))


BURN_FAST = (
    Past(
        alert="ErrorBudgetBurnFast",
        says="seventy-three of a thousand for an hour",
        history=served((7 * HOUR, 1000, 0), (70, 1000, 0.073)),
        fires=True,
    ),
    Past(
        alert="ErrorBudgetBurnFast",
        says="a tenth for fifty minutes of the hour",
        history=served((7 * HOUR, 1000, 0), (50, 1000, 0.1)),
        fires=True,
    ),
    Past(
        alert="ErrorBudgetBurnFast",
        says="thirty-one of a thousand for six hours",
        history=served((7 * HOUR, 1000, 0.031)),
        fires=True,
    ),
    Past(
        alert="ErrorBudgetBurnFast",
        says="six of a hundred for ten minutes more than half of the six hours",
        history=served((7 * HOUR, 1000, 0), (3 * HOUR + 10, 1000, 0.06)),
        fires=True,
    ),
    Past(
        alert="ErrorBudgetBurnFast",
        says="half of a hundred and eight in six hours",
        history=served((8 * HOUR, 0.3, 0.5)),
        fires=True,
    ),
    Past(
        alert="ErrorBudgetBurnFast",
        says="sixty-nine of a thousand for an hour, seventy-seven in the last quarter",
        history=served((7 * HOUR, 1000, 0), (70, 1000, 0.069), (15, 1000, 0.077)),
        fires=False,
    ),
    Past(
        alert="ErrorBudgetBurnFast",
        says="a tenth for forty minutes of the hour",
        history=served((7 * HOUR, 1000, 0), (40, 1000, 0.1)),
        fires=False,
    ),
    Past(
        alert="ErrorBudgetBurnFast",
        says="twenty-nine of a thousand for six hours, thirty-two in the last forty minutes",
        history=served((7 * HOUR, 1000, 0.029), (40, 1000, 0.032)),
        fires=False,
    ),
    Past(
        alert="ErrorBudgetBurnFast",
        says="six of a hundred for ten minutes less than half of the six hours",
        history=served((7 * HOUR, 1000, 0), (3 * HOUR - 10, 1000, 0.06)),
        fires=False,
    ),
    Past(
        alert="ErrorBudgetBurnFast",
        says="one of twenty for six hours, but none in the last forty minutes",
        history=served((7 * HOUR, 1000, 0.05), (40, 1000, 0)),
        fires=False,
    ),
    Past(
        alert="ErrorBudgetBurnFast",
        says="half of an hour, but none in the last quarter",
        history=served((7 * HOUR, 10_000, 0), (70, 1000, 0.5), (15, 1000, 0)),
        fires=False,
    ),
    Past(
        alert="ErrorBudgetBurnFast",
        says="half of ninety-four in six hours",
        history=served((8 * HOUR, 0.26, 0.5)),
        fires=False,
    ),
)

BURN_SLOW = (
    Past(alert="ErrorBudgetBurnSlow", says="sixteen of a thousand for a day", history=day_of((DAY + HOUR, 0.016)), fires=True),
    Past(
        alert="ErrorBudgetBurnSlow",
        says="three of a hundred for twenty minutes more than half of the day",
        history=day_of((NOON + 20, 0.03)),
        fires=True,
    ),
    Past(
        alert="ErrorBudgetBurnSlow",
        says="fifty-two of ten thousand for three days",
        history=three_days_of((3 * DAY + HOUR, 0.0052)),
        fires=True,
    ),
    Past(
        alert="ErrorBudgetBurnSlow",
        says="one of a hundred for twenty minutes more than half of the three days",
        history=three_days_of((DAY + NOON + 20, 0.01)),
        fires=True,
    ),
    Past(
        alert="ErrorBudgetBurnSlow",
        says="twenty-five of a thousand until seven hours ago, and twenty again for a little over two hours",
        history=day_of((DAY + HOUR, 0.025), (7 * HOUR, 0), (2 * HOUR + 15, 0.02)),
        fires=True,
    ),
    Past(
        alert="ErrorBudgetBurnSlow",
        says="half of a hundred and thirty in three days",
        history=served((4 * DAY, 0.03, 0.5)),
        fires=True,
    ),
    Past(alert="ErrorBudgetBurnSlow", says="fourteen of a thousand for a day", history=day_of((DAY + HOUR, 0.014)), fires=False),
    Past(
        alert="ErrorBudgetBurnSlow",
        says="three of a hundred for twenty minutes less than half of the day",
        history=day_of((NOON - 20, 0.03)),
        fires=False,
    ),
    Past(
        alert="ErrorBudgetBurnSlow",
        says="forty-eight of ten thousand for three days",
        history=three_days_of((3 * DAY + HOUR, 0.0048)),
        fires=False,
    ),
    Past(
        alert="ErrorBudgetBurnSlow",
        says="one of a hundred for twenty minutes less than half of the three days",
        history=three_days_of((DAY + NOON - 20, 0.01)),
        fires=False,
    ),
    Past(
        alert="ErrorBudgetBurnSlow",
        says="two of a hundred for a day, but none in the last two hours",
        history=day_of((DAY + HOUR, 0.02), (2 * HOUR + 15, 0)),
        fires=False,
    ),
    Past(
        alert="ErrorBudgetBurnSlow",
        says="two of a hundred for a day, but in the last two hours only for forty minutes",
        history=day_of((DAY + HOUR, 0.02), (2 * HOUR + 15, 0), (40, 0.02)),
        fires=False,
    ),
    Past(
        alert="ErrorBudgetBurnSlow",
        says="eight of a thousand for three days, but in the last six hours only twelve for one hour",
        history=three_days_of((3 * DAY + HOUR, 0.008), (6 * HOUR + 15, 0), (HOUR + 5, 0.012)),
        fires=False,
    ),
    Past(
        alert="ErrorBudgetBurnSlow",
        says="eight of a thousand for three days, but none in the last six hours",
        history=three_days_of((3 * DAY + HOUR, 0.008), (6 * HOUR + 15, 0)),
        fires=False,
    ),
    Past(
        alert="ErrorBudgetBurnSlow",
        says="half of eighty-six in three days",
        history=served((4 * DAY, 0.02, 0.5)),
        fires=False,
    ),
)

# Agents ------------------------------------------------------------------------------------------------------------------------


def silent(minutes: int) -> Mapping[str, Drawn]:
    """A server that is not scraped, and pushed for three days until so many minutes ago."""
    return {name: Level(((3 * DAY, 1), (minutes, None))) for name in (INFO, EXPECTED)}


AGENT_GONE = (
    Past(alert="AgentGone", says="silent for six minutes", history=silent(6), fires=True),
    Past(alert="AgentGone", says="silent for fifty-five minutes", history=silent(55), fires=True),
    Past(
        alert="AgentGone",
        says="silent for twenty-three hours, and told",
        history={**silent(DAY - HOUR), told("AgentGone"): Level(((DAY - HOUR, 1),))},
        fires=True,
    ),
    Past(alert="AgentGone", says="silent for sixty-five minutes, and nobody was told", history=silent(65), fires=False),
    Past(
        alert="AgentGone",
        says="silent for twenty-five hours: nobody misses it any more",
        history={**silent(DAY + HOUR), told("AgentGone"): Level(((DAY, 1),))},
        fires=False,
    ),
    Past(alert="AgentGone", says="it goes on", history={INFO: Level(((3 * DAY, 1),)), EXPECTED: Level(((3 * DAY, 1),))}, fires=False),
    Past(alert="AgentGone", says="one that is scraped", history={**silent(6), UP: Level(((DAY, 1), (6, 0)))}, fires=False),
    Past(
        alert="AgentGone",
        says="`mgeo match` under a name of its own has ended, while servers tell whether they expect traffic",
        history={INFO: Level(((DAY, 1), (6, None)))},
        fires=False,
    ),
)

# Losses ------------------------------------------------------------------------------------------------------------------------


def losses(alert: str, job: str, name: str, **labels: str) -> tuple[Past, ...]:
    """A counter that is born with its first loss counts from the first one on; one that Prometheus knew within the day does not."""
    lost, up = series(name, job=job, **labels), series("up", job=job)

    def away(minutes: int) -> Mapping[str, Drawn]:
        """Nothing was scraped, until five minutes ago."""
        return {up: Level(((2 * DAY, 1), (minutes, None), (5, 1))), lost: Level(((2 * DAY, 12), (minutes, None), (5, 12)))}

    return (
        Past(
            alert=alert, says="the first loss, five minutes ago", history={up: Level(((2 * DAY, 1),)), lost: Level(((5, 12),))}, fires=True
        ),
        Past(
            alert=alert,
            says="the first since it was started anew an hour ago, under Prometheus' eyes",
            history={up: Level(((2 * DAY, 1),)), lost: Level(((2 * DAY, 12), (HOUR, None), (5, 3)))},
            fires=True,
        ),
        Past(alert=alert, says="Prometheus was away for twenty-five hours, and has forgotten it", history=away(DAY + HOUR), fires=True),
        Past(alert=alert, says="Prometheus was away for twenty-three hours", history=away(DAY - HOUR), fires=False),
        Past(alert=alert, says="Prometheus was away for an hour", history=away(HOUR), fires=False),
        Past(
            alert=alert,
            says="a loss of yesterday, counted since",
            history={up: Level(((2 * DAY, 1),)), lost: Level(((DAY, 12),))},
            fires=False,
        ),
    )


LOSSES = (
    *losses("CollectorQueueFull", "collector", "otelcol_exporter_enqueue_failed_log_records", exporter="otlp_http/loki"),
    *losses("CollectorSendFailed", "collector", "otelcol_exporter_send_failed_spans_total", exporter="otlp/jaeger"),
    *losses("CollectorRefused", "collector", "otelcol_receiver_refused_metric_points", receiver="otlp"),
    *losses("JaegerRejecting", "jaeger", "otelcol_receiver_failed_spans", receiver="otlp"),
    *losses("LokiRejecting", "loki", "loki_discarded_samples_total", reason="line_too_long"),
    *losses("TelemetryDropped", "mgeo", "otel_sdk_processor_log_processed_total", error_type="queue_full"),
)

# Stores and audits ---------------------------------------------------------------------------------------------------------------

LOWEST = series("prometheus_tsdb_lowest_timestamp_seconds", job="prometheus")
CUT = series("prometheus_tsdb_size_retentions_total", job="prometheus")


def store(*, keeps: int, cut: int | None) -> Mapping[str, Drawn]:
    """How many minutes it keeps, and how many minutes ago it cut by size."""
    counted = ((2 * DAY, 3),) if cut is None else ((2 * DAY, 3), (cut, 4))
    return {LOWEST: Stamped(((HOUR, keeps),)), CUT: Level(counted)}


RETENTION = (
    Past(
        alert="RetentionBelowFloor",
        says="an hour less than seven days, cut twenty-three hours ago",
        history=store(keeps=7 * DAY - HOUR, cut=DAY - HOUR),
        fires=True,
    ),
    Past(alert="RetentionBelowFloor", says="two days, cut now", history=store(keeps=2 * DAY, cut=5), fires=True),
    Past(
        alert="RetentionBelowFloor",
        says="two days, cut twenty-five hours ago and not again",
        history=store(keeps=2 * DAY, cut=DAY + HOUR),
        fires=False,
    ),
    Past(alert="RetentionBelowFloor", says="an hour more than seven days", history=store(keeps=7 * DAY + HOUR, cut=5), fires=False),
    Past(alert="RetentionBelowFloor", says="a young store, never cut", history=store(keeps=2 * DAY, cut=None), fires=False),
)

RUN_AT = ours("mgeo_audit_timestamp_seconds")
UNREAD = ours("mgeo_audit_unread")
HOURLY = Stamped(tuple((hour * HOUR + 5, hour * HOUR + 5) for hour in range(8, -1, -1)))


def newest(minutes: int) -> Mapping[str, Drawn]:
    """The last audit was run so many minutes ago, and could read every store."""
    return {RUN_AT: Stamped(((minutes, minutes),)), UNREAD: Level(((minutes, 0),))}


AUDIT = (
    Past(alert="AuditOverdue", says="the newest is of three hours and five minutes ago", history=newest(3 * HOUR + 5), fires=True),
    Past(
        alert="AuditOverdue",
        says="hourly, but for three hours and five minutes a store could not be read",
        history={RUN_AT: HOURLY, UNREAD: Level(((8 * HOUR, 0), (3 * HOUR + 5, 1)))},
        fires=True,
    ),
    Past(alert="AuditOverdue", says="the newest is of five minutes less than three hours ago", history=newest(3 * HOUR - 5), fires=False),
    Past(
        alert="AuditOverdue",
        says="hourly, and a store could not be read for five minutes less than three hours",
        history={RUN_AT: HOURLY, UNREAD: Level(((8 * HOUR, 0), (3 * HOUR - 5, 1)))},
        fires=False,
    ),
    Past(
        alert="AuditOverdue",
        says="of eight hours one audit could read every store, two hours ago",
        history={RUN_AT: HOURLY, UNREAD: Level(((8 * HOUR, 1), (2 * HOUR + 5, 0), (HOUR + 5, 1)))},
        fires=False,
    ),
)

CASES = (*TRAFFIC_DROP, *EACH_EARLIER_DAY, *NO_TRAFFIC, *BURN_FAST, *BURN_SLOW, *AGENT_GONE, *LOSSES, *RETENTION, *AUDIT)
