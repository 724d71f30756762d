"""Pure: the ids by which all that becomes of one notification is one trace.

A receipt keeps the ids of its span. The span of a message needs none kept: it follows from what is stored of the message anyway, so that
an attempt made after a restart finds the same parent as one before it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_TRACE_BYTES = 16
_SPAN_BYTES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceIds:
    """A span: 32 and 16 lower-case hexadecimal digits."""

    trace_id: str
    span_id: str


def delivery_ids(msg_uuid: str, received_at: float, receipts: Sequence[TraceIds]) -> TraceIds:
    """The span of a message: in the trace of its first receipt, or in one of its own when it has none.

    Args:
        msg_uuid: of the message.
        received_at: of its oldest receipt, or when somebody asked for it to be sent again, which is another span.
        receipts: the spans of what it tells, in the order it came.
    """
    span = _digest(f"{msg_uuid} {received_at!r}", _SPAN_BYTES)
    return TraceIds(trace_id=receipts[0].trace_id if receipts else _digest(msg_uuid, _TRACE_BYTES), span_id=span)


def _digest(text: str, size: int) -> str:
    return hashlib.blake2b(text.encode(), digest_size=size).hexdigest()
