"""Brings a stack up: looks before it starts anything, starts, waits, and leaves nothing behind when it fails.

Knows no signals and prints nothing itself, so that tests can run it.
"""

from __future__ import annotations

import os
import secrets
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from cli.stack.disk import check_disk
from cli.stack.ending import Ending
from cli.stack.layout import Layout, configuration_root
from cli.stack.log_tail import log_size, log_tail
from cli.stack.marked import SUPERVISOR, marked_processes
from cli.stack.passwords import bcrypt_hash, gateway_password, kept_password, token_file
from cli.stack.plan import plan, program_names
from cli.stack.ports import check_ports
from cli.stack.profile import Profile
from cli.stack.queue_space import missing_space, set_aside
from cli.stack.readiness import Said, wait_until_ready
from cli.stack.refusal import exposures, refuse_bad_combinations
from cli.stack.site import Secrets, Site
from cli.stack.state import State, read_state, write_private, write_state
from cli.stack.supervisor import Control, SupervisorGone, configuration_text, start_supervisor
from cli.stack.targets import prepare_alertmanager, prepare_prometheus, write_running_instance
from service.data_dir import prepare_data_dir, unusable
from service.errors import StartupError
from service.file_lock import FileLock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cli.stack.process import Process
    from cli.stack.site import Found
    from service.settings import Settings

PACKAGE_ROOT = Path(__file__).resolve().parents[2]


class AlreadyRunning(StartupError):
    """The stack of this data folder is up."""

    exit_code = 1

    def __init__(self, state: State) -> None:
        super().__init__(f"the stack is up already, profile {state.profile}; `mgeo status` shows it, `mgeo down` ends it")
        self.state = state


class Locate(Protocol):
    """Finds a program of the stack; None only for a Grafana that is not installed."""

    def __call__(self, program: str, settings: Settings, *, bundle: Path | None, say: Callable[[str], None]) -> Found | None:
        """Find one.

        Raises:
            StartupError: it cannot be had.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line asked for; everything else is a setting."""

    profile: Profile
    gateway: bool
    bundle: Path | None
    settings: Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What a start needs from outside.

    Attributes:
        hold: called before what must be done whole: to end what was started, and to hand over what runs.
    """

    environ: Mapping[str, str] = field(repr=False)
    locate: Locate
    say: Callable[[str], None]
    monotonic: Callable[[], float]
    pause: Callable[[float], object]
    hold: Callable[[], object] = lambda: None


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A stack that is up.

    Attributes:
        supervisor_pid: of supervisord, a child of this process.
        login: the gateway's user and where its password stands; None without a gateway.
    """

    site: Site
    state: State
    supervisor_pid: int
    login: tuple[str, str] | None


def bring_up(options: Options, world: World) -> Running:
    """Bring a stack up and wait until every process is ready; `world.hold` was called when it returns.

    Raises:
        AlreadyRunning: it is up.
        StartupError: something is wrong, or did not come up; then nothing runs.
    """
    settings = options.settings
    refuse_bad_combinations(options.profile, settings, gateway=options.gateway)
    root = configuration_root()
    layout = Layout(prepare_data_dir(settings.data_dir))
    layout.prepare()
    try:
        lock = FileLock.take(layout.lock)
    except OSError as error:
        raise unusable(layout.lock, error) from error
    if lock is None:
        raise StartupError(f"another `mgeo up` is at work in {layout.run}; wait for it, or end it")
    try:
        _none_running(layout, world)
        site = _site(options, layout, root, world)
        queues = layout.store("collector")
        aside = missing_space(queues, options.profile, settings.collector_queue_bytes)
        outgrown = check_disk(options.profile, settings, layout.data_dir, aside=aside)
        check_ports(plan(site))
        unreserved = set_aside(queues, options.profile, settings.collector_queue_bytes)
        for warning in (*exposures(settings, gateway=options.gateway), outgrown, unreserved):
            if warning is not None:
                world.say(f"warning: {warning}")
        site, login = _with_login(site)
        return _start(site, login, world)
    finally:
        lock.release()


def _none_running(layout: Layout, world: World) -> None:
    state = read_state(layout)
    if state is not None:
        try:
            Control(socket=state.socket, password=state.password).processes()
        except SupervisorGone:
            pass
        else:
            raise AlreadyRunning(state)
    if marked_processes(layout.run):
        ended = Ending(layout, monotonic=world.monotonic, pause=world.pause).end()
        world.say(f"an earlier stack of this folder had lost its supervisor; {ended.text()}")


