"""What happened in one inference, and in one batch: opened once, closed once, for every outcome.

`EventDraft` gathers facts while the inference runs, on the caller's thread only; `close` freezes it into an
`InferenceEvent`, from which the recorder makes the span, the metric points, the log line and the store's row.
Durations are seconds of the monotonic clock; timestamps are nanoseconds of the wall clock. No address text but
in `CapturedText`, which does not print itself and which only the embedded store may read.
"""

from __future__ import annotations

import time
import traceback
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from service.errors import ErrorType, InferenceRefused, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_FRAMES = 20
MAX_CAPTURED_LENGTH = 1_000
"""Characters of an address that are kept when text is captured; a thousand queued megabytes would not fit in memory."""


class Stage(StrEnum):
    """The stages of an inference, in order. Closed; a stage that was not reached is absent."""

    READ = "read"
    CLEAN = "clean"
    QUEUE = "queue"
    TOKENIZE = "tokenize"
    INFERENCE = "inference"
    DELIVER = "deliver"


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """The two clocks: monotonic seconds for durations, wall-clock nanoseconds for timestamps."""

    monotonic: Callable[[], float] = time.monotonic
    unix_ns: Callable[[], int] = time.time_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTiming:
    """One stage: seconds from the start of the inference to its start, and its duration in seconds."""

    stage: Stage
    offset: float
    duration: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressFacts:
    """What telemetry may know of an address: its length in characters as received, and its keyed hash once cleaned."""

    length: int
    hash: str | None = None


@dataclass(frozen=True, slots=True)
class CapturedText:
    """The two addresses as received; kept only when `capture_text` asks for it. Never prints itself."""

    address1: str = field(repr=False)
    address2: str = field(repr=False)

    @classmethod
    def of(cls, address1: object = None, address2: object = None) -> CapturedText | None:
        """Keep what is text of the two, in a form that can be stored and at most `MAX_CAPTURED_LENGTH` characters; None for none."""
        texts = [_storable(address) if isinstance(address, str) else "" for address in (address1, address2)]
        return cls(*texts) if any(texts) else None


