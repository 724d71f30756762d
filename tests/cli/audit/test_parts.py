"""The pure parts of an audit: moments, reach, slices, samples, and its text."""

from __future__ import annotations

from collections import Counter

import pytest

from cli.audit.comparison import Slice, shorter, slices
from cli.audit.embedded import Gap
from cli.audit.range import DAY_NS, NS, reach
from cli.audit.report import report_json, report_text
from cli.audit.rfc3339 import moment, rfc3339, shown
from cli.audit.samples import Sample, deviation
from cli.audit.verdict import StoreCounts, Verdict
from cli.audit.window import EVERY_SIGNAL, LifeWindow, Window
from service.errors import Outcome
from service.requeststore.ledger import LedgerEntry, LedgerRow

NOW = 1_795_602_539_619_095_421


def test_moments_are_exact():
    """To the nanosecond one way, to the microsecond the other."""
    assert rfc3339(NOW) == "2026-11-25T10:28:59.619095421Z"
    assert shown(NOW) == "2026-11-25T10:28:59.619Z"
    assert moment("2026-11-25T18:28:59.619095+08:00", 0) == NOW - 421
    assert moment("1.5m", NOW) == NOW - 90 * NS


def test_everything_is_there():
    """When the first life is younger than what any store lets go of."""
    found = reach(now_ns=NOW, days={"Loki": 7.0}, trimmed_before_ns=None, anything_since_ns=NOW - DAY_NS)
    assert (found.since_ns, found.because) == (0, None)


def test_the_store_that_keeps_least_sets_the_reach():
    """With an hour to spare."""
    found = reach(now_ns=NOW, days={"Loki": 7.0, "Jaeger": 2.0}, trimmed_before_ns=None, anything_since_ns=NOW - 30 * DAY_NS)
    assert (found.since_ns, found.because) == (NOW - 2 * DAY_NS + 3600 * NS, "Jaeger keeps 2 days")


def test_a_store_that_was_trimmed_by_size_sets_it_too():
    """With a minute to spare."""
    found = reach(now_ns=NOW, days={"Loki": 7.0}, trimmed_before_ns=NOW - DAY_NS, anything_since_ns=NOW - 3 * DAY_NS)
    assert (found.since_ns, found.because) == (NOW - DAY_NS + 60 * NS, "the embedded store has let go of what is older")


def test_a_ledger_without_lives():
    """Has nothing to reach back to."""
    assert reach(now_ns=NOW, days={"Loki": 7.0}, trimmed_before_ns=None, anything_since_ns=None).since_ns == 0


def row(number, started, life="one:1"):
    return LedgerRow(
        request_id=f"request-{number}",
        trace_id="0" * 32,
        span_id=f"{number:016x}",
        started_unix_ns=started,
        duration=0.0,
        outcome=Outcome.SUCCESS,
        life=life,
        seq=number,
    )


def test_slices_join():
    """Those that began together stay together, and unwanted ones only cover time."""
    rows = [row(1, 10), row(2, 20), row(3, 20), row(4, 20, life="other:1"), row(5, 30)]
    cut = list(slices(rows, lambda each: each.life == "one:1", 2))
    assert [(part.since_ns, part.until_ns, [each.seq for each in kept.values()]) for part, kept in cut] == [
        (10, 30, [1, 2, 3]),
        (30, 31, [5]),
    ]
    assert list(slices([], lambda _: True, 2)) == []


def test_a_slice_cut_shorter():
    """Each row stands in the piece it began in."""
    rows = {each.span_id: each for each in (row(1, 10), row(2, 25))}
    pieces = list(shorter(Slice(since_ns=10, until_ns=31), rows, 10))
    assert [(part.since_ns, part.until_ns, [each.seq for each in kept.values()]) for part, kept in pieces] == [
        (10, 20, [1]),
        (20, 30, [2]),
        (30, 31, []),
    ]


