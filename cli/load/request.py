"""One request of a load, ready to be sent, and the factory that draws them from a mix."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from cli.load.mix import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

    from cli.load.mix import Mix

MATCH_PATH = "/v1/match"
BATCH_PATH = "/v1/match/batch"
JSON_TYPE = "application/json"

OVERSIZED_ADDRESS = 1_200_000
"""Characters: over the service's default body limit of 1 MiB."""

PATIENCE = (0.0005, 0.05)
"""Shortest and longest seconds until a cancelled request is given up, drawn so that each order of magnitude is as likely."""

INVALID: tuple[tuple[str, bytes], ...] = (
    (JSON_TYPE, b'{"address1": "", "address2": "x"}'),
    (JSON_TYPE, b'{"address1": "x"}'),
    (JSON_TYPE, b'{"address1": 7, "address2": "x"}'),
    (JSON_TYPE, b'{"address1": "x", "address2": "   "}'),
    (JSON_TYPE, b'{"address1": "x", "address2": "\\ud800"}'),
    (JSON_TYPE, b'{"address1": "x", '),
    (JSON_TYPE, b'["x", "y"]'),
    ("text/plain", b"x y"),
)
"""Content types and bodies the service must refuse, each for another reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadRequest:
    """One request.

    Attributes:
        request_id: its `X-Request-ID`.
        inferences: pairs it asks for; a batch that is accepted leaves one event for each.
        close_after: seconds after the request has left until its connection is closed; None waits for the answer.
    """

    request_id: str
    kind: Kind
    path: str
    content_type: str
    body: bytes
    inferences: int = 1
    close_after: float | None = None


class RequestFactory:
    """Draws requests: the same seed gives the same kinds, pairs and bodies.

    Args:
        run: what sets this run's request ids apart; they are `load-<run>-<number>`.
        batch_size: pairs in each batch call.
    """

    def __init__(self, *, run: str, mix: Mix, pairs: Sequence[tuple[str, str]], batch_size: int, random: Random) -> None:
        self._run = run
        self._mix = mix
        self._pairs = [_pair_body(*pair) for pair in pairs]
        self._batch_size = batch_size
        self._random = random
        self._oversized = _pair_body("x" * OVERSIZED_ADDRESS, "y")
        self._makers: dict[Kind, Callable[[str], LoadRequest]] = {
            Kind.VALID: self._valid,
            Kind.INVALID: self._invalid,
            Kind.OVERSIZED: self._oversize,
            Kind.CANCELLED: self._cancelled,
            Kind.BATCH: self._batch,
        }

    def make(self, number: int) -> LoadRequest:
        """The request with this number."""
        return self._makers[self._mix.draw(self._random)](f"load-{self._run}-{number}")

    def _pair(self) -> bytes:
        return self._random.choice(self._pairs)

    def _valid(self, request_id: str) -> LoadRequest:
        return _json_request(request_id=request_id, kind=Kind.VALID, body=self._pair())

    def _invalid(self, request_id: str) -> LoadRequest:
        content_type, body = self._random.choice(INVALID)
        return LoadRequest(request_id=request_id, kind=Kind.INVALID, path=MATCH_PATH, content_type=content_type, body=body)

    def _oversize(self, request_id: str) -> LoadRequest:
        return _json_request(request_id=request_id, kind=Kind.OVERSIZED, body=self._oversized)

    def _cancelled(self, request_id: str) -> LoadRequest:
        shortest, longest = PATIENCE
        close_after = shortest * (longest / shortest) ** self._random.random()
        return _json_request(request_id=request_id, kind=Kind.CANCELLED, body=self._pair(), close_after=close_after)

    def _batch(self, request_id: str) -> LoadRequest:
        body = b'{"pairs": [%s]}' % b", ".join(self._pair() for _ in range(self._batch_size))
        return _json_request(request_id=request_id, kind=Kind.BATCH, path=BATCH_PATH, body=body, inferences=self._batch_size)


_json_request = partial(LoadRequest, path=MATCH_PATH, content_type=JSON_TYPE)


def _pair_body(address1: str, address2: str) -> bytes:
    return json.dumps({"address1": address1, "address2": address2}, ensure_ascii=False).encode("utf-8", "surrogatepass")
