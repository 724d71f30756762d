"""The series Prometheus makes of metrics, of OTLP by its receiver's rules and of a scrape, in one form to compare.

A series is its name, its labels and, of a bucket, its upper bound as a number. `job`, `instance` and `target_info` come from
elsewhere, and a label without a value is for Prometheus no label; they are left out of both.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

Series = tuple[str, frozenset[tuple[str, str]], float | None]

_UNITS = {"s": "seconds", "ms": "milliseconds", "By": "bytes", "%": "percent", "W": "watts", "J": "joules", "Cel": "celsius", "Hz": "hertz"}
_BOUND = "le"
_FROM_ELSEWHERE = {"job", "instance"}
CUMULATIVE = 2


def scraped(text: str) -> set[Series]:
    """What a scrape of this exposition stores."""
    families = text_string_to_metric_families(text)
    return {_series(sample.name, sample.labels) for family in families for sample in family.samples if sample.name != "target_info"}


def received(metrics: Iterable[Any]) -> set[Series]:
    """What Prometheus stores of OTLP metrics with `translation_strategy: UnderscoreEscapingWithSuffixes`."""
    return {series for metric in metrics for series in _translated(metric)}


def prometheus_name(metric: Any) -> str:
    """The metric's name as the receiver writes it, without the suffixes of a histogram."""
    kind = metric.WhichOneof("data")
    words = [word for word in re.split(r"[^A-Za-z0-9]+", metric.name) if word]
    for unit in re.sub(r"\{[^}]*\}", "", metric.unit).split("/", 1):
        word = _UNITS.get(unit, "" if unit == "1" else unit)
        if word and word not in words:
            words.append(word)
    last = "total" if kind == "sum" and metric.sum.is_monotonic else "ratio" if kind == "gauge" and metric.unit == "1" else ""
    return "_".join([*(word for word in words if word != last), last] if last else words)


def _translated(metric: Any) -> Iterator[Series]:
    name, kind = prometheus_name(metric), metric.WhichOneof("data")
    data = getattr(metric, kind)
    # A delta or another kind would be dropped or stored in another form: no series of ours.
    assert kind == "gauge" or (kind in {"sum", "histogram"} and data.aggregation_temporality == CUMULATIVE)
    for point in data.data_points:
        labels = {re.sub(r"[^A-Za-z0-9_]", "_", pair.key): _text(pair.value) for pair in point.attributes}
        if kind != "histogram":
            yield _series(name, labels)
            continue
        for bound in (*point.explicit_bounds, math.inf):
            yield _series(f"{name}_bucket", {**labels, _BOUND: str(bound)})
        yield _series(f"{name}_count", labels)
        if point.HasField("sum"):
            yield _series(f"{name}_sum", labels)


def _series(name: str, labels: Mapping[str, str]) -> Series:
    kept = frozenset((label, value) for label, value in labels.items() if value and label not in {_BOUND, *_FROM_ELSEWHERE})
    return name, kept, float(labels[_BOUND]) if _BOUND in labels else None


def _text(value: Any) -> str:
    kind = value.WhichOneof("value")
    plain = getattr(value, kind)
    return str(plain).lower() if kind == "bool_value" else str(plain)
