"""`mgeo drill`: break the running stack on purpose, and see that exactly the right messages come."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path  # noqa: TC003 -- typer reads the annotations when it runs
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cli.drill.catalogue import Drill
    from cli.drill.running import Result
    from cli.stack.layout import Layout

ALL = "all"
DEFAULT_SCALE = 0.05


def drill(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME...", help="Which drills, or `all`; none lists them.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="The data folder of the stack (MGEO_DATA_DIR).", show_default="var")] = None,
    apart: Annotated[bool, typer.Option("--apart", help="Bring up a stack of its own for it, beside whatever runs, and end it.")] = False,
    scale: Annotated[
        float, typer.Option(min=0.01, max=1.0, help="With --apart: how long a minute of the rules is, in minutes.")
    ] = DEFAULT_SCALE,
    report: Annotated[Path | None, typer.Option(help="Folder for drills.md, drills.svg and drills.json.")] = None,
    record: Annotated[bool, typer.Option("--record", help="Keep the outcome where the service shows it as a metric.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON array instead of a table.")] = False,
) -> None:
    """Put a fault into a running stack, under load, and wait for exactly the messages that must come, and for their ends.

    The stack must have been brought up for it (`mgeo up --drills on`), so that alerts go to the simulator of DingTalk and no real
    person is called. A drill fails when a message is missing, comes twice, to the wrong group, calls the wrong people, or
    when another alert is told. It takes its fault out again, also when it is interrupted.

    \b
    Examples:
      mgeo drill                                list them
      mgeo drill slow-model
      mgeo drill all --report var/drills
      mgeo drill all --apart                    twenty minutes, nothing that runs is touched

    \b
    Exit codes:
      0  every message as it must be
      1  one was missing, or too many; or the stack cannot be drilled
      130  interrupted; the fault was taken out
    """  # noqa: D301 -- the backspace character tells the help not to wrap what follows
    from cli.drill.catalogue import DRILLS

    if not names:
        width = max(len(one.name) for one in DRILLS)
        print("\n".join(f"{one.name:{width}}  {one.says}; expects {', '.join(one.expects)}" for one in DRILLS))
        return
    wanted = _wanted(names)
    from cli.stack.layout import Layout
    from service.settings import Settings

    layout = Layout(Settings.load(data_dir=data_dir).data_dir.resolve())
    if apart:
        from cli.drill.apart import stack_apart

        with stack_apart(layout, scale=scale, say=_say) as own:
            results = _drill(own, wanted)
    else:
        results = _drill_here(layout, wanted)
    _tell(results, as_json=as_json)
    if report is not None:
        _write(report, results)
    if record:
        from cli.drill.record import record_results

        record_results(layout.data_dir, results)
    if not all(result.passed for result in results):
        raise typer.Exit(1)


def _wanted(names: Sequence[str]) -> tuple[Drill, ...]:
    from cli.drill.catalogue import DRILLS, drill_of

    if ALL in names:
        return DRILLS
    found = []
    for name in names:
        one = drill_of(name)
        if one is None:
            raise typer.BadParameter(f"there is no drill {name!r}; `mgeo drill` lists them")
        found.append(one)
    return tuple(found)


def _drill_here(layout: Layout, wanted: Sequence[Drill]) -> list[Result]:
    """Drill the stack that runs. A signal takes the fault out first: a process that a drill keeps away would stay away."""
    from cli.stack.interrupts import Interrupted, interrupts

    try:
        with interrupts():
            return _drill(layout, wanted)
    except Interrupted:
        _say("interrupted; the fault was taken out")
        raise typer.Exit(130) from None


def _drill(layout: Layout, wanted: Sequence[Drill]) -> list[Result]:
    import httpx

    from cli.drill.running import Drills
    from cli.drill.stage import Clock, Stage
    from cli.drill.traffic import Traffic

    clock = Clock(unix=time.time, monotonic=time.monotonic, pause=time.sleep)
    with httpx.Client(trust_env=False) as http:
        stage = Stage.of(layout, http=http, clock=clock)
        here = [one for one in wanted if not one.needs or stage.has(one.needs)]
        for one in wanted:
            if one not in here:
                _say(f"{one.name}: left out, since this profile has no {one.needs}")
        runs = Drills(stage, Traffic(stage.url("service"), dict(os.environ)), _say).run(here)
        try:
            return list(runs)
        finally:
            runs.close()


def _tell(results: Sequence[Result], *, as_json: bool) -> None:
    from cli.drill.report import document, table

    if as_json:
        print(json.dumps([document(result) for result in results], ensure_ascii=False, indent=1))
    else:
        print(table(results), end="")


def _write(folder: Path, results: Sequence[Result]) -> None:
    import platform
    from datetime import datetime

    from cli.drill.picture import picture
    from cli.drill.report import document, page
    from service.data_dir import unusable

    machine = f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}"
    files = {
        "drills.json": json.dumps([document(result) for result in results], ensure_ascii=False, indent=1) + "\n",
        "drills.svg": picture(results),
        "drills.md": page(results, when=f"{datetime.now().astimezone():%Y-%m-%d}", machine=machine, picture="drills.svg"),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise unusable(folder, error) from error
    _say(f"the report: {folder / 'drills.md'}")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
