"""The ids that make all that becomes of a notification one trace."""

from __future__ import annotations

import string

from hypothesis import given
from hypothesis import strategies as st

from dingtalk.trace_ids import TraceIds, delivery_ids

FIRST = TraceIds(trace_id="0af7651916cd43dd8448eb211c80319c", span_id="b7ad6b7169203331")
SECOND = TraceIds(trace_id="4bf92f3577b34da6a3ce929d0e0e4736", span_id="00f067aa0ba902b7")


def test_a_message_is_in_the_trace_of_its_first_receipt():
    """With a span of its own."""
    ids = delivery_ids("m1", 100.25, [FIRST, SECOND])
    assert ids.trace_id == "0af7651916cd43dd8448eb211c80319c"
    assert ids.span_id not in {FIRST.span_id, SECOND.span_id}


def test_without_receipts_it_has_a_trace_of_its_own():
    """What the notifier says of itself was not received."""
    assert delivery_ids("m1", 100.0, []).trace_id != delivery_ids("m2", 100.0, []).trace_id


def test_the_same_message_has_the_same_ids_in_the_next_process():
    """Nothing but what is stored decides."""
    assert delivery_ids("m1", 100.25, [FIRST]) == delivery_ids("m1", 100.25, [FIRST])


def test_a_message_that_was_sent_again_has_another_span_in_the_same_trace():
    """Its first one has ended."""
    before, after = delivery_ids("m1", 100.0, [FIRST]), delivery_ids("m1", 200.0, [FIRST])
    assert (before.trace_id == after.trace_id, before.span_id == after.span_id) == (True, False)


@given(st.text(max_size=40), st.floats(allow_nan=False, allow_infinity=False))
def test_ids_have_their_length_in_hexadecimal_digits(msg_uuid, received_at):
    """Whatever they are made from."""
    ids = delivery_ids(msg_uuid, received_at, [])
    assert (len(ids.trace_id), len(ids.span_id)) == (32, 16)
    assert set(ids.trace_id + ids.span_id) <= set(string.hexdigits.lower())
