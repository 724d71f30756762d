"""How a ticket ends: once, whichever end comes first."""

from __future__ import annotations

import asyncio

import pytest

from service.errors import DeadlineExceeded, ErrorType, ModelError
from service.ticket import Answered, Dispatch, Ticket

DISPATCH = Dispatch(batch_id="b1", batch_size=3, dispatched_at=11.0)


def ticket(*, seconds: float = 60.0) -> tuple[Ticket[str, str], list[Ticket[str, str]]]:
    departed: list[Ticket[str, str]] = []
    loop = asyncio.get_running_loop()
    made: Ticket[str, str] = Ticket("item", size=4, deadline=10.0 + seconds, enqueued_at=10.0, loop=loop, depart=departed.append)
    return made, departed


async def test_an_answer_tells_the_batch_and_the_moments():
    """Everything the event needs of the way through the queue."""
    mine, departed = ticket()
    mine.succeed("out", DISPATCH, 12.0)
    expected = Answered(output="out", batch_id="b1", batch_size=3, enqueued_at=10.0, dispatched_at=11.0, completed_at=12.0)
    assert expected == await mine.answer()
    assert [mine] == departed


async def test_the_deadline_ends_a_ticket_that_waits():
    """It leaves the queue by itself, and knows no batch."""
    mine, departed = ticket(seconds=0.01)
    with pytest.raises(DeadlineExceeded) as caught:
        await mine.answer()
    assert ErrorType.DEADLINE_EXCEEDED is caught.value.error_type
    assert ([mine], None) == (departed, mine.dispatch)


async def test_the_deadline_does_not_come_early():
    """Not before the seconds between joining the queue and the deadline have passed."""
    started = asyncio.get_running_loop().time()
    mine, _ = ticket(seconds=0.02)
    with pytest.raises(DeadlineExceeded):
        await mine.answer()
    assert asyncio.get_running_loop().time() - started >= 0.0199


async def test_a_failure_is_the_callers_own():
    """Two tickets of one batch share the cause, not the exception, whose traceback would grow with every caller."""
    shared = ModelError(ErrorType.MODEL_FAILED)
    shared.__cause__ = ValueError("x")
    caught = []
    for _ in range(2):
        mine, _ = ticket()
        mine.fail(shared)
        with pytest.raises(ModelError) as failed:
            await mine.answer()
        caught.append(failed.value)
    assert [error.error_type for error in caught] == [ErrorType.MODEL_FAILED] * 2
    assert caught[0] is not caught[1]
    assert caught[0].__cause__ is caught[1].__cause__ is shared.__cause__


async def test_what_comes_after_the_end_is_dropped():
    """A late answer, a late failure and a second answer change nothing, and the ticket departs once."""
    mine, departed = ticket()
    mine.succeed("first", DISPATCH, 12.0)
    mine.succeed("second", DISPATCH, 13.0)
    mine.fail(ModelError(ErrorType.MODEL_FAILED))
    mine.abandon()
    assert (await mine.answer()).output == "first"
    assert [mine] == departed


async def test_an_abandoned_ticket_takes_no_answer():
    """Whoever waits for it is cancelled."""
    mine, departed = ticket()
    mine.abandon()
    mine.succeed("late", DISPATCH, 12.0)
    with pytest.raises(asyncio.CancelledError):
        await mine.answer()
    assert [mine] == departed


async def test_a_cancelled_caller_abandons_its_ticket():
    """Cancelling the task is enough; nobody has to remember the ticket."""
    mine, departed = ticket()
    caller = asyncio.create_task(mine.answer())
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert [mine] == departed


async def test_a_failure_nobody_came_for_is_not_reported_by_asyncio():
    """The caller was cancelled in the moment its failure arrived; that is no bug worth a line in the log."""
    complaints = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    mine, _ = ticket()
    caller = asyncio.create_task(mine.answer())
    await asyncio.sleep(0)
    mine.fail(ModelError(ErrorType.MODEL_FAILED))
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    del mine, caller
    await asyncio.sleep(0)
    assert complaints == []
