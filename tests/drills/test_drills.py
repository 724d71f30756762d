"""The fire drills that fit into CI, in the real stack with minutes of three seconds: each tells exactly what it must."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.drill.catalogue import BEYOND, drill_of
from tests.stack.running import Stack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1500)]
SCALE = 0.05
# One of each kind: slow, failing, waiting, away, killed, banned, silent. `mgeo drill all` has the others.
NAMES = (
    "slow-model",
    "failing-model",
    "queue-backlog",
    "disk-nearly-full",
    "notifier-killed",
    "collector-killed",
    "service-killed",
    "dingtalk-banning",
    "box-gone",
)


@pytest.fixture(scope="module")
def drilled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that is there to be drilled."""
    folder = tmp_path_factory.mktemp("drills")
    stack = Stack(data_dir=folder / "var", profile="full", options=("--drills", "on"), variables={"MGEO_DRILL_SCALE": f"{SCALE}"})
    stack.up()
    try:
        yield stack
    finally:
        stack.down()


@pytest.fixture(scope="module")
def reports(drilled: Stack) -> dict[str, dict[str, Any]]:
    """What each drill reports; they run one after the other, as `mgeo drill` does."""
    folder = drilled.data_dir.parent / "report"
    done = drilled.mgeo("drill", *NAMES, "--json", f"--report={folder}", check=False, timeout=1400)
    assert done.stdout, done.stderr
    return {each["name"]: each for each in json.loads(done.stdout)}


@pytest.mark.parametrize("name", NAMES)
def test_a_drill_tells_exactly_what_it_must(reports: dict[str, dict[str, Any]], name: str) -> None:
    """Each expected alert once, in its group, with its people, and its end; and nothing else."""
    report, drill = reports[name], drill_of(name)
    assert drill is not None

    assert report["faults"] == []
    assert report["unexpected"] == []
    assert set(report["expected"]) == set(drill.expects) <= set(report["delivered"])
    assert set(report["delivered"]) <= {*drill.expects, *drill.permits, *BEYOND}
    assert report["seconds_to_message"] > 0
    assert report["passed"] is True


def test_the_report_is_a_page_a_picture_and_data(reports: dict[str, dict[str, Any]], drilled: Stack) -> None:
    """For people, and for whoever compares."""
    folder = Path(drilled.data_dir.parent / "report")

    assert sorted(path.name for path in folder.iterdir()) == ["drills.json", "drills.md", "drills.svg"]
    assert [each["name"] for each in json.loads((folder / "drills.json").read_text())] == list(NAMES) == list(reports)
    assert "| slow-model | HighLatency |" in (folder / "drills.md").read_text()


def test_nothing_of_a_drill_is_left(reports: dict[str, dict[str, Any]], drilled: Stack) -> None:
    """No fault, and every process is back."""
    assert reports
    assert not (drilled.data_dir / "drill.json").exists()
    drilled.wait_healthy()
