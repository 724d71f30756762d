"""Builds a program from its pinned Go module, once for each set of pins, into the cache."""

from __future__ import annotations

import hashlib
import os
import queue
import re
import shutil
import signal
import subprocess
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cli.duration import duration_text
from cli.stack.pin import MANIFEST
from cli.stack.program import PassedOver, Version, this_platform

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from cli.stack.cache import ProgramCache
    from cli.stack.pin import Pin

KIND = "built"
FLAGS = ("-mod=readonly", "-trimpath", "-buildvcs=false")
LDFLAGS = "-s -w"
BUILD_TIMEOUT = 5400.0
ASK_TIMEOUT = 600.0
SAY_INTERVAL = 10.0
LAST_LINES = 12
_PACKAGE_LINE = re.compile(r"[\w.~-]+(/[\w.~-]+)*")


@dataclass(frozen=True, slots=True)
class Toolchain:
    """A Go that is installed here."""

    path: str
    version: str

    @classmethod
    def find(cls) -> Toolchain:
        """The `go` on PATH.

        Raises:
            PassedOver: there is none, or it does not tell its version.
        """
        path = shutil.which("go")
        if path is None:
            raise PassedOver("there is no `go` on PATH")
        try:
            version = _ask([path, "env", "GOVERSION"], None).strip()
            Version.parse(version.removeprefix("go"))
        except ValueError as error:
            raise PassedOver(f"{path} does not tell its version") from error
        return cls(path, version)

    def require(self, pin: Pin) -> None:
        """Check that this Go can build a module.

        Raises:
            PassedOver: it is too old.
        """
        if Version.parse(self.version.removeprefix("go")) < pin.go:
            raise PassedOver(f"{self.path} is {self.version}, and stack/{pin.program.name} needs go{pin.go} or newer")


class BuildSource:
    """Builds programs. The result's name has the pins and the Go version in it, so that a change of either builds anew."""

    def __init__(
        self, cache: ProgramCache, *, say: Callable[[str], None], find_toolchain: Callable[[], Toolchain] = Toolchain.find
    ) -> None:
        self._cache = cache
        self._say = say
        self._find_toolchain = find_toolchain

    def kept(self, pin: Pin) -> Path:
        """The folder of a build that was made before: by the Go that is installed, or by any where there is none.

        Raises:
            PassedOver: there is none.
        """
        stem = _stem(pin)
        try:
            folder = self._cache.find(KIND, f"{stem}-{self._find_toolchain().version}")
        except PassedOver:
            folder = self._cache.matching(KIND, f"{stem}-go*")
        if folder is None:
            raise PassedOver("not built yet")
        return folder

    def announced(self, pin: Pin) -> str:
        """What a build would be made with.

        Raises:
            PassedOver: it cannot be made.
        """
        toolchain = self._find_toolchain()
        toolchain.require(pin)
        return toolchain.version

    def build(self, pin: Pin) -> Path:
        """The folder of the build, made if need be.

        Raises:
            PassedOver: there is no Go that can, or the build fails; the message has its last lines.
        """
        toolchain = self._find_toolchain()
        toolchain.require(pin)
        return self._cache.make(
            KIND, f"{_stem(pin)}-{toolchain.version}", lambda folder: _Build(pin, toolchain, folder, self._say).run(), say=self._say
        )


