"""The gauges and counters that are read when somebody collects, not when something happens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.telemetry import names
from service.telemetry.metrics import observe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from opentelemetry.metrics import Meter

    from service.gpu import GpuDevice, GpuSample


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
