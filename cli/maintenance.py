"""`mgeo maintenance`: a time in which nobody wants to hear of this box."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from pathlib import Path  # noqa: TC003 -- typer reads the annotations when it runs
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cli.notifier.client import NotifierClient


def maintenance(
    start: Annotated[str | None, typer.Argument(help="now, a time such as 22:00, or a moment in RFC 3339.")] = None,
    end: Annotated[str | None, typer.Argument(help="The same; or give --for.")] = None,
    duration: Annotated[str | None, typer.Option("--for", help="How long, such as 8h, instead of END.")] = None,
    by: Annotated[str | None, typer.Option(help="Who works there.", show_default="your login")] = None,
    reason: Annotated[str, typer.Option(help="What for; it stands in the group.")] = "planned",
    end_now: Annotated[bool, typer.Option("--end", help="End it, or call a planned one off.")] = False,
    url: Annotated[str | None, typer.Option(help="Where the notifier listens.", show_default="of the stack")] = None,
    token_file: Annotated[Path | None, typer.Option(help="File with the token of the one at --url.", show_default="none")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="The data folder of the stack (MGEO_DATA_DIR).", show_default="var")] = None,
) -> None:
    """Silence every alert for a time, and tell each watcher that this box may be silent. Without a time: show what is planned.

    Beginning and end are said in the groups. START is now when only --for is given; a time of day is the next one.

    \b
    Examples:
      mgeo maintenance --for 2h --reason "new GPU driver"
      mgeo maintenance 22:00 06:00 --by 张三
      mgeo maintenance 2026-11-28T22:00:00+08:00 --for 8h
      mgeo maintenance --end

    \b
    Exit codes:
      0  done
      1  the notifier does not answer or refuses, or a part of it could not be done; the message says which
    """  # noqa: D301 -- the backspace character tells the help not to wrap what follows
    from cli.notifier import upkeep
    from cli.notifier.login import login_name
    from cli.notifier.running import notifier_at, notifier_beside

    now = datetime.now().astimezone()
    period = _period(start, end, duration, now)
    if end_now and period is not None:
        raise typer.BadParameter("--end takes no time")
    if token_file is not None and url is None:
        raise typer.BadParameter("--token-file belongs to --url; the stack's own notifier needs neither")
    try:
        client = notifier_beside(data_dir) if url is None else notifier_at(url, token_file)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    if period is not None:
        _arrange(client, upkeep.wanted(starts_at=period[0], ends_at=period[1], by=by or login_name(), reason=reason))
    elif end_now:
        _arrange(client, {"until": None, "by": by or login_name()})
    else:
        print(upkeep.text(client.maintenance(), now.tzinfo))


def _arrange(client: NotifierClient, wanted: dict[str, object]) -> None:
    from cli.notifier import upkeep

    done = client.arrange(wanted)
    print(upkeep.text(done["maintenance"], None))
    faults = upkeep.faults(done)
    for fault in faults:
        print(f"- {fault}", file=sys.stderr)
    if faults:
        raise typer.Exit(1)


def _period(start: str | None, end: str | None, duration: str | None, now: datetime) -> tuple[datetime, datetime] | None:
    from cli.clock_time import clock_time
    from cli.duration import parse_duration

    if start is None and duration is None:
        return None
    if (end is None) == (duration is None):
        raise typer.BadParameter("give END or --for")
    try:
        begins = now if start is None else clock_time(start, now=now)
        if duration is not None:
            return begins, begins + timedelta(seconds=parse_duration(duration))
        assert end is not None
        return begins, clock_time(end, now=now, after=begins)
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(str(error)) from error
