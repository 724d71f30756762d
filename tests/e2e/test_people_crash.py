"""The notifier is killed while people are asked: each is asked once, and what was answered to somebody holds."""

from __future__ import annotations

import os
import random
import re
import signal
import threading

import pytest

from tests.crash import ANSWER_LOST, ASKING, CALLING, TAKING, Alertmanager, Crashing, Forks, Person, random_wait
from tests.deadline import until
from tests.notifier import START
from tests.people import critical, group, links_of
from tests.phone import Phone
from tests.simulator import Simulator

pytestmark = pytest.mark.slow
CRASHES = int(os.environ.get("CRASHES", "10"))
IN_A_GAP = 3 if CRASHES < 20 else 20
ROTA = ["张三", "李四"]
ALERT, ZHANG, LI, TAKEN, OVER = "fires", "asks 张三", "asks 李四", "taken by 王五", "over"


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
def phone():
    one = Phone()
    yield one
    one.close()


@pytest.fixture
def notifiers(forks, tmp_path, simulator, phone):
    made = []

    def make(**values):
        made.append(Crashing(forks, tmp_path / "data", simulator, phone=phone.address, **values))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def person():
    made = []

    def make(notifier):
        made.append(Person("王五", notifier.port))
        return made[-1]

    yield make
    for one in made:
        one.close()


def name(number):
    return f"Critical{number:05}"


def firing(number):
    return group(critical(name(number), instance=f"box-{number:05}"), key=f"c{number}")


def resolved(number):
    return group(critical(name(number), instance=f"box-{number:05}", status="resolved", ends_at=START + 1), key=f"c{number}")


def said(message):
    title, text = message["title"], message["text"]
    if "AlertEscalated" in title:
        (who,) = re.findall(r"请 (\S+) 处理", text)
        assert message["at"]["mobiles"] + message["at"]["user_ids"] == {"张三": ["13800000001"], "李四": ["lisi"]}[who]
        return f"asks {who}"
    if "AlertAcknowledged" in title:
        return "taken by " + re.findall(r"(\S+) 已接手", text)[0]
    return OVER if "已恢复" in title else ALERT


def story(simulator, number):
    """What the group sees of an alert, the oldest first."""
    return [said(message) for message in simulator.messages() if name(number) in message["text"]]


def calls(phone, number):
    """How often the phone channel was called for an alert."""
    return sum(name(number) in words for words in phone.calls)


def link(simulator, number):
    """By which it is taken over, as soon as the group sees it."""
    simulator.until(lambda: ALERT in story(simulator, number), deadline=60)
    (text,) = [message["text"] for message in simulator.messages() if name(number) in message["text"] and said(message) == ALERT]
    return links_of(text)["ack"]


def stop(notifier):
    notifier.kill(signal.SIGTERM)
    assert notifier.ended() == 0


