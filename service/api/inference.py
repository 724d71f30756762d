"""`POST /v1/match` and `POST /v1/match/batch`: wire to pipeline and back.

Every request to these two paths leaves its events: one for a single pair or for a batch refused whole, one per pair of a
batch that was accepted, whatever becomes of the caller.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, TypeVar

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.api.body import parse_json, read_body, request_timeout, require_json
from service.api.disconnect import unless_disconnected
from service.api.middleware import request_context
from service.api.openapi import BATCH_OPERATION, MATCH_OPERATION
from service.api.problem import json_bytes, problem_of
from service.call import Call
from service.errors import DeadlineExceeded, ErrorType, InferenceRefused, InvalidInput
from service.preprocessing import pair_fields
from service.telemetry.ids import item_id

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from service.telemetry.event import Clock, InferenceEvent

T = TypeVar("T")

MATCH = "match"
MATCH_BATCH = "match_batch"


class Pipeline(Protocol):
    """Answers inferences, and closes the event of each exactly once."""

    async def infer(self, call: Call, address1: object, address2: object) -> InferenceEvent:
        """Answer one pair.

        Raises:
            InferenceRefused: there is no answer.
        """
        ...

    def refuse(self, call: Call, failure: BaseException) -> InferenceEvent:
        """Record an inference that failed or was cancelled before it could begin."""
        ...


class InferenceApi:
    """The two inference routes.

    Args:
        pipeline: what answers.
        clock: the clocks the arrival was read from.
        body_limit: bytes of a body.
        batch_limit: pairs in a batch call.
        deadline: seconds after the arrival in which the body has to come in.
        concurrency: pairs of one batch call that are in the pipeline at once; with at most the size of the queue, a call
            alone on an idle service is never refused for its own number of pairs.
    """

    def __init__(self, *, pipeline: Pipeline, clock: Clock, body_limit: int, batch_limit: int, deadline: float, concurrency: int) -> None:
        self._pipeline = pipeline
        self._clock = clock
        self._body_limit = body_limit
        self._batch_limit = batch_limit
        self._deadline = deadline
        self._concurrency = concurrency

    def router(self) -> APIRouter:
        """The routes, with their part of the OpenAPI document."""
        router = APIRouter(tags=["inference"])
        router.add_api_route("/v1/match", self._match, methods=["POST"], operation_id="match", **MATCH_OPERATION)
        router.add_api_route("/v1/match/batch", self._match_batch, methods=["POST"], operation_id="match_batch", **BATCH_OPERATION)
        return router

    async def _match(self, request: Request) -> Response:
        """Decide whether two addresses are the same place."""
        context = request_context(request.scope)
        try:
            call, (address1, address2) = await self._accepted(request, MATCH, pair_fields)
            event = await unless_disconnected(self._pipeline.infer(call, address1, address2), request.receive)
        except InferenceRefused as failure:
            return problem_of(failure, inference=True).response(context)
        context.stages = event.stages
        return Response(json_bytes(answer_of(event, context.trace_id)), media_type="application/json")

    async def _match_batch(self, request: Request) -> Response:
        """Decide the same for up to 256 pairs, each with its own answer or error."""
        context = request_context(request.scope)
        try:
            call, pairs = await self._accepted(request, MATCH_BATCH, self._pairs)
            results = await unless_disconnected(self._all(call, pairs, context.trace_id), request.receive)
        except InferenceRefused as failure:
            return problem_of(failure, inference=True).response(context)
        failed = sum("error" in result for result in results)
        body = {
            "request_id": context.request_id,
            "trace_id": context.trace_id,
            "results": results,
            "succeeded": len(results) - failed,
            "failed": failed,
        }
        return Response(json_bytes(body), media_type="application/json")

    async def _accepted(self, request: Request, function: str, parse: Callable[[object], T]) -> tuple[Call, T]:
        context = request_context(request.scope)
        call = Call(
            request_id=context.request_id,
            function=function,
            arrived_unix_ns=context.arrived_unix_ns,
            arrived_monotonic=context.arrived_monotonic,
            timeout=None,
            read_until=None,
        )
        try:
            call = replace(call, timeout=request_timeout(request.headers))
            parsed = parse(parse_json(await self._body(request, call)))
        except (Exception, asyncio.CancelledError) as failure:
            self._pipeline.refuse(self._read(call), failure)
            raise
        return self._read(call), parsed

    async def _body(self, request: Request, call: Call) -> bytes:
        require_json(request.headers)
        allowed = min(self._deadline, math.inf if call.timeout is None else call.timeout)
        try:
            async with asyncio.timeout(max(call.arrived_monotonic + allowed - self._clock.monotonic(), 0.0)):
                return await read_body(request.receive, request.headers, limit=self._body_limit)
        except TimeoutError:
            detail = "The body did not arrive within the deadline."
            raise DeadlineExceeded(ErrorType.DEADLINE_EXCEEDED, detail) from None

    def _read(self, call: Call) -> Call:
        return replace(call, read_until=self._clock.monotonic())

    def _pairs(self, body: object) -> list[object]:
        if not isinstance(body, dict):
            raise InvalidInput(ErrorType.WRONG_TYPE, 'The body must be a JSON object: {"pairs": […]}.')
        if "pairs" not in body:
            raise InvalidInput(ErrorType.MISSING_FIELD, "pairs is missing.", field="pairs")
        pairs = body["pairs"]
        if not isinstance(pairs, list):
            raise InvalidInput(ErrorType.WRONG_TYPE, "pairs must be a list.", field="pairs")
        if not pairs:
            raise InvalidInput(ErrorType.MISSING_FIELD, "pairs is empty; send at least one pair.", field="pairs")
        if len(pairs) > self._batch_limit:
            detail = f"A call may have at most {self._batch_limit} pairs, this one has {len(pairs)}; split it."
            raise InvalidInput(ErrorType.TOO_MANY_PAIRS, detail, field="pairs")
        return pairs

    async def _all(self, call: Call, pairs: Sequence[object], trace_id: str) -> list[dict[str, object]]:
        items = [replace(call, request_id=item_id(call.request_id, index)) for index in range(len(pairs))]
        waiting = set(range(len(pairs)))
        slots = asyncio.Semaphore(self._concurrency)

        async def one(index: int) -> dict[str, object]:
            async with slots:
                waiting.discard(index)
                return {"index": index, **await self._one(items[index], pairs[index], trace_id)}

        try:
            return await asyncio.gather(*(one(index) for index in range(len(pairs))))
        except asyncio.CancelledError as gone:
            # A pair that had not begun knows nothing of its cancellation, yet it is an inference that ended here.
            for index in sorted(waiting):
                self._pipeline.refuse(items[index], gone)
            raise

    async def _one(self, call: Call, pair: object, trace_id: str) -> dict[str, object]:
        try:
            try:
                address1, address2 = pair_fields(pair)
            except InvalidInput as failure:
                self._pipeline.refuse(call, failure)
                raise
            return answer_of(await self._pipeline.infer(call, address1, address2), trace_id)
        except Exception as failure:  # noqa: BLE001 -- whatever it is, the other pairs have their answers
            problem = problem_of(failure, inference=True).document(request_id=call.request_id, trace_id=trace_id)
            return {"request_id": call.request_id, "error": problem}


def answer_of(event: InferenceEvent, trace_id: str) -> dict[str, object]:
    """The answer to one pair, of an event that ended in success; durations in milliseconds."""
    answer = event.answer
    assert answer is not None
    return {
        "request_id": event.request_id,
        "trace_id": trace_id,
        "label": answer.label,
        "probabilities": {
            "not_match": answer.not_match,
            "partial_match": answer.partial_match,
            "exact_match": answer.exact_match,
        },
        "similarity": answer.similarity,
        "model": {"name": event.model_name, "version": event.model_version},
        "truncated": bool(event.truncated),
        "latency_ms": round(event.duration * 1000, 3),
        "timings_ms": {timing.stage.value: round(timing.duration * 1000, 3) for timing in event.stages},
    }
