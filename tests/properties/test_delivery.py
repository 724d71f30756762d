"""Whatever robots answer, and however often the process dies: each notification is told, once, in the order of its group."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.notifier import TOO_FAST, Notifier, alert, configuration, payload, robots

DEAD = b'{"errcode":400102,"errmsg":""}'
WRONG = b'{"errcode":310000,"errmsg":"sign not match"}'
BUSY = b'{"errcode":-1,"errmsg":""}'
ANSWERS = st.sampled_from(["lost", "unreachable", 502, 302, BUSY, TOO_FAST, DEAD, WRONG])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("receive"), st.integers(0, 2)),
        st.tuples(st.just("receive"), st.integers(0, 2)),
        st.tuples(st.just("answer"), st.tuples(st.sampled_from(["r1", "r2"]), ANSWERS)),
        st.tuples(st.just("pass"), st.sampled_from([0.0, 1.0, 5.0, 61.0, 400.0])),
        st.tuples(st.just("wall"), st.floats(-1e5, 1e5)),
        st.tuples(st.just("restart"), st.none()),
    ),
    min_size=3,
    max_size=25,
)


@settings(max_examples=40)
@given(STEPS)
def test_each_is_told_once_in_its_order(tmp_path_factory, steps):
    """With two robots that answer anything, a wall clock that jumps, and processes that are replaced."""
    asyncio.run(_deliver(tmp_path_factory.mktemp("outbox"), steps))


async def _deliver(folder, steps):
    notifier = Notifier(folder, config=configuration(robots=robots("r1", "r2")))
    received = []
    try:
        for kind, value in steps:
            if kind == "receive":
                received.append((value, len(received)))
                notifier.receive(payload(alert("Order", instance=f"{value}-{len(received) - 1}"), group=f"g{value}"))
                await notifier.deliver()
            elif kind == "answer":
                robot, answer = value
                notifier.dingtalk.answers.setdefault(robot, []).append(answer)
            elif kind == "pass":
                notifier.time.now += value
                await notifier.deliver()
            elif kind == "wall":
                notifier.time.jump = value
            else:
                notifier.restart()
        notifier.dingtalk.answers.clear()
        notifier.time.jump = 0.0
        for _ in range(40):
            notifier.time.now += 200.0
            await notifier.deliver()
        assert notifier.outbox.depth().oldest is None
        assert notifier.outbox.depth().dead == 0
    finally:
        notifier.outbox.close()
    told = [line.split()[-1] for text in notifier.dingtalk.texts for line in text.splitlines() if "Order" in line]
    assert sorted(told) == sorted(f"{group}-{number}" for group, number in received)
    for group in range(3):
        numbers = [int(one.partition("-")[2]) for one in told if one.startswith(f"{group}-")]
        assert numbers == sorted(numbers)
