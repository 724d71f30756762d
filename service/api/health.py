"""`/livez`, `/readyz`, `/v1/model` and `/metrics`: what supervisors, balancers and scrapers ask."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.api.middleware import request_context
from service.api.openapi import answers, problems
from service.api.problem import json_bytes, not_ready
from service.api.schemas import Liveness, ModelCard, Readiness
from service.errors import ErrorType, Overloaded
from service.model.base import Label

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from service.model.base import ModelInfo

_NO_STORE = {"Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The settings that `/v1/model` tells: characters, pairs, bytes, seconds."""

    max_address_length: int
    strict_length: bool
    batch_limit: int
    body_limit: int
    deadline: float
    capture_text: Literal["off", "failed", "all"]


class HealthApi:
    """The four routes. None of them does work of its own.

    Args:
        not_ready: why the model or its worker cannot answer; empty when it can.
        degraded: what else is amiss, in words; never a reason to stop sending requests here.
        model: who answers; None until it is loaded.
        limits: told beside the model.
        metrics: renders the scrape and its content type; runs on a thread, since it takes milliseconds.
    """

    def __init__(
        self,
        *,
        not_ready: Callable[[], str],
        degraded: Callable[[], Sequence[str]],
        model: Callable[[], ModelInfo | None],
        limits: Limits,
        metrics: Callable[[], tuple[bytes, str]],
    ) -> None:
        self._not_ready = not_ready
        self._degraded = degraded
        self._model = model
        self._limits = limits
        self._metrics = metrics

    def router(self) -> APIRouter:
        """The routes, with their part of the OpenAPI document; the probes answer HEAD too."""
        router = APIRouter(tags=["health"])
        for path, endpoint, name, summary, responses in (
            ("/livez", self._livez, "livez", "Does the process run?", answers(Liveness, "It does.")),
            ("/readyz", self._readyz, "readyz", "Can it answer?", {**answers(Readiness, "It can."), **problems(503)}),
        ):
            router.add_api_route(path, endpoint, methods=["GET"], operation_id=name, summary=summary, responses=responses)
            router.add_api_route(path, endpoint, methods=["HEAD"], include_in_schema=False)
        router.add_api_route(
            "/v1/model",
            self._model_card,
            operation_id="model",
            summary="Which model answers, within which limits?",
            responses={**answers(ModelCard, "The model."), **problems(401, 503)},
        )
        router.add_api_route(
            "/metrics",
            self._scrape,
            operation_id="metrics",
            summary="The metrics, for Prometheus",
            responses={
                200: {"description": "The text exposition format.", "content": {"text/plain": {"schema": {"type": "string"}}}},
                **problems(401),
            },
            response_class=Response,
        )
        return router

    async def _livez(self) -> Response:
        return _json({"status": "alive", "checked": ["event loop"]})

    async def _readyz(self, request: Request) -> Response:
        checked, degraded = ["model", "model worker"], list(self._degraded())
        reason = self._not_ready()
        if reason:
            return not_ready(reason, checked=checked, degraded=degraded).response(request_context(request.scope))
        return _json({"status": "ready", "checked": checked, "degraded": degraded})

    async def _model_card(self) -> Response:
        info = self._model()
        if info is None:
            raise Overloaded(ErrorType.NOT_READY)
        return _json(
            {
                "name": info.name,
                "version": info.version,
                "device": info.device,
                "labels": [label.value for label in Label],
                "max_address_length": self._limits.max_address_length,
                "strict_length": self._limits.strict_length,
                "batch_limit": self._limits.batch_limit,
                "body_limit": self._limits.body_limit,
                "deadline_seconds": self._limits.deadline,
                "capture_text": self._limits.capture_text,
            }
        )

    async def _scrape(self) -> Response:
        content, content_type = await asyncio.to_thread(self._metrics)
        return Response(content, headers={"Content-Type": content_type, **_NO_STORE})


def _json(members: object) -> Response:
    return Response(json_bytes(members), headers=_NO_STORE, media_type="application/json")
