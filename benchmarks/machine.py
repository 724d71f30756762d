"""On what was measured: the machine, the versions, and how busy it was with other things."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

PACKAGES = ("fastapi", "uvicorn", "opentelemetry-sdk", "opentelemetry-instrumentation-fastapi", "grpcio", "torch")


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What figures depend on besides the program.

    Attributes:
        cores: CPUs this process may run on.
        cpu: the model's name.
        system: kernel and its release.
        python: implementation and version.
        packages: the versions of what the benchmarks rest on.
    """

    cores: int
    cpu: str
    system: str
    python: str
    packages: tuple[str, ...]

    @classmethod
    def this(cls, *, cores: int, proc: Path = Path("/proc")) -> Machine:
        """The machine this process runs on.

        Raises:
            importlib.metadata.PackageNotFoundError: one of `PACKAGES` is not installed.
        """
        return cls(
            cores=cores,
            cpu=cpu_model((proc / "cpuinfo").read_text()),
            system=f"{platform.system()} {platform.release().partition('-')[0]}",
            python=f"{platform.python_implementation()} {platform.python_version()}",
            packages=tuple(f"{name} {version(name)}" for name in PACKAGES),
        )

    def sentence(self, *, at: datetime, load_before: float, load_after: float) -> str:
        """The line above the figures: when, on what, and the load average of one minute before and after."""
        return (
            f"Measured on {at:%Y-%m-%d} on {self.cores} cores ({self.cpu}), {self.system}, {self.python}, {', '.join(self.packages)}. "
            f"Load average of one minute: {load_before:.1f} before, {load_after:.1f} after, the benchmark's own share included."
        )


def usable_cores() -> list[int]:
    """The CPUs this process may run on, in order."""
    return sorted(os.sched_getaffinity(0))


def cpu_model(cpuinfo: str) -> str:
    """The first model name in the text of /proc/cpuinfo; `unknown CPU` where there is none, as on ARM."""
    for line in cpuinfo.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return "unknown CPU"
