"""The whole service in one process: the real composition, its signals kept in memory beside the real files."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, NumberDataPoint
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from service.app import create_app
from service.model.fake import FakeModel
from service.runtime import Runtime, build
from service.settings import Settings

Series = dict[str, dict[str, Any]]


@dataclass
class Running:
    """A running service and everything it has let out."""

    runtime: Runtime
    app: Callable[..., Any]
    client: httpx.AsyncClient
    data_dir: Path
    spans_out: InMemorySpanExporter
    logs_out: InMemoryLogRecordExporter
    reader: InMemoryMetricReader

    def spans(self) -> list[Any]:
        """The spans that have ended, in that order."""
        return list(self.spans_out.get_finished_spans())

    def span(self, name: str) -> Any:
        """The one span of this name."""
        (span,) = [span for span in self.spans() if span.name == name]
        return span

    def otlp_logs(self) -> list[Any]:
        """The records handed to the exporters, in order."""
        return list(self.logs_out.get_finished_logs())

    def log_lines(self) -> list[dict[str, Any]]:
        """The lines of the log file that are there now."""
        path = self.data_dir / "logs" / "inference.log"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def points(self) -> Series:
        """Collect: for each metric, its points by attributes; a number, or count and sum of a histogram."""
        data = self.reader.get_metrics_data()
        return {
            metric.name: {_labels(point.attributes): _value(point) for point in metric.data.data_points}
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def rows(self, table: str = "inference") -> int:
        """Committed rows of the embedded store."""
        with closing(sqlite3.connect(self.data_dir / "telemetry.db")) as connection:
            return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]

    async def written(self, *, inferences: int, lines: int) -> None:
        """Wait until so many rows and lines are on disk."""
        await until(lambda: self.rows() == inferences and len(self.log_lines()) == lines)


@asynccontextmanager
async def running(data_dir: Path, *, model: Any = None, clock: Any = None, **settings: Any) -> AsyncIterator[Running]:
    """Start the service on a data folder, with its lifespan, and take it down again. Errors of the recorder raise."""
    spans, logs, reader = InMemorySpanExporter(), InMemoryLogRecordExporter(), InMemoryMetricReader()
    runtime = build(
        # Freezing collects first, which takes long in a process as large as that of the tests.
        Settings.load(**{"data_dir": data_dir, "gpu": "off", "freeze_gc": False, **settings}),
        command="serve",
        model=model or FakeModel(),
        strict=True,
        clock=clock,
        span_processors=[SimpleSpanProcessor(spans)],
        log_processors=[SimpleLogRecordProcessor(logs)],
        metric_readers=[reader],
    )
    app = create_app(runtime)
    async with _lifespan(app), httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://mgeo.test:8000") as client:
        yield Running(runtime=runtime, app=app, client=client, data_dir=data_dir, spans_out=spans, logs_out=logs, reader=reader)


@asynccontextmanager
async def _lifespan(app: Callable[..., Any]) -> AsyncIterator[None]:
    """What uvicorn does with the lifespan: `startup`, wait for its answer, and `shutdown` at the end."""
    inbox: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    outbox: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    task = asyncio.create_task(app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, inbox.get, outbox.put))
    await inbox.put({"type": "lifespan.startup"})
    assert (await outbox.get())["type"] == "lifespan.startup.complete"
    try:
        yield
    finally:
        await inbox.put({"type": "lifespan.shutdown"})
        assert (await outbox.get())["type"] == "lifespan.shutdown.complete"
        await task


def deltas(before: Series, after: Series) -> Series:
    """What has changed between two collections."""
    return {
        name: changed
        for name, points in after.items()
        if (
            changed := {
                key: _less(value, before.get(name, {}).get(key)) for key, value in points.items() if value != before.get(name, {}).get(key)
            }
        )
    }


async def until(condition: Callable[[], object], *, within: float = 10.0) -> None:
    """Wait for a condition, at most `within` seconds."""
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.005)


def _labels(attributes: Any) -> str:
    return ",".join(f"{name}={attributes[name]}" for name in sorted(attributes))


def _value(point: Any) -> Any:
    return point.value if isinstance(point, NumberDataPoint) else (point.count, round(point.sum, 6))


def _less(value: Any, before: Any) -> Any:
    if before is None:
        return value
    return tuple(round(a - b, 6) for a, b in zip(value, before, strict=True)) if isinstance(value, tuple) else value - before
