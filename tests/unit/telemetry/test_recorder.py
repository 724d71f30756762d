"""The recorders that need no SDK: one that forgets, one that keeps."""

from __future__ import annotations

from typing import Any

import pytest

from service.telemetry.event import BatchEvent, EventDraft
from service.telemetry.recorder import ListRecorder, NullRecorder, Recorder

BATCH = BatchEvent(batch_id="batch-1", members=(), started_unix_ns=0, duration=0.1, model_name="m", model_version="1")


@pytest.mark.parametrize("recorder", [NullRecorder(), ListRecorder()])
def test_every_recorder_gives_a_draft_the_trace_of_its_request(recorder: Recorder, ticking: Any) -> None:
    """An answer carries its trace id even where nothing is recorded; recording and batches are taken."""
    draft = EventDraft.open(request_id="req-1:7", function="match", clock=ticking.as_clock())

    recorder.open(draft)
    recorder.record(draft.close())
    recorder.record_batch(BATCH)

    assert draft.trace_id == "77a85bff5dd350f1d6d66f116fe042a9"
    assert draft.parent_span_id is None


def test_the_list_recorder_keeps_what_it_is_given_in_order(ticking: Any) -> None:
    """Drafts with span ids that count up, events, and batches."""
    recorder = ListRecorder()
    drafts = [EventDraft.open(request_id=f"request-{number}", function="match", clock=ticking.as_clock()) for number in (1, 2)]
    for draft in drafts:
        recorder.open(draft)
    events = [draft.close() for draft in reversed(drafts)]
    for event in events:
        recorder.record(event)
    recorder.record_batch(BATCH)

    assert [draft.span_id for draft in recorder.opened] == ["0000000000000001", "0000000000000002"]
    assert (recorder.opened, recorder.events, recorder.batches) == (drafts, events, [BATCH])
