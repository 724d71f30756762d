"""Checks of the machine: Python, packages, clock, device, NVML. Each takes what it looks at."""

from __future__ import annotations

import importlib
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cli.doctor.finding import fail, ok, warn
from service.errors import GpuUnavailable, StartupError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cli.doctor.finding import Finding
    from service.gpu import GpuReader

OLDEST_PYTHON = (3, 11)
BUILT_IN_YEAR = 2026
PACKAGES: Mapping[str, Sequence[str]] = {
    "the environment": (
        "fastapi", "httptools", "jinja2", "numpy", "opentelemetry.exporter.otlp.proto.grpc", "opentelemetry.exporter.otlp.proto.http",
        "opentelemetry.instrumentation.fastapi", "opentelemetry.sdk", "prometheus_client", "pydantic_settings", "pynvml", "safetensors",
        "transformers", "uvicorn",
    ),
    "torch": ("torch",),
}  # fmt: skip
"""What the service imports, by what installs it."""

INSTALL = {
    "the environment": "make setup (it installs requirements.txt into .venv)",
    "torch": "make setup, or TORCH=system make setup for a torch this image brings",
}


def check_python(version: tuple[int, int, int] = sys.version_info[:3]) -> Finding:
    """Whether Python is new enough."""
    shown = ".".join(str(part) for part in version)
    if version[:2] < OLDEST_PYTHON:
        return fail("python", f"{shown}; 3.11 or newer is needed", "install Python 3.11 or newer and run: make setup PYTHON=python3.11")
    return ok("python", shown)


def check_packages(
    packages: Mapping[str, Sequence[str]] = PACKAGES, import_module: Callable[[str], object] = importlib.import_module
) -> Finding:
    """Whether everything can be imported: a package that is there may still lack a library of the system."""
    broken: dict[str, list[str]] = {}
    for source, names in packages.items():
        for name in names:
            try:
                import_module(name)
            except Exception as error:  # noqa: BLE001 -- an import may fail in any way
                broken.setdefault(source, []).append(f"{name} ({type(error).__name__}: {error})")
    if broken:
        found = "\n".join(name for names in broken.values() for name in names)
        return fail("packages", found, "; ".join(INSTALL[source] for source in broken))
    return ok("packages", f"all {sum(len(names) for names in packages.values())} can be imported")


def check_clock(unix_ns: Callable[[], int], monotonic: Callable[[], float], readings: int = 1000) -> Finding:
    """Whether the monotonic clock never goes back, and the wall clock is in this age."""
    last = monotonic()
    for _ in range(readings):
        now = monotonic()
        if now < last:
            fix = "durations would be wrong: report it to the system's maker"
            return fail("clock", f"the monotonic clock went back by {last - now:.6f} s", fix)
        last = now
    moment = datetime.fromtimestamp(unix_ns() / 1e9, tz=UTC)
    if moment.year < BUILT_IN_YEAR:
        return fail("clock", f"the wall clock says {moment:%Y-%m-%d}", "set it, best by NTP: timedatectl set-ntp true")
    return ok("clock", f"{moment:%Y-%m-%d %H:%M:%S} UTC; the monotonic clock only rises")


def check_device(wanted: str, torch: Any) -> Finding:  # the module torch, which is imported only when this runs
    """Whether the device of the settings is there."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    names = ", ".join(f"cuda:{index} {torch.cuda.get_device_name(index)}" for index in range(count))
    if wanted.startswith("cuda") and int(wanted.partition(":")[2] or 0) >= count:
        found = f"MGEO_DEVICE = {wanted}, but torch {torch.__version__} sees {names or 'no CUDA device'}"
        return fail("device", found, "name one that is there, or set MGEO_DEVICE=auto")
    if names:
        return ok("device", f"{names} (torch {torch.__version__})")
    return ok("device", f"the CPU, {torch.get_num_threads()} threads (torch {torch.__version__})")


def check_nvml(mode: str, open_reader: Callable[[], tuple[GpuReader, str]]) -> Finding:
    """Whether the GPUs can be watched, when there are any."""
    try:
        reader, absent = open_reader()
    except StartupError as error:
        return fail("nvml", str(error), "see above")
    if absent:
        return ok("nvml", f"no GPU is watched (MGEO_GPU={mode}): {absent}")
    try:
        devices = reader.read()
    except GpuUnavailable as error:
        return warn("nvml", error.reason, error.fix)
    finally:
        reader.close()
    return ok("nvml", ", ".join(f"{device.index} {device.name} {device.hw_id}" for device in devices))
