"""`/docs`: the OpenAPI document as a page, rendered here, since the usual viewers load themselves from elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from starlette.responses import HTMLResponse, Response

from service.api.accept import JSON
from service.api.problem import STATUSES
from service.api.wording import ERRORS
from service.errors import ErrorType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from service.api.pages import Pages


_NEVER_SENT = frozenset(
    {ErrorType.CLIENT_DISCONNECTED, ErrorType.CALLER_CANCELLED, ErrorType.FUNCTION_FAILED, ErrorType.PROCESS_DIED},
)


class DocsApi:
    """The page of the API.

    Args:
        openapi: gives the OpenAPI document.
        pages: makes the page.
    """

    def __init__(self, *, openapi: Callable[[], dict[str, Any]], pages: Pages) -> None:
        self._openapi = openapi
        self._pages = pages

    def router(self) -> APIRouter:
        """The route; for people, so it is not in the document itself."""
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/docs", self._docs, response_class=HTMLResponse)
        return router

    async def _docs(self) -> Response:
        document = self._openapi()
        problems = [
            {"error_type": error.value, "status": STATUSES[error], "meaning": ERRORS[error].meaning, "advice": ERRORS[error].advice}
            for error in ErrorType
            if error not in _NEVER_SENT
        ]
        return self._pages.docs(list(operations(document)), problems)


def operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every operation of an OpenAPI document, with the example of its request and of its answer, where there are any."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield {
                "path": path,
                "method": method.upper(),
                "summary": operation.get("summary", ""),
                "description": operation.get("description", ""),
                "parameters": operation.get("parameters", []),
                "request": _example(operation.get("requestBody", {})),
                "answer": _example(operation["responses"]["200"]),
                "statuses": sorted(operation["responses"]),
            }


def _example(part: dict[str, Any]) -> object:
    return part.get("content", {}).get(JSON, {}).get("example")
