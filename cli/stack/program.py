"""The programs of the stack: what they are called, how they tell their version, how they are built."""

from __future__ import annotations

import platform
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


class PassedOver(Exception):
    """A source cannot give the program; the message is the reason, without a full stop."""


class Version(NamedTuple):
    """A released version; what follows the three numbers does not count."""

    major: int
    minor: int
    patch: int

    @classmethod
    def parse(cls, text: str) -> Version:
        """Read `v1.2.3`, `1.2.3`, `1.2` or `1.2.3+anything`.

        Raises:
            ValueError: it does not begin with such a version.
        """
        found = re.match(r"v?(\d+)\.(\d+)(?:\.(\d+))?", text)
        if found is None:
            raise ValueError(f"{text!r} is not a version")
        return cls(int(found[1]), int(found[2]), int(found[3] or 0))

    def __str__(self) -> str:
        """The three numbers with dots."""
        return f"{self.major}.{self.minor}.{self.patch}"

    def suits(self, pinned: Version) -> bool:
        """Whether a program of this version can stand in for the pinned one, with which everything was tested.

        The same major version and no older minor one; below 1.0, where a minor version may break, the same minor one.
        """
        if self.major != pinned.major:
            return False
        return self.minor == pinned.minor if pinned.major == 0 else self.minor >= pinned.minor


@dataclass(frozen=True, slots=True, kw_only=True)
class Binary:
    """One executable.

    Attributes:
        name: its file's name in the cache and in a bundle.
        package: the Go package of its command; `.` is the sources made from the manifest.
        on_path: the names under which it may stand on PATH, the best first.
        version_command: what makes it print its version.
    """

    name: str
    package: str
    on_path: tuple[str, ...]
    version_command: str = "--version"


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A program of the stack with its tools.

    Attributes:
        module: the Go module whose version in stack/NAME/go.mod is the pin; empty where the manifest has it.
        binaries: the program itself, then its tools.
        version_variable: the Go variable that a build sets to the version, so that the program can tell it.
        release_version: the version of the release that a module version is.
    """

    name: str
    module: str
    binaries: tuple[Binary, ...]
    version_variable: str = ""
    release_version: Callable[[Version], Version] = lambda version: version


def _prometheus_release(module: Version) -> Version:
    # Go wants v2 and later in the module's path, so Prometheus' module says v0.315.0 for 3.15.0.
    return Version(module.minor // 100, module.minor % 100, module.patch)


def _jaeger_release(module: Version) -> Version:
    # Both major versions were released together, from v1.63.0 = v2.0.0 on.
    return Version(2, module.minor - 63, module.patch)


_COMMON_VERSION = "github.com/prometheus/common/version.Version"
PROGRAMS = {
    program.name: program
    for program in (
        Program(
            name="collector",
            module="",
            binaries=(Binary(name="otelcol", package=".", on_path=("otelcol-mgeo", "otelcol-contrib", "otelcol")),),
        ),
        Program(
            name="prometheus",
            module="github.com/prometheus/prometheus",
            binaries=(
                Binary(name="prometheus", package="github.com/prometheus/prometheus/cmd/prometheus", on_path=("prometheus",)),
                Binary(name="promtool", package="github.com/prometheus/prometheus/cmd/promtool", on_path=("promtool",)),
            ),
            version_variable=_COMMON_VERSION,
            release_version=_prometheus_release,
        ),
        Program(
            name="alertmanager",
            module="github.com/prometheus/alertmanager",
            binaries=(
                Binary(
                    name="alertmanager",
                    package="github.com/prometheus/alertmanager/cmd/alertmanager",
                    on_path=("alertmanager", "prometheus-alertmanager"),
                ),
                Binary(name="amtool", package="github.com/prometheus/alertmanager/cmd/amtool", on_path=("amtool",)),
            ),
            version_variable=_COMMON_VERSION,
        ),
        Program(
            name="loki",
            module="github.com/grafana/loki/v3",
            binaries=(Binary(name="loki", package="github.com/grafana/loki/v3/cmd/loki", on_path=("loki",)),),
            version_variable="github.com/grafana/loki/v3/pkg/util/build.Version",
        ),
        Program(
            name="jaeger",
            module="github.com/jaegertracing/jaeger",
            binaries=(
                Binary(name="jaeger", package="github.com/jaegertracing/jaeger/cmd/jaeger", on_path=("jaeger",), version_command="version"),
            ),
            version_variable="github.com/jaegertracing/jaeger/internal/version.latestVersion",
            release_version=_jaeger_release,
        ),
        Program(
            name="caddy",
            module="github.com/caddyserver/caddy/v2",
            binaries=(
                Binary(name="caddy", package="github.com/caddyserver/caddy/v2/cmd/caddy", on_path=("caddy",), version_command="version"),
            ),
            version_variable="github.com/caddyserver/caddy/v2.CustomVersion",
        ),
    )
}
"""The programs that `mgeo up` can always have, because they can be built, by name."""

GRAFANA = Program(name="grafana", module="", binaries=(Binary(name="grafana", package="", on_path=("grafana", "grafana-server")),))
"""Grafana has no Go module that builds: it is started where it is installed already."""

TOOLS = {binary.name: program for program in PROGRAMS.values() for binary in program.binaries[1:]}
"""The program with which each tool comes, by the tool's name."""


def this_platform() -> str:
    """Operating system and architecture as Go writes them, such as `linux-amd64`."""
    machine = platform.machine()
    return f"{platform.system().lower()}-{_ARCHITECTURES.get(machine, machine)}"
