"""People before a message: its links, the rota, and a silence in a real Alertmanager; the pages in a browser."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

from dingtalk.alertmanager import Alertmanager, stack_http_client
from dingtalk.links import group_digest
from tests.deadline import until
from tests.notifier import alert
from tests.people import critical, group, links_of, running
from tests.rules.alertmanager import free_port
from tests.rules.alertmanager import running as alertmanager

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
SCALE = 0.01
"""Five minutes are three seconds."""


@dataclass
class Box:
    """A notifier, and the simulator that it sends to."""

    folder: Path
    alertmanager_url: str = "http://127.0.0.1:1"
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __enter__(self) -> Self:
        """Start both, and wait until they answer."""
        try:
            return self._started()
        except BaseException:
            self._end()
            raise

    def __exit__(self, *_: object) -> None:
        """End both; each ends well."""
        assert self._end() == [0] * len(self.processes)

    def _end(self) -> list[int]:
        for process in self.processes:
            process.terminate()
        return [process.wait(30) for process in self.processes]

    def _started(self) -> Self:
        self.port, self.simulator_port = free_port(), free_port()
        path = self.folder / "notifier.toml"
        path.write_text(
            f"""
allowed_hosts = ["127.0.0.1"]
public_url = "https://alerts.example.com"
alertmanager_url = "{self.alertmanager_url}"
scale = {SCALE}
people = [{{ name = "张三", mobile = "13800000001" }}, {{ name = "李四", user_id = "lisi" }}]
rota = {{ people = ["张三", "李四"] }}
[[robots]]
name = "critical"
token = "simulator-critical"
secret = "SECsimulator"
url = "http://127.0.0.1:{self.simulator_port}/robot/send"
[[receivers]]
name = "critical"
robots = ["critical"]
"""
        )
        self.run("notifier", "simulate", "--port", str(self.simulator_port), "--scale", str(SCALE))
        self.run("notifier", "run", "--config", str(path), "--port", str(self.port), "--data-dir", str(self.folder / "data"))
        until(lambda: self.answers(self.simulator_port, "/messages") and self.answers(self.port, "/readyz"), deadline=60)
        return self

    def run(self, *arguments: str) -> None:
        self.processes.append(subprocess.Popen([sys.executable, "-m", "cli.main", *arguments], cwd=ROOT))

    def answers(self, port: int, path: str) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{port}{path}", trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    def receive(self, body: bytes) -> None:
        answer = httpx.post(f"http://127.0.0.1:{self.port}/v1/alertmanager/critical", content=body, trust_env=False)
        assert answer.status_code == 200

    @property
    def messages(self) -> list[dict]:
        """What the group sees."""
        return httpx.get(f"http://127.0.0.1:{self.simulator_port}/messages", trust_env=False).json()["messages"]

    def message(self, *words: str) -> dict:
        """The message that has all these words, as soon as it is there."""

        def found():
            return [each for each in self.messages if all(word in each["text"] for word in words)]

        until(found)
        return found()[0]

    def visit(self, method: str, path: str, **form: str) -> httpx.Response:
        return httpx.request(method, f"http://127.0.0.1:{self.port}{path}", data=form or None, trust_env=False, timeout=30)


@pytest.fixture
def box(tmp_path) -> Iterator[Box]:
    with Box(tmp_path) as one:
        yield one


def test_a_link_is_followed_by_a_preview_and_then_by_a_person(box):
    """The preview changes nothing; the person takes it, the group hears of it, and nobody is asked any more."""
    box.receive(group(critical("HighErrorRate"), key="taken"))
    path = links_of(box.message("HighErrorRate")["text"])["ack"]
    for _ in range(3):
        assert "还没有人接手" in box.visit("GET", path).text
    assert box.visit("POST", path, by="王五").status_code == 200
    assert "王五 已接手" in box.message("已接手")["text"]
    # Another one that nobody takes shows when the first would have been asked for.
    box.receive(group(critical("ServiceGone"), key="not taken"))
    box.message("ServiceGone", "李四")
    assert [each["title"] for each in box.messages if "HighErrorRate" in each["text"] and "无人接手" in each["text"]] == []
    assert "王五" in box.visit("GET", path).text


def test_nobody_takes_it_so_the_rota_is_called(box):
    """One after the other, each by an @ that reaches them, and over a restart."""
    box.receive(group(critical("HighErrorRate")))
    first = box.message("无人接手", "张三")
    assert first["at"] == {"all": False, "mobiles": ["13800000001"], "user_ids": [], "ignored": []}
    notifier = box.processes.pop()
    notifier.terminate()
    assert notifier.wait(30) == 0
    path = box.folder / "notifier.toml"
    box.run("notifier", "run", "--config", str(path), "--port", str(box.port), "--data-dir", str(box.folder / "data"))
    second = box.message("无人接手", "李四")
    assert second["at"] == {"all": False, "mobiles": [], "user_ids": ["lisi"], "ignored": []}
    assert second["received_seconds"] - first["received_seconds"] >= 300 * SCALE * 0.9
    told = next(each for each in box.messages if "无人接手" not in each["text"])
    assert first["received_seconds"] - told["received_seconds"] >= 300 * SCALE * 0.9
    metrics = httpx.get(f"http://127.0.0.1:{box.port}/metrics", trust_env=False).text
    assert 'mgeo_notifier_escalations_total{step="rota"} 1.0' in metrics


async def marked(url, mark):
    async with stack_http_client() as client:
        return await Alertmanager(url, client).silences_marked(mark)


@pytest.mark.stack
def test_a_silence_is_made_in_alertmanager(tmp_path, program):
    """By its link and by the command, with who and why; one that does not run makes none, and nothing is said."""
    (tmp_path / "alertmanager").mkdir()
    with contextlib.ExitStack() as gone:
        real = gone.enter_context(alertmanager(program("alertmanager"), tmp_path / "alertmanager", scale=0.02))
        with Box(tmp_path, alertmanager_url=real.url) as box:
            box.receive(group(critical("HighErrorRate")))
            path = links_of(box.message("HighErrorRate")["text"])["silence"]
            assert box.visit("POST", path, by="王五", reason="换盘", seconds="3600").status_code == 200
            box.message("王五 静默 1 小时", "alertname=HighErrorRate", "换盘")
            digest = group_digest("critical", "g")
            command = ["silence", digest, "--for", "30m", "--by", "赵六", "--reason", "演练", "--url", f"http://127.0.0.1:{box.port}"]
            subprocess.run([sys.executable, "-m", "cli.main", *command], cwd=ROOT, check=True, timeout=60)
            box.message("赵六 静默 30 分钟")
            silences = httpx.get(f"{real.url}/api/v2/silences", trust_env=False).json()
            matcher = {"name": "alertname", "value": "HighErrorRate", "isRegex": False, "isEqual": True}
            mark = f" (link {hashlib.sha256(path.rpartition('/')[2].encode()).hexdigest()[:16]})"
            assert sorted((each["createdBy"], each["comment"], each["matchers"]) for each in silences) == [
                ("王五", f"换盘{mark}", [matcher]),
                ("赵六", "演练", [matcher]),
            ]
            (found,) = asyncio.run(marked(real.url, mark))
            assert (found.by, found.matchers, found.over) == ("王五", {"alertname": "HighErrorRate"}, False)
            assert 3590 < found.ends_at - found.starts_at <= 3600
            gone.close()
            box.receive(group(critical("ServiceGone"), key="other"))
            path = links_of(box.message("ServiceGone")["text"])["silence"]
            answer = box.visit("POST", path, by="王五", reason="换盘", seconds="3600")
            assert answer.status_code == 502
            assert "没有应答" in answer.text
            assert [each["title"] for each in box.messages].count("🔵 提示：已静默（AlertSilenced）") == 2


@pytest.fixture
def behind_a_prefix(tmp_path) -> Iterator[tuple[str, dict[str, str]]]:
    """The pages as a gateway shows them, and the links of a message."""
    ready, held = threading.Event(), {}

    async def serve():
        async with running(tmp_path) as one:
            alerts = [
                critical("HighErrorRate", instance="gpu-box/serve/0", job="mgeo"),
                critical("ServiceGone", instance="一个很长的实例名" * 6 + "x" * 80),
                alert("HighLatency"),
            ]
            held["links"] = await one.told(group(*alerts, groupLabels={"alertname": "HighErrorRate", "job": "mgeo"}))
            listener = socket.create_server(("127.0.0.1", 0))
            gateway = Starlette(routes=[Mount("/notifier", app=one.app)])
            held["server"] = uvicorn.Server(uvicorn.Config(gateway, log_config=None, lifespan="off"))
            held["url"] = f"http://127.0.0.1:{listener.getsockname()[1]}"
            ready.set()
            await held["server"].serve(sockets=[listener])

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert ready.wait(20)
    yield held["url"], held["links"]
    held["server"].should_exit = True
    thread.join(20)


@pytest.mark.skipif(shutil.which("chromium") is None, reason="there is no chromium; on Debian: apt-get install chromium fonts-noto-cjk")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_work_on_a_small_phone_without_scripts(behind_a_prefix, scheme, tmp_path_factory):
    """Behind the gateway's prefix: taken over, silenced, and everything received, 360 pixels wide."""
    from playwright.sync_api import expect, sync_playwright

    url, links = behind_a_prefix
    shots = Path(os.environ.get("SCREENSHOTS") or tmp_path_factory.mktemp("shots"))
    complaints = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--headless", "--no-sandbox", "--disable-gpu"])
        context = browser.new_context(viewport={"width": 360, "height": 740}, color_scheme=scheme, java_script_enabled=False)
        context.set_default_timeout(15_000)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("request", lambda request: None if request.url.startswith((url, "data:")) else complaints.append(request.url))

        def look(name):
            assert page.evaluate("document.documentElement.scrollWidth") <= 360
            page.screenshot(path=shots / f"people-{name}-{scheme}.png", full_page=True)

        page.goto(f"{url}/notifier{links['ack']}")
        expect(page.get_by_role("heading", level=1)).to_have_text("接手告警")
        look("ack")
        page.get_by_role("link", name="收到的全部通知").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("收到的通知")
        assert re.fullmatch(rf"{re.escape(url)}/notifier/show/[\w.-]+", page.url)
        look("show")
        page.go_back()
        page.get_by_label("姓名").fill("张三")
        page.get_by_role("button", name="我来处理").click()
        expect(page.get_by_role("status")).to_contain_text("已接手，群里已通知。张三")
        look("taken")
        page.goto(f"{url}/notifier{links['silence']}")
        look("silence")
        page.get_by_label("8 小时").check()
        page.get_by_label("姓名").fill("张三")
        page.get_by_label("原因").fill("换盘")
        page.get_by_role("button", name="静默").click()
        expect(page.get_by_role("status")).to_contain_text("群里已通知")
        look("silenced")
        page.goto(f"{url}/notifier{links['silence']}")
        expect(page.get_by_role("alert")).to_contain_text("已经用过")
        look("refused")
        assert context.cookies() == []
        browser.close()
    assert [words for words in complaints if "410" not in words] == []
