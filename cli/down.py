"""`mgeo down`: end the stack."""

from __future__ import annotations

import sys
import time
from pathlib import Path  # noqa: TC003 -- typer reads the annotations when it runs
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cli.stack.layout import Layout


def down(
    data_dir: Annotated[Path | None, typer.Option(help="The data folder of the stack (MGEO_DATA_DIR).", show_default="var")] = None,
    duration: Annotated[
        str | None, typer.Option("--for", help="Begin a maintenance of this length first, such as 8h: nobody is called for it.")
    ] = None,
    by: Annotated[str | None, typer.Option(help="Who works there; with --for.", show_default="your login")] = None,
    reason: Annotated[str, typer.Option(help="What for; with --for.")] = "mgeo down",
    force: Annotated[bool, typer.Option("--force", help="End it also when the maintenance could not be told to everyone.")] = False,
) -> None:
    """End every process of the stack, those too whose supervisor was killed.

    Who sends telemetry ends before who takes it, each with time to finish; what does not end in time is killed, and named.
    What was stored stays. With --for, alerts are silenced and the watchers told before anything ends; when that fails,
    nothing is ended unless --force says so. `mgeo maintenance --end` ends it before its time.

    \b
    Examples:
      mgeo down
      mgeo down --data-dir /srv/mgeo
      mgeo down --for 8h --reason "power works"

    \b
    Exit codes:
      0  nothing runs any more, also when nothing was running
      1  the maintenance could not be told, and nothing was ended
    """  # noqa: D301 -- the backspace character tells the help not to wrap what follows
    from cli.stack.ending import Ending
    from cli.stack.layout import Layout
    from service.settings import Settings

    layout = Layout(Settings.load(data_dir=data_dir).data_dir.resolve())
    if duration is not None:
        faults = list(_maintenance(layout, duration, by, reason))
        for fault in faults:
            print(f"- {fault}", file=sys.stderr)
        if faults and not force:
            print("nothing was ended; --force ends it all the same, and `mgeo down` without --for", file=sys.stderr)
            raise typer.Exit(1)
    print(Ending(layout, monotonic=time.monotonic, pause=time.sleep).end().text())


def _maintenance(layout: Layout, duration: str, by: str | None, reason: str) -> Iterator[str]:
    """Begin it; what could not be done of it."""
    from datetime import datetime, timedelta

    from cli.duration import parse_duration
    from cli.notifier import upkeep
    from cli.notifier.client import NotifierUnusable
    from cli.notifier.login import login_name
    from cli.notifier.running import notifier_of

    now = datetime.now().astimezone()
    try:
        ends_at = now + timedelta(seconds=parse_duration(duration))
        client = notifier_of(layout)
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(str(error)) from error
    try:
        done = client.arrange(upkeep.wanted(starts_at=now, ends_at=ends_at, by=by or login_name(), reason=reason))
    except NotifierUnusable as error:
        yield f"no maintenance was begun: {error}"
        return
    print(upkeep.text(done["maintenance"], None))
    yield from upkeep.faults(done)
    if not upkeep.wait_until_told(client, monotonic=time.monotonic, pause=time.sleep):
        print("the groups hear of it when the notifier runs again", file=sys.stderr)
