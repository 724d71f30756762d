"""Every query of the dashboards, and every correlation of the data sources, against the real Prometheus, Loki and Jaeger."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

from tests.dashboards import Query, dashboard, data_sources, queries
from tests.deadline import until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

WINDOW = 3600
# The data of ten seconds must have been collected several times before a rate has points.
ARRIVAL = 90.0

QUERIES = list(queries(dashboard()))
PROMQL = [query for query in QUERIES if query.source == "prometheus"]
LOGQL = [query for query in QUERIES if query.source == "loki"]

# What a healthy stack without a GPU, without alerts and without losses has nothing to say of.
SILENT_WHEN_WELL = {"Alerts", "GPU utilisation", "GPU memory", "Collector: refused and failed", "Service: lost"}

ADDRESSES = {"address1": "浙江省杭州市西湖区文三路478号", "address2": "杭州市西湖区文三路478号"}


class Sources:
    """The data sources as Grafana asks them."""

    def __init__(self, stack: Any, client: httpx.Client) -> None:
        self._stack, self._client = stack, client

    def metrics(self, query: Query, **variables: str) -> list[dict[str, Any]]:
        expression = query.filled(**variables)
        return self._now(expression) if query.instant else self._range(expression)

    def logs(self, expression: str) -> list[dict[str, str]]:
        """The labels and structured metadata of each line, with the line itself as `line`."""
        now = time.time_ns()
        parameters = {"query": expression, "start": str(now - WINDOW * 10**9), "end": str(now), "limit": "100"}
        data = self._get(f"{self._stack.loki_url}/loki/api/v1/query_range", parameters)["data"]
        return [stream["stream"] | {"line": line} for stream in data["result"] for _, line in stream["values"]]

    def exemplars(self, expression: str) -> list[dict[str, str]]:
        """The labels of each exemplar of the series that the expression reads."""
        data = self._get(f"{self._stack.prometheus_url}/api/v1/query_exemplars", {"query": expression, **self._moments()})["data"]
        return [exemplar["labels"] for series in data for exemplar in series["exemplars"]]

    def running_instance(self) -> str:
        """The service of the stack, among all instances that are offered: other tests leave series of theirs."""
        (up,) = self.services_up()
        instance: str = up["metric"]["mgeo_instance_name"]
        assert instance in self.values("mgeo_requests_total", "mgeo_instance_name")
        return instance

    def services_up(self) -> list[dict[str, Any]]:
        """The scraped services that answer; one as soon as the stack's own was scraped."""
        return self._now('up{job="mgeo"} == 1')

    def values(self, metric: str, label: str) -> list[str]:
        """What `label_values(metric, label)` offers."""
        return self._get(f"{self._stack.prometheus_url}/api/v1/label/{label}/values", {"match[]": metric})["data"]

    def trace(self, trace_id: str) -> httpx.Response:
        return self._client.get(f"{self._stack.jaeger_url}/api/traces/{trace_id}")

    def _now(self, expression: str) -> list[dict[str, Any]]:
        return self._get(f"{self._stack.prometheus_url}/api/v1/query", {"query": expression})["data"]["result"]

    def _range(self, expression: str) -> list[dict[str, Any]]:
        parameters = {"query": expression, **self._moments(), "step": "10"}
        return self._get(f"{self._stack.prometheus_url}/api/v1/query_range", parameters)["data"]["result"]

    def _get(self, url: str, parameters: dict[str, str]) -> dict[str, Any]:
        answer = self._client.get(url, params=parameters)
        assert answer.status_code == 200, (parameters, answer.text)
        body = answer.json()
        assert body["status"] == "success"
        assert body.get("warnings", []) == []
        return body

    @staticmethod
    def _moments() -> dict[str, str]:
        now = time.time()
        return {"start": f"{now - WINDOW:.3f}", "end": f"{now:.3f}"}