def _storable(address: str) -> str:
    # Half a surrogate pair cannot be written anywhere; it is shown by its number. By `str` itself: a subclass may do anything.
    return str.encode(str.__getitem__(address, slice(MAX_CAPTURED_LENGTH)), "utf-8", "backslashreplace").decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceptionFacts:
    """An exception without its message, which may carry an address: the type's name and the frames, innermost last."""

    type: str
    frames: tuple[str, ...]

    @classmethod
    def of(cls, error: BaseException) -> ExceptionFacts:
        """Take type and at most `MAX_FRAMES` frames as `file:line function`; source lines are left out."""
        # Not by `traceback.extract_tb`, which reads the source files of all frames from disk.
        frames = deque(traceback.walk_tb(error.__traceback__), maxlen=MAX_FRAMES)
        kind = type(error)
        return cls(
            type=f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins."),
            frames=tuple(f"{frame.f_code.co_filename}:{line} {frame.f_code.co_name}" for frame, line in frames),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuFacts:
    """The nearest sample of one device: bytes, ratio in [0, 1], distance in seconds; None is what the driver does not tell."""

    id: str
    memory_usage: int | None
    memory_limit: int | None
    utilization: float | None
    age: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The model's answer: label, similarity in [0, 1], and the three probabilities."""

    label: str
    similarity: float
    not_match: float
    partial_match: float
    exact_match: float


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceEvent:
    """Everything that is known of one inference when it ends. Immutable; `error_type` is None on success alone."""

    request_id: str
    trace_id: str
    span_id: str
    parent_span_id: str | None
    function: str
    started_unix_ns: int
    duration: float
    outcome: Outcome
    error_type: ErrorType | None = None
    exception: ExceptionFacts | None = None
    stages: tuple[StageTiming, ...] = ()
    address1: AddressFacts | None = None
    address2: AddressFacts | None = None
    truncated: bool | None = None
    queue_depth: int | None = None
    batch_id: str | None = None
    batch_size: int | None = None
    model_name: str | None = None
    model_version: str | None = None
    answer: Answer | None = None
    output_length: int | None = None
    gpu: tuple[GpuFacts, ...] = ()
    text: CapturedText | None = None

    def stage(self, stage: Stage) -> float | None:
        """Seconds spent in one stage, or None when it was not reached."""
        return next((timing.duration for timing in self.stages if timing.stage is stage), None)


@dataclass(slots=True, kw_only=True)
class EventDraft:
    """The facts of an inference that is still open. One owner, one thread; `close` may be called once."""

    request_id: str
    function: str
    clock: Clock
    started_unix_ns: int
    started_monotonic: float
    trace_id: str = ""
    span_id: str = ""
    parent_span_id: str | None = None
    stages: list[StageTiming] = field(default_factory=list)
    address1: AddressFacts | None = None
    address2: AddressFacts | None = None
    truncated: bool | None = None
    queue_depth: int | None = None
    batch_id: str | None = None
    batch_size: int | None = None
    model_name: str | None = None
    model_version: str | None = None
    answer: Answer | None = None
    output_length: int | None = None
    gpu: tuple[GpuFacts, ...] = ()
    text: CapturedText | None = None
    closed: bool = False

    @classmethod
    def open(cls, *, request_id: str, function: str, clock: Clock) -> EventDraft:
        """Begin an inference now. The recorder fills the trace and span ids."""
        return cls(
            request_id=request_id,
            function=function,
            clock=clock,
            started_unix_ns=clock.unix_ns(),
            started_monotonic=clock.monotonic(),
        )

    def spent(self, stage: Stage, started: float, ended: float) -> None:
        """Note one stage by its two monotonic moments; a moment before the start of the inference counts as the start."""
        started = max(started, self.started_monotonic)
        self.stages.append(
            StageTiming(stage=stage, offset=started - self.started_monotonic, duration=max(ended - started, 0.0)),
        )

    def close(self, failure: BaseException | None = None, *, error_type: ErrorType | None = None) -> InferenceEvent:
        """End the inference: with an answer, or with the failure that took its place.

        An `InferenceRefused` brings its own error type; any other exception is `error_type`, or `internal` without one,
        and leaves its type and frames, never its message.

        Raises:
            RuntimeError: the draft is closed already.
        """
        if self.closed:
            message = "an inference event can be closed once only"
            raise RuntimeError(message)
        self.closed = True
        error_type, exception = _cause(failure, error_type)
        return InferenceEvent(
            request_id=self.request_id,
            trace_id=self.trace_id,
            span_id=self.span_id,
            parent_span_id=self.parent_span_id,
            function=self.function,
            started_unix_ns=self.started_unix_ns,
            duration=max(self.clock.monotonic() - self.started_monotonic, 0.0),
            outcome=Outcome.SUCCESS if error_type is None else error_type.outcome,
            error_type=error_type,
            exception=exception,
            stages=tuple(self.stages),
            address1=self.address1,
            address2=self.address2,
            truncated=self.truncated,
            queue_depth=self.queue_depth,
            batch_id=self.batch_id,
            batch_size=self.batch_size,
            model_name=self.model_name,
            model_version=self.model_version,
            answer=self.answer if error_type is None else None,
            output_length=self.output_length if error_type is None else None,
            gpu=self.gpu,
            text=self.text,
        )


def _cause(failure: BaseException | None, error_type: ErrorType | None) -> tuple[ErrorType | None, ExceptionFacts | None]:
    if failure is None:
        return error_type, None
    if isinstance(failure, InferenceRefused):
        cause = failure.__cause__
        return failure.error_type, ExceptionFacts.of(cause) if cause is not None else None
    return error_type or ErrorType.INTERNAL, ExceptionFacts.of(failure)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchMember:
    """One inference of a batch, by the ids of its span."""

    request_id: str
    trace_id: str
    span_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchEvent:
    """One run of the model: who was in it, how long it took, and why it failed, if it did."""

    batch_id: str
    members: tuple[BatchMember, ...]
    started_unix_ns: int
    duration: float
    tokenize_duration: float | None = None
    forward_duration: float | None = None
    model_name: str
    model_version: str
    error_type: ErrorType | None = None
    exception: ExceptionFacts | None = None
