"""`mgeo up`: the telemetry stack as plain processes on this box."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path  # noqa: TC003 -- typer reads the annotations when it runs
from typing import TYPE_CHECKING, Annotated

import typer

from cli.stack.profile import Drills, Profile

if TYPE_CHECKING:
    from cli.stack.startup import Running, World
    from cli.stack.state import State

WATCH = 0.5
"""Seconds between two looks at supervisord, in the foreground."""


def up(
    profile: Annotated[Profile, typer.Option(help="How much of the stack.")] = Profile.LITE,
    detach: Annotated[bool, typer.Option("--detach", help="Return once everything is ready; `mgeo down` ends it.")] = False,
    data_dir: Annotated[Path | None, typer.Option(help="Folder of everything that is kept (MGEO_DATA_DIR).", show_default="var")] = None,
    gateway: Annotated[bool, typer.Option("--gateway", help="One port with login before every page (MGEO_GATEWAY_...).")] = False,
    upstream: Annotated[str | None, typer.Option(help="For an agent: where the full stack takes telemetry (MGEO_UPSTREAM).")] = None,
    bundle: Annotated[Path | None, typer.Option(help="Take the programs from this file, made by `mgeo stack pack`.")] = None,
    drills: Annotated[
        Drills | None, typer.Option(help="`on`: mgeo drill may break this stack; `weekly`: one of its own is (MGEO_DRILLS).")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with settings (MGEO_CONFIG_FILE).")] = None,
) -> None:
    """Bring up the service with its telemetry stack, without containers.

    Each program comes from a setting or PATH, a bundle, its official release, or a build from pinned sources. Disk and
    ports are looked at first; then everything is started, waited for until it is really ready, and kept alive.

    \b
    Profiles:
      lite    service, Prometheus, Alertmanager; logs, traces and lookup are the service's own
      full    everything: Collector, Prometheus, Loki, Jaeger, Alertmanager, and a Grafana that is installed
      agent   service and Collector; telemetry goes to a full stack elsewhere

    \b
    Examples:
      mgeo up
      mgeo up --profile full --detach
      mgeo up --profile full --gateway --data-dir /srv/mgeo
      MGEO_UPSTREAM_TOKEN_FILE=token mgeo up --profile agent --upstream https://box.example:6006/otlp

    Without --detach it stays until Ctrl-C or SIGTERM, and then ends everything.
    """  # noqa: D301 -- the backspace character tells the help not to wrap what follows
    from cli.stack.ending import Ending
    from cli.stack.interrupts import Interrupted, interrupts
    from cli.stack.source import locate
    from cli.stack.startup import AlreadyRunning, Options, World, bring_up
    from service.settings import CONFIG_FILE, Settings

    if config is not None:
        os.environ[CONFIG_FILE] = str(config.absolute())
    settings = Settings.load(data_dir=data_dir, upstream=upstream, drills=drills)
    options = Options(profile=profile, gateway=gateway, bundle=bundle, settings=settings)
    running = None
    with interrupts() as signals:
        world = World(environ=dict(os.environ), locate=locate, say=_say, monotonic=time.monotonic, pause=time.sleep, hold=signals.hold)
        try:
            running = bring_up(options, world)
            signals.let_go()
            _show(running.state)
            _tell(running)
            if detach:
                signals.hold()
                return
            _say("running until Ctrl-C or SIGTERM")
            code = _watch(running, world)
        except AlreadyRunning as already:
            _show(already.state)
            raise
        except Interrupted:
            if running is None:
                _say("interrupted; everything that was started has ended")
                raise typer.Exit(130) from None
            _say("ending")
            code = 130 if detach else 0
        _say(Ending(running.site.layout, monotonic=world.monotonic, pause=world.pause).end().text())
    raise typer.Exit(code)


def _watch(running: Running, world: World) -> int:
    """Return when supervisord has ended, with `world.hold` called: 0 when it was meant to."""
    layout = running.site.layout
    while os.waitpid(running.supervisor_pid, os.WNOHANG)[0] == 0:
        world.pause(WATCH)
    # A signal that comes while the rest is ended changes neither that nor the exit code.
    world.hold()
    if not layout.state.exists():
        _say("ended by `mgeo down`")
        return 0
    _say(f"supervisord ended by itself; its log is {layout.log('supervisord')}; ending the rest")
    return 1


def _show(state: State) -> None:
    from cli.stack.report import look, table

    print(table(look(state)), end="", flush=True)


def _tell(running: Running) -> None:
    from cli.stack.guide import guide

    print("\n".join(guide(running.site, running.login)), flush=True)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
