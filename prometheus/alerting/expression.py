"""PromQL, made from names, limits and a scale. Pure.

Counters of an instance are first turned into rates and then summed: the other way round, one restart would be a false peak.
Every sum keeps the instance, so that an alert says where, and one box's traffic never hides another's failure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus.alerting import limits
from service.errors import Outcome
from service.telemetry import names
from service.telemetry.span_attributes import COUNTS_AGAINST_US

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus.alerting.scale import Count, Duration, Scale

# The label pair by which one process of the service is known, to machines and to people.
BY = "instance, mgeo_instance_name"
# `mgeo match` and decorated scripts end when their work is done; nobody misses them then. The recording of transient processes knows
# them; this is their default name, for a stack in which no server tells yet what is expected of it.
LASTING = 'mgeo_instance_name!~".+/(match|script)/.+"'


def equal(label: str, value: str) -> str:
    """A matcher for one value."""
    return f'{label}="{value}"'


def other_than(label: str, value: str) -> str:
    """A matcher for every other value, and for none."""
    return f'{label}!="{value}"'


def one_of(label: str, values: Iterable[str]) -> str:
    """A matcher for any of the values; sorted, so that the generated file stays the same."""
    return f'{label}=~"{"|".join(sorted(values))}"'


JOB = equal("job", names.SERVICE_NAME)
FAILED = one_of(names.STATUS, COUNTS_AGAINST_US)
JUDGED = one_of(names.STATUS, {*COUNTS_AGAINST_US, Outcome.SUCCESS})
SUCCESS = equal(names.STATUS, Outcome.SUCCESS)


def select(name: str, *matchers: str) -> str:
    """Series of a name."""
    return f"{name}{{{', '.join(matchers)}}}" if matchers else name


def summed(expression: str, by: str = BY) -> str:
    """The sum over everything but these labels."""
    return f"sum by ({by}) ({expression})"


def greatest(expression: str, by: str = BY) -> str:
    """The maximum over everything but these labels."""
    return f"max by ({by}) ({expression})"


def increase(series: str, window: Duration, scale: Scale) -> str:
    """What a counter gained in a window."""
    return f"increase({series}[{scale.duration(window)}])"


def rate(series: str, window: Duration, scale: Scale) -> str:
    """What a counter gains in a second."""
    return f"rate({series}[{scale.duration(window)}])"


def grown(series: str, window: Duration, scale: Scale) -> str:
    """What a counter gained, also one that appeared within the window with its first count already in it.

    Counters that are not made beforehand are born at 1 or more, and `increase` of a single first value is nothing. One that only
    comes back after Prometheus itself was away has gained nothing.
    """
    w = scale.duration(window)
    born = f"{series} unless {series} offset {w}"
    known = f"last_over_time({series}[{scale.duration(limits.BORN_MEMORY)}] offset {w})"
    return f"increase({series}[{w}]) > 0\nor ({born} unless on (job, instance) ({known} unless on (job, instance) up offset {w}))"


def either(counter: str, *matchers: str) -> tuple[str, str]:
    """A counter by the two names it may have."""
    return select(counter, *matchers), select(f"{counter}_total", *matchers)


def with_store(expression: str, label: str) -> str:
    """The same with a label `store`, so that a store that is gone can speak for everything that waits for it."""
    return f'label_replace({expression}, "store", "$1", "{label}", "(?:.*/)?(.+)")'


def enough(scale: Scale, selector: str, number: Count = limits.ENOUGH, window: Duration = limits.WINDOW) -> str:
    """The guard of a ratio: so many inferences in the window, by instance."""
    return f"on ({BY}) {summed(increase(selector, window, scale))} >= {scale.count(number)}"


def share(part: str, whole: str, window: Duration, scale: Scale) -> str:
    """The part of the inferences that fit one selector among those that fit another: 0 to 1; nothing without traffic."""
    return f"{summed(rate(part, window, scale))} / {summed(rate(whole, window, scale))}"