def _site(options: Options, layout: Layout, root: Path, world: World) -> Site:
    settings, profile = options.settings, options.profile
    programs: dict[str, Found] = {}
    wanted = [*program_names(profile, gateway=options.gateway), *(["grafana"] if profile is Profile.FULL else [])]
    for name in wanted:
        found = world.locate(name, settings, bundle=options.bundle, say=world.say)
        if found is not None:
            programs[name] = found
            world.say(f"{name} {found.version}: {found.path} ({found.origin})")
    if "grafana" in programs:
        kept_password(layout.grafana_password)
    given = world.environ.get("PYTHONPATH")
    return Site(
        profile=profile,
        gateway=options.gateway,
        settings=settings,
        layout=layout,
        root=root,
        python=sys.executable,
        python_path=os.pathsep.join([str(PACKAGE_ROOT), *([given] if given else [])]),
        programs=programs,
        secrets=Secrets(
            ingest_token_file=token_file(settings.ingest_token, settings.ingest_token_file, layout.ingest_token),
            upstream_token_file=token_file(settings.upstream_token, settings.upstream_token_file, layout.upstream_token),
            grafana_password_file=layout.grafana_password,
        ),
    )


def _with_login(site: Site) -> tuple[Site, tuple[str, str] | None]:
    if not site.gateway:
        return site, None
    password, place = gateway_password(site.settings, site.layout)
    hashed = bcrypt_hash(site.programs["caddy"].path, password)
    return replace(site, secrets=replace(site.secrets, gateway_hash=hashed)), (site.settings.gateway_user, place)


def _start(site: Site, login: tuple[str, str] | None, world: World) -> Running:
    scraped = site.profile is not Profile.AGENT
    if scraped:
        prepare_prometheus(site)
        prepare_alertmanager(site)

    def ready() -> None:
        if scraped and write_running_instance(site):
            world.say("warning: another process of mgeo serves from this data folder too; Prometheus shows the one of the stack")

    state, pid = start(
        plan(site),
        profile=site.profile.value,
        layout=site.layout,
        python=site.python,
        python_path=site.python_path,
        world=world,
        ready=ready,
    )
    return Running(site=site, state=state, supervisor_pid=pid, login=login)


def start(
    processes: tuple[Process, ...],
    *,
    profile: str,
    layout: Layout,
    python: str,
    python_path: str,
    world: World,
    ready: Callable[[], None] = lambda: None,
) -> tuple[State, int]:
    """Start planned processes under a supervisord and wait until all are ready; what runs, and supervisord's process id.

    Args:
        processes: in the order in which they are started.
        profile: what they make up, for `mgeo status`.
        layout: the folders, which are there.
        python: the interpreter of supervisord.
        python_path: PYTHONPATH with which it finds this package.
        world: what is needed from outside.
        ready: called once all are ready.

    Raises:
        NotReady: one did not come up; then nothing runs.
    """
    state = State(profile=profile, socket=str(layout.control_socket()), password=secrets.token_urlsafe(18), processes=processes)
    text = configuration_text(layout, processes, python=python, password=state.password, root=os.getuid() == 0)
    before = {name: log_size(layout.log(name)) for name in (*state.names, SUPERVISOR)}

    def said(name: str) -> Said:
        printed = log_tail(layout.supervisor_output) if name == SUPERVISOR else []
        return Said(log=layout.log(name), lines=[*printed, *log_tail(layout.log(name), skip=before[name])])

    write_private(layout.conf, text)
    write_state(layout, state)
    world.say(f"starting {', '.join(state.names)}")
    try:
        pid = start_supervisor(layout, python=python, python_path=python_path, environment=world.environ)
        wait_until_ready(
            processes,
            Control(socket=state.socket, password=state.password),
            said=said,
            alive=lambda: os.waitpid(pid, os.WNOHANG)[0] == 0,
            monotonic=world.monotonic,
            pause=world.pause,
            say=world.say,
        )
        ready()
        # From here on it is the caller who ends what runs, so nothing may come between.
        world.hold()
    except BaseException:
        try:
            world.hold()
        finally:
            Ending(layout, monotonic=world.monotonic, pause=world.pause).end()
        raise
    return state, pid
