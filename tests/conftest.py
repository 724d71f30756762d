"""What all tests share: ids that count up, a clock moved by hand, signals in memory, and a clean environment."""

from __future__ import annotations

import functools
import gc
import itertools
import os
import sys
from typing import TYPE_CHECKING, Any

import httpx
import hypothesis
import pytest
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from service.telemetry.event import Clock
from service.telemetry.sdk import setup
from tests.stack.session import program, running_stack, stack_urls

if TYPE_CHECKING:
    from collections.abc import Iterator

# A busy machine must not fail a property for its slowness; CI repeats the same examples, developers look for new ones.
hypothesis.settings.register_profile(
    "mgeo", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow], derandomize=bool(os.environ.get("CI"))
)
hypothesis.settings.load_profile("mgeo")

__all__ = ["program", "running_stack", "stack_urls"]  # fixtures, once for all folders

OURS = ("OTEL_", "MGEO_")


def our_variables() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(OURS)}


def pytest_configure() -> None:
    """Tests do not depend on how the developer's own service is set up."""
    for name in our_variables():
        del os.environ[name]


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """What collecting makes lives until the end, so looking for garbage in it is in vain."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_itemcollected(item: pytest.Item) -> None:
    """Properties count for no coverage: measuring more than doubles their time, and what is covered by chance is not tested."""
    if getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
        item.add_marker("no_cover")


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """In a worker of xdist coverage is at work several times; pytest-cov pauses one for `no_cover`, and the next one takes over."""
    tracing = sys.gettrace()
    if item.get_closest_marker("no_cover") is not None:
        sys.settrace(None)
    try:
        return (yield)
    finally:
        sys.settrace(tracing)


@pytest.fixture(autouse=True, scope="session")
def _certificates_are_read_once() -> Iterator[None]:
    """Each client of httpx reads all that the machine trusts, which takes longer than most tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(httpx._transports.default, "create_ssl_context", functools.cache(httpx.create_ssl_context))
        yield


@pytest.fixture(autouse=True)
def _no_variable_leaks() -> Iterator[None]:
    """No test hands an OTEL_ or MGEO_ variable to the next one."""
    assert our_variables() == {}
    yield
    leaked = our_variables()
    for name in leaked:
        del os.environ[name]
    assert leaked == {}


@pytest.fixture
def request_ids() -> Iterator[str]:
    """request-1, request-2 and so on."""
    return (f"request-{number}" for number in itertools.count(1))


class TickingClock:
    """Both clocks from one origin: 1000 s monotonic, 1,770,000,000 s since 1970. Moved by hand."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def tick(self, seconds: float) -> None:
        self.seconds += seconds

    def monotonic(self) -> float:
        return 1000.0 + self.seconds

    def unix_ns(self) -> int:
        return 1_770_000_000_000_000_000 + round(self.seconds * 1_000_000_000)

    def as_clock(self) -> Clock:
        return Clock(monotonic=self.monotonic, unix_ns=self.unix_ns)


@pytest.fixture
def ticking() -> TickingClock:
    return TickingClock()


class Signals:
    """The SDK as the service sets it up, with all three signals kept in memory."""

    def __init__(self) -> None:
        self.span_exporter = InMemorySpanExporter()
        self.log_exporter = InMemoryLogRecordExporter()
        self.reader = InMemoryMetricReader()
        self.telemetry = setup(
            instance_id="11111111-2222-5333-8444-555555555555",
            instance_name="host/test/0",
            version="1.2.3",
            span_processors=[SimpleSpanProcessor(self.span_exporter)],
            log_processors=[SimpleLogRecordProcessor(self.log_exporter)],
            metric_readers=[self.reader],
        )
        self.meter = self.telemetry.meter_provider.get_meter("mgeo")

    def spans(self) -> list[Any]:
        """The spans that have ended, in that order."""
        return list(self.span_exporter.get_finished_spans())

    def logs(self) -> list[Any]:
        """The log records of the OpenTelemetry logs API, in order."""
        return [record.log_record for record in self.log_exporter.get_finished_logs()]

    def points(self) -> dict[str, dict[tuple[tuple[str, Any], ...], Any]]:
        """Collect: the data points by metric name, then by sorted attributes."""
        data = self.reader.get_metrics_data()
        return {
            metric.name: {tuple(sorted(point.attributes.items())): point for point in metric.data.data_points}
            for resource in (data.resource_metrics if data is not None else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


@pytest.fixture
def signals() -> Iterator[Signals]:
    signals = Signals()
    yield signals
    assert signals.telemetry.shutdown()
