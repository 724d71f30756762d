"""The agent profile: a box without stores sends everything, by TLS and with a token, into a full stack elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import trustme

from service.telemetry.ids import trace_id_of
from tests.stack.running import Stack, eventually
from tests.stack.session import INGEST_TOKEN

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def door(stack: Stack, tmp_path_factory: pytest.TempPathFactory, program: Callable[[str], Path]) -> Iterator[tuple[str, Path]]:
    """The full stack's gateway once more, with TLS; its address, and the authority that vouches for it."""
    import os
    import subprocess

    from cli.drill.free_ports import free_ports
    from tests.deadline import until
    from tests.stack.collector import ROOT

    folder = tmp_path_factory.mktemp("door")
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    certificate.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    (port,) = free_ports(1)
    environment = {
        **os.environ,
        "MGEO_GATEWAY_DIR": str(folder / "caddy"),
        "MGEO_GATEWAY_PORT": str(port),
        "MGEO_GATEWAY_SCHEME": "https",
        "MGEO_GATEWAY_TLS": "with-tls.caddy",
        "MGEO_GATEWAY_CERTIFICATE_FILE": str(folder / "cert.pem"),
        "MGEO_GATEWAY_KEY_FILE": str(folder / "key.pem"),
        "MGEO_GATEWAY_PASSWORD_HASH": "$2a$14$Zkx19XLiW6VYouLHR5NmfOFU0z2GTNmpkT/5qqR7hx4IjWJPDhjvG",
        "MGEO_COLLECTOR_INGEST_ADDRESS": f"127.0.0.1:{stack.ports['collector_ingest_port']}",
    }
    command = [str(program("caddy")), "run", "--config", str(ROOT / "gateway" / "Caddyfile"), "--adapter", "caddyfile"]
    process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def answers() -> bool:
        try:
            return httpx.get(f"https://127.0.0.1:{port}/", verify=False, timeout=5).status_code == 401
        except httpx.TransportError:
            return False

    until(answers)
    yield f"https://127.0.0.1:{port}/otlp", folder / "ca.pem"
    process.terminate()
    process.wait(10)


@pytest.fixture(scope="module")
def agent(door: tuple[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("agent")
    (folder / "token").write_text(INGEST_TOKEN)
    stack = Stack(
        data_dir=folder / "data",
        profile="agent",
        options=("--upstream", door[0]),
        variables={
            "MGEO_UPSTREAM_TOKEN_FILE": str(folder / "token"),
            "MGEO_UPSTREAM_CA_FILE": str(door[1]),
            "MGEO_INSTANCE_NAME": "box-2",
        },
    )
    try:
        stack.up()
        yield stack
    finally:
        stack.down()


def test_an_agent_runs_service_and_collector_alone(agent: Stack) -> None:
    """Nothing else needs a disk or a port there."""
    assert set(agent.status()) == {"service", "collector"}


def test_what_an_agent_serves_is_found_in_the_full_stack(agent: Stack, stack: Stack) -> None:
    """All three signals, under the agent's own instance."""
    answer = httpx.post(
        f"{agent.service_url}/v1/match",
        json={"address1": "甲路1号", "address2": "甲路1号"},
        headers={"X-Request-ID": "from-box-2"},
        timeout=30,
    )
    assert answer.status_code == 200

    (line,) = eventually(lambda: stack.lines('{service_name="mgeo"} | request_id="from-box-2"'))
    assert eventually(lambda: stack.trace(trace_id_of("from-box-2")))
    assert eventually(lambda: stack.query('mgeo_requests_total{status="success",mgeo_instance_name="box-2"} > 0'))
    assert line["mgeo_instance_name"] == "box-2"


def test_the_full_stack_tells_the_story_of_an_agents_request(agent: Stack, stack: Stack) -> None:
    """Its own embedded store knows nothing of it, so Jaeger and Loki do."""
    httpx.post(
        f"{agent.service_url}/v1/match",
        json={"address1": "甲路1号", "address2": "甲路1号"},
        headers={"X-Request-ID": "story-from-box-2"},
        timeout=30,
    )

    def story() -> dict | None:
        answer = httpx.get(f"{stack.service_url}/v1/requests/story-from-box-2", headers={"Accept": "application/json"}, timeout=30)
        return answer.json() if answer.status_code == 200 and answer.json()["attempts"][0]["logs"] else None

    (attempt,) = eventually(story)["attempts"]
    assert attempt["outcome"]["status"] == "success"


def test_a_search_on_the_full_stack_finds_an_agents_requests_when_it_looks_everywhere(agent: Stack, stack: Stack) -> None:
    """Only then: by default it lists what this box served."""
    httpx.post(
        f"{agent.service_url}/v1/match",
        json={"address1": "甲路1号", "address2": "甲路1号"},
        headers={"X-Request-ID": "searched-on-box-2"},
        timeout=30,
    )

    def listed(**parameters: str) -> bool:
        answer = httpx.get(f"{stack.service_url}/v1/requests", params=parameters, headers={"Accept": "application/json"}, timeout=30)
        return "searched-on-box-2" in [request["request_id"] for request in answer.json()["requests"]]

    assert eventually(lambda: listed(everywhere="true"))
    assert not listed()


def test_an_agent_whose_token_is_wrong_keeps_what_it_has(door: tuple[str, Path], stack: Stack, tmp_path: Path) -> None:
    """Refused at the door, its Collector tries again for ever; with the right token everything arrives."""
    token = tmp_path / "token"
    token.write_text("wrong")
    agent = Stack(
        data_dir=tmp_path / "data",
        profile="agent",
        options=("--upstream", door[0]),
        variables={"MGEO_UPSTREAM_TOKEN_FILE": str(token), "MGEO_UPSTREAM_CA_FILE": str(door[1]), "MGEO_INSTANCE_NAME": "box-3"},
    )
    try:
        agent.up()
        httpx.post(
            f"{agent.service_url}/v1/match",
            json={"address1": "甲路1号", "address2": "甲路1号"},
            headers={"X-Request-ID": "from-box-3"},
            timeout=30,
        )
        assert json.loads(agent.mgeo("status", "--json").stdout)
        token.write_text(INGEST_TOKEN)

        assert eventually(lambda: stack.lines('{service_name="mgeo"} | request_id="from-box-3"'), deadline=90)
    finally:
        agent.down()
