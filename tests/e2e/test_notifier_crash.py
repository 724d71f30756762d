"""The notifier is killed in every gap: each alert arrives, and none twice while DingTalk remembers msgUuids."""

from __future__ import annotations

import os
import random
import signal
import threading

import pytest

from tests.crash import ANSWER_LOST, GAPS, Alertmanager, Crashing, Forks, random_wait
from tests.notifier import START, alert, payload
from tests.simulator import Simulator

pytestmark = pytest.mark.slow
CRASHES = int(os.environ.get("CRASHES", "10"))
IN_A_GAP = 3 if CRASHES < 20 else 20


@pytest.fixture(scope="module")
def forks():
    one = Forks()
    yield one
    one.close()


@pytest.fixture(scope="module")
def one_simulator(tmp_path_factory):
    one = Simulator(tmp_path_factory.mktemp("simulator"))
    yield one
    one.close()


@pytest.fixture
def simulator(one_simulator):
    one_simulator.reset()
    return one_simulator


@pytest.fixture
def notifier(forks, tmp_path, simulator):
    crashing = Crashing(forks, tmp_path / "data", simulator)
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


@pytest.mark.timeout(600)
@pytest.mark.parametrize("gap", GAPS)
def test_killed_in_a_gap_it_loses_nothing_and_tells_nothing_twice(notifier, simulator, gap):
    """Alertmanager repeats what was not answered, the notifier what was not recorded; both are recognised."""
    alertmanager = Alertmanager(notifier.port)
    for number in range(IN_A_GAP):
        calls = len(simulator.attempts())
        if gap == "send-answer":
            simulator.hold()
            notifier.start()
        else:
            notifier.start(gap)
        # The answer to the first of these may be the end.
        posting = threading.Thread(target=lambda number=number: (alertmanager.post(firing(number)), alertmanager.post(resolved(number))))
        posting.start()
        if gap == "send-answer":
            simulator.until_called(calls + 1)
            notifier.kill()
        assert notifier.ended() == -signal.SIGKILL
        notifier.start()
        posting.join()
        simulator.until_lines(2 * number + 2, deadline=60)
        assert stop(notifier) == 0
    assert sorted(simulator.lines()) == expected(IN_A_GAP)
    outcomes = simulator.outcomes()
    assert outcomes.pop("delivered") == len(simulator.messages())
    assert outcomes == ({"duplicate": IN_A_GAP} if gap in ANSWER_LOST else {})


@pytest.mark.timeout(3600)
def test_killed_at_any_moment_it_loses_nothing_and_tells_nothing_twice(notifier, simulator):
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
    try:
        for _ in range(CRASHES):
            random_wait(seed, 0.2)
            notifier.kill()
            assert notifier.ended() == -signal.SIGKILL
            notifier.start()
    finally:
        done.set()
        posting.join()
    simulator.until_lines(2 * posted, deadline=60)
    assert stop(notifier) == 0
    assert sorted(simulator.lines()) == expected(posted)
    assert simulator.outcomes().keys() <= {"delivered", "duplicate"}
    order = [line for line in simulator.lines() if "box-00000" in line]
    assert order == ["[告警] warning Crash box-00000", "[恢复] warning Crash box-00000"]


def test_asked_to_stop_it_ends_its_sends_and_keeps_the_rest(notifier, simulator):
    """With status 0; the next process goes on."""
    simulator.hold(seconds=3)
    notifier.start()
    alertmanager = Alertmanager(notifier.port)
    alertmanager.post(firing(0))
    simulator.until_called(1)
    alertmanager.post(resolved(0))
    assert stop(notifier) == 0
    assert simulator.outcomes() == {"delivered": 1}
    notifier.start()
    simulator.until_lines(2)
    assert stop(notifier) == 0
    assert simulator.lines() == ["[告警] warning Crash box-00000", "[恢复] warning Crash box-00000"]
    assert simulator.outcomes() == {"delivered": 2}
