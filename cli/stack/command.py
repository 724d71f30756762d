"""`mgeo stack`: the native programs of the telemetry stack, before anything is started."""

from __future__ import annotations

import json
import sys
from pathlib import Path  # noqa: TC003 -- typer reads the annotations when it runs
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.command_group import CommandGroup

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cli.stack.source import Locator

Names = Annotated[
    list[str] | None, typer.Argument(metavar="[NAME]...", help="Programs; all of them when none is named.", show_default=False)
]


def list_programs(
    bundle: Annotated[Path | None, typer.Option(help="Look into this bundle too.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    """Show each program, its pinned version and where `mgeo up` would take it from. Downloads and builds nothing.

    \b
    Examples:
      mgeo stack list
      mgeo stack list --json
      mgeo stack list --bundle stack.tar.gz
    """  # noqa: D301 -- the backspace character tells the help not to wrap what follows
    from cli.stack.program import PROGRAMS

    locator = _locator(bundle=bundle)
    rows = [_row(locator, program.name) for program in PROGRAMS.values()]
    grafana = locator.grafana()
    rows.append(
        {
            "name": "grafana",
            "pinned": None,
            "version": grafana.version if grafana else None,
            "origin": grafana.origin if grafana else "not installed; optional",
            "path": str(grafana.path) if grafana else None,
        }
    )
    if as_json:
        print(json.dumps({"programs": rows}))
        return
    print(f"{'name':<13} {'pinned':<9} {'found':<9} where from")
    for row in rows:
        where = f"{row['origin']}: {row['path']}" if row["path"] else row["origin"]
        print(f"{row['name']:<13} {row['pinned'] or '–':<9} {row['version'] or '–':<9} {where}")


def build(names: Names = None) -> None:
    """Build programs from the pinned Go modules in stack/, unless a build of these pins is in the cache.

    Needs Go and the Go module proxy; all of them take about twenty minutes on two cores the first time, and seconds after that.

    \b
    Examples:
      mgeo stack build
      mgeo stack build prometheus alertmanager
    """  # noqa: D301
    locator = _locator()
    for name in _checked(names):
        print(f"{name}: {locator.built(name).path}")


def pack(
    output: Annotated[Path, typer.Option("--output", help="The file to write; .tar.gz by convention.")],
    names: Names = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file when it is there.")] = False,
) -> None:
    """Write one file with all programs, for `mgeo up --bundle FILE` on a machine that can neither download nor build.

    Programs come from where `mgeo up` would take them, except that what is on PATH is left alone: it may need this machine's libraries.

    \b
    Examples:
      mgeo stack pack --output stack-linux-amd64.tar.gz
      mgeo stack pack --output gateway.tar.gz caddy
    """  # noqa: D301
    from cli.stack.bundle import pack as write_bundle
    from cli.stack.program import PROGRAMS

    if output.exists() and not force:
        raise typer.BadParameter(f"{output} is there already; add --force to replace it")
    locator = _locator(on_path=False)
    files = []
    for name in _checked(names):
        for binary in PROGRAMS[name].binaries:
            found = locator.locate(name if binary is PROGRAMS[name].binaries[0] else binary.name)
            files.append((binary.name, found.version, found.path))
    packed = write_bundle(output, files, say=_say)
    print(f"{output}: {len(packed)} executables, {output.stat().st_size / 1e6:.0f} MB")


def checksums(names: Names = None) -> None:
    """Read the checksums of the pinned releases from the projects' own lists and write them into stack/releases.toml.

    To be run after a pin has changed, on a machine that reaches the projects' releases, and to be reviewed before it is committed.

    \b
    Examples:
      mgeo stack checksums
      mgeo stack checksums jaeger
    """  # noqa: D301
    from cli.stack.pin import read_pin
    from cli.stack.program import PROGRAMS, PassedOver
    from cli.stack.release import published_sums, write_sums

    folder = _stack()
    found, failed = {}, False
    for name in _checked(names):
        pin = read_pin(PROGRAMS[name], folder)
        try:
            found[name] = published_sums(pin, releases=folder / "releases.toml")
        except PassedOver as passed:
            failed = True
            print(f"{name} {pin.version}: {passed}", file=sys.stderr)
        else:
            print(f"{name} {pin.version}: {len(found[name])} checksums")
    write_sums(found, releases=folder / "releases.toml")
    if failed:
        raise typer.Exit(1)


def prune() -> None:
    """Remove from the cache what does not belong to the pins of today, and unpacked bundles.

    \b
    Examples:
      mgeo stack prune
      MGEO_STACK_CACHE=/srv/cache/mgeo mgeo stack prune
    """  # noqa: D301
    from cli.stack.cache import ProgramCache
    from service.settings import Settings

    settings = Settings.load()
    for path in ProgramCache(settings.stack_cache).prune({*_locator().kept_folders()}):
        print(f"removed {path}")


stack = CommandGroup(
    help="""The native programs of the telemetry stack: where they come from, and getting them before `mgeo up` does.

    \b
    Examples:
      mgeo stack list
      mgeo stack build
      mgeo stack pack --output stack.tar.gz
    """,
    commands={"list": list_programs, "build": build, "pack": pack, "checksums": checksums, "prune": prune},
)


def _locator(**options: Any) -> Locator:  # those of Locator
    from cli.stack.source import Locator
    from service.settings import Settings

    return Locator(Settings.load(), say=_say, stack=_stack(), **options)


def _stack() -> Path:
    from cli.stack import pin

    return pin.STACK


def _row(locator: Locator, name: str) -> dict[str, str | None]:
    from cli.stack.pin import read_pin
    from cli.stack.program import PROGRAMS

    pinned = str(read_pin(PROGRAMS[name], _stack()).version)
    found = locator.at_hand(name)
    if found is None:
        return {"name": name, "pinned": pinned, "version": None, "origin": locator.foreseen(name), "path": None}
    return {"name": name, "pinned": pinned, "version": found.version, "origin": found.origin, "path": str(found.path)}


def _checked(names: Iterable[str] | None) -> list[str]:
    from cli.stack.program import PROGRAMS

    chosen = list(names or PROGRAMS)
    for name in chosen:
        if name not in PROGRAMS:
            raise typer.BadParameter(f"{name!r} is no program of the stack; there are {', '.join(PROGRAMS)}")
    return chosen


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
