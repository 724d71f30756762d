"""Trace and span ids by what runs."""

from __future__ import annotations

import random

from service.telemetry.context import bind_batch_id, bind_request_id, bind_span_id
from service.telemetry.sdk import RequestIdGenerator

REQ_1_TRACE = 0x77A85BFF5DD350F1D6D66F116FE042A9
BATCH_ID = "0199c7a0-0000-7000-8000-000000000000"


def test_inside_a_request_its_id_makes_the_trace_id() -> None:
    """So that whoever holds the request id can compute the trace id."""
    with bind_request_id("req-1"):
        assert RequestIdGenerator().generate_trace_id() == REQ_1_TRACE


def test_all_pairs_of_a_call_have_one_trace_id() -> None:
    """The index does not count."""
    with bind_request_id("req-1:12"):
        assert RequestIdGenerator().generate_trace_id() == REQ_1_TRACE


def test_inside_a_batch_its_id_makes_both_ids() -> None:
    """Even when a request id is bound too: its members compute their links from the batch id alone."""
    with bind_request_id("req-1"), bind_batch_id(BATCH_ID):
        generator = RequestIdGenerator()
        assert (generator.generate_trace_id(), generator.generate_span_id()) == (0xE0D20D5699B7AE0ACE2CC80D401F82B6, 0xAFE3C92D486D547B)


def test_the_spans_of_a_request_differ() -> None:
    """Only the trace is made from its id."""
    with bind_request_id("req-1"):
        spans = {RequestIdGenerator().generate_span_id() for _ in range(1000)}

    assert len(spans) == 1000
    assert all(0 < span < 1 << 64 for span in spans)


def test_outside_a_request_ids_are_random() -> None:
    """In their range, and never the invalid 0."""
    traces = {RequestIdGenerator().generate_trace_id() for _ in range(1000)}

    assert len(traces) == 1000
    assert all(0 < trace < 1 << 128 for trace in traces)


def test_a_scripts_seed_neither_makes_our_ids_repeat_nor_is_used_up_by_them() -> None:
    """Two runs that seed `random` alike have different ids, and the same numbers as without us."""
    generator = RequestIdGenerator()
    random.seed(0)
    first = (generator.generate_trace_id(), generator.generate_span_id(), random.random())
    random.seed(0)
    second = (generator.generate_trace_id(), generator.generate_span_id(), random.random())

    assert first[:2] != second[:2]
    assert first[2] == second[2] == 0.8444218515250481


def test_trace_ids_do_not_claim_to_be_random() -> None:
    """The W3C flag would promise what an id made from a caller's text cannot keep."""
    assert not RequestIdGenerator().is_trace_id_random()


def test_a_span_of_a_dead_process_gets_the_id_it_had() -> None:
    """Once it is bound, and not before or after; a batch's own id comes first."""
    generator = RequestIdGenerator()
    with bind_span_id("00f067aa0ba902b7"):
        assert generator.generate_span_id() == 0x00F067AA0BA902B7
        with bind_batch_id("batch-1"):
            assert generator.generate_span_id() != 0x00F067AA0BA902B7
    assert generator.generate_span_id() != 0x00F067AA0BA902B7
