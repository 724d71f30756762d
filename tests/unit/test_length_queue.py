"""Which tickets run together."""

from __future__ import annotations

import asyncio

from service.length_queue import LengthQueue
from service.ticket import Ticket


def queue_of(*sizes: int, deadline: float = 100.0) -> LengthQueue[int, None]:
    """A queue of tickets numbered by arrival."""
    queue: LengthQueue[int, None] = LengthQueue()
    for number, size in enumerate(sizes):
        queue.add(ticket(number, size, deadline))
    return queue


def ticket(number: int, size: int, deadline: float = 100.0) -> Ticket[int, None]:
    loop = asyncio.get_running_loop()
    made: Ticket[int, None] = Ticket(number, size=size, deadline=deadline, enqueued_at=0.0, loop=loop, depart=lambda _: None)
    return made


def numbers(tickets: tuple[Ticket[int, None], ...]) -> list[int]:
    return [each.item for each in tickets]


async def test_few_tickets_go_together_whatever_their_lengths():
    """There is no better batch to wait for."""
    queue = queue_of(5, 200, 7)
    assert numbers(queue.take(4, 0.0)) == [0, 1, 2]
    assert len(queue) == 0


async def test_the_oldest_leads_and_the_nearest_in_length_join():
    """The long ones wait for the next batch, however long they have waited already."""
    queue = queue_of(10, 190, 12, 180, 11, 9)
    assert numbers(queue.take(3, 0.0)) == [0, 4, 5]
    assert numbers(queue.take(3, 0.0)) == [1, 2, 3]


async def test_of_equal_lengths_the_older_goes_first():
    """Within one length the order of arrival holds."""
    queue = queue_of(10, 10, 10, 10)
    assert numbers(queue.take(2, 0.0)) == [0, 1]
    assert numbers(queue.take(2, 0.0)) == [2, 3]


async def test_nobody_starves():
    """An odd length goes at the latest when it is the oldest, though a stream of others keeps coming."""
    queue = queue_of(200, 10)
    queue.take(1, 0.0)
    queue.add(ticket(2, 200))
    taken = []
    for number in range(3, 9):
        queue.add(ticket(number, 10))
        taken += numbers(queue.take(1, 0.0))
        if 2 in taken:
            break
    assert taken == [1, 2]


async def test_the_look_ahead_is_bounded():
    """Only four batches' worth of tickets are considered, so that a cut costs the same however long the queue is."""
    queue = queue_of(10, *[200] * 7, 10)
    assert numbers(queue.take(2, 0.0)) == [0, 1]


async def test_a_ticket_past_its_deadline_is_not_taken():
    """Its own timer ends it; running it would be for nobody."""
    queue = queue_of(1, 1)
    queue.add(ticket(2, 1, deadline=50.0))
    queue.add(ticket(3, 1, deadline=50.1))
    assert numbers(queue.take(4, 50.0)) == [0, 1, 3]
    assert len(queue) == 0


async def test_a_queue_of_the_expired_gives_nothing():
    """And is empty afterwards."""
    queue = queue_of(1, 2, 3, deadline=5.0)
    assert (queue.take(2, 6.0), len(queue)) == ((), 0)


async def test_leaving_early():
    """A discarded ticket is gone, and may be discarded again."""
    queue = queue_of(1, 2)
    first = queue.oldest
    queue.discard(first)
    queue.discard(first)
    assert numbers(queue.clear()) == [1]
    assert (len(queue), queue.oldest) == (0, None)
