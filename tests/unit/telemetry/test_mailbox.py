"""The bounded hand-over to a writing thread."""

from __future__ import annotations

import threading
import time

from service.telemetry.mailbox import Mailbox


def test_items_come_out_in_the_order_they_went_in() -> None:
    """At most as many as asked for; none when it is empty."""
    box: Mailbox[int] = Mailbox(10)
    for number in range(5):
        assert box.put(number)
    assert box.take(3) == [0, 1, 2]
    assert box.take(3) == [3, 4]
    assert box.take(3) == []


def test_a_full_box_refuses_until_something_is_taken() -> None:
    """To put never blocks."""
    box: Mailbox[int] = Mailbox(2)
    assert [box.put(number) for number in range(3)] == [True, True, False]
    assert len(box) == 2
    box.take(1)
    assert box.put(3)


def test_wake_ends_the_wait() -> None:
    """A consumer that would wait a minute returns at once."""
    box: Mailbox[int] = Mailbox(2)
    box.wake()
    started = time.monotonic()
    box.wait(60)
    assert time.monotonic() - started < 30


def test_a_half_full_box_wakes_its_consumer() -> None:
    """A burst is written before it overflows; a single item waits for the interval."""
    box: Mailbox[int] = Mailbox(10)
    woken = threading.Event()

    def consume() -> None:
        box.wait(60)
        woken.set()

    thread = threading.Thread(target=consume)
    thread.start()
    for number in range(5):
        box.put(number)
    assert not woken.is_set()
    box.put(5)
    assert woken.wait(30)
    thread.join(30)


def test_nothing_is_lost_or_doubled_between_threads() -> None:
    """Four producers and a consumer; what was accepted comes out once, each producer's in order."""
    box: Mailbox[tuple[int, int]] = Mailbox(1_000_000)
    producers = [threading.Thread(target=lambda who=who: [box.put((who, number)) for number in range(5000)]) for who in range(4)]
    for producer in producers:
        producer.start()
    taken: list[tuple[int, int]] = []
    while any(producer.is_alive() for producer in producers) or len(box):
        taken += box.take(100)
    for who in range(4):
        assert [number for whose, number in taken if whose == who] == list(range(5000))
