"""What a drill sees of a stack and does to it: over HTTP as the simulator and Prometheus speak it, and through supervisord."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

from benchmarks.native_stack import free_ports
from cli.drill.stage import START_DEADLINE, STOP_DEADLINE, Clock, DrillBroken, DrillImpossible, Stage
from cli.stack.ending import Ending
from cli.stack.layout import Layout
from cli.stack.marked import SUPERVISOR, marked_processes
from cli.stack.startup import World as StackWorld
from cli.stack.startup import start
from cli.stack.state import State, write_state
from cli.stack.supervisor import Control
from dingtalk.simulator.app import create_app
from dingtalk.simulator.settings import Settings
from service.drill_faults import FILE, FaultFile, Faults
from tests.cli.drill.world import World
from tests.cli.stack.sites import process
from tests.deadline import until

ROOT = Path(__file__).parents[3]
STAND_IN = str(ROOT / "tests/cli/stack/stand_in.py")
REAL = Clock(unix=time.time, monotonic=time.monotonic, pause=time.sleep)
DRILLED = ("simulator", "watcher", "notifier", "prometheus", "alertmanager", "service")


class Prometheus:
    """Its answers, as its own documentation has them; what was asked is kept."""

    def __init__(self):
        self.alerts = []
        self.series = []
        self.asked = []
        self.status = 200

    def app(self):
        async def query(request):
            self.asked.append(request.query_params["query"])
            answer = {"status": "success", "data": {"resultType": "matrix", "result": self.series}}
            return JSONResponse(answer, status_code=self.status)

        async def firing(_request):
            return JSONResponse({"status": "success", "data": {"alerts": self.alerts}}, status_code=self.status)

        return Starlette(routes=[Route("/api/v1/query", query), Route("/api/v1/alerts", firing)])


class Box:
    """A stage before a real simulator, and servers that a test fills."""

    def __init__(self, folder, serve_app, http):
        self.prometheus = Prometheus()
        self.metrics = ""

        async def metrics(_request):
            return PlainTextResponse(self.metrics)

        self.http = http
        self.urls = {
            "simulator": serve_app(create_app(Settings.of({"scale": 0.05}))),
            "prometheus": serve_app(self.prometheus.app()),
            "service": serve_app(Starlette(routes=[Route("/metrics", metrics)])),
            "loki": "http://127.0.0.1:9",
        }
        self.layout = Layout(folder)
        self.stage = Stage(
            self.layout, [process(name, address=url) for name, url in self.urls.items()], control=None, http=http, clock=REAL
        )

    def send(self, text, robot="critical"):
        self.http.post(f"{self.urls['simulator']}/control/reset", json={})
        body = {"msgtype": "text", "text": {"content": text}}
        settings = {each.name: each for each in Settings.load(None).robots}[robot]
        from dingtalk.signature import signed_url

        url = signed_url(f"{self.urls['simulator']}/robot/send", settings, time.time())
        assert self.http.post(url, json=body).json()["errcode"] == 0


@pytest.fixture
def box(tmp_path, serve_app):
    with httpx.Client(trust_env=False) as http:
        yield Box(tmp_path, serve_app, http)
