"""One port: every page behind a login, under its prefix; agents and holders of keys by what they bring."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.stack.running import Stack, eventually
from tests.stack.session import INGEST_TOKEN, PASSWORD

pytestmark = pytest.mark.stack

PAGES = [
    "/",
    "/docs",
    "/v1/requests",
    "/readyz",
    "/prometheus/-/ready",
    "/prometheus/api/v1/query?query=1",
    "/alertmanager/",
    "/alertmanager/api/v2/status",
    "/jaeger/api/v3/services",
    "/notifier/v1/status",
    "/simulator/",
]


@pytest.mark.parametrize("path", PAGES)
def test_every_page_asks_for_the_login_and_answers_to_it(stack: Stack, path: str) -> None:
    """401 without, 200 with; a wrong password is no password."""
    url = stack.url("gateway_port") + path

    assert httpx.get(url, timeout=20).status_code == 401
    assert httpx.get(url, auth=("mgeo", "wrong"), timeout=20).status_code == 401
    assert httpx.get(url, auth=("mgeo", PASSWORD), timeout=20).status_code == 200


@pytest.mark.parametrize("prefix", ["/prometheus", "/alertmanager", "/notifier", "/simulator", "/jaeger", "/grafana"])
def test_a_prefix_without_its_slash_leads_to_the_one_with_it(stack: Stack, prefix: str) -> None:
    """Nothing else is redirected: what only begins like one is the service's."""
    url = stack.url("gateway_port") + prefix
    answer = httpx.get(url, timeout=20)

    assert (answer.status_code, answer.headers["location"]) == (302, f"{prefix}/")
    assert httpx.get(f"{url}s", timeout=20).status_code == 401
    assert httpx.get(f"{url}/", timeout=20).status_code == 401


@pytest.mark.parametrize("path", ["/", "/v1/requests", "/prometheus/-/ready", "/jaeger/api/v3/services"])
def test_a_bearer_token_opens_nothing_where_the_service_asks_for_no_keys(stack: Stack, path: str) -> None:
    """Else any word behind `Bearer` would be a way past the login."""
    answer = httpx.get(stack.url("gateway_port") + path, headers={"Authorization": f"Bearer {INGEST_TOKEN}"}, timeout=20)

    assert answer.status_code == 401


@pytest.mark.parametrize(("authorization", "status"), [(None, 503), ("Bearer wrong", 503), (f"Bearer {INGEST_TOKEN}", 200)])
def test_telemetry_of_agents_comes_in_with_the_right_token_only(stack: Stack, authorization: str | None, status: int) -> None:
    """An empty export. Refused with 503, after which a sender keeps what it has; a 401 would make it throw that away."""
    headers = {"Content-Type": "application/x-protobuf", **({"Authorization": authorization} if authorization else {})}

    assert httpx.post(f"{stack.url('gateway_port')}/otlp/v1/traces", content=b"", headers=headers, timeout=20).status_code == status


def test_a_story_behind_the_gateway_links_only_to_what_exists(stack: Stack) -> None:
    """Every link of the page of a request answers with 200 to who is logged in."""
    base = stack.url("gateway_port")
    login = ("mgeo", PASSWORD)
    made = httpx.post(f"{base}/v1/match", json={"address1": "甲路1号", "address2": "甲路1号"}, auth=login, timeout=30).json()
    with httpx.Client(auth=login, timeout=30) as client:

        def story() -> dict[str, Any] | None:
            answer = client.get(f"{base}/v1/requests/{made['request_id']}", headers={"Accept": "application/json"})
            return answer.json() if answer.status_code == 200 and not answer.json()["missing"] else None

        links = [link for attempt in eventually(story)["attempts"] for link in attempt["links"].values() if isinstance(link, str)]

        assert links
        assert {link: client.get(httpx.URL(base).join(link)).status_code for link in links} == dict.fromkeys(links, 200)
