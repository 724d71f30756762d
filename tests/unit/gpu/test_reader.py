"""The readers that need no driver, and the choice of one by the setting."""

from __future__ import annotations

from typing import NoReturn

import pytest

from service.errors import StartupError
from service.gpu import FakeGpuReader, GpuDevice, NullGpuReader, open_gpu_reader


def device(used: int) -> GpuDevice:
    return GpuDevice(hw_id="GPU-1", index=0, name="card", memory_used_bytes=used, memory_limit_bytes=1000, utilization=0.5)


@pytest.mark.parametrize(
    ("used", "limit", "expected"),
    [(250, 1000, 0.25), (0, 1000, 0.0), (1000, 1000, 1.0), (None, 1000, None), (250, None, None), (0, 0, None)],
)
def test_memory_utilization_is_used_over_limit(used: int | None, limit: int | None, expected: float | None) -> None:
    """A ratio, absent when either part is."""
    assert GpuDevice(hw_id="GPU-1", index=0, memory_used_bytes=used, memory_limit_bytes=limit).memory_utilization == expected


def test_the_null_reader_has_no_devices() -> None:
    """Nothing to read, before and after closing."""
    reader = NullGpuReader()
    reader.close()

    assert reader.read() == ()


def test_the_fake_reader_follows_its_script_and_repeats_the_last_entry() -> None:
    """Devices are returned and exceptions raised, in order; reading after closing opens again."""
    reader = FakeGpuReader([(device(1),), RuntimeError("lost"), (device(2),)])

    assert reader.read() == (device(1),)
    with pytest.raises(RuntimeError, match="lost"):
        reader.read()
    reader.close()
    assert reader.closed
    assert [reader.read(), reader.read()] == [(device(2),), (device(2),)]
    assert (reader.reads, reader.closed) == (4, False)


def no_binding() -> NoReturn:
    raise ModuleNotFoundError("No module named 'pynvml'", name="pynvml")


def test_off_asks_nobody() -> None:
    """The binding is not even imported."""
    reader, reason = open_gpu_reader("off", load=no_binding)

    assert (type(reader), reason) == (NullGpuReader, "switched off by MGEO_GPU=off")


def test_auto_without_the_binding_falls_back_to_the_null_reader() -> None:
    """An installation without the gpu extra runs, and says why it reads no GPU."""
    reader, reason = open_gpu_reader("auto", load=no_binding)

    assert (type(reader), reason) == (NullGpuReader, "the Python package nvidia-ml-py is not installed")


def test_nvml_mode_without_the_binding_refuses_to_start() -> None:
    """The message names the setting, the cause and both ways out."""
    with pytest.raises(StartupError) as caught:
        open_gpu_reader("nvml", load=no_binding)

    assert str(caught.value) == (
        "MGEO_GPU=nvml, but the Python package nvidia-ml-py is not installed. "
        "To mend it, install nvidia-ml-py; or set MGEO_GPU=auto to run without GPU readings."
    )
