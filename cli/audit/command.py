"""`mgeo audit`: was everything that was served also recorded, in every store?"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path  # noqa: TC003 -- typer reads the annotations when it runs
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cli.audit.verdict import Verdict
    from service.settings import Settings
    from service.surroundings.audit_record import AuditRecord


def audit(
    since: Annotated[str | None, typer.Option(help="How long ago, or an RFC 3339 moment; else as far as all stores reach.")] = None,
    until: Annotated[str | None, typer.Option(help="The same for the end; else now.")] = None,
    settle: Annotated[str, typer.Option(help="Longest wait for telemetry that is on its way.")] = "30s",
    missing: Annotated[int, typer.Option(min=0, help="Missing inferences to name at most, for each store.")] = 100,
    prometheus: Annotated[str | None, typer.Option(help="Prometheus' API; empty for none.")] = None,
    loki: Annotated[str | None, typer.Option(help="Loki's API; empty for none.")] = None,
    jaeger: Annotated[str | None, typer.Option(help="Jaeger's API; empty for none.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Data folder with the embedded store and the ledger.")] = None,
    record: Annotated[bool, typer.Option("--record", help="Let the service's metrics show what was found.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    """Compare what was served with what Prometheus, Loki, Jaeger and the embedded store have.

    What was served is a ledger that the service keeps: at every collection of its metrics it notes how many inferences
    had ended, by outcome. Prometheus is compared by the counts it was sent, the others inference by inference. Right
    across restarts and while requests are in flight: the window is cut at collections, and the output says where.
    The stores are those of the stack that runs on the data folder, unless they are named.

    \b
    Examples:
      mgeo audit
      mgeo audit --since 30m --json
      mgeo audit --since 2026-11-25T09:00:00Z --until 2026-11-25T10:00:00Z
      mgeo audit --loki http://127.0.0.1:3100 --jaeger "" --missing 1000

    What a killed process took along since its last collection is shown as `unflushed`, apart from the difference.
    With --record what was found is also written into the data folder, and --since reaches no further back than all stores
    do: so `mgeo up` has it run every hour.

    \b
    Exit codes:
      0  every store has exactly what was served
      1  there is a difference
      3  a store could not be read; those that could have no difference
    """  # noqa: D301 -- the backspace character tells the help not to wrap what follows
    from cli.audit.report import report_json, report_text
    from cli.audit.rfc3339 import moment
    from cli.audit.verdict import EXIT_UNREAD
    from cli.duration import parse_duration
    from cli.event_loop import run
    from cli.stack.store_urls import with_running_stack
    from service.errors import StoreError
    from service.settings import Settings
    from service.surroundings.audit_record import write_record

    now_ns = time.time_ns()
    try:
        since_ns = None if since is None else moment(since, now_ns)
        until_ns = None if until is None else moment(until, now_ns)
        wait = parse_duration(settle)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    if since_ns is not None and since_ns >= (now_ns if until_ns is None else until_ns):
        raise typer.BadParameter("--since must be before --until, and in the past")
    settings = with_running_stack(Settings.load(data_dir=data_dir, prometheus_url=prometheus, loki_url=loki, jaeger_url=jaeger))
    try:
        verdict = run(
            _audit(settings, now_ns=now_ns, since_ns=since_ns, until_ns=until_ns, settle=wait, most_named=missing, clamped=record)
        )
    except StoreError as error:
        print(f"mgeo: {error}", file=sys.stderr)
        raise typer.Exit(EXIT_UNREAD) from error
    print(json.dumps(report_json(verdict)) if as_json else report_text(verdict), end="\n" if as_json else "")
    if record:
        write_record(settings.data_dir, _record(verdict))
    raise typer.Exit(verdict.exit_code)


def _record(verdict: Verdict) -> AuditRecord:
    from service.surroundings.audit_record import AuditRecord

    return AuditRecord(
        difference=verdict.difference,
        unflushed=verdict.window.unflushed.total(),
        unread=tuple(verdict.unread),
        ended_unix_ns=time.time_ns(),
    )


async def _audit(
    settings: Settings, *, now_ns: int, since_ns: int | None, until_ns: int | None, settle: float, most_named: int, clamped: bool
) -> Verdict:
    from cli.audit.backend import Backend, open_client
    from cli.audit.hints import dropped_hints
    from cli.audit.jaeger import JaegerSpans
    from cli.audit.loki import LokiRecords
    from cli.audit.prometheus import PrometheusSamples
    from cli.audit.session import Audit, Plan
    from cli.audit.store import StoreLedger
    from service.telemetry.sampling import sampling_notice

    with StoreLedger(settings.data_dir) as ledger:
        reach = ledger.reach(now_ns, _days(settings))
        if clamped and since_ns is not None and since_ns <= reach.since_ns:
            since_ns = None
        plan = Plan(
            since_ns=reach.since_ns if since_ns is None else since_ns,
            until_ns=until_ns,
            settle=settle,
            most_named=most_named,
            scraped=not settings.loki_url and not settings.jaeger_url,
        )
        async with open_client() as client:
            samples = None
            if settings.prometheus_url:
                samples = PrometheusSamples(Backend("Prometheus", settings.prometheus_url, client), unix_ns=time.time_ns)
            sightings = [
                store(Backend(kind, url, client))
                for kind, url, store in (("Loki", settings.loki_url, LokiRecords), ("Jaeger", settings.jaeger_url, JaegerSpans))
                if url
            ]
            verdict = await Audit(plan=plan, ledger=ledger, sightings=sightings, samples=samples, stream=sys.stderr).run()
            notes, hints = [*verdict.notes], [*verdict.hints]
            if reach.because is not None and plan.since_ns <= reach.since_ns:
                begins = "begins there" if since_ns is None else "reaches further back: what is missing there may be no loss"
                notes.append(f"{reach.because}; the window {begins}")
            if (notice := sampling_notice(os.environ)) is not None:
                notes.append(notice)
            if verdict.difference:
                hints += await dropped_hints(samples, client, f"http://{settings.host}:{settings.port}/metrics")
            return replace(verdict, notes=notes, hints=hints)


def _days(settings: Settings) -> dict[str, float]:
    asked = {
        "the embedded store": (True, settings.store_days),
        "Prometheus": (settings.prometheus_url, settings.prometheus_retention_days),
        "Loki": (settings.loki_url, settings.loki_retention_days),
        "Jaeger": (settings.jaeger_url, settings.jaeger_retention_days),
    }
    return {name: float(days) for name, (url, days) in asked.items() if url}
