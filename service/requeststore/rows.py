"""Pure: events as rows of the store and back. Nothing is lost on the way but the captured text, which has its own table.

Names that repeat (functions, models, instances, devices) are numbers into the table `name`; `Number` and `Name` are the
two directions.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from service.errors import ErrorType, Outcome
from service.requeststore.base import RequestSummary
from service.requeststore.packing import (
    Cell,
    join_id,
    pack_exception,
    pack_floats,
    pack_hex,
    pack_id,
    pack_members,
    pack_stages,
    split_id,
    unpack_exception,
    unpack_floats,
    unpack_hex,
    unpack_id,
    unpack_members,
    unpack_stages,
)
from service.telemetry.event import AddressFacts, Answer, BatchEvent, GpuFacts, InferenceEvent
from service.telemetry.ids import trace_id_of
from service.telemetry.span_attributes import COUNTS_AGAINST_US

if TYPE_CHECKING:
    from service.telemetry.event import ExceptionFacts

Number = Callable[[str], int]
Name = Callable[[int], str]

# The place in these tuples is what stands in the database: add at the end only.
OUTCOMES = (Outcome.SUCCESS, Outcome.INVALID, Outcome.OVERLOADED, Outcome.TIMEOUT, Outcome.CANCELLED, Outcome.ERROR)
LABELS = ("not_match", "partial_match", "exact_match")

INFERENCE_COLUMNS = (
    "call",
    "item",
    "started",
    "duration",
    "outcome",
    "error_type",
    "span",
    "parent",
    "trace",
    "function",
    "instance",
    "length1",
    "length2",
    "hash1",
    "hash2",
    "truncated",
    "queue_depth",
    "batch",
    "batch_size",
    "model_name",
    "model_version",
    "label",
    "probabilities",
    "output_length",
    "stages",
    "exception",
    "gpu",
    "seq",
)
BATCH_COLUMNS = (
    "batch",
    "started",
    "duration",
    "tokenize",
    "forward",
    "error_type",
    "exception",
    "model_name",
    "model_version",
    "instance",
    "members",
)
FAILED_CODES = tuple(code for code, outcome in enumerate(OUTCOMES) if outcome in COUNTS_AGAINST_US)

_CODES = {outcome: code for code, outcome in enumerate(OUTCOMES)}
_ERROR_TYPES: dict[str, ErrorType] = {error.value: error for error in ErrorType}
_LABEL_CODES: dict[str, int] = {label: code for code, label in enumerate(LABELS)}
_DEVICE = struct.Struct("<IBqqdd")
_USAGE, _LIMIT, _UTILIZATION = 1, 2, 4


def to_row(event: InferenceEvent, *, life: str, seq: int | None = None, number: Number) -> tuple[Cell, ...]:
    """The cells of one inference, in the order of `INFERENCE_COLUMNS`.

    Args:
        event: the inference.
        life: the life of the process, or its instance alone. It stands in the column `instance`, since it begins with it.
        seq: the number of the inference in that life.
        number: numbers of names.
    """
    call, item = split_id(event.request_id)
    first, second, answer = event.address1, event.address2, event.answer
    return (
        call,
        item,
        event.started_unix_ns,
        event.duration,
        _CODES[event.outcome],
        None if event.error_type is None else event.error_type.value,
        pack_hex(event.span_id, 8),
        pack_hex(event.parent_span_id, 8),
        None if event.trace_id == trace_id_of(event.request_id) else pack_hex(event.trace_id, 16),
        number(event.function),
        number(life),
        None if first is None else first.length,
        None if second is None else second.length,
        None if first is None else hash_cell(first.hash),
        None if second is None else hash_cell(second.hash),
        event.truncated,
        event.queue_depth,
        pack_id(event.batch_id),
        event.batch_size,
        None if event.model_name is None else number(event.model_name),
        None if event.model_version is None else number(event.model_version),
        None if answer is None else label_cell(answer.label),
        None if answer is None else _pack_answer(answer),
        event.output_length,
        pack_stages(event.stages),
        pack_exception(event.exception),
        _pack_gpu(event.gpu, number),
        seq,
    )


def from_row(row: Sequence[Any], *, name: Name) -> tuple[InferenceEvent, str]:
    """The event of a row and the instance that wrote it.

    Raises:
        LookupError: the row was written by a version that knows more.
    """
    request_id = join_id(row[0], row[1])
    trace = unpack_hex(row[8])
    event = InferenceEvent(
        request_id=request_id,
        started_unix_ns=row[2],
        duration=row[3],
        outcome=OUTCOMES[row[4]],
        error_type=None if row[5] is None else _ERROR_TYPES[row[5]],
        span_id=unpack_hex(row[6]) or "",
        parent_span_id=unpack_hex(row[7]),
        trace_id=trace_id_of(request_id) if trace is None else trace,
        function=name(row[9]),
        address1=None if row[11] is None else AddressFacts(length=row[11], hash=unpack_hex(row[13])),
        address2=None if row[12] is None else AddressFacts(length=row[12], hash=unpack_hex(row[14])),
        truncated=None if row[15] is None else bool(row[15]),
        queue_depth=row[16],
        batch_id=unpack_id(row[17]),
        batch_size=row[18],
        model_name=None if row[19] is None else name(row[19]),
        model_version=None if row[20] is None else name(row[20]),
        answer=None if row[22] is None else _unpack_answer(row[21], row[22]),
        output_length=row[23],
        stages=unpack_stages(row[24]),
        exception=unpack_exception(row[25]),
        gpu=_unpack_gpu(row[26], name),
    )
    return event, instance_of(name(row[10]))


def instance_of(life: str) -> str:
    """The instance a life belongs to."""
    return life.partition(":")[0]


def to_batch_row(event: BatchEvent, *, instance: str, number: Number) -> tuple[Cell, ...]:
    """The cells of one batch, in the order of `BATCH_COLUMNS`."""
    return (
        pack_id(event.batch_id),
        event.started_unix_ns,
        event.duration,
        event.tokenize_duration,
        event.forward_duration,
        None if event.error_type is None else event.error_type.value,
        pack_exception(event.exception),
        number(event.model_name),
        number(event.model_version),
        number(instance),
        pack_members(event.members),
    )


def from_batch_row(row: Sequence[Any], *, name: Name) -> BatchEvent:
    """The batch of a row.

    Raises:
        LookupError: the row was written by a version that knows more.
    """
    exception: ExceptionFacts | None = unpack_exception(row[6])
    return BatchEvent(
        batch_id=unpack_id(row[0]) or "",
        started_unix_ns=row[1],
        duration=row[2],
        tokenize_duration=row[3],
        forward_duration=row[4],
        error_type=None if row[5] is None else _ERROR_TYPES[row[5]],
        exception=exception,
        model_name=name(row[7]),
        model_version=name(row[8]),
        members=unpack_members(row[10]),
    )


def summary(event: InferenceEvent) -> RequestSummary:
    """What a list shows of an inference."""
    return RequestSummary(
        request_id=event.request_id,
        trace_id=event.trace_id,
        span_id=event.span_id,
        started_unix_ns=event.started_unix_ns,
        duration=event.duration,
        function=event.function,
        status=event.outcome,
        error_type=None if event.error_type is None else event.error_type.value,
        label=None if event.answer is None else event.answer.label,
        similarity=None if event.answer is None else event.answer.similarity,
    )


def outcome_code(outcome: Outcome) -> int:
    """What stands for an outcome in the database."""
    return _CODES[outcome]


def label_cell(label: str) -> Cell:
    """What stands for a label in the database."""
    return _LABEL_CODES.get(label, label)


def hash_cell(digest: str | None) -> Cell:
    """What stands for an address hash in the database."""
    return pack_hex(digest, 16)


def _pack_answer(answer: Answer) -> bytes:
    probabilities = (answer.not_match, answer.partial_match, answer.exact_match)
    if answer.similarity == _similarity(*probabilities):
        return pack_floats(probabilities)
    return pack_floats((*probabilities, answer.similarity))


def _unpack_answer(label: Cell, packed: bytes) -> Answer:
    not_match, partial_match, exact_match, *similarity = unpack_floats(packed)
    return Answer(
        label=LABELS[label] if isinstance(label, int) else str(label),
        similarity=similarity[0] if similarity else _similarity(not_match, partial_match, exact_match),
        not_match=not_match,
        partial_match=partial_match,
        exact_match=exact_match,
    )


def _similarity(_not_match: float, partial_match: float, exact_match: float) -> float:
    return exact_match + 0.5 * partial_match


def _pack_gpu(devices: Sequence[GpuFacts], number: Number) -> bytes | None:
    return b"".join(_pack_device(device, number) for device in devices) or None


def _pack_device(device: GpuFacts, number: Number) -> bytes:
    known = (
        (_USAGE if device.memory_usage is not None else 0)
        | (_LIMIT if device.memory_limit is not None else 0)
        | (_UTILIZATION if device.utilization is not None else 0)
    )
    usage, limit, utilization = device.memory_usage or 0, device.memory_limit or 0, device.utilization or 0.0
    return _DEVICE.pack(number(device.id), known, usage, limit, utilization, device.age)


def _unpack_gpu(packed: bytes | None, name: Name) -> tuple[GpuFacts, ...]:
    return tuple(
        GpuFacts(
            id=name(code),
            memory_usage=usage if known & _USAGE else None,
            memory_limit=limit if known & _LIMIT else None,
            utilization=utilization if known & _UTILIZATION else None,
            age=age,
        )
        for code, known, usage, limit, utilization, age in _DEVICE.iter_unpack(packed or b"")
    )
