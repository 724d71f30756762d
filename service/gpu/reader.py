"""What a GPU tells of itself, the Protocol of whoever asks it, and the readers that need no driver.

A value the driver does not tell is `None`: whoever publishes it leaves the series out, a zero would be a lie.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuDevice:
    """One GPU at one moment; `None` stands for what its driver does not tell.

    Attributes:
        hw_id: the driver's UUID of the device, stable over restarts and reordering.
        index: the driver's number of the device, from 0; may change when a device is lost.
        name: the model of the card.
        vendor: who made it.
        memory_used_bytes: memory in use by all processes and the driver itself; what is left is limit minus used.
        memory_limit_bytes: memory of the device.
        utilization: share of the driver's last measuring period, in [0, 1], in which something ran on the device.
    """

    hw_id: str
    index: int
    name: str | None = None
    vendor: str = "nvidia"
    memory_used_bytes: int | None = None
    memory_limit_bytes: int | None = None
    utilization: float | None = None

    @property
    def memory_utilization(self) -> float | None:
        """Used memory over the limit, in [0, 1]; None when either is not known."""
        if self.memory_used_bytes is None or not self.memory_limit_bytes:
            return None
        return self.memory_used_bytes / self.memory_limit_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuSample:
    """One reading of all devices.

    Attributes:
        taken_at_monotonic: seconds on the sampler's clock just before the driver was asked, to judge the age.
        taken_at_unix_ns: the same moment as wall time, in nanoseconds since 1970.
        devices: those that answered, by index.
    """

    taken_at_monotonic: float
    taken_at_unix_ns: int
    devices: tuple[GpuDevice, ...]


class GpuReader(Protocol):
    """Asks for the state of all devices. Used by one thread at a time."""

    def read(self) -> tuple[GpuDevice, ...]:
        """The devices that answered, by index. May raise anything and may hang; a later call may succeed again."""

    def close(self) -> None:
        """Let go of the driver. May be called twice; a later `read` opens again."""


class NullGpuReader:
    """A machine without GPUs."""

    def read(self) -> tuple[GpuDevice, ...]:
        """No devices."""
        return ()

    def close(self) -> None:
        """Nothing to let go of."""


class FakeGpuReader:
    """Answers from a script.

    Args:
        script: what each `read` returns, or raises when it is an exception; at least one, the last is repeated for ever.
    """

    def __init__(self, script: Sequence[tuple[GpuDevice, ...] | Exception]) -> None:
        self._script = tuple(script)
        self.reads = 0
        self.closed = False

    def read(self) -> tuple[GpuDevice, ...]:
        """The next entry of the script."""
        step = self._script[min(self.reads, len(self._script) - 1)]
        self.reads += 1
        self.closed = False
        if isinstance(step, Exception):
            raise step
        return step

    def close(self) -> None:
        """Remember that it was closed."""
        self.closed = True
