"""A load as it was asked for on the command line, understood and checked before the first request."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cli.api_key import read_api_key
from cli.duration import parse_duration
from cli.load.arrivals import expected_requests, parse_phase
from cli.load.assertions import parse_assertions
from cli.load.mix import Mix
from cli.load.pairs import PAIRS, read_pairs
from cli.service_url import ServiceUrl
from service.telemetry.ids import new_request_id

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cli.load.arrivals import Phase
    from cli.load.assertions import Term

MAX_REQUESTS = 50_000_000
"""More than a day at full speed; every latency is kept in memory, 16 bytes each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPlan:
    """A load that is ready to start.

    Attributes:
        connections: most requests in flight.
        patience: seconds one answer may take.
        seed: fixes arrivals, kinds and pairs.
        run: what sets the request ids of this run apart.
        terms: what the result must fulfil.
    """

    url: ServiceUrl
    phases: tuple[Phase, ...]
    mix: Mix
    pairs: Sequence[tuple[str, str]]
    batch_size: int
    connections: int
    patience: float
    seed: int
    run: str
    terms: tuple[Term, ...]
    api_key: str | None = field(repr=False)

    @classmethod
    def of(
        cls,
        *,
        url: str,
        phases: Sequence[str],
        mix: str,
        pairs: Path | None,
        batch_size: int,
        connections: int,
        patience: str,
        seed: int,
        assertions: str | None,
        api_key_file: Path | None,
        allow_remote: bool,
    ) -> LoadPlan:
        """Read the options.

        Raises:
            ValueError: one cannot be understood, or asks for what must not be done; the message says which, and what to write.
        """
        plan = cls(
            url=ServiceUrl.parse(url),
            phases=tuple(parse_phase(text) for text in phases),
            mix=Mix.parse(mix),
            pairs=PAIRS if pairs is None else read_pairs(pairs),
            batch_size=batch_size,
            connections=connections,
            patience=parse_duration(patience),
            seed=seed,
            run=new_request_id()[-12:],
            terms=() if assertions is None else parse_assertions(assertions),
            api_key=read_api_key(api_key_file),
        )
        if not (plan.url.loopback or allow_remote):
            raise ValueError(f"{plan.url.host} is not surely this machine; add --allow-remote if the service there is yours to load")
        if not 0 < expected_requests(plan.phases) <= MAX_REQUESTS:
            raise ValueError(f"{expected_requests(plan.phases):.0f} requests: there must be at least one, and at most {MAX_REQUESTS}")
        return plan
