"""The requests of a load."""

from __future__ import annotations

import json
from random import Random

import pytest

from cli.load.mix import Kind, Mix
from cli.load.request import INVALID, RequestFactory

PAIRS = (("甲路1号", "甲路一号"), ("乙路2号", "丙路2号"))


def factory(mix: str, *, seed: int = 1, batch_size: int = 3) -> RequestFactory:
    return RequestFactory(run="r", mix=Mix.parse(mix), pairs=PAIRS, batch_size=batch_size, random=Random(seed))


def test_a_valid_request_asks_for_one_pair():
    """As UTF-8 JSON, with an id by which its story can be looked up."""
    request = factory("valid=1").make(7)
    assert (request.request_id, request.kind, request.path) == ("load-r-7", Kind.VALID, "/v1/match")
    assert (request.content_type, request.inferences, request.close_after) == ("application/json", 1, None)
    assert tuple(json.loads(request.body).values()) in PAIRS
    assert "甲路" in request.body.decode() or "乙路" in request.body.decode()


def test_a_batch_asks_for_as_many_pairs_as_it_is_told():
    """Each an inference of its own."""
    request = factory("batch=1").make(0)
    pairs = json.loads(request.body)["pairs"]
    assert (request.path, request.inferences, len(pairs)) == ("/v1/match/batch", 3, 3)
    assert all(tuple(pair.values()) in PAIRS for pair in pairs)


def test_an_oversized_request_is_over_the_default_body_limit():
    """1 MiB."""
    request = factory("oversized=1").make(0)
    assert len(request.body) > 1_048_576
    assert set(json.loads(request.body)) == {"address1", "address2"}


def test_a_cancelled_request_is_a_valid_one_that_is_given_up_soon():
    """After half a millisecond to fifty, each order of magnitude as often."""
    made = factory("cancelled=1")
    requests = [made.make(number) for number in range(200)]
    assert all(0.0005 <= request.close_after <= 0.05 for request in requests)
    assert 70 <= sum(request.close_after < 0.005 for request in requests) <= 130
    assert tuple(json.loads(requests[0].body).values()) in PAIRS


def test_invalid_requests_come_in_every_way():
    """Each way of being invalid is drawn in time, and none is a batch."""
    made = factory("invalid=1")
    requests = [made.make(number) for number in range(300)]
    assert {(request.content_type, request.body) for request in requests} == set(INVALID)
    assert {request.path for request in requests} == {"/v1/match"}


def test_the_same_seed_draws_the_same_requests():
    """So that a run can be repeated."""
    mix = "valid=1,invalid=1,batch=1,cancelled=1"
    first, again, other = (factory(mix, seed=seed) for seed in (1, 1, 2))
    drawn = [first.make(number) for number in range(50)]
    assert drawn == [again.make(number) for number in range(50)]
    assert drawn != [other.make(number) for number in range(50)]


@pytest.mark.parametrize("text", ["\ud800", '"', "\\", "\x00"])
def test_any_text_can_be_sent(text):
    """Also what the service will refuse."""
    made = RequestFactory(run="r", mix=Mix.parse("valid=1"), pairs=((text, "x"),), batch_size=1, random=Random(1))
    assert json.loads(made.make(0).body.decode("utf-8", "surrogatepass"))["address1"] == text
