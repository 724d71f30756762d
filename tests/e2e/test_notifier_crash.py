"""The notifier is killed in every gap: each alert arrives, and none twice while DingTalk remembers msgUuids."""

from __future__ import annotations

import os
import random
import signal
import threading

import pytest

from tests.crash import GAPS, Alertmanager, Crashing, RobotServer, random_wait
from tests.deadline import until
from tests.notifier import START, alert, payload

pytestmark = pytest.mark.slow
CRASHES = int(os.environ.get("CRASHES", "10"))


@pytest.fixture
def robots():
    server = RobotServer()
    yield server
    server.close()


@pytest.fixture
def notifier(tmp_path, robots):
    crashing = Crashing(tmp_path / "data", robots)
    yield crashing
    crashing.close()


def firing(number):
    return payload(alert("Crash", instance=f"box-{number:05}"), group=f"g{number}")


def resolved(number):
    return payload(alert("Crash", instance=f"box-{number:05}", status="resolved", ends_at=START + 1), group=f"g{number}")


def expected(count):
    return sorted(f"[{word}] warning Crash box-{number:05}" for number in range(count) for word in ("告警", "恢复"))


def stop(notifier):
    notifier.kill(signal.SIGTERM)
    return notifier.ended()


@pytest.mark.parametrize("gap", GAPS)
def test_killed_in_a_gap_it_loses_nothing_and_tells_nothing_twice(notifier, robots, gap):
    """Alertmanager repeats what was not answered, the notifier what was not recorded; both are recognised."""
    times = 3 if CRASHES < 100 else 20
    alertmanager = Alertmanager(notifier.port)
    for number in range(times):
        if gap == "send-answer":
            notifier.start()
            robots.on_call = lambda: (setattr(robots, "on_call", lambda: None), notifier.kill())
        else:
            notifier.start(gap)
        # The answer to the first of these may be the end.
        posting = threading.Thread(target=lambda number=number: (alertmanager.post(firing(number)), alertmanager.post(resolved(number))))
        posting.start()
        assert notifier.ended() == -signal.SIGKILL
        notifier.start()
        posting.join()
        until(lambda number=number: len(robots.lines()) >= 2 * number + 2, deadline=60)
        assert stop(notifier) == 0
    assert sorted(robots.lines()) == expected(times)


@pytest.mark.timeout(3600)
def test_killed_at_any_moment_it_loses_nothing_and_tells_nothing_twice(notifier, robots):
    """While alerts come and go. CRASHES says how often; its seed is printed."""
    seed = random.Random(number := int(os.environ.get("CRASH_SEED", str(random.SystemRandom().getrandbits(32)))))
    print(f"CRASH_SEED={number}")
    alertmanager = Alertmanager(notifier.port)
    done, posted = threading.Event(), 0

    def post():
        nonlocal posted
        while not done.is_set():
            alertmanager.post(firing(posted))
            alertmanager.post(resolved(posted))
            posted += 1
            random_wait(pace, 0.02)

    pace = random.Random(number)
    notifier.start()
    posting = threading.Thread(target=post)
    posting.start()
    for _ in range(CRASHES):
        random_wait(seed, 0.2)
        notifier.kill()
        assert notifier.ended() == -signal.SIGKILL
        notifier.start()
    done.set()
    posting.join()
    until(lambda: len(robots.lines()) >= 2 * posted, deadline=60)
    assert stop(notifier) == 0
    assert sorted(robots.lines()) == expected(posted)
    order = [line for line in robots.lines() if "box-00000" in line]
    assert order == ["[告警] warning Crash box-00000", "[恢复] warning Crash box-00000"]


def test_asked_to_stop_it_ends_its_sends_and_keeps_the_rest(notifier, robots):
    """With status 0; the next process goes on."""
    arrived, release = threading.Event(), threading.Event()
    robots.on_call = lambda: (arrived.set(), release.wait(20))
    notifier.start()
    alertmanager = Alertmanager(notifier.port)
    alertmanager.post(firing(0))
    assert arrived.wait(20)
    alertmanager.post(resolved(0))
    notifier.kill(signal.SIGTERM)
    release.set()
    assert notifier.ended() == 0
    assert robots.calls == 1
    notifier.start()
    until(lambda: len(robots.lines()) == 2)
    assert stop(notifier) == 0
    assert robots.lines() == ["[告警] warning Crash box-00000", "[恢复] warning Crash box-00000"]
    assert robots.calls == 2
