"""The gauges and counters that are read when somebody collects, not when something happens."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from service.telemetry import names
from service.telemetry.metrics import observe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from opentelemetry.metrics import Meter

    from service.gpu import GpuDevice, GpuSample
    from service.surroundings.audit_record import AuditRecord
    from service.surroundings.drill_record import DrillRecord
    from service.surroundings.folders import FolderUsage

Record = TypeVar("Record")


def observe_gpu(meter: Meter, latest: Callable[[], GpuSample | None]) -> None:
    """Publish the GPU sampler's last sample by the hardware conventions; no series without a GPU or a fresh sample."""

    def reading(value: Callable[[GpuDevice], float | None]) -> Callable[[], Iterator[tuple[float, Mapping[str, str]]]]:
        def read() -> Iterator[tuple[float, Mapping[str, str]]]:
            sample = latest()
            for device in sample.devices if sample is not None else ():
                current = value(device)
                if current is not None:
                    yield current, {"hw.id": device.hw_id, "hw.model": device.name or "unknown", "hw.vendor": device.vendor}

        return read

    observe(meter, names.GPU_MEMORY_USAGE_METRIC, reading(lambda device: device.memory_used_bytes))
    observe(meter, names.GPU_MEMORY_LIMIT_METRIC, reading(lambda device: device.memory_limit_bytes))
    observe(meter, names.GPU_MEMORY_UTILIZATION_METRIC, reading(lambda device: device.memory_utilization))
    observe(meter, names.GPU_UTILIZATION_METRIC, reading(lambda device: device.utilization))


def observe_losses(meter: Meter, read: Callable[[], Mapping[tuple[str, str], int]]) -> None:
    """Publish what was lost by signal and reason; each pair of the names table exists from the start."""

    def losses() -> Iterator[tuple[float, Mapping[str, str]]]:
        counted = read()
        for signal, reasons in names.DROP_REASONS.items():
            for reason in reasons:
                yield counted.get((signal, reason), 0), {"signal": signal, "reason": reason}

    observe(meter, names.TELEMETRY_DROPPED, losses)


def observe_value(meter: Meter, metric: names.Metric, read: Callable[[], float]) -> None:
    """Publish one number without labels."""
    observe(meter, metric, lambda: [(read(), {})])


def observe_cuts(meter: Meter, cuts: Mapping[str, Callable[[], float | None]]) -> None:
    """Publish the age of what each store let go of for its size, in seconds; no series for one that never had to."""

    def read() -> Iterator[tuple[float, Mapping[str, str]]]:
        for store, cut in cuts.items():
            age = cut()
            if age is not None:
                yield age, {names.STORE: store}

    observe(meter, names.RETENTION_CUT, read)


def observe_depths(meter: Meter, depths: Mapping[str, Callable[[], int]]) -> None:
    """Publish how many items wait in each telemetry queue."""
    observe(meter, names.TELEMETRY_QUEUE, lambda: [(depth(), {"signal": signal}) for signal, depth in depths.items()])


def observe_sent(meter: Meter, read: Callable[[], Mapping[str, int]]) -> None:
    """Publish how many items of each signal have left by OTLP; 0 for one that does not leave."""

    def sent() -> Iterator[tuple[float, Mapping[str, str]]]:
        counted = read()
        for signal in names.OTLP_SIGNALS:
            yield counted.get(signal, 0), {"signal": signal}

    observe(meter, names.TELEMETRY_SENT, sent)


def observe_model(meter: Meter, *, name: str, version: str, device: str) -> None:
    """Publish which model answers."""
    observe(meter, names.MODEL_INFO, lambda: [(1, {"name": name, "version": version, "device": device})])


def observe_folders(meter: Meter, latest: Callable[[], Mapping[str, FolderUsage] | None]) -> None:
    """Publish how full the file system of each data folder is; no series for a folder that is not there, or without a fresh sample."""

    def reading(value: Callable[[FolderUsage], int]) -> Callable[[], list[tuple[float, Mapping[str, str]]]]:
        return lambda: [(value(usage), {names.FOLDER: folder}) for folder, usage in (latest() or {}).items()]

    observe(meter, names.FILESYSTEM_USAGE, reading(lambda usage: usage.usage_bytes))
    observe(meter, names.FILESYSTEM_LIMIT, reading(lambda usage: usage.limit_bytes))


def observe_clock_skew(meter: Meter, latest: Callable[[], Mapping[str, float] | None]) -> None:
    """Publish how far our clock is ahead of each store's; no series for a store that did not answer."""
    observe(meter, names.CLOCK_SKEW, lambda: [(skew, {names.STORE: store}) for store, skew in (latest() or {}).items()])


def observe_audit(meter: Meter, latest: Callable[[], AuditRecord | None]) -> None:
    """Publish the newest recorded audit; no series before the first."""
    observe(meter, names.AUDIT_DIFFERENCE, _recorded(latest, lambda record: record.difference))
    observe(meter, names.AUDIT_UNFLUSHED, _recorded(latest, lambda record: record.unflushed))
    observe(meter, names.AUDIT_UNREAD, _recorded(latest, lambda record: len(record.unread)))
    observe(meter, names.AUDIT_TIMESTAMP, _recorded(latest, lambda record: record.ended_unix_ns / 1e9))


def observe_drills(meter: Meter, latest: Callable[[], DrillRecord | None]) -> None:
    """Publish the newest recorded drills; no series before the first."""
    observe(meter, names.DRILL_FAILURES, _recorded(latest, lambda record: len(record.failed)))
    observe(meter, names.DRILL_TIMESTAMP, _recorded(latest, lambda record: record.ended_unix_ns / 1e9))


def observe_workday(meter: Meter, latest: Callable[[], bool | None]) -> None:
    """Publish whether today is worked; no series without a fresh sample."""

    def read() -> Iterator[tuple[float, Mapping[str, str]]]:
        worked = latest()
        if worked is not None:
            yield float(worked), {}

    observe(meter, names.WORKDAY, read)


def _recorded(
    latest: Callable[[], Record | None], value: Callable[[Record], float]
) -> Callable[[], Iterator[tuple[float, Mapping[str, str]]]]:
    """The reading of one number of a record; nothing while there is none."""

    def read() -> Iterator[tuple[float, Mapping[str, str]]]:
        record = latest()
        if record is not None:
            yield value(record), {}

    return read
