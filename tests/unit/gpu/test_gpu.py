"""The package as a whole: what it offers, and what importing it costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from service import errors, gpu

ROOT = Path(__file__).parents[3]


def test_the_package_offers_its_names_in_order() -> None:
    """What others may import, sorted; the error is the one of the tree in service.errors."""
    assert gpu.__all__ == [
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
    assert gpu.GpuUnavailable is errors.GpuUnavailable


def test_importing_the_module_loads_neither_the_binding_nor_telemetry() -> None:
    """Whoever has no GPU pays nothing for it, and gauges are registered elsewhere."""
    source = "import sys, service.gpu; print([name for name in ('pynvml', 'opentelemetry') if name in sys.modules])"

    done = subprocess.run([sys.executable, "-c", source], cwd=ROOT, check=True, capture_output=True, text=True, timeout=30)

    assert done.stdout == "[]\n"
