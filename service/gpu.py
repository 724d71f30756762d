"""What the GPUs of this machine are doing: readers that ask the driver, and a sampler that asks on a thread of its own.

The sampler keeps the last samples, so neither an export nor a request ever waits for the driver. A value the
driver does not tell is `None`: whoever publishes it leaves the series out, a zero would be a lie.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from contextlib import suppress
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeAlias, TypeVar

from service.errors import ServiceError, StartupError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

GpuMode = Literal["auto", "nvml", "off"]
Nvml: TypeAlias = Any  # the module pynvml, which has no types
Answer = TypeVar("Answer")

STALE_INTERVALS: Final = 5  # a single late or failed read must not make a series blink
HISTORY_SAMPLES: Final = 60
MAX_BACKOFF_SECONDS: Final = 60.0
REOPEN_READS: Final = 60

# In nvml.h's words, by the name of the binding's exception: what is wrong, and what mends it.
_REMEDIES: Final = {
    "NVMLError_LibraryNotFound": (
        "the library libnvidia-ml.so.1 was not found",
        "install the NVIDIA driver (a container also needs the NVIDIA container toolkit and `--gpus all`)",
    ),
    "NVMLError_DriverNotLoaded": ("the NVIDIA kernel driver is not loaded", "load it with `modprobe nvidia`"),
    "NVMLError_LibRmVersionMismatch": (
        "libnvidia-ml.so.1 and the loaded kernel driver have different versions",
        "restart the machine so that the newly installed driver is loaded",
    ),
    "NVMLError_NoPermission": ("this user may not use the NVIDIA driver", "give it read and write access to /dev/nvidia*"),
}


class GpuUnavailable(ServiceError):
    """The GPUs cannot be read now. `reason` says why and `fix` what mends it, both without a full stop."""

    def __init__(self, reason: str, fix: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.fix = fix


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


def import_binding() -> Nvml:
    """Import NVIDIA's binding; ImportError when it is not installed."""
    import pynvml  # here, because it takes 0.1 s, which only who reads a GPU should pay

    return pynvml


class NvmlGpuReader:
    """Reads NVIDIA's devices through NVML; loads and initialises it at the first use.

    A handle to a lost or reset device, and all of NVML after the driver was reloaded, stays broken until NVML is
    initialised again. So a read in which every device failed raises and the next one starts afresh. One in which
    some failed returns the others: a dead card must not hide the living ones; the fresh starts then become rarer,
    down to one in `REOPEN_READS` reads, because they can cost seconds.

    Args:
        load: imports the binding.
    """

    def __init__(self, *, load: Callable[[], Nvml] = import_binding) -> None:
        self._load = load
        self._nvml: Nvml = None
        self._partial_reads = 0

    def open(self) -> int:
        """Initialise NVML unless that is done; the number of devices it lists. Raises GpuUnavailable."""
        try:
            nvml = self._nvml or self._load()
        except ImportError as error:
            raise GpuUnavailable("the Python package nvidia-ml-py is not installed", "install nvidia-ml-py") from error
        try:
            if self._nvml is None:
                nvml.nvmlInit()
                self._nvml = nvml
            return int(nvml.nvmlDeviceGetCount())
        except nvml.NVMLError as error:
            self.close()
            raise _unavailable(error) from error

    def read(self) -> tuple[GpuDevice, ...]:
        """The devices that answered. Raises GpuUnavailable when there are some and none did, or NVML cannot be used."""
        count = self.open()
        nvml = self._nvml
        devices = []
        failures = []
        for index in range(count):
            try:
                devices.append(_read_device(nvml, index))
            except nvml.NVMLError as error:
                failures.append(error)
        if failures and not devices:
            self.close()
            raise _unavailable(failures[0]) from failures[0]
        if all(isinstance(error, nvml.NVMLError_NoPermission) for error in failures):  # a container's view of others' cards
            self._partial_reads = 0
        else:
            self._partial_reads += 1
            if self._partial_reads.bit_count() == 1 or self._partial_reads % REOPEN_READS == 0:
                self.close()
        return tuple(devices)

    def close(self) -> None:
        """Shut NVML down if this reader has initialised it."""
        nvml, self._nvml = self._nvml, None
        if nvml is not None:
            with suppress(nvml.NVMLError):
                nvml.nvmlShutdown()


def _unavailable(error: Exception) -> GpuUnavailable:
    """What the user can do about an NVMLError."""
    return GpuUnavailable(*_REMEDIES.get(type(error).__name__, (f"NVML says: {error}", "see what `nvidia-smi` and `dmesg` say")))


def _read_device(nvml: Nvml, index: int) -> GpuDevice:
    """One device; NVMLError when it fails, rather than does not support a question."""
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    memory = _ask(nvml, nvml.nvmlDeviceGetMemoryInfo, handle)
    rates = _ask(nvml, nvml.nvmlDeviceGetUtilizationRates, handle)
    # Some drivers answer what they cannot measure with a number no card can have (all bits set): no measurement either.
    if memory is not None and not 0 < memory.total >= memory.used:
        memory = None
    if rates is not None and rates.gpu not in range(101):
        rates = None
    return GpuDevice(
        hw_id=_ask(nvml, nvml.nvmlDeviceGetUUID, handle) or f"nvidia-{index}",
        index=index,
        name=_ask(nvml, nvml.nvmlDeviceGetName, handle),
        memory_used_bytes=None if memory is None else int(memory.used),
        memory_limit_bytes=None if memory is None else int(memory.total),
        utilization=None if rates is None else rates.gpu / 100,
    )


