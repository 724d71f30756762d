"""Where exceptions become answers: handlers for the expected ones, a middleware for the rest."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from fastapi.exceptions import RequestValidationError
from opentelemetry import trace
from starlette.exceptions import HTTPException

from service.api.accept import prefers_html
from service.api.middleware import request_context
from service.api.problem import Problem, problem_of
from service.errors import ErrorType, InvalidQuery, ServiceError
from service.telemetry.event import ExceptionFacts
from service.telemetry.names import ERROR_TYPE, EXCEPTION_STACKTRACE, EXCEPTION_TYPE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from service.api.middleware import RequestContext

    ProblemPage = Callable[[Problem, RequestContext], Response]

_log = logging.getLogger(__name__)


class ResponseAborted(Exception):
    """An answer broke off after it had begun. Carries neither message nor cause, since others record both."""


def exception_handlers(page: ProblemPage) -> dict[type[Exception], Callable[[Request, Exception], Awaitable[Response]]]:
    """The handlers to give to FastAPI.

    Args:
        page: renders a problem for a browser.
    """

    async def answer(request: Request, error: Exception) -> Response:
        context = request_context(request.scope)
        problem = problem_of(_known(error))
        wants_page = prefers_html(request.headers.get("accept", ""))
        return page(problem, context) if wants_page else problem.response(context)

    return dict.fromkeys((ServiceError, HTTPException, RequestValidationError), answer)


class ProblemMiddleware:
    """Turns every unexpected exception into a problem document, so that none reaches what stands outside.

    The OpenTelemetry middleware and Starlette's own would record or print the exception's message, which may quote an
    address; type and frames are noted here instead, on the current span and in the log. Install it as the outermost
    middleware of the application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request; anything else passes untouched.

        Raises:
            ResponseAborted: the answer had begun when the exception came.
        """
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def watched_send(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watched_send)
            return
        except Exception as error:  # noqa: BLE001 -- the last resort
            facts = ExceptionFacts.of(error)
            problem = problem_of(error)
        _note(facts)
        if begun:
            raise ResponseAborted
        await problem.response(request_context(scope))(scope, receive, send)


def _note(facts: ExceptionFacts) -> None:
    frames = "\n".join(facts.frames)
    span = trace.get_current_span()
    span.set_attributes({ERROR_TYPE: ErrorType.INTERNAL.value, EXCEPTION_TYPE: facts.type, EXCEPTION_STACKTRACE: frames})
    span.set_status(trace.Status(trace.StatusCode.ERROR))
    _log.error("unexpected %s at\n%s", facts.type, frames)


def _known(error: Exception) -> Exception:
    if isinstance(error, RequestValidationError):
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        return InvalidQuery(where, f"The parameter {where} is missing or has the wrong type.")
    return error