@pytest.mark.timeout(600)
@pytest.mark.parametrize("gap", ASKING)
def test_killed_while_it_asks_it_asks_each_once(notifiers, simulator, phone, gap):
    """The first of the rota, the next, and then the phone; the next process goes on from there."""
    # Time enough to have the simulator hold back the answer to nothing but the call that asks.
    notifier = notifiers(rota=ROTA, after=600 if gap == "send-answer" else 100)
    alertmanager = Alertmanager(notifier.port)
    repeats = {"duplicate": 2} if gap in ANSWER_LOST else {}
    for number in range((IN_A_GAP + 1) // 2):
        simulator.reset()
        for who in ROTA:
            before = len(simulator.attempts())
            # Its first call tells of the alert, or repeats what the one before died over. The second of the rota is asked at once.
            notifier.start("" if gap == "send-answer" else gap, nth=2 if gap == "answer-record" else 1, wait=who == "张三")
            if who == "张三":
                alertmanager.post(firing(number))
            if gap == "send-answer":
                simulator.until_called(before + 1)
                simulator.hold()
                simulator.until_called(before + 2)
                notifier.kill()
            assert notifier.ended() == -signal.SIGKILL
        notifier.start()
        # What is not told before the group is over is not told.
        simulator.until_called(3 + sum(repeats.values()), deadline=60)
        until(lambda number=number: calls(phone, number) == 1, deadline=60)
        alertmanager.post(resolved(number))
        simulator.until(lambda number=number: OVER in story(simulator, number), deadline=60)
        stop(notifier)
        assert story(simulator, number) == [ALERT, ZHANG, LI, OVER]
        assert calls(phone, number) == 1
        assert simulator.outcomes() == {"delivered": 4, **repeats}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("gap", CALLING)
def test_killed_while_it_calls_the_phone_it_calls_again(notifiers, simulator, phone, gap):
    """Once, when nobody knows of it yet; a call too many when it died before it was noted, which is better than none."""
    notifier = notifiers(after=100)
    alertmanager = Alertmanager(notifier.port)
    noted = {"decision-call": 0, "call-record": 1}[gap]
    notifier.start(gap)
    for number in range(IN_A_GAP):
        alertmanager.post(firing(number))
        assert notifier.ended() == -signal.SIGKILL
        assert calls(phone, number) == noted
        # It lives through the gap once, and dies in it for the next alert.
        notifier.start(gap, nth=2, wait=False)
        until(lambda number=number: calls(phone, number) == noted + 1, deadline=60)
        alertmanager.post(resolved(number))
        simulator.until(lambda number=number: OVER in story(simulator, number), deadline=60)
    stop(notifier)
    assert [calls(phone, number) for number in range(IN_A_GAP)] == [noted + 1] * IN_A_GAP


@pytest.mark.timeout(600)
@pytest.mark.parametrize("gap", [*TAKING, "answered"])
def test_killed_while_somebody_takes_it_that_is_done_whole_or_not_at_all(notifiers, simulator, phone, person, gap):
    """What was answered holds; otherwise the same link may be pressed again, and the group hears of it once. Nobody is asked afterwards."""
    notifier = notifiers(rota=ROTA, after=400)
    alertmanager, taker = Alertmanager(notifier.port), person(notifier)
    notifier.start(gap)
    for number in range(IN_A_GAP):
        alertmanager.post(firing(number))
        path = link(simulator, number)
        if gap == "answered":
            assert taker.press(path) == 200
            notifier.kill()
        else:
            assert taker.press(path) is None
        assert notifier.ended() == -signal.SIGKILL
        # It lives through the gap once, and dies in it for the next alert.
        notifier.start(gap, nth=2)
        done = gap in {"commit-answer", "answered"}
        assert taker.standing("main", f"c{number}")["taken_by"] == ("王五" if done else None)
        if done:
            simulator.until(lambda number=number: TAKEN in story(simulator, number))
        assert taker.press(path) == 200
        assert taker.standing("main", f"c{number}")["taken_by"] == "王五"
        simulator.until(lambda number=number: TAKEN in story(simulator, number))
    # When nobody has taken this one, all others would have been asked for.
    alertmanager.post(firing(IN_A_GAP))
    simulator.until(lambda: ZHANG in story(simulator, IN_A_GAP), deadline=60)
    stop(notifier)
    for number in range(IN_A_GAP):
        told = story(simulator, number)
        assert told.count(TAKEN) == 1
        assert told[-1] == TAKEN
        assert calls(phone, number) == 0


def test_what_waited_to_be_asked_is_not_asked_of_a_group_that_was_taken_meanwhile(notifiers, simulator, phone, person):
    """The answer came while the robot was busy with something else, and then the notifier was killed."""
    notifier = notifiers(rota=ROTA, after=1000)
    alertmanager, taker = Alertmanager(notifier.port), person(notifier)
    notifier.start()
    alertmanager.post(firing(0))
    path = link(simulator, 0)
    simulator.hold()
    alertmanager.post(firing(1))
    simulator.until_called(2)
    until(lambda: taker.standing("main", "c0")["asked"] == 1)
    assert taker.press(path) == 200
    notifier.kill()
    assert notifier.ended() == -signal.SIGKILL
    notifier.start()
    # What was to be asked first would have been told first.
    simulator.until(lambda: ZHANG in story(simulator, 1))
    stop(notifier)
    assert story(simulator, 0) == [ALERT, TAKEN]
    assert calls(phone, 0) == 0


@pytest.mark.timeout(3600)
def test_killed_at_any_moment_each_is_asked_once_and_what_is_taken_stays_taken(notifiers, simulator, phone, person):
    """Of every other group: somebody presses until there is an answer; the rest goes through the rota. CRASHES says how often it dies."""
    seed = random.Random(number := int(os.environ.get("CRASH_SEED", str(random.SystemRandom().getrandbits(32)))))
    print(f"CRASH_SEED={number}")
    notifier = notifiers(rota=ROTA, after=300)
    alertmanager, taker = Alertmanager(notifier.port), person(notifier)
    done, posted = threading.Event(), 0

    def post():
        nonlocal posted
        pace = random.Random(number)
        while not done.is_set():
            alertmanager.post(firing(posted))
            posted += 1
            if posted % 2:
                taker.take(link(simulator, posted - 1))
            random_wait(pace, 0.2)

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
    taken, left = range(0, posted, 2), range(1, posted, 2)
    until(lambda: all(calls(phone, each) for each in left), deadline=60)
    simulator.until(lambda: all(TAKEN in story(simulator, each) for each in taken), deadline=60)
    assert {taker.standing("main", f"c{each}")["taken_by"] for each in taken} == {"王五"}
    stop(notifier)
    assert [story(simulator, each) for each in left] == [[ALERT, ZHANG, LI]] * len(left)
    for each in taken:
        told = story(simulator, each)
        assert told in ([ALERT, TAKEN], [ALERT, ZHANG, TAKEN], [ALERT, ZHANG, LI, TAKEN])
    assert simulator.outcomes().keys() <= {"delivered", "duplicate"}
