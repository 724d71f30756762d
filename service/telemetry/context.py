"""The request id, or the batch id, that belongs to what runs now."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

request_id_var: ContextVar[str | None] = ContextVar("mgeo_request_id", default=None)
_batch_id_var: ContextVar[str | None] = ContextVar("mgeo_batch_id", default=None)


def current_request_id() -> str | None:
    """The id of the request that runs now; None outside one."""
    return request_id_var.get()


def current_batch_id() -> str | None:
    """The id of the batch whose span is being made; None anywhere else."""
    return _batch_id_var.get()


@contextmanager
def bind_request_id(request_id: str) -> Iterator[None]:
    """Make `request_id` the current one inside."""
    token = request_id_var.set(request_id)
    try:
        yield
    finally:
        request_id_var.reset(token)


@contextmanager
def bind_batch_id(batch_id: str) -> Iterator[None]:
    """Make `batch_id` the current one inside."""
    token = _batch_id_var.set(batch_id)
    try:
        yield
    finally:
        _batch_id_var.reset(token)
