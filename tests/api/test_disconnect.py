"""Callers that go away: their work is given up, and still leaves its events."""

from __future__ import annotations

import asyncio
import json

import pytest

from service.api.disconnect import unless_disconnected
from service.errors import ClientDisconnected
from service.model.fake import FakeModel
from tests.api.composition import Caller, until

PAIR = {"address1": "杭州", "address2": "杭州"}
HEADERS = ((b"content-type", b"application/json"), (b"x-request-id", b"gone"))


def whole(body: object) -> list[dict]:
    """The one message of a body that comes in one piece."""
    return [{"type": "http.request", "body": json.dumps(body).encode(), "more_body": False}]


async def test_a_caller_that_hangs_up_while_the_model_runs_leaves_one_cancelled_event(start, gate):
    """The event ends when the caller does, not when the model answers."""
    service = await start(model=FakeModel(wait=gate))
    caller = Caller(service.app, "/v1/match", whole(PAIR), headers=HEADERS)
    await until(gate.entered.is_set)
    caller.hang_up.set()
    await caller.task
    assert service.outcomes == [("gone", "cancelled", "client_disconnected")]
    assert caller.status == 499  # nobody receives it, but the server span has it
    assert not gate.opened.is_set()


async def test_a_caller_that_hangs_up_in_the_queue_takes_its_place_out_of_it(start, gate):
    """Nobody computes what nobody waits for."""
    service = await start(model=FakeModel(wait=gate), max_batch_size=1)
    running = asyncio.create_task(service.client.post("/v1/match", json=PAIR))
    await until(gate.entered.is_set)
    caller = Caller(service.app, "/v1/match", whole(PAIR), headers=HEADERS)
    await until(lambda: service.pipeline.depth == 1)
    caller.hang_up.set()
    await caller.task
    assert service.pipeline.depth == 0
    gate.opened.set()
    assert (await running).status_code == 200
    assert len(service.model.batches) == 1


async def test_a_caller_that_hangs_up_before_its_body_ends_leaves_one_cancelled_event(service):
    """There is nothing to answer, but it was an inference."""
    caller = Caller(service.app, "/v1/match", [{"type": "http.request", "body": b'{"address1', "more_body": True}], headers=HEADERS)
    caller.hang_up.set()
    await caller.task
    assert service.outcomes == [("gone", "cancelled", "client_disconnected")]


async def test_a_batch_whose_caller_hangs_up_leaves_one_cancelled_event_for_every_pair(start, gate):
    """Also for the pairs that were waiting to be let into the queue."""
    service = await start(model=FakeModel(wait=gate), queue_size=2, max_batch_size=1, concurrency=2)
    caller = Caller(service.app, "/v1/match/batch", whole({"pairs": [PAIR] * 6}), headers=HEADERS)
    await until(gate.entered.is_set)
    caller.hang_up.set()
    await caller.task
    assert sorted(service.outcomes) == [(f"gone:{index}", "cancelled", "client_disconnected") for index in range(6)]


async def test_a_batch_whose_caller_is_gone_before_it_begins_leaves_one_cancelled_event_for_every_pair(start):
    """The connection was closed behind the last byte of the body."""
    service = await start()
    caller = Caller(service.app, "/v1/match/batch", whole({"pairs": [PAIR] * 3}), headers=HEADERS)
    caller.hang_up.set()
    await caller.task
    assert sorted(service.outcomes) == [(f"gone:{index}", "cancelled", "client_disconnected") for index in range(3)]


async def test_a_task_that_is_cancelled_by_the_server_leaves_one_event_and_stays_cancelled(start, gate):
    """At the end of its patience a server cancels what still runs."""
    service = await start(model=FakeModel(wait=gate))
    caller = Caller(service.app, "/v1/match", whole(PAIR), headers=HEADERS)
    await until(gate.entered.is_set)
    caller.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller.task
    assert [outcome for _, outcome, _ in service.outcomes] == ["cancelled"]


async def test_a_task_that_is_cancelled_while_its_body_comes_in_leaves_one_event(service):
    """The same, a little earlier."""
    caller = Caller(service.app, "/v1/match", [{"type": "http.request", "body": b"{", "more_body": True}], headers=HEADERS)
    await until(lambda: caller.taken == 2)
    caller.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller.task
    assert [outcome for _, outcome, _ in service.outcomes] == ["cancelled"]


async def test_a_body_that_does_not_arrive_within_the_deadline_is_a_504(start):
    """A connection cannot be held open by sending nothing."""
    service = await start(deadline=0.05)
    caller = Caller(service.app, "/v1/match", [{"type": "http.request", "body": b"{", "more_body": True}], headers=HEADERS)
    await caller.task
    assert caller.status == 504
    assert json.loads(caller.sent[1]["body"])["detail"] == "The body did not arrive within the deadline."
    assert service.outcomes == [("gone", "timeout", "deadline_exceeded")]


async def test_one_watcher_takes_the_messages_behind_the_body_and_ends_with_the_answer(service):
    """Reading once for the body and once for the watch; nothing is left running."""
    caller = Caller(service.app, "/v1/match/batch", whole({"pairs": [PAIR] * 5}), headers=HEADERS)
    await caller.task
    await asyncio.sleep(0)
    assert (caller.status, caller.taken) == (200, 2)
    assert [task for task in asyncio.all_tasks() if task.get_name() == "disconnect watch"] == []


async def test_messages_other_than_a_disconnect_do_not_end_the_work():
    """A server may repeat an empty body."""
    messages = [{"type": "http.request", "body": b"", "more_body": False}] * 3
    seen = asyncio.Event()

    async def receive() -> dict:
        if messages:
            return messages.pop()
        seen.set()
        await asyncio.Event().wait()
        raise AssertionError

    async def work() -> str:
        await seen.wait()
        return "done"

    assert await unless_disconnected(work(), receive) == "done"


async def test_work_sees_its_cancellation_before_the_disconnect_is_reported():
    """What the work does at its end is done when `ClientDisconnected` arrives, and the task can go on."""
    ended = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    async def receive() -> dict:
        return {"type": "http.disconnect"}

    with pytest.raises(ClientDisconnected):
        await unless_disconnected(work(), receive)
    assert ended == [True]
    assert asyncio.current_task().cancelling() == 0
