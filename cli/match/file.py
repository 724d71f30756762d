"""A whole file of pairs through the pipeline, in this process: every row an inference with an event of its own."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cli.duration import duration_text
from cli.match.ordered_work import work_in_order
from cli.match.row import RowResult
from service.call import Call
from service.errors import ErrorType, InferenceRefused, InvalidInput, Outcome, Overloaded
from service.telemetry.ids import item_id

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from cli.match.input import PairFile
    from cli.match.output import ResultFile
    from cli.match.row import PairRow
    from cli.progress import Progress
    from service.api.inference import Pipeline
    from service.telemetry.event import Clock

BATCHES_AHEAD = 4
"""Batches' worth of rows in work at once: one runs, the others give the queue rows of like length to choose from."""

BACKLOG_FACTOR = 16
"""Rows that may be done out of order, for each row in work."""

ATTEMPTS = 3
SHOWN_LINES = 10


@dataclass(slots=True, kw_only=True)
class FileSummary:
    """What became of the rows.

    Attributes:
        outcomes: rows by outcome.
        errors: rows by error type.
        misfits: lines of the first rows that did not fit the header.
        duration: seconds.
    """

    run: str
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    errors: Counter[ErrorType] = field(default_factory=Counter)
    misfits: list[int] = field(default_factory=list)
    duration: float = 0.0

    @property
    def rows(self) -> int:
        """All rows."""
        return self.outcomes.total()

    @property
    def failed(self) -> int:
        """Rows that are not the caller's fault and have no answer."""
        return self.rows - self.outcomes[Outcome.SUCCESS] - self.outcomes[Outcome.INVALID]

    def add(self, result: RowResult) -> None:
        """Count one row."""
        self.outcomes[Outcome.SUCCESS if result.error_type is None else result.error_type.outcome] += 1
        if result.error_type is not None:
            self.errors[result.error_type] += 1
        if result.row.addresses is None and len(self.misfits) < SHOWN_LINES:
            self.misfits.append(result.row.line)

    def text(self) -> str:
        """The summary for a reader, with how to look a row up."""
        rate = self.rows / self.duration if self.duration else 0.0
        lines = [f"{self.rows} rows in {duration_text(self.duration)} ({rate:.0f}/s): {self.outcomes[Outcome.SUCCESS]} answered"]
        lines += [f"  {count} {error.value}: {error.message}" for error, count in self.errors.most_common()]
        if self.misfits:
            shown = ", ".join(str(line) for line in self.misfits)
            lines.append(f"  rows that do not have as many columns as the first line, or are no CSV, end at lines {shown}")
        lines.append(f"  look a row up, counting from 0: mgeo lookup {self.run}:ROW")
        return "\n".join(lines) + "\n"


class FileMatcher:
    """Answers the rows of a file in order, as fast as the model takes them and in bounded memory.

    Args:
        pipeline: answers.
        clock: the clocks the pipeline's events are measured by.
        run: the request id all rows share; row n is `<run>:<n>`.
        max_batch_size: rows in one run of the model.
        queue_size: rows the pipeline's queue takes; more at once would be refused.
        sleep: waits some seconds.
    """

    def __init__(
        self,
        *,
        pipeline: Pipeline,
        clock: Clock,
        run: str,
        max_batch_size: int,
        queue_size: int,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._pipeline = pipeline
        self._clock = clock
        self._run = run
        self._concurrency = min(BATCHES_AHEAD * max_batch_size, queue_size)
        self._sleep = sleep

    async def match(self, pairs: PairFile, results: ResultFile, progress: Progress) -> FileSummary:
        """Answer every row of `pairs` into `results`. No row stops the file."""
        summary = FileSummary(run=self._run)
        started = time.monotonic()

        def note() -> str:
            return f"{summary.rows} rows, {summary.rows / max(time.monotonic() - started, 1e-9):.0f}/s, {summary.failed} failed"

        def emit(result: RowResult) -> None:
            results.write(result)
            summary.add(result)
            progress.update(pairs.bytes_read, note)

        await work_in_order(pairs.rows(), self._answer, emit, concurrency=self._concurrency, backlog=BACKLOG_FACTOR * self._concurrency)
        summary.duration = time.monotonic() - started
        return summary

    async def _answer(self, row: PairRow) -> RowResult:
        attempt = 1
        while True:
            call = self._call(row)
            if row.addresses is None:
                self._pipeline.refuse(call, InvalidInput(ErrorType.MISSING_FIELD))
                return RowResult(row=row, error_type=ErrorType.MISSING_FIELD)
            try:
                event = await self._pipeline.infer(call, *row.addresses)
            except Overloaded as refusal:
                # An open breaker refuses at once: without a pause it would burn through the file before it closes again.
                if attempt == ATTEMPTS:
                    return RowResult(row=row, error_type=refusal.error_type)
                attempt += 1
                await self._sleep(refusal.retry_after or 1.0)
            except InferenceRefused as refusal:
                return RowResult(row=row, error_type=refusal.error_type)
            else:
                return RowResult(row=row, answer=event.answer)

    def _call(self, row: PairRow) -> Call:
        return Call(
            request_id=item_id(self._run, row.index),
            function="match",
            arrived_unix_ns=self._clock.unix_ns(),
            arrived_monotonic=self._clock.monotonic(),
        )
