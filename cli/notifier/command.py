"""`mgeo notifier`: run it, check its configuration, look at it, send again what was not delivered, simulate DingTalk."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.command_group import CommandGroup

if TYPE_CHECKING:
    from cli.notifier.client import NotifierClient

ConfigFile = Annotated[Path, typer.Option("--config", help="The notifier's TOML file; docs/notifier.md describes it.")]
Url = Annotated[str | None, typer.Option(help="Where the notifier listens.", show_default="that of the stack beside it")]
TokenFile = Annotated[Path | None, typer.Option(help="File with the token of `token_file` in its configuration, when it has one.")]
_DIGEST = re.compile(r"[0-9a-f]{12}")


def run(
    config: ConfigFile,
    host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default="of the file")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="TCP port.", show_default="of the file")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder of the queue.", show_default="of the file")] = None,
    alertmanager_url: Annotated[str | None, typer.Option(help="Alertmanager's API.", show_default="of the file")] = None,
    prometheus_url: Annotated[str | None, typer.Option(help="Prometheus' API.", show_default="of the file")] = None,
    public_url: Annotated[str | None, typer.Option(help="Where people reach its pages.", show_default="of the file")] = None,
    grafana_url: Annotated[str | None, typer.Option(help="Where people reach Grafana.", show_default="of the file")] = None,
    runbooks: Annotated[Path | None, typer.Option(help="Folder with the runbooks.", show_default="of the file")] = None,
    token_file: Annotated[
        Path | None, typer.Option(help="File with the token that Alertmanager shows.", show_default="of the file")
    ] = None,
) -> None:
    """Run the notifier until SIGTERM: store what Alertmanager posts, then tell it, however long that takes.

    \b
    Examples:
      mgeo notifier run --config notifier.toml
    """  # noqa: D301 -- the backspace character tells the help not to wrap what follows
    from cli.notifier.process import run_notifier
    from dingtalk.config import load_config

    run_notifier(
        load_config(
            config,
            host=host,
            port=port,
            data_dir=None if data_dir is None else str(data_dir.absolute()),
            alertmanager_url=alertmanager_url,
            prometheus_url=prometheus_url,
            # An empty one is none: compose cannot leave a flag out.
            public_url=public_url or None,
            grafana_url=grafana_url or None,
            runbooks=None if runbooks is None else str(runbooks.absolute()),
            token=None if token_file is None else _token(token_file),
        )
    )


def check(
    config: ConfigFile,
    send: Annotated[bool, typer.Option("--send", help="Also send one test message by every robot.")] = False,
) -> None:
    """Judge a configuration: every entry, secret and template, rendered with samples. With --send each robot too.

    \b
    Examples:
      mgeo notifier check --config notifier.toml
      mgeo notifier check --config notifier.toml --send

    \b
    Exit codes:
      0  it can be used
      1  a template or a robot has a fault
      78 the configuration cannot be used
    """  # noqa: D301 -- see above
    from cli.notifier.checking import robot_faults, template_faults
    from dingtalk.config import load_config

    loaded = load_config(config)
    faults = template_faults(loaded)
    if send:
        faults += robot_faults(loaded, [robot.name for robot in loaded.robots], say=print)
    for fault in faults:
        print(f"- {fault}", file=sys.stderr)
    if faults:
        raise typer.Exit(1)
    robots, receivers = len(loaded.robots), len(loaded.receivers)
    print(f"{config} can be used: {robots} robot{'' if robots == 1 else 's'}, {receivers} receiver{'' if receivers == 1 else 's'}")


def send_test(
    config: ConfigFile,
    robot: Annotated[list[str] | None, typer.Option(help="A robot by its name; several may be named. Else all.")] = None,
) -> None:
    """Send one test message, and explain what DingTalk answers: keyword, signature and clock, IP list, token, limits.

    \b
    Examples:
      mgeo notifier send-test --config notifier.toml
      mgeo notifier send-test --config notifier.toml --robot ops-1
    """  # noqa: D301 -- see above
    from cli.notifier.checking import robot_faults
    from dingtalk.config import load_config

    loaded = load_config(config)
    known = [one.name for one in loaded.robots]
    for name in robot or []:
        if name not in known:
            raise typer.BadParameter(f"{name!r} is none of the robots of {config}: {', '.join(known)}")
    faults = robot_faults(loaded, robot or known, say=print)
    for fault in faults:
        print(f"- {fault}", file=sys.stderr)
    if faults:
        raise typer.Exit(1)


def replay(
    message: Annotated[list[int] | None, typer.Argument(help="Numbers of dead letters; all of them when none is given.")] = None,
    url: Url = None,
    token_file: TokenFile = None,
) -> None:
    """Send dead letters again: messages that no robot and no other channel took.

    \b
    Examples:
      mgeo notifier replay
      mgeo notifier replay 17 18
    """  # noqa: D301 -- see above
    client = notifier_client(url, token_file)
    numbers = message
    if not numbers:
        numbers = [int(each["id"]) for each in client.messages(state="dead")]
    failed = 0
    for number in numbers:
        words = client.resend(number)
        failed += words is not None
        print(f"{number}: {words or 'waits to be sent again'}")
    if not numbers:
        print("there are no dead letters")
    if failed:
        raise typer.Exit(1)


def status(
    group: Annotated[str | None, typer.Option(help="Show one group instead, by the twelve characters of its messages.")] = None,
    url: Url = None,
    token_file: TokenFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a page.")] = False,
) -> None:
    """Show what waits, how each robot is, and how much of the month's quota is used; or all alerts of one group, and who has it.

    \b
    Examples:
      mgeo notifier status
      mgeo notifier status --json
      mgeo notifier status --group 0f3c9a1b2d4e
    """  # noqa: D301 -- see above
    from cli.notifier.report import group_text, status_text

    client = notifier_client(url, token_file)
    found, text = (client.status(), status_text) if group is None else (client.group(group_digest(group)), group_text)
    print(json.dumps(found, ensure_ascii=False) if as_json else text(found), end="\n" if as_json else "")


def simulate(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="TCP port; 0 takes a free one.")] = 8061,
    config: Annotated[Path | None, typer.Option(help="TOML file with robots and rules; else three robots.")] = None,
    journal: Annotated[Path | None, typer.Option(help="File that lets the messages outlive a restart.")] = None,
    scale: Annotated[float | None, typer.Option(min=0.0001, max=1.0, help="Factor of every duration, for drills.")] = None,
) -> None:
    """Stand in for DingTalk: keeps its rules, and shows what the groups would see as a page.

    \b
    Examples:
      mgeo notifier simulate
      mgeo notifier simulate --port 8061 --journal simulator.jsonl
    """  # noqa: D301 -- see above
    from dingtalk.simulator.server import serve

    raise typer.Exit(serve(host=host, port=port, config=config, journal=journal, scale=scale))


def group_digest(text: str) -> str:
    """What a message names its group with.

    Raises:
        typer.BadParameter: it is something else.
    """
    if _DIGEST.fullmatch(text) is None:
        raise typer.BadParameter(f"{text!r} names no group; copy the twelve characters from its message, such as 0f3c9a1b2d4e")
    return text


def notifier_client(url: str | None, token_file: Path | None) -> NotifierClient:
    """The API of the notifier that the options name; that of the stack beside us when they name none.

    Raises:
        typer.BadParameter: the URL is none, or the file cannot be read.
    """
    from cli.notifier.running import DEFAULT_URL, notifier_at, notifier_beside

    try:
        if url is None and token_file is None:
            return notifier_beside()
        return notifier_at(url or DEFAULT_URL, token_file)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _token(path: Path) -> str:
    from cli.notifier.token_file import read_token

    try:
        return read_token(path)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


notifier = CommandGroup(
    help="""Tells DingTalk groups what Alertmanager says, and loses nothing.

    \b
    Examples:
      mgeo notifier check --config notifier.toml --send
      mgeo notifier run --config notifier.toml
      mgeo notifier status
    """,
    commands={"run": run, "check": check, "send-test": send_test, "replay": replay, "status": status, "simulate": simulate},
)
