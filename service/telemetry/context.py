"""The request id, or the batch id, that belongs to what runs now."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextvars import Token

request_id_var: ContextVar[str | None] = ContextVar("mgeo_request_id", default=None)
_batch_id_var: ContextVar[str | None] = ContextVar("mgeo_batch_id", default=None)
_span_id_var: ContextVar[str | None] = ContextVar("mgeo_span_id", default=None)


def current_request_id() -> str | None:
    """The id of the request that runs now; None outside one."""
    return request_id_var.get()


def current_batch_id() -> str | None:
    """The id of the batch whose span is being made; None anywhere else."""
    return _batch_id_var.get()


def prescribed_span_id() -> str | None:
    """The id a span that is made now has had before, in a process that died; None anywhere else."""
    return _span_id_var.get()


@contextmanager
def bind_request_id(request_id: str) -> Iterator[None]:
    """Make `request_id` the current one inside."""
    token = request_id_var.set(request_id)
    try:
        yield
    finally:
        _reset(request_id_var, token)


@contextmanager
def bind_batch_id(batch_id: str) -> Iterator[None]:
    """Make `batch_id` the current one inside."""
    token = _batch_id_var.set(batch_id)
    try:
        yield
    finally:
        _reset(_batch_id_var, token)


@contextmanager
def bind_span_id(span_id: str) -> Iterator[None]:
    """Give the span that is made inside this id."""
    token = _span_id_var.set(span_id)
    try:
        yield
    finally:
        _reset(_span_id_var, token)


def _reset(variable: ContextVar[str | None], token: Token[str | None]) -> None:
    # A coroutine that is dropped may be closed in another context, where the binding never was.
    with suppress(ValueError):
        variable.reset(token)
