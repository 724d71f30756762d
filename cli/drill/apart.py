"""A stack of the drill's own, beside whatever runs: brought up as a user would, drilled, ended, and removed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from cli.drill.free_ports import free_ports
from cli.stack.ending import Ending
from cli.stack.interrupts import Interrupted, interrupts
from cli.stack.log_tail import log_tail
from cli.stack.marked import MARK
from cli.stack.startup import PACKAGE_ROOT
from service.data_dir import prepare_data_dir, unusable
from service.errors import ServiceError
from service.file_lock import FileLock
from service.settings import PREFIX, Settings
from service.stack_settings import ProgramSettings, StackPortSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from cli.stack.layout import Layout

UP = (sys.executable, "-P", "-m", "cli.main", "up", "--profile=full", "--drills=on", "--detach")
UP_LOG = "up.log"
UP_WITHIN = 3600.0
"""Seconds; the programs may have to be built first."""
ENDS_WITHIN = 30.0
"""Seconds in which a `mgeo up` that is no longer wanted ends what it has started; whatever it leaves is ended after it."""
INTERRUPTED = 130
PORTS = ("port", *(name for name in StackPortSettings.model_fields if name.endswith("_port")))
OWN = {
    "MGEO_MODEL": "fake",
    "MGEO_GPU": "off",
    # Outages last minutes here, and what is set aside for them is taken from the disk of the stack that is in use.
    "MGEO_COLLECTOR_QUEUE_BYTES": "67108864",
    # Lines and spans must be there within minutes that are seconds long.
    "OTEL_BSP_SCHEDULE_DELAY": "500",
    "OTEL_BLRP_SCHEDULE_DELAY": "500",
}


class ApartFailed(ServiceError):
    """The stack of the drill's own did not come up; the message has its last words."""


@contextmanager
def stack_apart(layout: Layout, *, scale: float, say: Callable[[str], object], up: Sequence[str] = UP) -> Iterator[Layout]:
    """Bring a stack up below a data folder; inside the context it is ready and may be drilled, after it nothing of it is left.

    SIGINT, SIGTERM and SIGHUP end it too, and then the program.

    Args:
        layout: of the data folder, whose own stack is not touched.
        scale: how long a minute of the rules is, in minutes.
        say: tells whoever watches how far it is.
        up: the program that brings a stack up, and its arguments.

    Raises:
        ApartFailed: it did not come up, or another one is at work here.
        StartupError: the data folder cannot be used.
    """
    prepare_data_dir(layout.data_dir)
    lock, own = _lock(layout), layout.drilled
    try:
        with interrupts() as signals:
            try:
                # One that was killed has left its stack behind.
                _remove(own)
                say(f"bringing up a stack of the drill's own in {own.data_dir}")
                _bring_up(up, own, environment(own, os.environ, Settings.load(), scale=scale))
                yield own
            finally:
                try:
                    signals.hold()
                finally:
                    _remove(own)
    except Interrupted:
        say("interrupted; the stack of the drill's own has ended")
        raise SystemExit(INTERRUPTED) from None
    finally:
        lock.release()


def environment(own: Layout, inherited: Mapping[str, str], settings: Settings, *, scale: float) -> dict[str, str]:
    """What its `mgeo up` runs with: nothing of what the caller has set, but where programs come from.

    Args:
        own: its folders.
        inherited: variables of the caller.
        settings: of the caller, for the places of programs.
        scale: how long a minute of the rules is, in minutes.

    Raises:
        NoPorts: nearly all ports are taken.
    """
    others = {name: value for name, value in inherited.items() if not name.startswith((PREFIX.upper(), "OTEL_"))}
    programs = {name: value for name in ProgramSettings.model_fields if (value := getattr(settings, name)) is not None}
    chosen = {**programs, **dict(zip(PORTS, free_ports(len(PORTS)), strict=True)), "data_dir": own.data_dir, "drill_scale": f"{scale:g}"}
    paths = (str(PACKAGE_ROOT), *filter(None, [inherited.get("PYTHONPATH")]))
    return {
        **others,
        **OWN,
        **{f"{PREFIX}{name}".upper(): str(value) for name, value in chosen.items()},
        "PYTHONPATH": os.pathsep.join(paths),
        # So that it is found and ended with its stack, also by who comes after a drill that was killed.
        MARK: str(own.run),
    }


def _lock(layout: Layout) -> FileLock:
    try:
        lock = FileLock.take(layout.drilled_lock)
    except OSError as error:
        raise unusable(layout.drilled_lock, error) from error
    if lock is None:
        raise ApartFailed(f"another `mgeo drill --apart` is at work in {layout.data_dir}; wait for it, or name another --data-dir")
    return lock


def _bring_up(up: Sequence[str], own: Layout, variables: Mapping[str, str]) -> None:
    log = own.data_dir / UP_LOG
    try:
        own.data_dir.mkdir(mode=0o700)
        with log.open("xb") as output:
            process = subprocess.Popen(  # noqa: S603 -- this very program
                up,
                env=dict(variables),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=output,
                # Ctrl-C is for the drill, which then ends its stack.
                start_new_session=True,
            )
    except OSError as error:
        raise unusable(log, error) from error
    try:
        code = process.wait(UP_WITHIN)
    except subprocess.TimeoutExpired:
        raise ApartFailed(_last_words(f"was not up within {UP_WITHIN:.0f} s", log)) from None
    finally:
        _end(process)
    if code != 0:
        raise ApartFailed(_last_words(f"did not come up (`mgeo up` ended with {code})", log))


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(ENDS_WITHIN)
    if process.poll() is None:
        process.kill()
        process.wait()


def _last_words(what: str, log: Path) -> str:
    return "\n".join([f"the stack of the drill's own {what}; it said last:", *(f"  {line}" for line in log_tail(log))])


def _remove(own: Layout) -> None:
    """End whatever runs of it, and remove what it kept."""
    Ending(own, monotonic=time.monotonic, pause=time.sleep).end()
    try:
        shutil.rmtree(own.data_dir)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise unusable(own.data_dir, error) from error
