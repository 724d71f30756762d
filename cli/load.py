"""`mgeo load`: send traffic to a running service and say how it fared."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 -- typer reads the annotations when it runs
from typing import TYPE_CHECKING, Annotated

import typer

from cli.service_url import DEFAULT_URL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cli.load_arrivals import Phase
    from cli.load_assertions import Term
    from cli.load_mix import Mix
    from cli.load_report import LoadReport
    from cli.load_transport import Transport
    from cli.progress import Progress
    from cli.service_url import ServiceUrl

SPARE_FILES = 64
"""Open files the process needs besides its connections."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPlan:
    """A load, checked and ready to start."""

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


def load(
    url: Annotated[str, typer.Option(envvar="MGEO_URL", help="Address of the service.")] = DEFAULT_URL,
    rate: Annotated[float, typer.Option(min=0, help="Requests per second on average.")] = 10.0,
    duration: Annotated[str, typer.Option(help="How long, such as 30s or 5m.")] = "30s",
    phase: Annotated[list[str] | None, typer.Option(help="DURATION@RATE; repeat for one phase after another, instead of --rate and --duration.")] = None,
    mix: Annotated[str, typer.Option(help="Weights of valid, invalid, oversized, cancelled, batch.")] = "valid=1",
    pairs: Annotated[Path | None, typer.Option(help="CSV file with address1,address2 to draw from; else 32 built-in pairs.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, max=256, help="Pairs in each batch call of the mix.")] = 8,
    connections: Annotated[int, typer.Option(min=1, help="Most requests in flight, each on a connection; more are counted as not_sent.")] = 1000,
    patience: Annotated[str, typer.Option(help="How long to wait for one answer; then it is `unreachable`.")] = "30s",
    assertions: Annotated[str | None, typer.Option("--assert", metavar="EXPR", help="Conditions such as p95<800ms,errors<1%; exit code 1 if one fails.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same arrivals and requests.")] = 1,
    api_key_file: Annotated[Path | None, typer.Option(help="File with an API key; else MGEO_API_KEY.")] = None,
    allow_remote: Annotated[bool, typer.Option(help="Allow a host other than this machine. Make sure it is yours.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a page.")] = False,
) -> None:
    """Send traffic at a rate that does not wait for answers.

    Requests arrive like those of independent users (a Poisson process) whether or not the service keeps up, and each
    latency counts from the moment its request was due. So a slow service shows as slow.

    \b
    Examples:
      mgeo load --rate 50 --duration 1m
      mgeo load --phase 10s@20 --phase 60s@200 --assert "p95<800ms,errors<1%"
      mgeo load --mix valid=0.9,invalid=0.04,oversized=0.02,cancelled=0.02,batch=0.02 --json
      mgeo load --pairs pairs.csv --rate 5

    \b
    --assert: METRIC < NUMBER, also <= > >= =, separated by commas. METRIC is
      p50 p90 p95 p99 max mean    latency of successful requests (all.p95: of all; lateness.p99: this side's own)
      errors                      overloaded, timeout, error, unreachable and unexpected; 1% or a count
      success, timeout, ...       any outcome; a share with %, or a count
      sent, not_sent, rate        counts, and requests per second

    Every request carries the id load-RUN-NUMBER: `mgeo lookup` tells its story.
    """
    from cli.api_key import read_api_key
    from cli.event_loop import run
    from cli.load_assertions import parse_assertions
    from cli.load_mix import Mix
    from cli.load_pairs import PAIRS, read_pairs
    from cli.duration import parse_duration
    from cli.load_report import report_json, report_text
    from cli.load_transport import HttpTransport
    from cli.progress import open_progress
    from cli.service_url import ServiceUrl
    from service.telemetry.ids import new_request_id

    try:
        plan = LoadPlan(
            url=ServiceUrl.parse(url),
            phases=_phases(phase or [], duration, rate),
            mix=Mix.parse(mix),
            pairs=PAIRS if pairs is None else read_pairs(pairs),
            batch_size=batch_size,
            connections=connections,
            patience=parse_duration(patience),
            seed=seed,
            run=new_request_id()[-12:],
            terms=() if assertions is None else parse_assertions(assertions),
        )
        _check_host(plan.url, allow_remote=allow_remote)
        _allow_open_files(plan.connections + SPARE_FILES)
        transport = HttpTransport(plan.url, api_key=read_api_key(api_key_file))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    ...
