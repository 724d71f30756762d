"""Work on a stream of items, many at once, results in order."""

from __future__ import annotations

import asyncio
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.match.ordered_work import work_in_order


@given(
    delays=st.lists(st.integers(0, 5), max_size=40),
    concurrency=st.integers(1, 8),
    more=st.integers(0, 20),
)
def test_results_come_in_the_order_of_the_items_and_within_the_bounds(delays, concurrency, more):
    """Whatever ends first: nothing is lost, repeated or reordered, and neither bound is ever exceeded."""
    backlog = concurrency + more
    emitted, working, most_working, taken, furthest = [], 0, 0, 0, 0

    def items():
        nonlocal taken
        for item in enumerate(delays):
            taken += 1
            yield item

    async def work(item):
        nonlocal working, most_working, furthest
        working += 1
        most_working = max(most_working, working)
        furthest = max(furthest, item[0] - len(emitted) + 1)
        for _ in range(item[1]):
            await asyncio.sleep(0)
        working -= 1
        return item[0]

    asyncio.run(work_in_order(items(), work, emitted.append, concurrency=concurrency, backlog=backlog))
    assert emitted == list(range(len(delays)))
    assert most_working <= concurrency
    assert furthest <= backlog
    assert taken == len(delays)


def test_workers_are_kept_busy_behind_a_slow_item(virtual_loop):
    """Ten items of one second and one of three: two workers need seven seconds, not the sum."""
    ends = deque()

    async def work(seconds):
        await asyncio.sleep(seconds)
        return seconds

    items = [3.0, *[1.0] * 10]
    virtual_loop.run_until_complete(work_in_order(items, work, ends.append, concurrency=2, backlog=100))
    assert list(ends) == items
    assert virtual_loop.time() == pytest.approx(7.0)


def test_a_full_backlog_waits_for_the_slow_item(virtual_loop):
    """Memory is bounded, at the price of the waiting."""

    async def work(seconds):
        await asyncio.sleep(seconds)
        return seconds

    virtual_loop.run_until_complete(work_in_order([3.0, *[1.0] * 10], work, lambda _: None, concurrency=2, backlog=2))
    assert virtual_loop.time() == pytest.approx(8.0)


@pytest.mark.parametrize("where", ["items", "work", "emit"])
def test_a_failure_ends_everything_and_is_raised_as_it_is(where):
    """Also when others are at work."""

    def items():
        yield from range(5)
        if where == "items":
            raise OSError("gone")

    async def work(item):
        await asyncio.sleep(0)
        if where == "work" and item == 3:
            raise OSError("gone")
        return item

    def emit(result):
        if where == "emit":
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        asyncio.run(work_in_order(items(), work, emit, concurrency=3, backlog=3))


def test_work_that_never_waits_leaves_the_loop_to_others():
    """So that Ctrl-C and timers are heard."""

    async def main():
        turns = []

        async def other():
            while True:
                turns.append(1)
                await asyncio.sleep(0)

        beside = asyncio.create_task(other())

        async def work(item):
            return item

        await work_in_order(range(100), work, lambda _: None, concurrency=1, backlog=1)
        beside.cancel()
        return len(turns)

    assert asyncio.run(main()) >= 90
