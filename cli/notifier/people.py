"""`mgeo ack` and `mgeo silence`: what the links of a message do, as the commands that stand there where no link works."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from cli.notifier.command import TokenFile, Url, group_digest
from cli.notifier.login import login_name

Group = Annotated[str, typer.Argument(help="The twelve characters that a message names its group with.", callback=group_digest)]
By = Annotated[str | None, typer.Option(help="Who you are; said in the group.", show_default="your login name")]
NO_REASON = "未说明原因"


def ack(group: Group, by: By = None, url: Url = None, token_file: TokenFile = None) -> None:
    """Take a group of alerts over: nobody else is asked, and the group is told who has it. Whoever was first keeps it.

    \b
    Examples:
      mgeo ack 0f3c9a1b2d4e
      mgeo ack 0f3c9a1b2d4e --by 张三

    \b
    Exit codes:
      0  you have it
      1  somebody else has it, nothing of the group fires any more, or the notifier cannot be asked
    """  # noqa: D301 -- the backspace character tells the help not to wrap what follows
    from cli.notifier.command import notifier_client

    who = by or login_name()
    taken = notifier_client(url, token_file).acknowledge(group, by=who)
    if taken["first"]:
        print(f"{group}: taken over by {who}")
        return
    print(f"{group}: {taken['taken_by']} has it since {_moment(taken['taken_at'])}")
    if taken["taken_by"] != who:
        raise typer.Exit(1)


def silence(
    group: Group,
    for_: Annotated[str, typer.Option("--for", help="How long, such as 30m or 2h.")] = "2h",
    by: By = None,
    reason: Annotated[str, typer.Option(help="Why; said in the group and kept in Alertmanager.")] = NO_REASON,
    url: Url = None,
    token_file: TokenFile = None,
) -> None:
    """Silence what has the labels of a group, in Alertmanager, and tell the group who did it and why.

    \b
    Examples:
      mgeo silence 0f3c9a1b2d4e --for 2h
      mgeo silence 0f3c9a1b2d4e --for 30m --by 张三 --reason 换盘
    """  # noqa: D301 -- see above
    from cli.duration import parse_duration
    from cli.notifier.command import notifier_client

    try:
        seconds = parse_duration(for_)
    except ValueError as error:
        raise typer.BadParameter(f"--for: {error}") from error
    made = notifier_client(url, token_file).silence(group, by=by or login_name(), reason=reason, seconds=seconds)
    labels = ", ".join(f"{name}={value}" for name, value in sorted(made["matchers"].items()))
    print(f"{group}: silence {made['silence']} until {_moment(made['until'])}: {labels}")
    if not made["told"]:
        print("the group could not be told; tell it yourself")


def _moment(unix: float) -> str:
    return f"{datetime.fromtimestamp(unix, UTC):%Y-%m-%d %H:%M:%S} UTC"
