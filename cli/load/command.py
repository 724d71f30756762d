"""`mgeo load`: send traffic to a running service and say how it fared."""

from __future__ import annotations

import json
import sys
from pathlib import Path  # noqa: TC003 -- typer reads the annotations when it runs
from typing import Annotated

import typer

from cli.service_url import DEFAULT_URL


def load(
    url: Annotated[str, typer.Option(envvar="MGEO_URL", help="Address of the service.")] = DEFAULT_URL,
    rate: Annotated[float, typer.Option(help="Requests per second on average.")] = 10.0,
    duration: Annotated[str, typer.Option(help="How long, such as 30s or 5m.")] = "30s",
    phase: Annotated[list[str] | None, typer.Option(help="DURATION@RATE instead of --rate and --duration; repeat for several.")] = None,
    mix: Annotated[str, typer.Option(help="Weights of valid, invalid, oversized, cancelled and batch.")] = "valid=1",
    pairs: Annotated[Path | None, typer.Option(help="CSV file with address1,address2 to draw from; else built-in pairs.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, max=256, help="Pairs in each batch call of the mix.")] = 8,
    connections: Annotated[int, typer.Option(min=1, help="Most requests in flight; more are counted as not_sent.")] = 1000,
    patience: Annotated[str, typer.Option(help="How long one answer may take; then it is `unreachable`.")] = "30s",
    assertions: Annotated[str | None, typer.Option("--assert", metavar="EXPR", help="What must hold, or the exit code is 1.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same arrivals and requests.")] = 1,
    api_key_file: Annotated[Path | None, typer.Option(help="File with an API key; else MGEO_API_KEY.")] = None,
    allow_remote: Annotated[bool, typer.Option("--allow-remote", help="Allow another host than this machine.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    """Send traffic at a rate that does not wait for answers.

    Requests come like those of independent users (a Poisson process) whether or not the service keeps up, and each
    latency counts from the moment its request was due: a slow service shows as slow.

    \b
    Examples:
      mgeo load --rate 50 --duration 1m
      mgeo load --phase 10s@20 --phase 60s@200 --assert "p95<800ms,errors<1%"
      mgeo load --mix valid=0.9,invalid=0.04,oversized=0.02,cancelled=0.02,batch=0.02 --json
      mgeo load --pairs pairs.csv --rate 5

    \b
    --assert takes METRIC<NUMBER (also <= > >= =), separated by commas:
      p50 p90 p95 p99 max mean  latency of successful requests, with us, ms or s;
                                all.p95 is that of all, lateness.p99 this side's own
      errors                    overloaded, timeout, error, unreachable, unexpected:
                                a count, or a share with %
      success, invalid, ...     any single outcome: a count, or a share with %
      sent, not_sent, rate      requests; requests per second

    Unless it speaks of not_sent, every request must have been sent.

    Requests have the ids load-RUN-NUMBER: `mgeo lookup` tells their stories.
    """  # noqa: D301 -- the backspace character tells the help not to wrap what follows
    from cli.event_loop import run
    from cli.load.connection import ConnectionFailed
    from cli.load.plan import LoadPlan
    from cli.load.report import report_json, report_text
    from cli.load.session import allow_open_files, run_plan

    try:
        plan = LoadPlan.of(
            url=url,
            phases=phase or [f"{duration}@{rate}"],
            mix=mix,
            pairs=pairs,
            batch_size=batch_size,
            connections=connections,
            patience=patience,
            seed=seed,
            assertions=assertions,
            api_key_file=api_key_file,
            allow_remote=allow_remote,
        )
        allow_open_files(connections)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    try:
        report = run(run_plan(plan, sys.stderr))
    except ConnectionFailed as error:
        print(f"mgeo: nothing answers at {plan.url} ({error}); start it with `mgeo serve`, or name it with --url", file=sys.stderr)
        raise typer.Exit(1) from error
    judgements = [term.judge(report) for term in plan.terms]
    print(json.dumps(report_json(report, judgements)) if as_json else report_text(report, judgements), end="\n" if as_json else "")
    if report.stopped:
        raise typer.Exit(130)
    if not all(judgement.passed for judgement in judgements):
        raise typer.Exit(1)