class _Build:
    """One build into one empty folder."""

    def __init__(self, pin: Pin, toolchain: Toolchain, folder: Path, say: Callable[[str], None]) -> None:
        self._pin = pin
        self._go = toolchain
        self._folder = folder
        self._say = say
        self._title = f"{pin.program.name} {pin.version}"
        self._started = time.monotonic()

    def run(self) -> None:
        """Leave the executables in the folder, and nothing else."""
        self._say(f"{self._title}: building from stack/{self._pin.program.name} with {self._go.version}")
        source = self._pin.folder if self._pin.manifest is None else self._generate(self._pin.manifest)
        packages = [binary.package for binary in self._pin.program.binaries]
        total = len(_ask([self._go.path, "list", *FLAGS[:1], "-deps", *packages], source).split())
        # With one binary the name is ours, for a main package's folder may be called otherwise; with more they are the packages'.
        output = self._folder / self._pin.program.binaries[0].name if len(packages) == 1 else f"{self._folder}{os.sep}"
        self._follow(["build", "-v", *FLAGS, "-ldflags", _ldflags(self._pin), "-o", str(output), *packages], source, total)
        if source.is_relative_to(self._folder):
            shutil.rmtree(source)
        self._say(f"{self._title}: built in {duration_text(time.monotonic() - self._started)}")

    def _generate(self, manifest: Path) -> Path:
        """Have OpenTelemetry's builder write the Collector's sources; returns their folder."""
        source = self._folder / "source"
        source.mkdir()
        for name in ("go.mod", "go.sum", MANIFEST):
            shutil.copyfile(manifest.with_name(name), source / name)
        self._follow(["tool", "builder", "--config", MANIFEST, "--skip-get-modules", "--skip-compilation"], source, 0)
        return source

    def _follow(self, arguments: Sequence[str], source: Path, total: int) -> None:
        """Run Go; tell how far it is; stop it when this process is interrupted."""
        with subprocess.Popen(  # noqa: S603 -- the Go toolchain, on our own modules
            [self._go.path, *arguments],
            cwd=source,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        ) as process:
            lines: queue.Queue[str | None] = queue.Queue()
            reader = threading.Thread(target=_read, args=(process, lines), name="mgeo-go-output", daemon=True)
            reader.start()
            try:
                tail = self._watch(lines, total)
                code = process.wait(ASK_TIMEOUT)
            finally:
                if process.poll() is None:
                    # The compilers that it started too, or they would go on writing.
                    os.killpg(process.pid, signal.SIGKILL)
                reader.join(ASK_TIMEOUT)
        if code != 0:
            raise PassedOver(f"`go {arguments[0]}` in stack/{self._pin.program.name} failed: {' / '.join(tail) or f'exit code {code}'}")

    def _watch(self, lines: queue.Queue[str | None], total: int) -> deque[str]:
        tail: deque[str] = deque(maxlen=LAST_LINES)
        compiled = 0
        said = time.monotonic()
        while True:
            try:
                line = lines.get(timeout=SAY_INTERVAL)
            except queue.Empty:
                line = ""
            if line is None:
                return tail
            if total and _PACKAGE_LINE.fullmatch(line):
                compiled += 1
            elif line:
                tail.append(line)
            now = time.monotonic()
            if now - self._started > BUILD_TIMEOUT:
                raise PassedOver(f"the build did not end within {duration_text(BUILD_TIMEOUT)}")
            if now - said >= SAY_INTERVAL:
                said = now
                far = f"{compiled:,} of at most {total:,} packages compiled, " if total else ""
                self._say(f"{self._title}: {far}{duration_text(now - self._started)}")


def _read(process: subprocess.Popen[str], lines: queue.Queue[str | None]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        lines.put(line.strip())
    lines.put(None)


def _stem(pin: Pin) -> str:
    """The name of a build, but for the Go version: everything else that decides about the result is in it."""
    digest = hashlib.sha256()
    for name in ("go.mod", "go.sum", MANIFEST):
        file = pin.folder / name
        digest.update(name.encode() + b"\0" + (file.read_bytes() if file.is_file() else b"") + b"\0")
    packages = [f"{binary.name}={binary.package}" for binary in pin.program.binaries]
    digest.update("\0".join((*FLAGS, _ldflags(pin), this_platform(), *packages)).encode())
    return f"{pin.program.name}-{pin.version}-{digest.hexdigest()[:12]}"


def _ldflags(pin: Pin) -> str:
    if not pin.program.version_variable:
        return LDFLAGS
    # Caddy and Jaeger release with the v, the others without; each tells it as it was given.
    prefix = "v" if pin.program.name in {"caddy", "jaeger"} else ""
    return f"{LDFLAGS} -X {pin.program.version_variable}={prefix}{pin.version}"


def _environment() -> dict[str, str]:
    # What a developer has set for other work, such as a workspace or flags, must not change what is built.
    return os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOWORK": "off", "GOTOOLCHAIN": "local", "GO111MODULE": "on"}


def _ask(command: Sequence[str], folder: Path | None) -> str:
    try:
        done = subprocess.run(  # noqa: S603 -- the Go toolchain
            command, cwd=folder, env=_environment(), capture_output=True, text=True, timeout=ASK_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise PassedOver(f"`{' '.join(['go', *command[1:3]])}` did not end within {duration_text(ASK_TIMEOUT)}") from error
    except OSError as error:
        raise PassedOver(f"{command[0]} cannot be run ({error.strerror})") from error
    if done.returncode != 0:
        raise PassedOver(f"`{' '.join(['go', *command[1:3]])}` failed: {' / '.join(done.stderr.split(chr(10))[-LAST_LINES:]).strip(' /')}")
    return done.stdout
