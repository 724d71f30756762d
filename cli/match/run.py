"""Opens a runtime in this process and puts pairs through it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TextIO

from cli.match.file import FileMatcher, FileSummary
from cli.match.input import PairFile
from cli.match.output import ResultFile
from cli.progress import open_progress
from service.call import Call
from service.errors import StartupError
from service.runtime import open_runtime
from service.telemetry.ids import new_request_id

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from service.runtime import Runtime
    from service.settings import Settings
    from service.telemetry.event import InferenceEvent


async def infer_pair(settings: Settings, request_id: str, address1: str, address2: str) -> InferenceEvent:
    """Answer one pair.

    Raises:
        InferenceRefused: there is no answer; the event has been recorded.
        StartupError: the model, the data folder or a setting cannot be used.
    """
    async with open_runtime(settings, "match") as runtime:
        clock = runtime.recording.clock
        call = Call(request_id=request_id, function="match", arrived_unix_ns=clock.unix_ns(), arrived_monotonic=clock.monotonic())
        return await runtime.pipeline.infer(call, address1, address2)


async def match_file(
    settings: Settings,
    source: Path,
    target: Path,
    encoding: str,
    stream: TextIO,
    *,
    open_runtime: Callable[..., AbstractAsyncContextManager[Runtime]] = open_runtime,
) -> FileSummary:
    """Answer every row of a file; progress goes to `stream`.

    Raises:
        UnusableInput: the file as a whole is no file of pairs.
        UnusableOutput: the target cannot be written.
        StartupError: the model, the data folder or a setting cannot be used, or the model broke down beyond repair.
    """
    work: asyncio.Task[FileSummary] | None = None
    breakdown: StartupError | None = None
    loop = asyncio.get_running_loop()

    def broken(reason: str, exit_code: int) -> None:
        nonlocal breakdown
        breakdown = StartupError(f"{reason}; {target} was left as it was")
        breakdown.exit_code = exit_code
        if work is not None:
            loop.call_soon_threadsafe(work.cancel)

    with PairFile(source, encoding=encoding) as pairs:
        async with open_runtime(settings, "match", on_fatal=broken) as runtime:
            matcher = FileMatcher(
                pipeline=runtime.pipeline,
                clock=runtime.recording.clock,
                run=new_request_id(),
                max_batch_size=settings.max_batch_size,
                queue_size=settings.queue_size,
            )
            results = ResultFile(target, header=pairs.header, encoding=pairs.encoding, line_end=pairs.line_end)
            with results, open_progress("match", pairs.size, stream) as progress:
                work = asyncio.ensure_future(matcher.match(pairs, results, progress))
                try:
                    return await work
                except asyncio.CancelledError:
                    if breakdown is not None:
                        raise breakdown from None
                    raise
