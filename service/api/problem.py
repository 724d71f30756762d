"""Problem documents (RFC 9457): the one table from error to HTTP status, and what the caller reads."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.responses import Response

from service.api.wording import ERRORS
from service.errors import ErrorType, InferenceRefused, InvalidInput, InvalidQuery, RequestNotFound, StoreError, Unauthorized

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.api.middleware import RequestContext

MEDIA_TYPE = "application/problem+json"
CLIENT_CLOSED_REQUEST = 499  # nginx's; nobody receives it, but the server span and the access log show it


_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":")).encode


class ApiError(StrEnum):
    """`error_type` of the answers that are not about an inference, and so are no `ErrorType`."""

    UNAUTHORIZED = "unauthorized"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    REQUEST_NOT_FOUND = "request_not_found"
    INVALID_QUERY = "invalid_query"
    STORE_UNAVAILABLE = "store_unavailable"
    HTTP_ERROR = "http_error"


STATUSES: Mapping[ErrorType | ApiError, int] = MappingProxyType(
    {
        ErrorType.MALFORMED_JSON: 400,
        ErrorType.INVALID_HEADER: 400,
        ErrorType.BODY_TOO_LARGE: 413,
        ErrorType.UNSUPPORTED_MEDIA_TYPE: 415,
        ErrorType.MISSING_FIELD: 422,
        ErrorType.WRONG_TYPE: 422,
        ErrorType.EMPTY_ADDRESS: 422,
        ErrorType.ADDRESS_TOO_LONG: 422,
        ErrorType.INVALID_TEXT: 422,
        ErrorType.TOO_MANY_PAIRS: 422,
        ErrorType.CLIENT_DISCONNECTED: CLIENT_CLOSED_REQUEST,
        ErrorType.CALLER_CANCELLED: CLIENT_CLOSED_REQUEST,
        ErrorType.MODEL_FAILED: 500,
        ErrorType.INVALID_OUTPUT: 500,
        ErrorType.DEVICE_FAILED: 500,
        ErrorType.WORKER_STUCK: 500,
        ErrorType.WORKER_DIED: 500,
        ErrorType.FUNCTION_FAILED: 500,
        ErrorType.PROCESS_DIED: 500,
        ErrorType.INTERNAL: 500,
        ErrorType.QUEUE_FULL: 503,
        ErrorType.BREAKER_OPEN: 503,
        ErrorType.NOT_READY: 503,
        ErrorType.SHUTTING_DOWN: 503,
        ErrorType.DEADLINE_EXCEEDED: 504,
        ApiError.UNAUTHORIZED: 401,
        ApiError.NOT_FOUND: 404,
        ApiError.REQUEST_NOT_FOUND: 404,
        ApiError.METHOD_NOT_ALLOWED: 405,
        ApiError.INVALID_QUERY: 422,
        ApiError.STORE_UNAVAILABLE: 503,
        ApiError.HTTP_ERROR: 400,
    }
)

NOT_KNOWN = (
    "Nothing is known of this request_id. It may be mistyped, older than the retention of the store, served less than a second ago "
    "and still being written, or served with another data folder."
)
UNAUTHORIZED = "This needs an API key. Send it as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'."
STORE_UNAVAILABLE = "The store of past requests cannot be read now. Inferences are not affected; retry later, and see /readyz."


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What a caller is told about a request that failed.

    Attributes:
        error_type: an `ErrorType` or an `ApiError`.
        title: the same for every problem of this type.
        detail: what was wrong this time and what to do; quotes field names and numbers, never addresses.
        retryable: whether the same request may succeed later.
        retry_after: seconds until then; every 503 has it.
        field: the field or parameter at fault, if one.
        inference: whether the failure is an inference, which leaves a story under its id.
        headers: further response headers.
        extra: further members of the document.
    """

    error_type: ErrorType | ApiError
    status: int
    title: str
    detail: str
    retryable: bool = False
    retry_after: float | None = None
    field: str | None = None
    inference: bool = False
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    extra: Mapping[str, object] = dataclasses.field(default_factory=dict)

    def document(self, *, request_id: str, trace_id: str) -> dict[str, object]:
        """The JSON members, of which those that do not apply are left out."""
        members: dict[str, object] = {
            "type": f"urn:mgeo:error:{self.error_type}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "instance": f"/v1/requests/{request_id}" if self.inference else f"urn:mgeo:request:{request_id}",
            "request_id": request_id,
            "trace_id": trace_id,
            "error_type": str(self.error_type),
            "retryable": self.retryable,
        }
        if self.retry_seconds is not None:
            members["retry_after"] = self.retry_seconds
        if self.field is not None:
            members["field"] = self.field
        return {**members, **self.extra}

    @property
    def retry_seconds(self) -> int | None:
        """`Retry-After`: whole seconds, at least 1."""
        if self.retry_after is None and self.status != 503:
            return None
        return max(math.ceil(self.retry_after or 1), 1)

    def response(self, context: RequestContext) -> Response:
        """The answer to the request the context stands for."""
        headers = {"Cache-Control": "no-store", **self.headers}
        if self.retry_seconds is not None:
            headers["Retry-After"] = str(self.retry_seconds)
        document = self.document(request_id=context.request_id, trace_id=context.trace_id)
        return Response(json_bytes(document), self.status, headers, MEDIA_TYPE)


