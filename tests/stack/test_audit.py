"""`mgeo audit` over the running stack: nothing is lost, and what is missing is named."""

from __future__ import annotations

import json
import shutil
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from tests.deadline import until
from tests.e2e.server import Server
from tests.stack.running import Stack

if TYPE_CHECKING:
    from pathlib import Path

MIX = "valid=0.8,invalid=0.08,oversized=0.02,cancelled=0.05,batch=0.05"
STORES = ("prometheus", "loki", "jaeger", "embedded")

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]


def agree(found: dict[str, Any]) -> None:
    """Every store has, by outcome, what was served."""
    assert found["difference"] == 0, found
    for name in STORES:
        assert found[name] == found["served"], name


def test_twenty_thousand_mixed_requests(stack: Stack) -> None:
    """Of every kind, single and in batches: difference 0, by outcome, in every store."""
    before = stack.audit()["served"]["total"]
    report = stack.load(rate=200, seconds=100, mix=MIX, seed=20_000)

    found = stack.audit()

    agree(found)
    assert found["served"]["total"] - before >= 20_000
    assert found["served"]["total"] - before >= report["inferences_by_outcome"]["success"]
    assert found["served"]["invalid"] > 0
    assert found["served"]["cancelled"] > 0


def test_while_requests_are_in_flight(stack: Stack) -> None:
    """The window ends at a collection; what comes after it is no difference."""
    load = stack.start_load(rate=50, seconds=60, mix=MIX, seed=2)

    found = stack.audit()

    agree(found)
    assert load.process.poll() is None
    load.stop()


def test_across_a_restart(stack: Stack) -> None:
    """The counts of both lives are added up."""
    stack.load(rate=50, seconds=3, mix=MIX, seed=3)
    lives = len(stack.audit()["window"]["lives"])
    stack.stop("service")
    stack.start("service")
    stack.wait_healthy("service")
    stack.load(rate=50, seconds=3, mix=MIX, seed=4)

    found = stack.audit()

    agree(found)
    assert len(found["window"]["lives"]) > lives
    assert found["window"]["restarts"] >= 1


def test_a_range(stack: Stack) -> None:
    """Only what ended in it is compared; the output says where it was cut."""
    stack.load(rate=50, seconds=3, mix=MIX, seed=5)
    whole = stack.audit()

    found = stack.audit("--since", whole["window"]["until"])

    agree(found)
    assert found["served"]["total"] < whole["served"]["total"]
    assert found["window"]["since"] is None or found["window"]["since"] >= whole["window"]["until"]


def test_what_loki_and_jaeger_lack_is_named(stack: Stack, tmp_path: Path) -> None:
    """Here by a copy of the embedded store that claims a span neither of them ever got."""
    stack.load(rate=20, seconds=2, seed=6)
    until_ns = stack.audit()["window"]["until"]
    folder = tmp_path / "claims"
    folder.mkdir()
    with sqlite3.connect(stack.data_dir / "telemetry.db") as source, sqlite3.connect(folder / "telemetry.db") as copy:
        source.backup(copy)
        copy.execute(
            "UPDATE inference SET span = x'0123456789abcdef', call = 'never-sent', item = NULL WHERE id = (SELECT min(id) FROM inference)"
        )

    done = stack.mgeo(
        "audit", "--json", "--settle", "0s", "--until", until_ns, "--data-dir", str(folder), check=False, **stack.lookup_variables
    )

    found = json.loads(done.stdout)
    assert (done.returncode, found["difference"]) == (1, 2)
    for name in ("loki", "jaeger"):
        assert [missing["request_id"] for missing in found["missing"][name]["ids"]] == ["never-sent"]
    assert found["prometheus"] == found["embedded"] == found["served"]
    shutil.rmtree(folder)


def test_a_store_that_is_away_is_no_difference(stack: Stack) -> None:
    """It is named, with an exit code of its own; the others are compared."""
    try:
        stack.stop("loki")
        done = stack.mgeo("audit", "--json", "--settle", "5s", check=False)
    finally:
        stack.start("loki")
        stack.wait_healthy("loki")

    found = json.loads(done.stdout)
    assert (done.returncode, found["difference"], found["loki"]) == (3, 0, None)
    assert list(found["unread"]) == ["loki"]
    until(lambda: stack.audit()["loki"] is not None, deadline=120)


def test_what_was_served_before_the_stack_came_up(tmp_path: Path) -> None:
    """As the README goes: first the service alone, which sends nothing, then the stack on its data folder."""
    data_dir = tmp_path / "data"
    alone = Server(tmp_path, data_dir=data_dir).ready()
    assert alone.match("杭州市余杭区文一西路969号", "余杭区文一西路969号阿里巴巴").status_code == 200
    alone.stop()

    stack = Stack(data_dir=data_dir, profile="full")
    try:
        stack.up()
        assert stack.audit(settle=5)["served"]["total"] >= 1
        stack.load(rate=20, seconds=2, seed=7)
        found = stack.audit()
    finally:
        stack.down()

    assert found["difference"] == 0
    assert found["embedded"]["total"] - found["loki"]["total"] == 1
    assert found["prometheus"] == found["loki"] == found["jaeger"]
    assert found["loki"]["total"] > 0
    assert [life["sends"] for life in found["window"]["lives"]] == [[], ["logs", "metrics", "traces"]]
    (note,) = found["notes"]
    assert note == (
        "process lives that were not set to send to Prometheus, Loki and Jaeger (no OTLP endpoint): 1;"
        " their inferences are looked for in the other stores only: 1"
    )
