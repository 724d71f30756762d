"""An audit of a world in memory: restarts, kills, requests in flight, and what each store lost."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from cli.audit.backend import BackendUnread
from cli.audit.report import report_json, report_text
from cli.audit.session import SLICE_ROWS
from service.errors import Outcome
from tests.cli.audit.world import MS, SECOND, START, MemorySightings, World


@pytest.fixture
def world():
    world = World()
    world.start()
    return world


def run(audit):
    return asyncio.run(audit.run())


def counts(verdict, store):
    found = verdict.stores[store].counts
    return None if found is None else {outcome.value: count for outcome, count in found.items() if count}


def test_every_store_has_what_was_served(world):
    """By outcome, and that is a pass."""
    world.serve()
    world.serve(Outcome.INVALID)
    world.serve()
    world.collect()
    verdict = run(world.audit())
    for store in ("prometheus", "loki", "jaeger", "embedded"):
        assert counts(verdict, store) == {"success": 2, "invalid": 1}
    assert (verdict.difference, verdict.exit_code, verdict.unread) == (0, 0, {})


def test_what_ended_after_the_last_collection_is_not_looked_for(world):
    """It is in flight: the window ends at the collection, and ids beyond it are passed over."""
    world.serve()
    world.collect()
    world.serve()
    verdict = run(world.audit())
    assert verdict.window.served == Counter({Outcome.SUCCESS: 1})
    assert counts(verdict, "loki") == {"success": 1}
    assert verdict.difference == 0


def test_a_restart_is_seen(world):
    """Counts begin anew, and are added up."""
    world.serve()
    world.stop()
    world.start()
    world.serve()
    world.serve(Outcome.ERROR)
    world.collect()
    verdict = run(world.audit())
    assert counts(verdict, "prometheus") == {"success": 2, "error": 1}
    assert (verdict.window.restarts, verdict.difference) == (1, 0)


def test_a_life_that_sent_nothing_is_looked_for_in_the_embedded_store_alone(world):
    """Before the stack came up on its data folder, say; and that is told."""
    world.stop()
    world.start(sends=frozenset())
    world.serve()
    world.serve(Outcome.ERROR)
    world.stop()
    world.start()
    world.serve()
    world.collect()
    verdict = run(world.audit())
    assert (verdict.difference, verdict.exit_code) == (0, 0)
    assert counts(verdict, "embedded") == {"success": 2, "error": 1}
    for store in ("prometheus", "loki", "jaeger"):
        assert counts(verdict, store) == {"success": 1}
    assert verdict.notes == [
        (
            "process lives that were not set to send to Prometheus, Loki and Jaeger (no OTLP endpoint): 1;"
            " their inferences are looked for in the other stores only: 2"
        )
    ]
    assert "difference 0: Prometheus, Loki, Jaeger, embedded have exactly what each should have\n" in report_text(verdict)
    assert [life["sends"] for life in report_json(verdict)["window"]["lives"]] == [
        ["logs", "metrics", "traces"],
        [],
        ["logs", "metrics", "traces"],
    ]


def test_a_life_that_sent_some_signals_is_looked_for_where_they_go(world):
    """What is missing there is a difference still."""
    world.stop()
    world.start(sends=frozenset({"metrics", "logs"}))
    world.serve()
    world.serve(Outcome.ERROR, lost_by=["loki"])
    world.collect()
    verdict = run(world.audit())
    assert counts(verdict, "jaeger") == {}
    assert counts(verdict, "prometheus") == {"success": 1, "error": 1}
    assert verdict.stores["loki"].difference == Counter({Outcome.ERROR: 1})
    assert verdict.difference == 1
    assert verdict.notes == [
        (
            "process lives that were not set to send to Jaeger (no OTLP endpoint): 1;"
            " their inferences are looked for in the other stores only: 2"
        )
    ]


def test_a_store_is_not_asked_for_what_nobody_sent_it(world):
    """It may know nothing of that time."""
    world.stop()
    world.start(sends=frozenset())
    world.serve()
    world.collect()
    audit = world.audit()
    run(audit)
    assert [store.asked for store in audit.sightings] == [[], []]


def test_rows_that_a_life_which_sent_nothing_has_lost(world):
    """Nobody else can know them: the embedded store lacks them, and no other."""
    world.stop()
    world.start(sends=frozenset())
    world.serve()
    world.serve(lost_by=["embedded"])
    world.collect()
    verdict = run(world.audit())
    assert verdict.stores["embedded"].difference == Counter({Outcome.SUCCESS: 1})
    assert verdict.difference == 1


def test_what_a_kill_took_is_unflushed(world):
    """Whether or not the stores got some of it."""
    world.serve()
    world.collect()
    world.serve()
    world.serve(Outcome.TIMEOUT, lost_by=("loki", "jaeger", "embedded"))
    world.kill()
    world.start()
    world.collect()
    verdict = run(world.audit())
    assert verdict.window.unflushed == Counter({Outcome.SUCCESS: 1, Outcome.TIMEOUT: 1})
    assert verdict.window.served == Counter({Outcome.SUCCESS: 1})
    assert verdict.difference == 0


def test_a_process_killed_before_its_first_collection_is_unflushed(world):
    """All of it."""
    world.serve()
    world.kill()
    verdict = run(world.audit())
    assert verdict.window.unflushed.total() == 1
    assert (verdict.window.served.total(), verdict.difference) == (0, 0)


@pytest.mark.parametrize("store", ["loki", "jaeger"])
def test_what_a_store_lost_is_named(world, store):
    """And only that store differs."""
    world.serve()
    world.serve(Outcome.OVERLOADED, lost_by=[store])
    world.collect()
    verdict = run(world.audit())
    assert (verdict.difference, verdict.exit_code) == (1, 1)
    assert verdict.stores[store].difference == Counter({Outcome.OVERLOADED: 1})
    assert [missing.request_id for missing in verdict.stores[store].named] == ["request-2"]


def test_what_the_embedded_store_lost_is_named_by_the_others(world):
    """Which have it, and are not blamed."""
    world.serve()
    world.serve(lost_by=["embedded"])
    world.serve()
    world.serve(lost_by=["embedded", "jaeger"])
    world.collect()
    verdict = run(world.audit())
    assert counts(verdict, "loki") == {"success": 4}
    assert counts(verdict, "jaeger") == {"success": 3}
    assert counts(verdict, "embedded") == {"success": 2}
    assert [missing.request_id for missing in verdict.stores["embedded"].named] == ["request-2", "request-4"]
    assert [(gap.first, gap.last) for gap in verdict.gaps] == [(2, 2), (4, 4)]
    assert verdict.difference == 3


def test_an_embedded_store_that_lost_everything(world):
    """The others are read all the same."""
    for _ in range(3):
        world.serve(lost_by=["embedded"])
    world.collect()
    verdict = run(world.audit())
    assert counts(verdict, "loki") == {"success": 3}
    assert (verdict.difference, verdict.stores["embedded"].missing) == (3, 3)


def test_a_wrong_outcome_is_a_difference_on_both_sides(world):
    """One fewer of what it was, one more of what it was not."""
    row = world.serve(Outcome.ERROR, lost_by=["loki"])
    world.collect()
    sighting = world.sighting(row)
    world.stores["loki"].append(type(sighting)(**{**{name: getattr(sighting, name) for name in sighting.__slots__}, "status": "success"}))
    assert run(world.audit()).stores["loki"].difference == Counter({Outcome.ERROR: 1, Outcome.SUCCESS: -1})


def test_an_outcome_that_is_none(world):
    """Does not count for any."""
    row = world.serve(lost_by=["loki"])
    world.collect()
    sighting = world.sighting(row)
    world.stores["loki"].append(type(sighting)(**{**{name: getattr(sighting, name) for name in sighting.__slots__}, "status": ""}))
    verdict = run(world.audit())
    assert verdict.stores["loki"].difference == Counter({Outcome.SUCCESS: 1})
    assert verdict.stores["loki"].missing == 0


def test_missing_inferences_are_counted_beyond_those_named(world):
    """The list has a bound, the count has none."""
    for _ in range(5):
        world.serve(lost_by=["loki"])
    world.collect()
    verdict = run(world.audit(most_named=2))
    assert verdict.stores["loki"].missing == 5
    assert [missing.request_id for missing in verdict.stores["loki"].named] == ["request-1", "request-2"]


def test_a_window_inside_a_life(world):
    """It begins at the first collection in the range and ends at the last one."""
    world.serve()
    world.collect()
    since = world.now
    world.serve(Outcome.INVALID)
    world.collect()
    until = world.now
    world.serve(Outcome.ERROR)
    world.collect()
    verdict = run(world.audit(since=since, until=until))
    assert verdict.window.served == Counter({Outcome.INVALID: 1})
    for store in ("prometheus", "loki", "jaeger", "embedded"):
        assert counts(verdict, store) == {"invalid": 1}
    assert verdict.difference == 0


def test_a_range_without_two_collections_has_nothing(world):
    """Not the counts since the start of the life."""
    world.serve()
    world.collect()
    world.serve()
    world.collect()
    verdict = run(world.audit(since=START + 1000 * SECOND, until=START + 2000 * SECOND))
    assert (verdict.window.served.total(), verdict.difference) == (0, 0)


def test_an_outage_that_left_the_newest_collection_only(world):
    """The sample that came later speaks for those that were never sent."""
    world.serve()
    world.collect(sampled=False)
    until = world.now
    world.serve()
    world.collect(sampled=True)
    assert run(world.audit(until=until)).difference == 0


def test_a_life_whose_last_collections_prometheus_never_got(world):
    """It has the newest sample before, and lacks the rest."""
    world.serve()
    world.collect()
    world.serve()
    world.serve(Outcome.ERROR)
    world.stop(sampled=False)
    world.start()
    world.serve()
    world.collect()
    verdict = run(world.audit())
    assert counts(verdict, "prometheus") == {"success": 2}
    assert verdict.stores["prometheus"].difference == Counter({Outcome.SUCCESS: 1, Outcome.ERROR: 1})


def test_a_sample_that_is_not_the_ledgers(world):
    """Is a difference, whichever way."""
    world.serve()
    world.collect()
    world.running.samples[world.now // MS] = Counter({Outcome.SUCCESS: 3})
    verdict = run(world.audit())
    assert verdict.stores["prometheus"].difference == Counter({Outcome.SUCCESS: -2})


def test_a_sample_after_the_last_collection_of_a_killed_life(world):
    """The metrics were sent, the ledger was not written any more: it lies between what both say."""
    world.serve()
    world.collect(sampled=False)
    world.serve()
    world.tick(5 * MS)
    world.running.samples[world.now // MS] = Counter({Outcome.SUCCESS: 2})
    world.serve()
    world.kill()
    verdict = run(world.audit())
    assert (verdict.difference, verdict.window.unflushed.total()) == (0, 2)


def test_more_inferences_than_one_slice_has(world):
    """Slices join without a gap, also where many began together."""
    for number in range(SLICE_ROWS + 500):
        world.serve(took=0 if number % 7 else MS)
    world.collect()
    verdict = run(world.audit())
    assert counts(verdict, "jaeger") == {"success": SLICE_ROWS + 500}
    assert verdict.difference == 0


class Unreachable(MemorySightings):
    async def between(self, since_ns, until_ns):
        raise BackendUnread("Loki at 127.0.0.1:3100 does not answer (refused), 4 times")


def test_a_store_that_cannot_be_read_is_no_difference(world):
    """It is said, and has an exit code of its own."""
    world.serve()
    world.collect()
    audit = world.audit(stores=("jaeger",))
    audit.sightings = [Unreachable("loki", []), *audit.sightings]
    verdict = run(audit)
    assert verdict.stores["loki"].counts is None
    assert verdict.unread == {"loki": "Loki at 127.0.0.1:3100 does not answer (refused), 4 times"}
    assert (verdict.difference, verdict.exit_code) == (0, 3)


def test_a_prometheus_that_cannot_be_read(world):
    """Neither."""

    class Down:
        async def before(self, *_):
            raise BackendUnread("Prometheus at 127.0.0.1:9090 answered 503, 4 times")

    world.serve()
    world.collect()
    audit = world.audit()
    audit.samples = Down()
    verdict = run(audit)
    assert (verdict.difference, verdict.exit_code) == (0, 3)
    assert verdict.unread == {"prometheus": "Prometheus at 127.0.0.1:9090 answered 503, 4 times"}


class Late(MemorySightings):
    """Has what it has from the third time on."""

    async def between(self, since_ns, until_ns):
        found = await super().between(since_ns, until_ns)
        return found if len(self.asked) >= 3 else []


def test_what_is_on_its_way_is_waited_for(world, virtual_loop):
    """Only as long as something is missing."""
    world.serve()
    world.collect()
    audit = world.audit(settle=30.0, monotonic=virtual_loop.time)
    audit.sightings = [Late("loki", world.stores["loki"])]
    verdict = virtual_loop.run_until_complete(audit.run())
    assert verdict.difference == 0
    assert virtual_loop.time() < 5


def test_what_never_comes_is_waited_for_as_long_as_was_said(world, virtual_loop):
    """Then it is missing."""
    world.serve(lost_by=["loki"])
    world.collect()
    verdict = virtual_loop.run_until_complete(world.audit(settle=20.0, monotonic=virtual_loop.time).run())
    assert verdict.difference == 1
    assert 20 <= virtual_loop.time() < 22


def test_what_runs_is_collected_once_more_first(world, virtual_loop):
    """So that all that ended before the audit is part of it."""
    world.serve()
    world.collect()
    world.serve()
    audit = world.audit(settle=30.0, monotonic=virtual_loop.time)
    audit.plan = type(audit.plan)(since_ns=0, until_ns=None, settle=30.0, most_named=10)
    virtual_loop.call_later(4, world.collect)
    verdict = virtual_loop.run_until_complete(audit.run())
    assert (verdict.window.served.total(), verdict.difference) == (2, 0)
    assert 4 <= virtual_loop.time() < 6


def test_what_has_only_just_begun_is_waited_for(world, virtual_loop):
    """It has no entry yet, and has served already."""
    world.stop()
    world.start()
    world.serve()
    audit = world.audit(settle=30.0, monotonic=virtual_loop.time)
    audit.plan = type(audit.plan)(since_ns=0, until_ns=None, settle=30.0, most_named=10)
    virtual_loop.call_later(4, world.collect)
    verdict = virtual_loop.run_until_complete(audit.run())
    assert (verdict.window.served.total(), verdict.difference) == (1, 0)
    assert 4 <= virtual_loop.time() < 6


def test_what_has_begun_and_is_never_collected_is_not_waited_for_for_ever(world, virtual_loop):
    """An interval and a half, or as long as the audit may take."""
    world.stop()
    world.start()
    world.serve()
    for settle, waited in ((30.0, 15), (3.0, 3)):
        begin = virtual_loop.time()
        audit = world.audit(settle=settle, monotonic=virtual_loop.time)
        audit.plan = type(audit.plan)(since_ns=0, until_ns=None, settle=settle, most_named=10)
        verdict = virtual_loop.run_until_complete(audit.run())
        assert (verdict.window.served.total(), verdict.difference) == (0, 0)
        assert waited <= virtual_loop.time() - begin < waited + 1


def test_no_store_but_the_embedded_one(world):
    """It is compared with the ledger."""
    world.serve()
    world.serve(lost_by=["embedded"])
    world.collect()
    verdict = run(world.audit(stores=(), samples=False))
    assert counts(verdict, "loki") is counts(verdict, "prometheus") is None
    assert verdict.difference == 1
    assert verdict.stores["embedded"].named == []


def scraped(world):
    audit = world.audit(stores=())
    audit.plan = type(audit.plan)(since_ns=0, until_ns=world.now + SECOND, settle=0, most_named=10, scraped=True)
    return run(audit)


def test_a_scraped_process_is_compared_between_its_collections(world):
    """A scrape is at no moment of the ledger's; it must lie between two of them."""
    world.serve()
    world.collect(sampled=False)
    world.serve()
    world.tick(3 * SECOND)
    world.running.samples[world.now // MS] = world.running.counts()
    world.serve()
    world.collect(sampled=False)
    world.tick(3 * SECOND)
    world.running.samples[world.now // MS] = world.running.counts()
    verdict = scraped(world)
    assert counts(verdict, "prometheus") == {"success": 3}
    assert (verdict.difference, verdict.notes) == (0, [])


def test_a_scrape_that_is_answered_after_the_next_collection(world):
    """Its sample has the time at which it began, and counts what has ended since."""
    world.serve()
    world.collect(sampled=False)
    begun = world.now // MS + 2
    world.tick(5 * MS)
    world.serve()
    world.collect(sampled=False)
    world.serve()
    world.running.samples[begun] = world.running.counts()
    world.tick(12 * SECOND)
    world.collect(sampled=False)
    world.tick(SECOND)
    world.running.samples[world.now // MS] = world.running.counts()
    until = world.processes[0].entries[0].collected_unix_ns
    audit = world.audit(stores=())
    audit.plan = type(audit.plan)(since_ns=0, until_ns=until, settle=0, most_named=10, scraped=True)
    verdict = run(audit)
    assert counts(verdict, "prometheus") == {"success": 1}
    assert verdict.difference == 0


def test_a_scrape_that_counts_too_few(world):
    """Is a difference."""
    world.serve()
    world.collect(sampled=False)
    world.tick(3 * SECOND)
    world.running.samples[world.now // MS] = Counter()
    assert scraped(world).stores["prometheus"].difference == Counter({Outcome.SUCCESS: 1})


def test_what_ended_after_the_last_scrape_of_a_stopped_process(world):
    """Cannot be in Prometheus, and is said."""
    world.serve()
    world.tick(SECOND)
    world.running.samples[world.now // MS] = world.running.counts()
    world.serve()
    world.stop(sampled=False)
    verdict = scraped(world)
    assert verdict.difference == 0
    assert verdict.notes == ["inferences that ended after the last scrape of a process that has stopped, which Prometheus cannot know: 1"]


def test_a_scraped_window_inside_a_life(world):
    """Both of its ends are judged by the scrapes around them."""
    world.serve()
    world.collect(sampled=False)
    since = world.now
    world.tick(3 * SECOND)
    world.running.samples[world.now // MS] = world.running.counts()
    world.serve()
    world.collect(sampled=False)
    world.tick(3 * SECOND)
    world.running.samples[world.now // MS] = world.running.counts()
    audit = world.audit(stores=())
    audit.plan = type(audit.plan)(since_ns=since, until_ns=world.now + SECOND, settle=0, most_named=10, scraped=True)
    verdict = run(audit)
    assert counts(verdict, "prometheus") == {"success": 1}
    assert verdict.difference == 0


def test_a_process_that_was_never_scraped_although_it_is_known(world):
    """It ended before the first scrape of its counts."""
    world.serve()
    world.stop(sampled=False)
    verdict = scraped(world)
    assert verdict.difference == 0
    assert verdict.notes == ["inferences that ended after the last scrape of a process that has stopped, which Prometheus cannot know: 1"]


def test_more_slices_than_are_read_at_once(world, monkeypatch):
    """All are read, each once."""
    monkeypatch.setattr("cli.audit.session.SLICE_ROWS", 10)
    for _ in range(95):
        world.serve()
    world.collect()
    audit = world.audit()
    verdict = run(audit)
    assert verdict.difference == 0
    assert len(audit.sightings[0].asked) == 10


def test_a_store_that_fails_in_the_middle(world, monkeypatch):
    """Is not asked any more."""

    class Failing(MemorySightings):
        async def between(self, since_ns, until_ns):
            if len(self.asked) == 2:
                raise BackendUnread("gone")
            return await super().between(since_ns, until_ns)

    monkeypatch.setattr("cli.audit.session.SLICE_ROWS", 10)
    for _ in range(95):
        world.serve()
    world.collect()
    audit = world.audit(stores=())
    audit.sightings = [Failing("loki", world.stores["loki"])]
    verdict = run(audit)
    assert verdict.unread == {"loki": "gone"}
    assert len(audit.sightings[0].asked) == 2


def test_a_process_that_is_not_scraped(world):
    """Such as `mgeo match` in the lite profile: it is left out of the comparison, and that is said."""
    world.serve()
    world.tick(SECOND)
    world.collect()
    world.stop()
    world.start("two")
    world.serve()
    world.stop(sampled=False)
    verdict = scraped(world)
    assert verdict.window.served.total() == 2
    assert verdict.stores["prometheus"].served.total() == 1
    assert verdict.notes == ["Prometheus scrapes the service only; lives of other processes that it is not compared with: 1"]
    assert verdict.difference == 0