def _ask(nvml: Nvml, question: Callable[[object], Answer], handle: object) -> Answer | None:
    """The answer, or None when this driver, device or user has none."""
    try:
        return question(handle)
    except (nvml.NVMLError_FunctionNotFound, nvml.NVMLError_NotSupported, nvml.NVMLError_NoPermission, nvml.NVMLError_NoData):
        return None


def open_gpu_reader(mode: GpuMode, *, load: Callable[[], Nvml] = import_binding) -> tuple[GpuReader, str]:
    """The reader for the setting MGEO_GPU, and why it is a null reader (empty when it is not).

    Args:
        mode: `nvml` insists on a readable NVIDIA GPU, `auto` does without when there is none, `off` never asks.
        load: imports the binding.

    Raises:
        StartupError: the mode is `nvml` and no GPU can be read; says which setting and what mends it.
    """
    if mode == "off":
        return NullGpuReader(), "switched off by MGEO_GPU=off"
    reader = NvmlGpuReader(load=load)
    try:
        if reader.open() > 0:
            return reader, ""
        trouble = GpuUnavailable("NVML works but lists no GPU", "give this machine or container a GPU")
    except GpuUnavailable as error:
        trouble = error
    reader.close()
    if mode == "auto":
        return NullGpuReader(), trouble.reason
    message = f"MGEO_GPU=nvml, but {trouble.reason}. To mend it, {trouble.fix}; or set MGEO_GPU=auto to run without GPU readings."
    raise StartupError(message) from trouble


class GpuSampler:
    """Reads on its own daemon thread and keeps the last `HISTORY_SAMPLES` samples.

    `latest` and `nearest` never wait for the reader: one that hangs or fails only lets the sample go stale. The
    thread that reads also closes the reader when it ends, so the two never overlap.

    Args:
        reader: who is asked.
        interval: seconds between reads; doubled at each failure in a row after the first, up to a minute.
        clock: monotonic seconds.
        wall: nanoseconds since 1970.
    """

    def __init__(
        self,
        reader: GpuReader,
        interval: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], int] = time.time_ns,
    ) -> None:
        self._reader = reader
        self._interval = interval
        self._clock = clock
        self._wall = wall
        self._lock = threading.Lock()
        self._history: tuple[GpuSample, ...] = ()
        self._failures_in_a_row = 0
        self._errors = 0
        self._last_error: str | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def errors(self) -> int:
        """How many reads have failed."""
        return self._errors

    @property
    def last_error(self) -> str | None:
        """Why the most recent read failed; None when it did not."""
        return self._last_error

    @property
    def delay(self) -> float:
        """Seconds from the end of the most recent read to the next."""
        doublings = min(max(self._failures_in_a_row - 1, 0), 16)
        return max(self._interval, min(self._interval * 2.0**doublings, MAX_BACKOFF_SECONDS))

    def start(self) -> None:
        """Start the thread; no effect while one lives, be it one that `stop` left inside a hung read."""
        if self._thread is None or not self._thread.is_alive():
            self._stopping.clear()
            self._thread = threading.Thread(target=self._run, name="gpu-sampler", daemon=True)
            self._thread.start()

    def stop(self, timeout: float = 2.0) -> bool:
        """Ask the thread to end and wait at most `timeout` seconds; whether it has ended. May be called twice."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout)
            return not self._thread.is_alive()
        return True

    def sample_once(self) -> GpuSample | None:
        """Read now, on the calling thread, and keep the sample; None when the reader failed, which is counted."""
        taken_at_monotonic, taken_at_unix_ns = self._clock(), self._wall()
        try:
            devices = self._reader.read()
        except Exception as error:  # noqa: BLE001 - whatever a driver does, the sampling goes on
            self._failures_in_a_row += 1
            self._errors += 1
            self._last_error = f"{type(error).__name__}: {error}"
            return None
        self._failures_in_a_row = 0
        self._last_error = None
        sample = GpuSample(taken_at_monotonic=taken_at_monotonic, taken_at_unix_ns=taken_at_unix_ns, devices=devices)
        kept = self._history[1 - HISTORY_SAMPLES :]
        if kept and kept[-1].taken_at_unix_ns > taken_at_unix_ns:
            kept = ()  # the wall clock was set back: older stamps no longer tell which sample came first
        with self._lock:
            self._history = (*kept, sample)
        return sample

    def latest(self) -> GpuSample | None:
        """The last sample, or None when it is `STALE_INTERVALS` intervals old or older, or there is none."""
        with self._lock:
            history = self._history
        if not history or self._clock() - history[-1].taken_at_monotonic >= STALE_INTERVALS * self._interval:
            return None
        return history[-1]

    def nearest(self, unix_ns: int) -> GpuSample | None:
        """The kept sample nearest to a moment, the earlier of two as near; None when over `STALE_INTERVALS` intervals away.

        Args:
            unix_ns: the moment, in nanoseconds since 1970.
        """
        with self._lock:
            history = self._history
        at = bisect_left(history, unix_ns, key=attrgetter("taken_at_unix_ns"))
        around = history[max(at - 1, 0) : at + 1]
        best = min(around, key=lambda sample: abs(sample.taken_at_unix_ns - unix_ns), default=None)
        if best is None or abs(best.taken_at_unix_ns - unix_ns) > STALE_INTERVALS * self._interval * 1e9:
            return None
        return best

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.sample_once()
            self._stopping.wait(self.delay)
        with suppress(Exception):
            self._reader.close()
