"""Processes of the stand-in under a real supervisord, in a data folder of their own."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from cli.drill.free_ports import free_ports
from cli.stack.ending import Ending
from cli.stack.layout import Layout
from cli.stack.marked import marked_processes
from cli.stack.startup import World, start
from tests.cli.stack.sites import process

STAND_IN = str(Path(__file__).with_name("stand_in.py"))
ROOT = Path(__file__).parents[3]


class Box:
    """Processes of the stand-in, in a data folder of their own."""

    def __init__(self, data_dir):
        self.layout = Layout(data_dir)
        self.layout.prepare()
        self.told = []

    def world(self, **options):
        return World(environ=dict(os.environ), locate=None, say=self.told.append, monotonic=time.monotonic, pause=time.sleep, **options)

    def process(self, name, behaviour="good", **changes):
        (port,) = free_ports(1)
        return process(
            name,
            argv=(sys.executable, "-S", STAND_IN, f"--web.listen-address=127.0.0.1:{port}"),
            environment={"STAND_IN": behaviour},
            probes=(f"http://127.0.0.1:{port}/ready",),
            **changes,
        )

    def start(self, *processes, ready=lambda: None, **options):
        return start(
            processes,
            profile="lite",
            layout=self.layout,
            python=sys.executable,
            python_path=str(ROOT),
            world=self.world(**options),
            ready=ready,
        )[0]

    def end(self):
        return Ending(self.layout, monotonic=time.monotonic, pause=time.sleep).end()

    def running(self):
        return sorted(found.program for found in marked_processes(self.layout.run))

    def pids(self, name):
        return [found.pid for found in marked_processes(self.layout.run) if found.program == name]

    def kill(self, name, number=signal.SIGKILL):
        for pid in self.pids(name):
            os.kill(pid, number)