@pytest.fixture(scope="module")
def sources(stack: Any) -> Any:
    """The data sources of a stack through which successes and failures are going."""
    with httpx.Client(timeout=30) as client:
        found = Sources(stack, client)

        def all_here() -> bool:
            # A rate needs traffic between two collections, so it goes on until every panel has some.
            answered = client.post(f"{stack.service_url}/v1/match", json=ADDRESSES)
            late = client.post(f"{stack.service_url}/v1/match", json=ADDRESSES, headers={"X-Request-Timeout": "0.0001"})
            assert (answered.status_code, late.status_code) == (200, 504)
            if not found.services_up():
                return False
            instance = f"({found.running_instance()})"
            return all(found.metrics(query, instance=instance) for query in PROMQL if query.panel not in SILENT_WHEN_WELL)

        until(all_here, deadline=ARRIVAL)
        yield found


@pytest.mark.parametrize("query", PROMQL, ids=lambda query: f"{query.panel}-{query.expression[:30]}")
def test_every_promql_is_answered(sources: Sources, query: Query) -> None:
    """For all instances and for one by its name; without an error or a warning."""
    everything = sources.metrics(query, instance=".*")
    one = sources.metrics(query, instance=f"({sources.running_instance()})")

    if query.panel not in SILENT_WHEN_WELL:
        assert everything != []
        assert one != []
    if "$instance" in query.expression:
        assert sources.metrics(query, instance="nobody") == []


@pytest.mark.parametrize("query", LOGQL, ids=lambda query: query.panel)
def test_every_logql_finds_its_lines(sources: Sources, query: Query) -> None:
    """For all instances and for one by its name; none for an instance that is not there."""
    until(lambda: sources.logs(query.filled(instance=".*")), deadline=ARRIVAL)
    until(lambda: sources.logs(query.filled(instance=sources.running_instance())), deadline=ARRIVAL)
    assert sources.logs(query.filled(instance="nobody")) == []


def test_a_failure_has_every_column_of_the_table(sources: Sources) -> None:
    """They are fields of the line; the two with links are made from the ids."""
    (query,) = [query for query in LOGQL if query.panel == "Recent failures"]
    until(lambda: sources.logs(query.filled(instance=".*")), deadline=ARRIVAL)

    (line, *_) = sources.logs(query.filled(instance=".*"))

    assert line["line"] == "mgeo.inference"
    assert {"status", "error_type", "latency_ms", "mgeo_instance_name", "request_id", "trace_id"} <= set(line)
    assert float(line["latency_ms"]) >= 0


def test_a_diamond_leads_to_a_trace(sources: Sources) -> None:
    """An exemplar of the latency panel has the label that the data source looks for, and Jaeger knows its value."""
    (query,) = [query for query in PROMQL if query.exemplars]
    (destination,) = data_sources()["prometheus"]["jsonData"]["exemplarTraceIdDestinations"]
    until(lambda: sources.exemplars(query.filled(instance=".*")), deadline=ARRIVAL)

    (exemplar, *_) = sources.exemplars(query.filled(instance=".*"))

    until(lambda: sources.trace(exemplar[destination["name"]]).status_code == 200, deadline=ARRIVAL)


def test_a_trace_leads_to_its_lines_and_its_metrics(sources: Sources) -> None:
    """By the queries of the Jaeger data source, with a real trace and a real instance filled in."""
    jaeger = data_sources()["jaeger"]["jsonData"]
    (failures,) = [query for query in LOGQL if query.panel == "Recent failures"]
    until(lambda: sources.logs(failures.filled(instance=".*")), deadline=ARRIVAL)
    (line, *_) = sources.logs(failures.filled(instance=".*"))

    lines = sources.logs(jaeger["tracesToLogsV2"]["query"].replace("${__trace.traceId}", line["trace_id"]))
    assert line["request_id"] in {each["request_id"] for each in lines}

    (tag,) = jaeger["tracesToMetrics"]["tags"]
    found = {
        each["name"]: sources.metrics(
            Query(
                panel=each["name"],
                source="prometheus",
                expression=each["query"].replace("$__tags", f'{tag["value"]}="{line[tag["value"]]}"'),
            )
        )
        for each in jaeger["tracesToMetrics"]["queries"]
    }
    assert [name for name, series in found.items() if not series] == ["GPU utilisation"]
