"""The request id and the batch id in the context."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from typing import TYPE_CHECKING

import pytest

from service.telemetry.context import bind_batch_id, bind_request_id, current_batch_id, current_request_id

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_outside_a_request_there_is_no_id() -> None:
    """Nothing is made up."""
    assert (current_request_id(), current_batch_id()) == (None, None)


def test_an_id_is_current_inside_only_and_the_outer_one_comes_back() -> None:
    """Bindings nest."""
    with bind_request_id("outer"):
        with bind_request_id("inner"):
            assert current_request_id() == "inner"
        assert current_request_id() == "outer"
    assert current_request_id() is None


def test_an_exception_ends_the_binding() -> None:
    """A failed request does not lend its id to the next one."""
    with pytest.raises(KeyError), bind_request_id("request-1"), bind_batch_id("batch-1"):
        raise KeyError

    assert (current_request_id(), current_batch_id()) == (None, None)


def test_request_and_batch_do_not_disturb_one_another() -> None:
    """Two variables."""
    with bind_request_id("request-1"), bind_batch_id("batch-1"):
        assert (current_request_id(), current_batch_id()) == ("request-1", "batch-1")


def test_a_binding_that_ends_in_another_context_does_no_harm() -> None:
    """A coroutine that nobody finished may be closed by the garbage collector, anywhere."""

    def work() -> Iterator[None]:
        with bind_request_id("request-1"), bind_batch_id("batch-1"):
            yield

    generator = work()
    with bind_request_id("request-2"):
        contextvars.copy_context().run(next, generator)
        generator.close()
        assert (current_request_id(), current_batch_id()) == ("request-2", None)


def test_another_thread_starts_without_an_id() -> None:
    """Context crosses threads only where somebody carries it."""
    seen: list[str | None] = []
    with bind_request_id("request-1"):
        thread = threading.Thread(target=lambda: seen.append(current_request_id()))
        thread.start()
        thread.join(10)

    assert seen == [None]


async def test_concurrent_tasks_keep_their_ids_apart() -> None:
    """A thousand of them, all in flight at once."""
    barrier = asyncio.Barrier(1000)

    async def serve(request_id: str) -> str | None:
        with bind_request_id(request_id):
            await barrier.wait()
            return current_request_id()

    expected = [f"request-{number}" for number in range(1000)]

    assert await asyncio.gather(*map(serve, expected)) == expected
