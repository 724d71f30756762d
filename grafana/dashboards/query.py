"""Queries, made from the names tables. Pure.

Every query of the service's own series is cut to the instances chosen at the top of the dashboard. `.*`, the choice "All",
also fits series that lack the label.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grafana_foundation_sdk.builders import loki, prometheus
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from grafana.dashboards.data_source import LOKI, PROMETHEUS
from service.errors import Outcome
from service.telemetry import names
from service.telemetry.span_attributes import COUNTS_AGAINST_US

if TYPE_CHECKING:
    from collections.abc import Iterable

    from service.telemetry.names import Metric

INSTANCE = "instance"
INSTANCE_LABEL = "mgeo_instance_name"
ERROR_TYPE_LABEL = names.ERROR_TYPE.replace(".", "_")
CHOSEN = f'{INSTANCE_LABEL}=~"${INSTANCE}"'

# Grafana's: four times the data source's interval, or one step of the panel.
STEP = "$__rate_interval"


def equal(label: str, value: str) -> str:
    """A matcher for one value."""
    return f'{label}="{value}"'


def other_than(label: str, value: str) -> str:
    """A matcher for every other value, and for none."""
    return f'{label}!="{value}"'


def one_of(label: str, values: Iterable[str]) -> str:
    """A matcher for any of the values; sorted, so that the generated file stays the same."""
    return f'{label}=~"{"|".join(sorted(values))}"'


OUR_JOB = equal("job", names.SERVICE_NAME)
OTHER_JOBS = other_than("job", names.SERVICE_NAME)
# An alert of severity none always fires, to prove that alerting works.
ALARMING = other_than("severity", "none")
# What counts against the service, over that and the successes: callers' own mistakes and departures say nothing of us.
FAILED = one_of(names.STATUS, COUNTS_AGAINST_US)
JUDGED = one_of(names.STATUS, {*COUNTS_AGAINST_US, Outcome.SUCCESS})
# What the model was asked for. Refusals take microseconds and would flatter a percentile.
ATTEMPTED = one_of(names.STATUS, {Outcome.SUCCESS, Outcome.TIMEOUT, Outcome.ERROR})


def selector(name: str, *matchers: str) -> str:
    """Series of any name, with no word on the instance."""
    return f"{name}{{{', '.join(matchers)}}}" if matchers else name


def series(metric: Metric, *matchers: str, part: str = "") -> str:
    """Series of one of our metrics; `part` is `_bucket`, `_sum` or `_count` of a histogram."""
    return selector(metric.prometheus + part, CHOSEN, *matchers)


def rate(metric: Metric, *matchers: str, part: str = "", window: str = STEP) -> str:
    """What a counter, or a part of a histogram, gains in a second."""
    return f"rate({series(metric, *matchers, part=part)}[{window}])"


def quantile(percent: int, metric: Metric, *matchers: str, by: str = "", window: str = STEP) -> str:
    """A percentile of a histogram over all chosen instances, and for each value of the label `by`."""
    labels = ", ".join(filter(None, ("le", by)))
    return f"histogram_quantile({percent / 100:g}, sum by ({labels}) ({rate(metric, *matchers, part='_bucket', window=window)}))"


def mean(metric: Metric, window: str = STEP) -> str:
    """The mean of a histogram over all chosen instances."""
    return f"sum({rate(metric, part='_sum', window=window)}) / sum({rate(metric, part='_count', window=window)})"


def error_ratio(*, by: str = "", window: str = STEP) -> str:
    """The part of the judged inferences that failed: 0 to 1; nothing without traffic."""
    failed = f"sum{f' by ({by}) ' if by else ''}({rate(names.REQUESTS, FAILED, window=window)})"
    judged = f"sum({rate(names.REQUESTS, JUDGED, window=window)})"
    return f"{failed} / {'on () group_left () ' if by else ''}{judged}"


def counter_rate(name: str, by: str) -> str:
    """What another program's counter gains in a second, where it does.

    It is called `name` or `name_total`, depending on its way into Prometheus and on who shows it: Jaeger is made of the same
    parts as the Collector, but set up otherwise. Both names side by side are no contradiction as long as `by` tells them apart.
    """
    return f"(sum by ({by}) (rate({name}[{STEP}])) or sum by ({by}) (rate({name}_total[{STEP}]))) > 0"


def template(label: str) -> str:
    """In a legend: the value of a label."""
    return f"{{{{{label}}}}}"


def over_time(expression: str, legend: str = "") -> prometheus.Dataquery:
    """A query over the dashboard's time range."""
    return prometheus.Dataquery().datasource(PROMETHEUS).expr(expression).legend_format(legend or "__auto").range()


def now(expression: str, legend: str = "") -> prometheus.Dataquery:
    """A query of the last moment of the range, as single values."""
    return prometheus.Dataquery().datasource(PROMETHEUS).expr(expression).legend_format(legend or "__auto").instant()


def records(expression: str) -> prometheus.Dataquery:
    """A query of the last moment, as a row for each series with its labels as columns."""
    return prometheus.Dataquery().datasource(PROMETHEUS).expr(expression).format(PromQueryFormat.TABLE).instant()


def log_lines(*filters: str, event: str = "") -> str:
    """LogQL: the chosen instances' lines of an event that pass the filters.

    The event is the line itself; everything else, ids and statuses too, is structured metadata.
    """
    contains = f' |= "{event}"' if event else ""
    return " | ".join((f'{{service_name="{names.SERVICE_NAME}"}}{contains}', CHOSEN, *filters))


def lines(expression: str, limit: int) -> loki.Dataquery:
    """The newest lines of a LogQL query."""
    return loki.Dataquery().datasource(LOKI).expr(expression).query_type("range").max_lines(limit)