def json_bytes(value: object) -> bytes:
    """Compact JSON in UTF-8. A lone surrogate, which only captured text can hold, becomes its JSON escape."""
    return _encode(value).encode("utf-8", "backslashreplace")


def problem_of(error: Exception, *, inference: bool = False) -> Problem:
    """What a caller is told about an exception; anything unexpected is `internal`, without its message.

    Args:
        error: what was raised.
        inference: whether it ended an inference, so that the problem can point to its story.
    """
    match error:
        case InferenceRefused():
            problem = _refused(error, inference=inference)
        case InvalidQuery():
            problem = _api(ApiError.INVALID_QUERY, "The query cannot be understood", error.detail, field=error.parameter)
        case RequestNotFound():
            problem = _api(ApiError.REQUEST_NOT_FOUND, "No such request", NOT_KNOWN)
        case Unauthorized():
            problem = _api(ApiError.UNAUTHORIZED, "No valid API key", UNAUTHORIZED, headers={"WWW-Authenticate": 'Bearer realm="mgeo"'})
        case StoreError():
            problem = _api(ApiError.STORE_UNAVAILABLE, "The store cannot be read", STORE_UNAVAILABLE, retryable=True)
        case HTTPException():
            problem = _http(error)
        case _:
            problem = _refused(InferenceRefused(ErrorType.INTERNAL), inference=inference)
    return problem


def not_ready(reason: str, **extra: object) -> Problem:
    """The answer of `/readyz` while the model or its worker cannot answer."""
    return Problem(
        error_type=ErrorType.NOT_READY,
        status=503,
        title=_title(ErrorType.NOT_READY),
        detail=reason,
        retryable=True,
        extra=extra,
    )


def _title(error_type: ErrorType) -> str:
    return error_type.message[0].upper() + error_type.message[1:]


def _refused(error: InferenceRefused, *, inference: bool) -> Problem:
    explained = error.detail != error.error_type.message
    return Problem(
        error_type=error.error_type,
        status=STATUSES[error.error_type],
        title=_title(error.error_type),
        detail=error.detail if explained else ERRORS[error.error_type].advice,
        retryable=error.retryable or error.error_type is ErrorType.INTERNAL,
        retry_after=error.retry_after,
        field=error.field if isinstance(error, InvalidInput) else None,
        inference=inference,
    )


def _api(error_type: ApiError, title: str, detail: str, **more: object) -> Problem:
    return Problem(error_type=error_type, status=STATUSES[error_type], title=title, detail=detail, **more)  # type: ignore[arg-type]


def _http(error: HTTPException) -> Problem:
    headers = dict(error.headers or {})
    if error.status_code == 404:
        return _api(ApiError.NOT_FOUND, "No such path", "There is nothing at this path; /openapi.json lists what there is.")
    if error.status_code == 405:
        allowed = headers.get("Allow", headers.get("allow", ""))
        return _api(ApiError.METHOD_NOT_ALLOWED, "The method is not allowed here", f"This path allows {allowed}.", headers=headers)
    return Problem(
        error_type=ApiError.HTTP_ERROR if error.status_code < 500 else ErrorType.INTERNAL,
        status=error.status_code,
        title="The request cannot be served",
        detail="See the status.",
        headers=headers,
    )
