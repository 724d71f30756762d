"""Where each program of the stack comes from.

In this order: a setting; PATH; the bundle; an official release or a build that is in the cache already; the official release;
a build. Each source either gives the program or says why not, and the next one is asked.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cli.stack.build import BuildSource
from cli.stack.bundle import BundleSource
from cli.stack.cache import ProgramCache, executable
from cli.stack.pin import STACK, read_pin
from cli.stack.program import GRAFANA, PROGRAMS, TOOLS, PassedOver, Version
from cli.stack.release import ReleaseSource
from cli.stack.version_check import ask_version, lacking_components
from service.errors import ProgramUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cli.stack.pin import Pin
    from cli.stack.program import Binary, Program
    from service.settings import Settings

    Say = Callable[[str], None]
    Source = Callable[[], "Located"]

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Located:
    """An executable of the stack.

    Attributes:
        name: the program's or tool's name.
        version: as the program tells it, or as it is pinned; `unknown` where it tells none.
        origin: where it came from, for people.
    """

    name: str
    path: Path
    version: str
    origin: str


class Locator:
    """Finds programs and their tools.

    Args:
        bundle: a file made by `mgeo stack pack`.
        say: told what takes long and what deserves a warning, a line at a time.
        stack: the folder of the pins.
        on_path: whether a program on PATH will do.
    """

    def __init__(self, settings: Settings, *, say: Say, bundle: Path | None = None, stack: Path = STACK, on_path: bool = True) -> None:
        cache = ProgramCache(settings.stack_cache)
        self._settings = settings
        self._say = say
        self._stack = stack
        self._on_path = on_path
        self._bundle = BundleSource(bundle, cache, say=say) if bundle is not None else None
        self._releases = ReleaseSource(cache, mirror=settings.release_mirror, say=say, releases=stack / "releases.toml")
        self._builds = BuildSource(cache, say=say)

    def locate(self, name: str) -> Located:
        """The program or tool of that name.

        Raises:
            ProgramUnavailable: no source gives it, or one that was named by the user is wrong.
        """
        program, binary = _known(name)
        pin = read_pin(program, self._stack)
        return self._first(name, [*self._at_hand(program, binary, pin), *self._to_be_made(binary, pin)])

    def at_hand(self, name: str) -> Located | None:
        """The same, without downloading or building; None when it is nowhere on this machine.

        Raises:
            ProgramUnavailable: one that was named by the user is wrong.
        """
        program, binary = _known(name)
        for _, source in self._at_hand(program, binary, read_pin(program, self._stack)):
            try:
                return replace(source(), name=name)
            except PassedOver:
                continue
        return None

    def foreseen(self, name: str) -> str:
        """What `locate` would do for a program that is not at hand, for people."""
        pin = read_pin(_known(name)[0], self._stack)
        ways: list[str] = []
        reasons: list[str] = []
        asks: tuple[Callable[[], str], ...] = (
            lambda: f"download {self._releases.announced(pin).file_name}",
            lambda: f"build with {self._builds.announced(pin)}",
        )
        for ask in asks:
            try:
                ways.append(ask())
            except PassedOver as passed:
                reasons.append(str(passed))
        return f"would {', else '.join(ways)}" if ways else f"cannot be had: {'; '.join(reasons)}"

    def grafana(self) -> Located | None:
        """Grafana, where it is installed; None where it is not.

        Raises:
            ProgramUnavailable: the setting names something else.
        """
        binary = GRAFANA.binaries[0]
        sources: tuple[Source, ...] = (lambda: self._from_setting(GRAFANA, binary, None), lambda: self._from_path(binary, None))
        for source in sources:
            try:
                return source()
            except PassedOver:
                continue
        return None

    def built(self, name: str) -> Located:
        """The program, built from its pins whatever else there is.

        Raises:
            ProgramUnavailable: it cannot be built.
        """
        program, binary = _known(name)
        pin = read_pin(program, self._stack)
        return self._first(
            name, [("a build", lambda: _of_folder(binary, pin, self._builds.build(pin), f"built from stack/{program.name}"))]
        )

    def kept_folders(self) -> Iterator[Path]:
        """The folders in the cache that belong to the pins of today."""
        for program in PROGRAMS.values():
            pin = read_pin(program, self._stack)
            for kept in (self._releases.kept, self._builds.kept):
                try:
                    yield kept(pin)
                except PassedOver:
                    continue

    def _at_hand(self, program: Program, binary: Binary, pin: Pin) -> list[tuple[str, Source]]:
        bundle = self._bundle
        sources: list[tuple[str, Source]] = [("the setting", lambda: self._from_setting(program, binary, pin))]
        if self._on_path:
            sources.append(("PATH", lambda: self._from_path(binary, pin)))
        if bundle is not None:
            sources.append(("the bundle", lambda: _from_bundle(bundle, binary)))
        release = lambda: _of_folder(binary, pin, self._releases.kept(pin), "official release")  # noqa: E731 -- one of a row
        build = lambda: _of_folder(binary, pin, self._builds.kept(pin), f"built from stack/{program.name}")  # noqa: E731
        return [*sources, ("a kept release", release), ("a kept build", build)]

    def _to_be_made(self, binary: Binary, pin: Pin) -> list[tuple[str, Source]]:
        return [
            ("the official release", lambda: _of_folder(binary, pin, self._releases.download(pin), "official release")),
            ("a build", lambda: _of_folder(binary, pin, self._builds.build(pin), f"built from stack/{pin.program.name}")),
        ]

    def _first(self, name: str, sources: list[tuple[str, Source]]) -> Located:
        tried = []
        for title, source in sources:
            try:
                return replace(source(), name=name)
            except PassedOver as passed:
                tried.append(f"  - {title}: {passed}")
                if title in _WORTH_SAYING and str(passed) != _NOT_ON_PATH:
                    self._say(f"{name}: {title} is passed over: {passed}")
        fix = (
            f"Set MGEO_{_known(name)[0].name.upper()}_BINARY to an executable, or give a bundle (`mgeo stack pack` makes one elsewhere), "
            "or mend one of the reasons above."
        )
        raise ProgramUnavailable("\n".join([f"{name} cannot be had. Tried, in this order:", *tried, fix]))

    def _from_setting(self, program: Program, binary: Binary, pin: Pin | None) -> Located:
        variable = f"MGEO_{program.name.upper()}_BINARY"
        named: Path | None = getattr(self._settings, f"{program.name}_binary")
        if named is None:
            raise PassedOver(f"{variable} is not set")
        path = named
        if binary is not program.binaries[0]:
            path = named.with_name(binary.name)
            if not executable(path):
                raise PassedOver(f"{path} is not there, beside {variable}")
        elif not executable(path):
            raise ProgramUnavailable(f"{variable} = {path} is not an executable file; name one, or unset it")
        try:
            found = ask_version(path, binary)
            lacking = _lacking(path, pin)
        except PassedOver as passed:
            raise ProgramUnavailable(f"{variable}: {passed}; name the program {program.name}, or unset it") from passed
        if lacking:
            raise ProgramUnavailable(
                f"{variable} = {path} lacks {', '.join(lacking)}, which our configuration uses; "
                "name a Collector that has them, such as otelcol-contrib, or unset it"
            )
        if pin is not None and (found is None or not found.suits(pin.version)):
            told = f"is version {found}" if found else "tells no version"
            self._say(f"{binary.name}: {path} {told}, and everything was tested with {pin.version}; taken, because {variable} names it")
        return Located(name=binary.name, path=path, version=str(found or UNKNOWN), origin=variable)

    def _from_path(self, binary: Binary, pin: Pin | None) -> Located:
        reasons = []
        for name in binary.on_path:
            there = shutil.which(name)
            if there is None:
                continue
            path = Path(there)
            try:
                found = ask_version(path, binary)
                reason = _unsuitable(path, found, pin)
            except PassedOver as passed:
                reason = str(passed)
            else:
                if reason is None:
                    return Located(name=binary.name, path=path, version=str(found or UNKNOWN), origin="PATH")
            reasons.append(reason)
        raise PassedOver("; ".join(filter(None, reasons)) or _NOT_ON_PATH)


def locate(program: str, settings: Settings, *, bundle: Path | None = None, say: Say) -> Located | None:
    """A program of the stack; None only for a Grafana that is not installed.

    Raises:
        ProgramUnavailable: it cannot be had; the message says what was tried and what mends it.
    """
    locator = Locator(settings, say=say, bundle=bundle)
    return locator.grafana() if program == GRAFANA.name else locator.locate(program)


def locate_tool(tool: str, settings: Settings, *, bundle: Path | None = None, say: Say) -> Located:
    """`promtool` or `amtool`, which come along with Prometheus and Alertmanager.

    Raises:
        ProgramUnavailable: it cannot be had; the message says what was tried and what mends it.
    """
    return Locator(settings, say=say, bundle=bundle).locate(tool)


_NOT_ON_PATH = "not there"
_WORTH_SAYING = frozenset({"PATH", "the official release"})


def _known(name: str) -> tuple[Program, Binary]:
    program = PROGRAMS.get(name) or TOOLS[name]
    if program.name == name:
        return program, program.binaries[0]
    return program, next(binary for binary in program.binaries if binary.name == name)


def _of_folder(binary: Binary, pin: Pin, folder: Path, origin: str) -> Located:
    path = folder / binary.name
    if not executable(path):
        raise PassedOver(f"{path} is not there any more; remove {folder}")
    return Located(name=binary.name, path=path, version=str(pin.version), origin=origin)


def _from_bundle(bundle: BundleSource, binary: Binary) -> Located:
    path, version = bundle.find(binary.name)
    return Located(name=binary.name, path=path, version=str(version), origin="bundle")


def _lacking(path: Path, pin: Pin | None) -> list[str]:
    return [] if pin is None or pin.manifest is None else lacking_components(path, pin.manifest)


def _unsuitable(path: Path, found: Version | None, pin: Pin | None) -> str | None:
    """Why a program on PATH will not do; None when it will."""
    if pin is None:
        return None
    if found is None:
        return f"{path} tells no version"
    if not found.suits(pin.version):
        return f"{path} is version {found}, and {pin.version} is needed"
    lacking = _lacking(path, pin)
    return f"{path} lacks {', '.join(lacking)}" if lacking else None
