"""The loop of commands that do much at once."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import pytest

from cli.event_loop import run


def test_it_runs_on_uvloop():
    """Where there is one, and there is one in the lock."""

    async def module():
        return type(asyncio.get_running_loop()).__module__

    assert run(module()).startswith("uvloop")


def test_without_uvloop_it_runs_on_what_python_has(monkeypatch):
    """Windows has none."""
    monkeypatch.setitem(sys.modules, "uvloop", None)

    async def module():
        return type(asyncio.get_running_loop()).__module__

    assert run(module()).startswith("asyncio")


def test_ctrl_c_cancels_the_work_and_is_raised():
    """The work can clean up before the program ends."""
    cleaned = []

    async def work():
        try:
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(60)
        finally:
            cleaned.append(True)

    with pytest.raises(KeyboardInterrupt):
        run(work())
    assert cleaned == [True]
