"""What looks back over an hour, in a real Prometheus with a past of eight days: each alert's own expression, at the moment that matters."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import httpx
import pytest

from tests.rules.alertmanager import free_port, started
from tests.rules.backfilled_cases import CALENDAR, CASES
from tests.rules.past import DAY, MINUTE_SECONDS, Past, lines
from tests.rules.promtool import ROOT, rules_by_name

RECORDINGS = sorted(ROOT.glob("prometheus/rules/*.yml"))
ALERTS = rules_by_name()
# Seven days before Friday, which is a day before the end, and the window there.
LENGTH = (8 * DAY + 60) * MINUTE_SECONDS
# Around a moment, so that every recording has a value when it is asked.
AROUND = 10 * MINUTE_SECONDS
# As long as promtool's blocks may be: it reads its input once for each of them.
BLOCK = "--max-block-duration=162h"
# Nothing of the past is too old to be kept. That blocks overlap is meant.
FLAGS = ("--storage.tsdb.path=data", "--storage.tsdb.retention.time=30d", "--log.level=error")


def instance(case: Past) -> str:
    """The label by which its history is told from the others in the same database."""
    return f"case-{CASES.index(case)}"


@dataclass(frozen=True, slots=True)
class Backfilled:
    """A Prometheus with all histories, which end at `end`, in seconds since 1970."""

    url: str
    end: int

    def asked(self, expression: str, ago: int = 0) -> list[dict[str, str]]:
        """The labels of what an expression has as its result so many minutes before the end."""
        answer = httpx.get(
            f"{self.url}/api/v1/query",
            params={"query": expression, "time": self.end - ago * MINUTE_SECONDS},
            timeout=30,
            trust_env=False,
        ).json()
        assert answer["status"] == "success", answer
        return [sample["metric"] for sample in answer["data"]["result"]]


@dataclass(frozen=True, slots=True)
class Database:
    """A folder with blocks, and the programs that write and read them."""

    folder: Path
    prometheus: Path
    promtool: Path

    @contextmanager
    def served(self) -> Iterator[str]:
        """Its address while a Prometheus serves what is in it by then: one that runs looks for new blocks once a minute only."""
        address = f"127.0.0.1:{free_port()}"
        argv = [self.prometheus, "--config.file=prometheus.yml", f"--web.listen-address={address}", *FLAGS]
        with started(argv, self.folder, f"http://{address}/-/ready"):
            yield f"http://{address}"

    def imported(self, *what: object) -> None:
        """Write blocks; fails with promtool's own words."""
        argv = [self.promtool, "tsdb", "create-blocks-from", "--quiet", BLOCK, *what]
        done = subprocess.run([str(each) for each in argv], cwd=self.folder, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def evaluated(self, url: str, start: int, end: int) -> None:
        """Write what the recording rules would have recorded in that time."""
        self.imported("rules", f"--url={url}", f"--start={start}", f"--end={end}", "--eval-interval=60s", "--output-dir=data", *RECORDINGS)


def write_histories(path: Path, end: int) -> None:
    """Every case's history, and the calendar, which is one for all."""
    with path.open("w", encoding="utf-8") as file:
        for series, drawn in CALENDAR.items():
            file.writelines(lines(series, drawn, instance="calendar", moment=end))
        for case in CASES:
            for series, drawn in case.history.items():
                file.writelines(lines(series, drawn, instance=instance(case), moment=end - case.ago * MINUTE_SECONDS))
        file.write("# EOF\n")


@pytest.fixture(scope="module")
def backfilled(program: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backfilled]:
    """All histories, and what the recording rules make of them: first of the histories, then of what they themselves recorded."""
    database = Database(tmp_path_factory.mktemp("backfilled"), program("prometheus"), program("promtool"))
    (database.folder / "prometheus.yml").write_text("", encoding="utf-8")
    end = int(time.time()) // MINUTE_SECONDS * MINUTE_SECONDS
    write_histories(database.folder / "histories.om", end)
    database.imported("openmetrics", "histories.om", "data")
    with database.served() as url:
        database.evaluated(url, end - LENGTH, end)
    with database.served() as url:
        for ago in sorted({case.ago for case in CASES}):
            moment = end - ago * MINUTE_SECONDS
            database.evaluated(url, moment - AROUND, moment)
    with database.served() as url:
        yield Backfilled(url, end)


@pytest.fixture(scope="module")
def firing(backfilled: Backfilled) -> Callable[[str, int], frozenset[str]]:
    """The instances for which an alert's expression has a result, by alert and minutes before the end."""
    return cache(lambda alert, ago: frozenset(labels["instance"] for labels in backfilled.asked(ALERTS[alert]["expr"], ago)))


@pytest.mark.stack
@pytest.mark.timeout(180)
def test_the_past_is_there(backfilled: Backfilled) -> None:
    """Of every case, so that none is silent for want of a history; and of every recording, at the moment that matters."""
    recorded = {line.split()[-1] for path in RECORDINGS for line in path.read_text(encoding="utf-8").splitlines() if "record: " in line}

    there = {labels["instance"] for labels in backfilled.asked("group by (instance) (last_over_time({instance=~'case-.+'}[9d]))")}
    assert there == {instance(case) for case in CASES}
    assert {labels["__name__"] for labels in backfilled.asked("group by (__name__) ({__name__=~'mgeo:.+'})")} == recorded
    assert backfilled.asked("mgeo_requests_total and mgeo_requests_total offset 7d", ago=DAY) != []


@pytest.mark.stack
@pytest.mark.timeout(180)
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.alert}: {case.says}")
def test_an_alert_that_looks_far_back_sees_what_it_must(case: Past, firing: Callable[[str, int], frozenset[str]]) -> None:
    """Its expression as it stands in the checked-in file, asked once: a result for this instance, or none."""
    assert (instance(case) in firing(case.alert, case.ago)) == case.fires
