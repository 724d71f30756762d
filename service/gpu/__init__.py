"""What the GPUs of this machine are doing: readers that ask the driver, and a sampler that keeps the last samples."""

from service.errors import GpuUnavailable
from service.gpu.nvml import GpuMode, NvmlGpuReader, open_gpu_reader
from service.gpu.reader import FakeGpuReader, GpuDevice, GpuReader, GpuSample, NullGpuReader
from service.gpu.sampler import GpuSampler

__all__ = [
    "FakeGpuReader",
    "GpuDevice",
    "GpuMode",
    "GpuReader",
    "GpuSample",
    "GpuSampler",
    "GpuUnavailable",
    "NullGpuReader",
    "NvmlGpuReader",
    "open_gpu_reader",
]
