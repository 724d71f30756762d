"""NVIDIA's devices, read through NVML by NVIDIA's own binding, and the choice between that and no reader."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeVar

from service.errors import GpuUnavailable, StartupError
from service.gpu.reader import GpuDevice, NullGpuReader

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.gpu.reader import GpuReader

GpuMode = Literal["auto", "nvml", "off"]
Nvml: TypeAlias = Any  # the module pynvml, which has no types
Answer = TypeVar("Answer")

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
