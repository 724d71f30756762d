"""Spans from OTLP's JSON."""

from __future__ import annotations

import pytest

from service.requeststore.otlp_json import array_of, attributes_of, spans_of
from tests.unit.requeststore.recorded import BATCH, INFERENCE, RESOURCE, SERVER, TRACE, attribute, trace_of


def test_a_recorded_trace_is_its_spans_oldest_first() -> None:
    """Ids in lower case, seconds, links as pairs; the parent of a root is None."""
    server, inference = spans_of(trace_of(INFERENCE, SERVER)["result"], service="mgeo")
    assert (server.span.name, server.span.parent_span_id, server.span.duration, server.instance) == ("POST /v1/match", None, 0.0145, "one")
    assert (inference.span.trace_id, inference.span.parent_span_id) == (TRACE, server.span.span_id)
    assert inference.span.links == ((BATCH["traceId"], BATCH["spanId"]),)
    assert inference.span.attributes["mgeo.address1.length"] == 17


def test_what_came_twice_is_told_once_and_other_services_not_at_all() -> None:
    """Every hop is at least once; a caller's own spans are the caller's."""
    other = {"attributes": [attribute("service.name", "stringValue", "shop")]}
    resources = [
        {"resource": RESOURCE, "scopeSpans": [{"spans": [SERVER, SERVER]}, {"spans": [SERVER]}]},
        {"resource": other, "scopeSpans": [{"spans": [INFERENCE]}]},
        {"scopeSpans": [{"spans": [INFERENCE]}]},
    ]
    assert [seen.span.name for seen in spans_of({"resourceSpans": resources}, service="mgeo")] == ["POST /v1/match"]


def test_a_trace_without_spans_has_none() -> None:
    """OTLP leaves empty lists out."""
    assert spans_of({}, service="mgeo") == ()
    assert spans_of({"resourceSpans": [{"resource": RESOURCE}, {"resource": RESOURCE, "scopeSpans": [{}]}]}, service="mgeo") == ()


def test_every_kind_of_value_is_read() -> None:
    """64-bit integers come as text; what has no value is None."""
    values = {
        "a": {"stringValue": "x"},
        "b": {"boolValue": True},
        "c": {"intValue": "9007199254740993"},
        "d": {"doubleValue": 1},
        "e": {"arrayValue": {"values": [{"intValue": "1"}, {"stringValue": "y"}]}},
        "f": {"arrayValue": {}},
        "g": {},
        "h": {"kvlistValue": {"values": []}},
        "i": {"bytesValue": "AAE="},
    }
    read = attributes_of([{"key": key, "value": value} for key, value in values.items()])
    assert read == {"a": "x", "b": True, "c": 9007199254740993, "d": 1.0, "e": [1, "y"], "f": [], "g": None, "h": None, "i": "AAE="}
    assert isinstance(read["d"], float)


def test_an_array_may_be_text_of_json() -> None:
    """As Jaeger's stores of the older model keep it."""
    assert array_of("[1, -1]") == [1, -1]
    assert array_of([0.5]) == [0.5]
    for wrong in ("7", 7, None):
        with pytest.raises(TypeError):
            array_of(wrong)


@pytest.mark.parametrize("changes", [{"traceId": "ab"}, {"spanId": "zz" * 8}, {"startTimeUnixNano": "soon"}, {"name": ...}])
def test_a_span_of_another_shape_is_refused(changes: dict[str, object]) -> None:
    """Nothing is made up."""
    span = {key: value for key, value in {**SERVER, **changes}.items() if value is not ...}
    with pytest.raises((LookupError, ValueError, TypeError)):
        spans_of(trace_of(span)["result"], service="mgeo")
