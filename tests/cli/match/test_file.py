"""A whole file through the pipeline."""

from __future__ import annotations

import asyncio

import pytest

from cli.match.file import FileMatcher, FileSummary
from cli.match.row import PairRow, RowResult
from service.errors import DeadlineExceeded, ErrorType, InferenceRefused, InvalidInput, Outcome, Overloaded
from service.telemetry.event import Answer, Clock, EventDraft

ANSWER = Answer(label="exact_match", similarity=0.97, not_match=0.01, partial_match=0.04, exact_match=0.95)


class Pairs:
    """Rows without a file."""

    bytes_read = 0

    def __init__(self, *addresses):
        self.taken = 0
        self._addresses = addresses

    def rows(self):
        for index, addresses in enumerate(self._addresses):
            self.taken += 1
            yield PairRow(index=index, line=index + 2, fields=addresses or ("", ""), addresses=addresses)


class Results:
    def __init__(self):
        self.written = []

    def write(self, result):
        self.written.append((result.row.index, result.answer, result.error_type))


class Pipeline:
    """Answers by what the first address says; keeps the calls."""

    def __init__(self, behaviour=lambda call, address1: None):
        self.behaviour = behaviour
        self.calls = []
        self.refused = []
        self.open = self.most_open = 0

    async def infer(self, call, address1, address2):
        self.calls.append(call)
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        await asyncio.sleep(0.001)
        self.open -= 1
        if failure := self.behaviour(call, address1):
            raise failure
        draft = EventDraft.open(request_id=call.request_id, function=call.function, clock=Clock())
        draft.answer = ANSWER
        return draft.close()

    def refuse(self, call, failure):
        self.refused.append((call.request_id, failure.error_type))


class Told:
    def __init__(self):
        self.notes = []

    def update(self, done, note):
        self.notes.append(note())


def match(pairs, pipeline, *, max_batch_size=2, queue_size=100):
    slept, results = [], Results()

    async def sleep(seconds):
        slept.append(seconds)

    matcher = FileMatcher(pipeline=pipeline, clock=Clock(), run="run", max_batch_size=max_batch_size, queue_size=queue_size, sleep=sleep)
    told = Told()
    summary = asyncio.run(matcher.match(pairs, results, told))
    return summary, results.written, slept, told


def test_every_row_is_an_inference_with_an_id_of_its_own():
    """The run's id and the number of the row."""
    pipeline = Pipeline()
    summary, written, _, told = match(Pairs(("a", "b"), ("c", "d"), ("e", "f")), pipeline)
    assert [call.request_id for call in pipeline.calls] == ["run:0", "run:1", "run:2"]
    assert {call.function for call in pipeline.calls} == {"match"}
    assert written == [(0, ANSWER, None), (1, ANSWER, None), (2, ANSWER, None)]
    assert (summary.rows, summary.failed, summary.outcomes) == (3, 0, {Outcome.SUCCESS: 3})
    assert told.notes[-1].startswith("3 rows, ")


def test_no_row_stops_the_file():
    """Each failure stands in its own row; those of the rows themselves do not count as failed."""
    failures = {
        "empty": InvalidInput(ErrorType.EMPTY_ADDRESS),
        "late": DeadlineExceeded(ErrorType.DEADLINE_EXCEEDED),
        "broken": InferenceRefused(ErrorType.MODEL_FAILED),
    }
    pairs = Pairs(("empty", "x"), None, ("late", "x"), ("a", "b"), ("broken", "x"))
    summary, written, _, _ = match(pairs, pipeline := Pipeline(lambda _, address1: failures.get(address1)))
    assert [error for _, _, error in written] == ["empty_address", "missing_field", "deadline_exceeded", None, "model_failed"]
    assert pipeline.refused == [("run:1", ErrorType.MISSING_FIELD)]
    assert (summary.rows, summary.failed, summary.misfits) == (5, 2, [3])


def test_as_many_rows_are_in_work_as_fill_four_batches():
    """But never more than the queue takes."""
    pairs = [("a", "b")] * 200
    match(Pairs(*pairs), small := Pipeline(), max_batch_size=5)
    match(Pairs(*pairs), bounded := Pipeline(), max_batch_size=5, queue_size=7)
    assert (small.most_open, bounded.most_open) == (20, 7)


def test_a_refusal_for_now_is_tried_again_after_a_pause():
    """An open breaker would otherwise burn through the file."""
    attempts = []

    def closed_at_first(call, _):
        attempts.append(call.request_id)
        return Overloaded(ErrorType.BREAKER_OPEN, retry_after=2.5) if len(attempts) < 3 else None

    summary, written, slept, _ = match(Pairs(("a", "b")), Pipeline(closed_at_first))
    assert attempts == ["run:0", "run:0", "run:0"]
    assert slept == [2.5, 2.5]
    assert (written, summary.failed) == ([(0, ANSWER, None)], 0)


def test_a_refusal_that_lasts_is_the_answer():
    """After three attempts; without a hint a second lies between them."""
    summary, written, slept, _ = match(Pairs(("a", "b")), Pipeline(lambda *_: Overloaded(ErrorType.QUEUE_FULL)))
    assert (written, slept, summary.failed) == ([(0, None, ErrorType.QUEUE_FULL)], [1.0, 1.0], 1)


def test_the_summary_tells_what_happened():
    """Counts by reason, lines that did not fit, and how to look a row up."""
    summary = FileSummary(run="run")
    row = PairRow(index=0, line=5, fields=("a", "b"), addresses=("a", "b"))
    for _ in range(3):
        summary.add(RowResult(row=row, answer=ANSWER))
    summary.add(RowResult(row=row, error_type=ErrorType.MODEL_FAILED))
    for line in range(100, 115):
        summary.add(RowResult(row=PairRow(index=0, line=line, fields=("", ""), addresses=None), error_type=ErrorType.MISSING_FIELD))
    summary.duration = 2.0
    assert (
        summary.text()
        == """\
19 rows in 2.00 s (10/s): 3 answered
  15 missing_field: a required field is missing
  1 model_failed: the model raised an exception
  rows that do not have as many columns as the first line, or are no CSV, end at lines 100, 101, 102, 103, 104, 105, 106, 107, 108, 109
  look a row up, counting from 0: mgeo lookup run:ROW
"""
    )


def test_a_file_without_rows_is_a_summary_too():
    """Nothing divides by nought."""
    assert FileSummary(run="run").text().startswith("0 rows in 0 µs (0/s): 0 answered\n")


@pytest.mark.parametrize("count", [0, 1, 500])
def test_rows_are_taken_as_they_are_needed(count):
    """All of them, in the end."""
    pairs = Pairs(*[("a", "b")] * count)
    summary, *_ = match(pairs, Pipeline())
    assert (pairs.taken, summary.rows) == (count, count)
