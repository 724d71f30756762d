"""The servers that are compared: alike in their answers, different in what they leave behind."""

from __future__ import annotations

import json
import urllib.request

import pytest

from benchmarks.machine import usable_cores
from benchmarks.server_process import ServerProcess
from benchmarks.telemetry_cost import EXPECTED
from benchmarks.variants import Variant

pytestmark = pytest.mark.slow

PAIR = json.dumps({"address1": "文三路478号", "address2": "文三路478号A座"}).encode()


def match(port: int) -> tuple[dict[str, object], str]:
    """The answer to one pair, and its `Server-Timing`."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/match", PAIR, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as response:
        return json.load(response), response.headers["Server-Timing"]


@pytest.mark.parametrize("variant", Variant)
def test_a_variant_answers_as_the_product_and_exports_what_it_should(variant, tmp_path):
    """Else the comparison would be of different servers; one request, to an endpoint only where the variant has one."""
    cores = usable_cores()
    with ServerProcess("benchmarks.otlp_sink", settings={}, cores=cores) as sink:
        settings = {"MGEO_DATA_DIR": str(tmp_path), "MGEO_MODEL": "fake"}
        if variant.exports:
            settings |= {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{sink.port}", "OTEL_SERVICE_NAME": variant}
        with ServerProcess("benchmarks.variants", variant, settings=settings, cores=cores) as server:
            answer, timing = match(server.port)
    assert answer["label"] == "partial_match"
    assert answer["probabilities"] == {"not_match": 0.1, "partial_match": 0.8, "exact_match": 0.1}
    assert list(answer["timings_ms"]) == ["read", "clean", "queue", "tokenize", "inference", "deliver"]
    assert timing.startswith("trace;" if variant not in {Variant.BARE, Variant.TWIN} else "read;")
    arrived = json.loads(sink.output)
    assert list(arrived) == ([variant] if variant.exports else [])
    for signal, least in EXPECTED.get(variant, {}).items():
        assert arrived[variant][signal] >= least
    assert (tmp_path / "telemetry.db").exists() is (variant in {Variant.OURS, Variant.OURS_LOCAL})
    assert (tmp_path / "stock.log").exists() is (variant is Variant.STOCK)
