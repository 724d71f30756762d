"""Trace and span ids by the request or batch in the context."""

from __future__ import annotations

from opentelemetry.sdk.trace.id_generator import IdGenerator

from service.telemetry.context import current_batch_id, current_request_id, prescribed_span_id
from service.telemetry.ids import batch_span_id_of, new_span_id, random_trace_id, trace_id_of


class RequestIdGenerator(IdGenerator):
    """Trace ids from the request id in the context, so that the id a caller holds opens its trace; random without one.

    What is random comes from the operating system: a script's `random.seed(0)` must neither make two runs share their span
    ids nor find its own numbers shifted by ours.
    """

    def generate_trace_id(self) -> int:
        """The trace id of the batch or request in the context, else 128 random bits."""
        source = current_batch_id() or current_request_id()
        return int(trace_id_of(source) if source else random_trace_id(), 16)

    def generate_span_id(self) -> int:
        """The span id its members know, for a batch; the one it had, for a span of a dead process; 64 random bits for anything else."""
        batch_id = current_batch_id()
        return int(batch_span_id_of(batch_id) if batch_id else prescribed_span_id() or new_span_id(), 16)
