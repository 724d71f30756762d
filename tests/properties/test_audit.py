"""Any life of a service, any losses: the difference is exactly what was lost."""

from __future__ import annotations

import asyncio
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from service.errors import Outcome
from tests.cli.audit.world import MS, World

STORES = ("loki", "jaeger", "embedded")

SERVE = st.tuples(
    st.just("serve"), st.sampled_from(Outcome), st.sampled_from([0, 3 * MS, 2000 * MS]), st.frozensets(st.sampled_from(STORES))
)
STEPS = st.lists(
    st.one_of(
        SERVE,
        SERVE,
        st.tuples(st.just("collect"), st.booleans()),
        st.tuples(st.just("stop"), st.booleans()),
        st.tuples(st.just("kill")),
    ),
    max_size=40,
)


def live(steps):
    """The world after these steps, and each inference in the order of time: its life, number, outcome and who lost it."""
    world = World()
    world.start()
    served = []
    for what, *how in steps:
        if what == "serve":
            outcome, took, lost_by = how
            served.append((world.serve(outcome, took=took, lost_by=lost_by), lost_by))
        elif what == "collect":
            world.collect(sampled=how[0])
        else:
            getattr(world, what)(**({"sampled": how[0]} if how else {}))
            world.start()
    return world, served


def lost_in_prometheus(process, entries):
    """What no sample of the life says: all after the newest one, when none is as new as the last collection."""
    if not entries:
        return Counter()
    last = entries[-1]
    counted = [counts for ms, counts in process.samples.items() if ms <= last.collected_unix_ns // MS]
    if last.collected_unix_ns // MS in process.samples:
        return Counter()
    known = counted[-1] if counted else Counter()
    return Counter(dict(last.counts)) - Counter(known)


@given(STEPS)
def test_the_difference_is_what_was_lost(steps):
    """By store and outcome, over restarts, kills and what is in flight; the rest of a killed life is unflushed."""
    world, served = live(steps)
    covered, unflushed, unsampled = {}, Counter(), Counter()
    for process in world.processes:
        collections = [entry for entry in process.entries if not entry.final]
        covered[process.life] = collections[-1].total if collections else 0
        unsampled += lost_in_prometheus(process, collections)
        if process.ended:
            unflushed += process.counts() - Counter(dict(collections[-1].counts) if collections else {})
    inside = [(row, lost_by) for row, lost_by in served if row.seq <= covered[row.life]]

    verdict = asyncio.run(world.audit().run())

    assert +verdict.window.served == Counter(row.outcome for row, _ in inside)
    assert +verdict.window.unflushed == +unflushed
    assert verdict.stores["prometheus"].difference == +unsampled
    for store in STORES:
        lost = [row for row, lost_by in inside if store in lost_by]
        assert verdict.stores[store].difference == Counter(row.outcome for row in lost), store
    for store in ("loki", "jaeger"):
        named = {missing.request_id for missing in verdict.stores[store].named}
        assert named == {row.request_id for row, lost_by in inside if store in lost_by and "embedded" not in lost_by}
    known = {row.request_id for row, lost_by in inside if "embedded" in lost_by and not {"loki", "jaeger"} <= lost_by}
    assert {missing.request_id for missing in verdict.stores["embedded"].named} == known
    assert verdict.difference == sum(len(lost_by) for _, lost_by in inside) + unsampled.total()


@given(STEPS, st.data())
def test_windows_add_up(steps, data):
    """Whatever moment a window is cut at, both halves together served what the whole did, and lost what it lost."""
    world, _ = live(steps)
    whole = asyncio.run(world.audit().run())
    moments = [entry.collected_unix_ns for process in world.processes for entry in process.entries if not entry.final]
    cut = data.draw(st.sampled_from(moments)) if moments else world.now
    halves = [asyncio.run(world.audit(until=cut).run()), asyncio.run(world.audit(since=cut).run())]
    served = sum((half.window.served for half in halves), Counter())
    assert +served == +whole.window.served
    for store in STORES:
        assert sum(half.stores[store].missing for half in halves) == whole.stores[store].missing
