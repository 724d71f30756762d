"""The notifier's pages in a headless browser, behind a gateway that takes a prefix off, with what the simulator of DingTalk made of it."""

from __future__ import annotations

import http.client
import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.deadline import until
from tests.e2e.receiver import Receiver, attributes
from tests.e2e.visit import QUIET, Visit, visiting
from tests.notifier import alert, payload

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="there is no chromium; on Debian: apt-get install chromium fonts-noto-cjk"),
]

ROOT = Path(__file__).parents[2]
PREFIX = "/notifier"
PASSWORD = "打开"
CALLERS = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Gateway:
    """Takes `/notifier` off, keeps Authorization to itself, and says where its caller is: as the gateway of `mgeo up` does."""

    def __init__(self, upstream: int) -> None:
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                if not self.path.startswith(f"{PREFIX}/"):
                    self._answer(404, [], b"")
                    return
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                headers = {name: value for name, value in self.headers.items() if name.lower() not in {"authorization", "connection"}}
                upward = http.client.HTTPConnection("127.0.0.1", upstream, timeout=20)
                upward.request(self.command, self.path.removeprefix(PREFIX), body, headers | {"X-Forwarded-For": "203.0.113.9"})
                response = upward.getresponse()
                kept = {"content-type", "content-security-policy", "location", "referrer-policy", "x-frame-options"}
                self._answer(response.status, [each for each in response.getheaders() if each[0].lower() in kept], response.read())
                upward.close()

            do_POST = do_GET  # noqa: N815 -- the library's name

            def _answer(self, status, headers, body):
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@dataclass(kw_only=True)
class Box:
    """Notifier, simulator, gateway and what receives the traces."""

    url: str
    gateway: Gateway
    simulator: str
    receiver: Receiver

    def post(self, *alerts, receiver="critical", group="g", **headers) -> None:
        given = {"authorization": "Bearer token-of-alertmanager"} | headers
        answer = httpx.post(f"{self.url}/v1/alertmanager/{receiver}", content=payload(*alerts, group=group), headers=given)
        assert answer.status_code == 200

    def shown(self) -> list[str]:
        """The titles in the simulator's groups."""
        return [message["title"] for message in httpx.get(f"{self.simulator}/messages").json()["messages"]]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def mgeo(*arguments: str, cwd: Path, **variables: str) -> subprocess.Popen[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "MGEO_"))}
    command = [sys.executable, "-m", "cli.main", "notifier", *arguments]
    return subprocess.Popen(
        command, cwd=cwd, env=clean | {"PYTHONPATH": str(ROOT)} | variables, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.HTTPError:
        return False


CONFIG = """
allowed_hosts = ["127.0.0.1"]
default_receiver = "warning"
token = "token-of-alertmanager"
username = "ops"
password = "{password}"
public_url = "https://gpu.example.com"
runbooks = "{runbooks}"

[[people]]
name = "王工"
mobile = "13800138000"

[[owners]]
match = {{severity = "critical"}}
people = ["王工"]

[[robots]]
name = "critical"
token = "simulator-critical"
secret = "SECsimulator"
url = "{simulator}/robot/send"

[[robots]]
name = "warning"
token = "simulator-warning"
secret = "SECsimulator"
url = "{simulator}/robot/send"

[[receivers]]
name = "critical"
robots = ["critical"]

[[receivers]]
name = "warning"
robots = ["warning"]
"""


@pytest.fixture(scope="module")
def box(tmp_path_factory) -> Iterator[Box]:
    """A notifier that has delivered a critical alert and has one dead letter."""
    folder = tmp_path_factory.mktemp("notifier")
    ports = free_port(), free_port()
    url, simulator = (f"http://127.0.0.1:{port}" for port in ports)
    (folder / "n.toml").write_text(CONFIG.format(password=PASSWORD, runbooks=ROOT / "docs" / "runbooks", simulator=simulator))
    receiver = Receiver()
    gateway = Gateway(ports[0])
    processes = [
        mgeo("simulate", f"--port={ports[1]}", cwd=folder),
        mgeo(
            "run",
            "--config=n.toml",
            f"--port={ports[0]}",
            f"--data-dir={folder / 'data'}",
            cwd=folder,
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{receiver.port}",
            OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
        ),
    ]
    try:
        until(lambda: answers(f"{simulator}/livez") and answers(f"{url}/readyz"), deadline=60)
        box = Box(url=url, gateway=gateway, simulator=simulator, receiver=receiver)
        box.post(alert("HighErrorRate", severity="critical", mgeo_instance_name="gpu-box/serve/0"), traceparent=CALLERS)
        until(lambda: len(box.shown()) == 1)
        refusal = {"kind": "errcode", "errcode": 430102, "errmsg": "不合适的文本", "robot": "warning", "times": 2}
        assert httpx.post(f"{simulator}/control/faults", json=refusal).status_code < 300
        box.post(alert("TrafficDrop", mgeo_instance_name="gpu-box/serve/0"), receiver="warning")
        until(lambda: len(box.shown()) == 2)
        yield box
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
        outputs = [process.communicate(timeout=30)[1] for process in processes]
        gateway.close()
        receiver.close()
    assert [process.returncode for process in processes] == [0, 0]
    assert "token-of-alertmanager" not in outputs[1]
    assert all(json.loads(line)["instance"] for line in outputs[1].splitlines())


@pytest.fixture(scope="module")
def shots(tmp_path_factory) -> Path:
    """Where pictures go: the folder `SCREENSHOTS` when somebody wants to look, else a folder that is forgotten."""
    return Path(os.environ.get("SCREENSHOTS") or tmp_path_factory.mktemp("shots"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(QUIET))
        yield browser
        browser.close()


@pytest.fixture
def visit(browser, box, shots) -> Iterator[Visit]:
    yield from visiting(browser, box.gateway.url, shots)


def test_from_the_overview_to_a_message_and_back_behind_a_prefix(visit):
    """Every link is relative, so that the gateway's prefix stays."""
    page = visit.open(f"{PREFIX}/")
    expect(page.get_by_role("heading", name="机器人")).to_be_visible()
    visit.shot("notifier-overview")
    page.get_by_role("link", name="HighErrorRate").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("已送达")
    bubble = page.get_by_label("群里看到的样子")
    expect(bubble).to_contain_text("@王工")
    expect(bubble).to_contain_text("gpu-box/serve/0")
    expect(page.locator("main")).to_contain_text("0af7651916cd43dd8448eb211c80319c")
    assert "13800138000" not in page.content()
    visit.shot("notifier-message")
    page.get_by_role("link", name="MGeo 通知器").click()
    expect(page).to_have_url(f"{visit._url}{PREFIX}/")


def test_a_runbook_leads_to_another(visit):
    """Code as code."""
    page = visit.open(f"{PREFIX}/")
    page.get_by_role("link", name="处理手册").click()
    page.get_by_role("link", name="HighErrorRate").click()
    expect(page.locator("pre").first).to_contain_text("mgeo_requests_total")
    visit.shot("notifier-runbook")
    page.get_by_role("link", name="Timeouts").click()
    expect(page).to_have_url(f"{visit._url}{PREFIX}/runbooks/Timeouts")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_a_phone(browser, box, shots, scheme):
    """No sideways scrolling of the page at 360 pixels."""
    for visit in visiting(browser, box.gateway.url, shots, color_scheme=scheme):
        visit.page.set_viewport_size({"width": 360, "height": 780})
        for path in ("", "messages", "messages?state=dead", "messages/1", "runbooks", "runbooks/HighErrorRate", "messages/999"):
            page = visit.open(f"{PREFIX}/{path}")
            visit.shot(f"notifier-phone-{scheme}-{path.replace('/', '-').replace('?', '-') or 'overview'}")
            assert page.evaluate("document.documentElement.scrollWidth") <= 360, path


def test_the_json_asks_for_the_password_also_on_this_machine(box):
    """Only the pages have the login of the gateway before them; how strangers see them is in the unit tests."""
    assert httpx.get(f"{box.url}/v1/messages").status_code == 401
    assert httpx.get(f"{box.url}/v1/messages", auth=httpx.BasicAuth("ops", PASSWORD)).status_code == 200


def test_the_spans_of_a_delivery_reach_the_endpoint_as_one_trace(box):
    """In the trace of the caller."""
    trace = bytes.fromhex("0af7651916cd43dd8448eb211c80319c")

    def found():
        return {span.name: span for span in box.receiver.spans if span.trace_id == trace}

    until(lambda: len(found()) == 3)
    spans = found()
    receive, deliver, attempt = (spans[f"mgeo.notifier.{name}"] for name in ("receive", "deliver", "attempt"))
    assert receive.parent_span_id == bytes.fromhex("b7ad6b7169203331")
    assert (deliver.parent_span_id, attempt.parent_span_id) == (receive.span_id, deliver.span_id)
    assert attributes(attempt)["mgeo.notifier.outcome"] == "delivered"


def test_a_dead_letter_is_sent_again_by_a_click(visit, box):
    """The browser says where the form is from; then the message is in the group."""
    page = visit.open(f"{PREFIX}/messages?state=dead")
    visit.shot("notifier-dead-letters")
    page.locator(".messages .title").click()
    expect(page.locator("main")).to_contain_text("没有送达：内容被拒绝（不合适的文本）")
    visit.shot("notifier-dead-letter")
    here = page.url
    page.get_by_role("button", name="重发").click()
    expect(page).to_have_url(here)
    until(lambda: len(box.shown()) == 3)
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_contain_text("已送达")


def test_a_form_of_another_page_sends_nothing(browser, box, shots):
    """A page of another origin with a form to the notifier; the browser itself says so."""
    target = f"{box.gateway.url}{PREFIX}/messages/1/resend"
    context = browser.new_context()
    page = context.new_page()
    page.route(
        "http://elsewhere.example/",
        lambda route: route.fulfill(content_type="text/html", body=f'<form method=post action="{target}"><button>x</button></form>'),
    )
    page.goto("http://elsewhere.example/")
    with page.expect_response(target) as answer:
        page.get_by_role("button").click()
    assert answer.value.status == 403
    context.close()
