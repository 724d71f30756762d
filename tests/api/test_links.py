"""Links into the stack: only where they lead somewhere."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlsplit

import pytest

from service.api.links import StackLinks, is_loopback
from service.settings import Settings

STARTED = 1_795_334_400_000_000_000  # 2026-11-22T08:00:00Z
TRACE = "1d7de73684aaa96330ed117943d9ea04"
STACK = {"jaeger_url": "http://127.0.0.1:16686", "loki_url": "http://127.0.0.1:3100", "prometheus_url": "http://127.0.0.1:9090"}
REQUEST = {"request_id": "r-1:2", "trace_id": TRACE, "in_jaeger": True, "unix_ns": STARTED}


def links(**settings) -> dict[str, str]:
    return StackLinks.of(Settings.load(**settings)).of_request(**REQUEST)


def explored(link: str) -> tuple[str, dict]:
    """The address before the query, and the one pane."""
    parts = urlsplit(link)
    query = parse_qs(parts.query, strict_parsing=True)
    assert (query["schemaVersion"], query["orgId"]) == (["1"], ["1"])
    ((_, pane),) = json.loads(query["panes"][0]).items()
    return f"{parts.scheme}://{parts.netloc}{parts.path}", pane


def test_without_a_stack_there_are_no_links() -> None:
    """The page is all there is."""
    assert links() == {}


def test_grafana_is_preferred_where_it_is_configured() -> None:
    """By the fixed uids of its data sources, for five minutes around the start."""
    found = links(grafana_url="https://box.example/grafana/", public_url="https://box.example", **STACK)
    assert list(found) == ["trace", "logs", "metrics"]
    around = {"from": "1795334100000", "to": "1795334700000"}
    assert explored(found["trace"]) == (
        "https://box.example/grafana/explore",
        {
            "datasource": "jaeger",
            "queries": [{"refId": "A", "datasource": {"type": "jaeger", "uid": "jaeger"}, "query": TRACE}],
            "range": around,
        },
    )
    _, logs = explored(found["logs"])
    assert logs == {
        "datasource": "loki",
        "queries": [
            {
                "refId": "A",
                "datasource": {"type": "loki", "uid": "loki"},
                "expr": '{service_name="mgeo"} | request_id="r-1:2"',
                "queryType": "range",
            }
        ],
        "range": around,
    }
    _, metrics = explored(found["metrics"])
    assert [query["refId"] for query in metrics["queries"]] == ["A", "B"]
    assert metrics["queries"][1]["expr"] == "mgeo_queue_depth"
    assert metrics["datasource"] == "prometheus"


@pytest.mark.parametrize("where", [{}, {"public_url": "https://box.example"}, {"public_url": "https://box.example", "gateway_links": True}])
@pytest.mark.parametrize(
    ("stores", "expected"),
    [
        ((), []),
        (("jaeger_url",), ["trace"]),
        (("loki_url",), ["logs"]),
        (("prometheus_url",), ["metrics"]),
        (("loki_url", "prometheus_url"), ["logs", "metrics"]),
    ],
)
def test_grafana_is_linked_only_for_the_stores_that_are_set_up(where, stores, expected) -> None:
    """In the profile lite it has data sources without anything behind them."""
    found = links(
        grafana_url="https://box.example/grafana",
        **where,
        **{name: STACK[name] for name in stores},
    )
    assert list(found) == expected
    assert all(link.startswith("https://box.example/grafana/explore?") for link in found.values())


def test_behind_the_gateway_the_raw_apis_have_its_paths() -> None:
    """Loki has no door there."""
    found = links(public_url="https://box.example/", gateway_links=True, **STACK)
    assert found["trace"] == f"https://box.example/jaeger/api/v3/traces/{TRACE}"
    assert found["metrics"].startswith("https://box.example/prometheus/api/v1/query_range?query=histogram_quantile%280.95")
    assert found["metrics"].endswith("&start=1795334100.0&end=1795334700.0&step=10")
    assert "logs" not in found


def test_on_this_machine_the_raw_apis_are_where_they_are() -> None:
    """The page is on loopback, and so are its readers."""
    found = links(**STACK)
    assert found["trace"] == f"http://127.0.0.1:16686/api/v3/traces/{TRACE}"
    assert found["logs"] == (
        "http://127.0.0.1:3100/loki/api/v1/query_range?query=%7Bservice_name%3D%22mgeo%22%7D+%7C+request_id%3D%22r-1%3A2%22"
        "&start=1795334100000000000&end=1795334700000000000"
    )
    assert found["metrics"].startswith("http://127.0.0.1:9090/api/v1/query_range?")


@pytest.mark.parametrize(
    "settings",
    [
        {"public_url": "https://box.example", **STACK},
        {"host": "0.0.0.0", **STACK},
        {"public_url": "https://box.example", "gateway_links": True},
        {"jaeger_url": "http://user:geheim@127.0.0.1:16686"},
        {"grafana_url": "https://box.example/grafana"},
        {"grafana_url": "https://box.example/grafana", "public_url": "https://box.example", "gateway_links": True},
    ],
)
def test_what_people_cannot_reach_has_no_link(settings) -> None:
    """Readers elsewhere, no such store behind the gateway or in Grafana, or a password in its address."""
    assert links(**settings) == {}


def test_a_trace_that_is_not_in_jaeger_has_no_link() -> None:
    """It would lead to a 404."""
    found = StackLinks.of(Settings.load(**STACK)).of_request(**{**REQUEST, "in_jaeger": False})
    assert list(found) == ["logs", "metrics"]


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("127.9.9.9", True), ("0.0.0.0", False), ("box.example", False), ("", False)],
)
def test_loopback_is_known_without_looking_up_names(host: str, expected: bool) -> None:
    """A name may mean anything."""
    assert is_loopback(host) is expected