def entry(**counts):
    return LedgerEntry(life="one:1", collected_unix_ns=NOW, counts={Outcome(name): count for name, count in counts.items()})


@pytest.mark.parametrize(
    ("counted", "outside"),
    [
        ({"success": 3}, {}),
        ({"success": 2}, {}),
        ({"success": 5}, {}),
        ({"success": 1}, {"success": -1}),
        ({"success": 6, "error": 1}, {"success": 1, "error": 1}),
        ({}, {"success": -2}),
    ],
)
def test_a_sample_between_two_collections(counted, outside):
    """May be anything between them, outcome by outcome."""
    sample = Sample(ms=0, counts={Outcome(name): count for name, count in counted.items()})
    expected = Counter({Outcome(name): count for name, count in outside.items()})
    assert deviation(sample, entry(success=2), entry(success=5)) == expected


def test_a_sample_after_the_last_collection():
    """Has no upper bound."""
    assert deviation(Sample(ms=0, counts={Outcome.SUCCESS: 9}), entry(success=2), None) == Counter()


def life(number, **counts):
    end = entry(**counts)
    return LifeWindow(
        life=f"one:{number}",
        instance="95fa86c9-132d-5642-a4a8-16d687f3a533",
        started_unix_ns=NOW - number * NS,
        begin=None,
        end=end,
        final=number % 2 == 0,
        unflushed=Counter(),
        until_ns=NOW,
        sends=EVERY_SIGNAL,
    )


def verdict(**changes):
    window = Window(lives=tuple(life(number, success=1) for number in range(12)))
    counts = StoreCounts(counts=Counter({Outcome.SUCCESS: 12}), served=Counter({Outcome.SUCCESS: 12}))
    stores = {"prometheus": counts, "loki": counts, "jaeger": StoreCounts(), "embedded": counts} | changes.pop("stores", {})
    return Verdict(asked_since_ns=0, asked_until_ns=NOW, window=window, stores=stores, **changes)


def test_a_long_list_of_lives_is_cut():
    """The newest stay."""
    text = report_text(verdict())
    assert "  12 process lives, 11 restarts seen\n" in text
    assert "    and 2 before those\n" in text
    assert text.count("    95fa86c9 started ") == 10


def test_a_store_that_has_too_much():
    """Is a difference too."""
    more = StoreCounts(counts=Counter({Outcome.SUCCESS: 12, Outcome.ERROR: 2}), served=Counter({Outcome.SUCCESS: 12}))
    found = verdict(stores={"loki": more})
    assert (found.difference, found.exit_code) == (2, 1)
    assert "  Loki: 2 more of error than were served\n" in report_text(found)
    assert report_json(found)["differences"]["loki"]["error"] == -2


def test_rows_that_no_store_knows():
    """Are given by their numbers."""
    lost = StoreCounts(counts=Counter({Outcome.SUCCESS: 9}), served=Counter({Outcome.SUCCESS: 12}), missing=3)
    gaps = [Gap(life="one:1", first=number, last=number + number % 2) for number in range(1, 13)]
    text = report_text(verdict(stores={"embedded": lost}, gaps=gaps))
    assert "\nembedded lacks 3; no other store knows them by name.\n" in text
    assert "\nNumbers without a row in the embedded store: 1-2, 2, 3-4, 4, 5-6, 6, 7-8, 8, 9-10, 10 …\n" in text


def test_names_beyond_the_list():
    """Are counted."""
    from cli.audit.comparison import Missing

    named = [Missing(request_id="request-1", span_id="1", status="success", started_unix_ns=NOW)]
    lost = StoreCounts(counts=Counter({Outcome.SUCCESS: 9}), served=Counter({Outcome.SUCCESS: 12}), missing=3, named=named)
    text = report_text(verdict(stores={"loki": lost}))
    assert (
        "\nLoki lacks 3, of which:\n  2026-11-25T10:28:59.619Z  success     mgeo lookup request-1\n  and 2 more; raise --missing\n" in text
    )
