"""Which spans belong to an inference."""

from __future__ import annotations

from service.requeststore.attempts import SpanTree, attempts_of, batch_span
from service.requeststore.base import SpanRecord
from service.requeststore.loki import records_of
from service.requeststore.otlp_json import spans_of
from tests.inference_events import success
from tests.unit.requeststore.recorded import BATCH, INFERENCE, METADATA_1, METADATA_2, SERVER, STARTED, streams_of, trace_of


def span(span_id: str, parent: str | None) -> SpanRecord:
    return SpanRecord(name=span_id, trace_id="t", span_id=span_id, parent_span_id=parent, started_unix_ns=1, duration=0.0, attributes={})


def test_spans_are_around_and_inside_and_not_beside() -> None:
    """The outermost first; a sibling of the inference belongs to another one."""
    trace = [span("caller", None), span("server", "caller"), span("own", "server"), span("sibling", "server"), span("inner", "own")]
    trace.append(span("innermost", "inner"))
    event = success(span_id="own", parent_span_id="server")
    assert [each.name for each in SpanTree(trace).around(event)] == ["caller", "server", "own", "inner", "innermost"]


def test_spans_that_claim_to_be_each_others_parents_end() -> None:
    """Trace data comes from anywhere."""
    trace = [span("own", "other"), span("other", "own")]
    assert {each.name for each in SpanTree(trace).around(success(span_id="own", parent_span_id="other"))} == {"own", "other"}


def test_without_its_own_span_an_inference_has_those_around_it() -> None:
    """Its own was lost."""
    assert [each.name for each in SpanTree([span("server", None)]).around(success(span_id="own", parent_span_id="server"))] == ["server"]


def test_attempts_are_oldest_first_and_pairs_in_their_order() -> None:
    """Ten behind nine; span and line of one inference are one attempt."""
    metadata = [{**METADATA_1, "request_id": f"r-1:{index}", "span_id": f"{index:016x}"} for index in (10, 9)]
    records = records_of(streams_of(*metadata, METADATA_2))
    assert [attempt.event.request_id for attempt in attempts_of("r-1", (), records)] == ["r-1:9", "r-1:10"]
    spans = spans_of(trace_of(INFERENCE, SERVER)["result"], service="mgeo")
    (attempt,) = attempts_of("r-1", spans, records_of(streams_of(METADATA_1)))
    assert (attempt.from_span, attempt.instance, attempt.event.started_unix_ns) == (True, "one", STARTED)
    assert attempts_of("r-9", spans, records) == ()


def test_a_batch_is_known_by_the_ids_that_follow_from_its_own() -> None:
    """Another span in that trace is not it."""
    spans = spans_of(trace_of(BATCH, SERVER)["result"], service="mgeo")
    assert batch_span("b-1", spans).span_id == BATCH["spanId"]
    assert batch_span("b-2", spans) is None
