"""The numbers of inferences, and their counts."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

from service.errors import ErrorType, Outcome
from service.telemetry import names
from service.telemetry.tally import Tally


def test_inferences_are_numbered_from_1_and_counted() -> None:
    """By error type where there is one; all others are there at 0."""
    tally = Tally()
    seen: list[int] = []
    for error_type in (None, ErrorType.QUEUE_FULL, None, ErrorType.NOT_READY):
        tally.add(error_type, seen.append)

    assert seen == [1, 2, 3, 4]
    assert [labels for _, labels in tally.read()] == list(names.REQUEST_LABEL_SETS)
    assert [(count, labels) for count, labels in tally.read() if count] == [
        (2, {"status": "success"}),
        (1, {"status": "overloaded", "error.type": "queue_full"}),
        (1, {"status": "overloaded", "error.type": "not_ready"}),
    ]
    assert tally.by_outcome() == dict.fromkeys(Outcome, 0) | {Outcome.SUCCESS: 2, Outcome.OVERLOADED: 2}


def test_numbers_are_handed_on_in_their_order_and_cover_what_was_read() -> None:
    """By many threads at once: whoever has read a sum knows that the number of that sum, and each below, was handed on."""
    tally = Tally()
    seen: list[int] = []
    readings: list[tuple[int, int]] = []
    done = threading.Event()

    def work() -> None:
        for _ in range(500):
            tally.add(ErrorType.INTERNAL, seen.append)

    def watch() -> None:
        while not done.is_set():
            total = sum(count for count, _ in tally.read())
            readings.append((total, len(seen)))

    watcher = threading.Thread(target=watch)
    workers = [threading.Thread(target=work) for _ in range(6)]
    for thread in (watcher, *workers):
        thread.start()
    for thread in workers:
        thread.join()
    done.set()
    watcher.join()

    assert seen == list(range(1, 3001))
    assert all(handed >= total for total, handed in readings)


FORKING = """
import os
from service.telemetry.tally import Tally

tally = Tally()

def fork(_number):
    # The lock is held here, as by any other thread of a program that forks.
    child = os.fork()
    if child == 0:
        tally.add(None, os._exit)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2

tally.add(None, fork)
"""


def test_a_forked_child_can_count_although_the_lock_was_held() -> None:
    """By a thread that the child does not have."""
    subprocess.run([sys.executable, "-c", FORKING], check=True, timeout=60, cwd=Path(__file__).parents[3])
