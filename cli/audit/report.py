"""An audit as one JSON object, and as a page for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.audit.rfc3339 import rfc3339, shown
from cli.audit.verdict import TITLES
from service.errors import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cli.audit.comparison import Missing
    from cli.audit.verdict import StoreCounts, Verdict
    from cli.audit.window import Counts, LifeWindow

MOST_LIVES = 10
MOST_GAPS = 10


def report_json(verdict: Verdict) -> dict[str, object]:
    """The verdict as JSON values. A store that was not asked, or could not be read, is null."""
    window = verdict.window
    return {
        "window": {
            "since": None if window.from_ns is None else rfc3339(window.from_ns),
            "until": None if window.to_ns is None else rfc3339(window.to_ns),
            "asked_since": rfc3339(verdict.asked_since_ns),
            "asked_until": rfc3339(verdict.asked_until_ns),
            "restarts": window.restarts,
            "lives": [_life_json(life) for life in window.lives],
        },
        "served": _counts(window.served),
        **{name: None if store.counts is None else _counts(store.counts) for name, store in verdict.stores.items()},
        "difference": verdict.difference,
        "differences": {name: _counts(store.difference) for name, store in verdict.stores.items() if store.counts is not None},
        "unflushed": window.unflushed.total(),
        "unflushed_by_outcome": _counts(window.unflushed),
        "missing": {
            name: {"count": store.missing, "ids": [_missing_json(missing) for missing in store.named]}
            for name, store in verdict.stores.items()
            if store.counts is not None and name != "prometheus"
        },
        "missing_numbers": [{"life": gap.life, "first": gap.first, "last": gap.last} for gap in verdict.gaps],
        "unread": verdict.unread,
        "profile": "lite" if verdict.scraped else "full" if _asked(verdict, "loki") or _asked(verdict, "jaeger") else "embedded",
        "notes": [*verdict.notes],
        "hints": [*verdict.hints],
        "passed": verdict.exit_code == 0,
    }


def report_text(verdict: Verdict) -> str:
    """The verdict for a reader, ending with what to look at."""
    return "\n".join(_lines(verdict)) + "\n"


def _lines(verdict: Verdict) -> Iterator[str]:
    window = verdict.window
    if window.from_ns is None or window.to_ns is None:
        yield f"Nothing was served between {shown(verdict.asked_since_ns)} and {shown(verdict.asked_until_ns)} that the ledger knows of."
    else:
        yield f"{window.served.total()} inferences from {shown(window.from_ns)} to {shown(window.to_ns)}, cut at collections of the metrics"
        yield from _lives(window.lives, window.restarts)
        yield ""
        yield from _table(verdict)
        yield ""
        yield from _conclusion(verdict)
    for name, reason in verdict.unread.items():
        yield f"\nNOT READ: {TITLES[name]}. {reason}."
    yield from (f"\n{note[:1].upper()}{note[1:]}." for note in verdict.notes)
    for name, store in verdict.stores.items():
        yield from _missing(name, store)
    yield from _gaps(verdict)
    if verdict.hints:
        yield "\nWhere it may come from:"
        yield from (f"  - {hint}" for hint in verdict.hints)


def _lives(lives: Sequence[LifeWindow], restarts: int) -> Iterator[str]:
    yield f"  {len(lives)} process {'life' if len(lives) == 1 else 'lives'}, {restarts} {'restart' if restarts == 1 else 'restarts'} seen"
    for life in lives[-MOST_LIVES:]:
        ended = "ended" if life.final else "running or not yet closed"
        killed = f", {life.unflushed.total()} unflushed" if life.unflushed else ""
        yield f"    {life.instance[:8]} started {shown(life.started_unix_ns)}: numbers {life.first + 1} to {life.last}, {ended}{killed}"
    if len(lives) > MOST_LIVES:
        yield f"    and {len(lives) - MOST_LIVES} before those"


def _table(verdict: Verdict) -> Iterator[str]:
    asked = {name: store for name, store in verdict.stores.items() if store.counts is not None or store.unread is not None}
    yield f"  {'outcome':<12}{'served':>12}" + "".join(f"{TITLES[name]:>12}" for name in asked)
    for outcome in Outcome:
        served = verdict.window.served[outcome]
        if served or any(store.counts is not None and store.counts[outcome] for store in asked.values()):
            yield f"  {outcome.value:<12}{served:>12}" + "".join(
                _cell(store, store.counts and store.counts[outcome]) for store in asked.values()
            )
    everything = verdict.window.served.total()
    yield f"  {'all':<12}{everything:>12}" + "".join(_cell(store, store.counts and store.counts.total()) for store in asked.values())


def _cell(store: StoreCounts, count: object) -> str:
    return f"{'not read' if store.counts is None else count or 0:>12}"


def _conclusion(verdict: Verdict) -> Iterator[str]:
    if verdict.difference:
        yield f"difference {verdict.difference}"
        for name, store in verdict.stores.items():
            for outcome, count in sorted(store.difference.items()):
                yield f"  {TITLES[name]}: {abs(count)} {'fewer' if count > 0 else 'more'} of {outcome.value} than were served"
    else:
        compared = {TITLES[name]: store.served for name, store in verdict.stores.items() if store.counts is not None}
        # Where a store should have less, a note says why.
        what = "was served" if all(served == verdict.window.served for served in compared.values()) else "each should have"
        yield f"difference 0: {', '.join(compared)} {'has' if len(compared) == 1 else 'have'} exactly what {what}"
    yield (
        f"unflushed {verdict.window.unflushed.total()}"
        + (": ended after the last collection of a process that was killed" if verdict.window.unflushed else "")
    )
    if verdict.scraped:
        yield "Lite profile: Prometheus scrapes the service, so it is compared with that process only, as far as it was scraped."
    elif not any(_asked(verdict, name) for name in ("prometheus", "loki", "jaeger")):
        yield "No other store is configured: the embedded store was compared with the ledger only."


def _asked(verdict: Verdict, name: str) -> bool:
    store = verdict.stores[name]
    return store.counts is not None or store.unread is not None


def _missing(name: str, store: StoreCounts) -> Iterator[str]:
    if not store.missing or store.counts is None:
        return
    yield f"\n{TITLES[name]} lacks {store.missing}" + (", of which:" if store.named else "; no other store knows them by name.")
    for missing in store.named:
        yield f"  {shown(missing.started_unix_ns)}  {missing.status:<10}  mgeo lookup {missing.request_id}"
    if store.named and store.missing > len(store.named):
        yield f"  and {store.missing - len(store.named)} more; raise --missing"


def _gaps(verdict: Verdict) -> Iterator[str]:
    if verdict.gaps:
        shown_gaps = ", ".join(f"{gap.first}-{gap.last}" if gap.last > gap.first else str(gap.first) for gap in verdict.gaps[:MOST_GAPS])
        yield f"\nNumbers without a row in the embedded store: {shown_gaps}{' …' if len(verdict.gaps) > MOST_GAPS else ''}"


def _counts(counts: Counts) -> dict[str, int]:
    return {"total": counts.total(), **{outcome.value: counts[outcome] for outcome in Outcome}}


def _life_json(life: LifeWindow) -> dict[str, object]:
    return {
        "instance": life.instance,
        "started": rfc3339(life.started_unix_ns),
        "since": rfc3339(life.from_ns),
        "until": rfc3339(life.to_ns),
        "after_number": life.first,
        "to_number": life.last,
        "ended": life.final,
        "served": life.served.total(),
        "unflushed": life.unflushed.total(),
        "sends": sorted(life.sends),
    }


def _missing_json(missing: Missing) -> dict[str, str]:
    return {
        "request_id": missing.request_id,
        "span_id": missing.span_id,
        "status": missing.status,
        "started": rfc3339(missing.started_unix_ns),
    }
