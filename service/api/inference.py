"""`POST /v1/match` and `POST /v1/match/batch`: wire to pipeline and back.

Every request to these two paths leaves its events: one for a single pair or for a batch refused whole, one per pair of a
batch that was accepted, whatever becomes of the caller.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Protocol

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.api.body import parse_json, read_body, request_timeout, require_json
from service.api.disconnect import unless_disconnected
from service.api.middleware import RequestContext, request_context
from service.api.openapi import BATCH_OPERATION, MATCH_OPERATION
from service.api.problem import Problem, json_bytes, problem_of
from service.errors import ClientDisconnected, DeadlineExceeded, ErrorType, InferenceRefused, InvalidInput
from service.inference import Call
from service.preprocessing import pair_fields
from service.telemetry.ids import item_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.telemetry.event import Clock, InferenceEvent

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

    def refuse(self, call: Call, failure: BaseException | ErrorType) -> InferenceEvent:
        """Record an inference that failed before it could begin."""
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

    def __init__(
        self, *, pipeline: Pipeline, clock: Clock, body_limit: int, batch_limit: int, deadline: float, concurrency: int
    ) -> None:
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
            call, (address1, address2) = await self._accepted(request, context, MATCH, pair_fields)
            event = await unless_disconnected(self._pipeline.infer(call, address1, address2), request.receive)
        except InferenceRefused as failure:
            return problem_of(failure, inference=True).response(context)
        context.stages = event.stages
        return Response(json_bytes(answer_of(event)), media_type="application/json")

    async def _match_batch(self, request: Request) -> Response:
        """Decide the same for up to 256 pairs, each with its own answer or error."""
        context = request_context(request.scope)
        try:
            call, pairs = await self._accepted(request, context, MATCH_BATCH, self._pairs)
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
