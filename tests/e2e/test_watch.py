"""A box, its watcher without torch, and a simulated DingTalk, each a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time

import httpx
import pytest

from cli.stack.layout import Layout
from cli.stack.process import Process
from cli.stack.state import State, write_state
from dingtalk.heartbeat import Heartbeat, signature
from dingtalk.watch.pulse import SIGNATURE_HEADER
from tests.deadline import until
from tests.notifier import alert, payload
from tests.rules.alertmanager import answers, free_port

pytestmark = pytest.mark.slow
KEY = "a key that both machines have"
SCALE = 0.01
SILENCE = 6.0
"""Seconds, at this scale: longer than a process takes to start on a busy machine."""
MGEO = """
import sys

class NotThere:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "transformers"}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, NotThere())
from cli.main import main
sys.exit(main(sys.argv[1:]))
"""
ROBOTS = """
allowed_hosts = ["127.0.0.1"]
[[robots]]
name = "critical"
token = "simulator-critical"
secret = "SECsimulator"
url = "http://127.0.0.1:{simulator}/robot/send"
[[receivers]]
name = "critical"
robots = ["critical"]
"""


class Site:
    """The three processes; `mgeo` runs a command as on a machine without torch."""

    def __init__(self, folder):
        self.folder = folder
        self.ports = {name: free_port() for name in ("simulator", "box", "watcher", "nobody")}
        self.processes = {}
        (folder / "gpu-1.key").write_text(KEY)
        robots = ROBOTS.format(**self.ports)
        (folder / "watch.toml").write_text(
            f'data_dir = "watch"\nscale = {SCALE}\nsilent_after = {SILENCE / SCALE}\n{robots}[[boxes]]\nname = "gpu-1"\nkey_file = "gpu-1.key"\n'
        )
        (folder / "box.toml").write_text(
            f'data_dir = "box"\nscale = {SCALE}\nalertmanager_url = "http://127.0.0.1:{self.ports["nobody"]}"\nprometheus_url = ""\n{robots}'
            f'[[watchers]]\nurl = "http://127.0.0.1:{self.ports["watcher"]}"\nkey_file = "gpu-1.key"\nbox = "gpu-1"\n'
        )
        self._beating = threading.Event()
        self._over = threading.Event()
        self._heart = threading.Thread(target=self._beat)

    def url(self, name):
        return f"http://127.0.0.1:{self.ports[name]}"

    def argv(self, *arguments):
        return [sys.executable, "-c", MGEO, *arguments]

    def mgeo(self, *arguments):
        return subprocess.run(self.argv(*arguments), cwd=self.folder, capture_output=True, text=True, timeout=60, check=False)

    def start(self, name, *arguments):
        log = (self.folder / f"{name}.log").open("a")
        self.processes[name] = subprocess.Popen(
            self.argv(*arguments, f"--port={self.ports[name]}"), cwd=self.folder, stderr=log, env={**os.environ, "PYTHONPATH": os.getcwd()}
        )
        log.close()

    def start_box(self):
        self.start("box", "notifier", "run", "--config=box.toml")
        until(lambda: answers(f"{self.url('box')}/readyz"))

    def start_watcher(self):
        self.start("watcher", "watch", "--config=watch.toml")
        until(lambda: answers(f"{self.url('watcher')}/readyz"))

    def open(self):
        self._heart.start()
        self.start("simulator", "notifier", "simulate")
        until(lambda: answers(f"{self.url('simulator')}/livez"))

    def close(self):
        self._over.set()
        self._heart.join()
        for process in self.processes.values():
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            process.wait(30)

    def beat(self, on):
        (self._beating.set if on else self._beating.clear)()

    def _beat(self):
        """Alertmanager, that tells of Watchdog again and again."""
        body = payload(alert("Watchdog", severity="none"))
        while not self._over.wait(0.2):
            if self._beating.is_set():
                with contextlib.suppress(httpx.HTTPError):
                    httpx.post(f"{self.url('box')}/v1/alertmanager/watchdog", content=body, trust_env=False)

    def said(self):
        """The titles of what the group sees, without mark and word of urgency."""
        messages = httpx.get(f"{self.url('simulator')}/messages", trust_env=False).json()["messages"]
        return [message["title"].partition("：")[2] for message in messages]

    def box_as_seen(self):
        (box,) = httpx.get(f"{self.url('watcher')}/v1/boxes", trust_env=False).json()["boxes"]
        return box

    def log(self, name):
        return [json.loads(line) for line in (self.folder / f"{name}.log").read_text().splitlines()]


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.getcwd())
    one = Site(tmp_path)
    try:
        one.open()
        yield one
    finally:
        one.close()


def test_a_box_that_is_killed_is_missed_and_greeted_when_it_is_back(site):
    """Within its time, once; the watcher has no torch, and its own death in between makes nothing be said twice."""
    site.beat(True)
    site.start_box()
    site.start_watcher()
    until(lambda: site.box_as_seen()["last_heartbeat"])
    killed = time.monotonic()
    site.processes["box"].kill()
    site.processes["box"].wait(30)
    until(lambda: site.said() == ["机器失联（BoxSilent）"])
    assert SILENCE - 0.5 < time.monotonic() - killed < SILENCE + 10
    site.processes["watcher"].kill()
    site.processes["watcher"].wait(30)
    site.start_watcher()
    assert site.box_as_seen()["silent"] is True
    site.start_box()
    until(lambda: site.said() == ["机器失联（BoxSilent）", "机器恢复（BoxBack）"])
    assert site.box_as_seen()["silent"] is False


def test_under_maintenance_a_box_may_be_silent(site):
    """`mgeo maintenance` tells the watcher; an Alertmanager that is away is named. After its end, silence is silence again."""
    site.start_box()
    site.start_watcher()
    asked = site.mgeo("maintenance", "--for", "15s", "--by", "张三", "--reason", "换显卡", "--url", site.url("box"))
    assert asked.returncode == 1
    assert "by 张三: 换显卡" in asked.stdout
    assert asked.stderr.startswith("- Alertmanager is not silenced, and is tried again: Alertmanager at 127.0.0.1:")
    assert len(asked.stderr.splitlines()) == 1
    shown = site.mgeo("maintenance", "--url", site.url("box"))
    assert (shown.returncode, shown.stdout) == (0, asked.stdout)
    until(lambda: site.said() == ["维护开始（MaintenanceBegun）"])
    ends = site.box_as_seen()["quiet_until"]
    assert time.time() < ends < time.time() + 15
    site.processes["box"].kill()
    site.processes["box"].wait(30)
    until(lambda: len(site.said()) == 2, deadline=60)
    assert site.said() == ["维护开始（MaintenanceBegun）", "机器失联（BoxSilent）"]
    assert time.time() >= ends + SILENCE - 0.5


def test_down_for_a_time_tells_before_it_ends(site):
    """The notifier of the stack, as `mgeo up` noted it; the group knows by the time it returns. What fails is named; force goes on."""
    site.start_box()
    layout = Layout(site.folder / "stack")
    layout.prepare()
    box = Process(
        name="notifier", argv=(), environment={}, version="", origin="", address=site.url("box"), listeners=(), probes=(), advice=""
    )
    write_state(layout, State(profile="lite", socket="", password="", processes=(box,)))
    asked = site.mgeo("down", "--for", "1h", "--reason", "停电", "--data-dir", str(layout.data_dir))
    assert asked.returncode == 1
    assert "停电" in asked.stdout
    assert [line.partition(":")[0] for line in asked.stderr.splitlines()] == [
        "- Alertmanager is not silenced, and is tried again",
        "- watcher 127.0.0.1",
        "nothing was ended; --force ends it all the same, and `mgeo down` without --for",
    ]
    assert site.said() == ["维护开始（MaintenanceBegun）"]
    assert layout.state.exists()
    forced = site.mgeo("down", "--for", "1h", "--reason", "停电", "--force", "--data-dir", str(layout.data_dir))
    assert forced.returncode == 0
    assert forced.stdout.splitlines()[-1] == "nothing was running"
    assert not layout.state.exists()


def test_a_recorded_heartbeat_keeps_nobody_alive(site):
    """It counts once, also over the watcher's death."""
    site.start_watcher()
    body = Heartbeat(box="gpu-1", sent_at=time.time(), nonce="recorded").body()

    def send():
        headers = {SIGNATURE_HEADER: signature(body, KEY)}
        return httpx.post(f"{site.url('watcher')}/v1/heartbeat", content=body, headers=headers, trust_env=False)

    assert send().status_code == 204
    site.processes["watcher"].kill()
    site.processes["watcher"].wait(30)
    site.start_watcher()
    assert (send().status_code, send().json()) == (401, {"error": "it was taken before"})
    until(lambda: site.said() == ["机器失联（BoxSilent）"])
    assert [line["error_message"] for line in site.log("watcher") if line["event"] == "mgeo.notifier.heartbeat.refused"] == [
        "it was taken before"
    ]
    assert KEY not in (site.folder / "watcher.log").read_text()
