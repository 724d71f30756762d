"""The instruments, made from the names table, with every label set at 0 before the first request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from opentelemetry.context import Context, create_key
from opentelemetry.metrics import CallbackOptions, Counter, Histogram, Meter, Observation

from service.errors import Outcome
from service.telemetry import names
from service.telemetry.event import Stage
from service.telemetry.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    Reading = Callable[[], Iterable[tuple[float, Mapping[str, str]]]]


# What a histogram records in this context is not counted, but makes its series exist: see the SDK's views.
BEGIN = Context({create_key("mgeo-begin"): True})


@dataclass(frozen=True, slots=True)
class Instruments:
    """What the recorder and the log pipeline count with; `requests` is read at each collection, the others are added to."""

    requests: Tally
    inference_duration: Histogram
    stage_duration: Histogram
    batch_size: Histogram
    queue_wait: Histogram
    log_records: Counter
    worker_restarts: Counter

    @classmethod
    def of(cls, meter: Meter) -> Instruments:
        """Make the instruments and begin all their series at 0."""
        instruments = cls(
            requests=Tally(),
            inference_duration=_histogram(meter, names.INFERENCE_DURATION),
            stage_duration=_histogram(meter, names.STAGE_DURATION),
            batch_size=_histogram(meter, names.BATCH_SIZES),
            queue_wait=_histogram(meter, names.QUEUE_WAIT),
            log_records=_counter(meter, names.LOG_RECORDS),
            worker_restarts=_counter(meter, names.WORKER_RESTARTS),
        )
        observe(meter, names.REQUESTS, instruments.requests.read)
        instruments._begin_at_zero()
        return instruments

    def _begin_at_zero(self) -> None:
        for outcome in Outcome:
            self.inference_duration.record(0, {names.STATUS: outcome.value}, BEGIN)
        for stage in Stage:
            self.stage_duration.record(0, {names.STAGE: stage.value}, BEGIN)
        self.batch_size.record(0, None, BEGIN)
        self.queue_wait.record(0, None, BEGIN)
        for severity in names.SEVERITIES:
            self.log_records.add(0, {names.SEVERITY: severity})
        for reason in names.WORKER_RESTART_REASONS:
            self.worker_restarts.add(0, {"reason": reason})


def observe(meter: Meter, metric: names.Metric, read: Reading) -> None:
    """Make a gauge or counter whose values are read at each collection: (value, labels) pairs; none when there is nothing."""

    def callback(_options: CallbackOptions) -> list[Observation]:
        return [Observation(value, labels) for value, labels in read()]

    create = meter.create_observable_gauge if metric.kind is names.Kind.GAUGE else meter.create_observable_counter
    create(metric.name, callbacks=[callback], unit=metric.unit, description=metric.description)


def _counter(meter: Meter, metric: names.Metric) -> Counter:
    return meter.create_counter(metric.name, unit=metric.unit, description=metric.description)


def _histogram(meter: Meter, metric: names.Metric) -> Histogram:
    return meter.create_histogram(metric.name, unit=metric.unit, description=metric.description)
