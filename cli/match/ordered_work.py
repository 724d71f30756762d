"""Work on a stream of items, many at once, with results in the order of the items and bounded memory."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


async def work_in_order(
    items: Iterable[ItemT],
    work: Callable[[ItemT], Awaitable[ResultT]],
    emit: Callable[[ResultT], None],
    *,
    concurrency: int,
    backlog: int,
) -> None:
    """Give every item to `work` and every result to `emit`, in the order of the items.

    An item is taken only when a worker is free and fewer than `backlog` items have been taken whose results are not emitted,
    so a slow item holds up the emission but not at once the work. What `work` or `emit` raises first ends everything and is
    raised here.

    Args:
        items: taken one by one.
        work: answers one item.
        emit: told of each result, never of two at once.
        concurrency: items in work at once.
        backlog: items taken but not emitted; at least `concurrency`.
    """
    numbered = enumerate(items)
    results: dict[int, ResultT] = {}
    emitted = 0
    moved = asyncio.Event()

    async def worker() -> None:
        nonlocal emitted
        for number, item in numbered:
            while number - emitted >= backlog:
                moved.clear()
                await moved.wait()
            results[number] = await work(item)
            while emitted in results:
                emit(results.pop(emitted))
                emitted += 1
            moved.set()
            # Work that never waits would otherwise hold the loop until the items end.
            await asyncio.sleep(0)

    try:
        async with asyncio.TaskGroup() as workers:
            for _ in range(concurrency):
                workers.create_task(worker())
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
