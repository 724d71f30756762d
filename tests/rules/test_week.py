"""Nobody is disturbed in a normal week; and the same week with one thing wrong is told, so the silence is not deafness."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.rules.promtool import RULES, ours
from tests.rules.week import DAYS, STEP_MINUTES, counted, level, normal_days

FIRED = 'count by (alertname) (count_over_time(ALERTS{{alertstate="firing", alertname!="Watchdog"}}[{hours}h]))'


def check(promtool: Path, folder: Path, days: dict[str, str], fired: list[str], hours: int = DAYS * 24) -> None:
    """Which alerts fired at any moment of the first hours of those days."""
    test = {
        "rule_files": [str(path) for path in RULES],
        "evaluation_interval": "4m",
        "group_eval_order": [group["name"] for path in RULES for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]],
        "tests": [
            {
                "interval": f"{STEP_MINUTES}m",
                "input_series": [{"series": name, "values": values} for name, values in days.items()],
                "promql_expr_test": [
                    {
                        "expr": FIRED.format(hours=hours),
                        "eval_time": f"{hours * 60 - STEP_MINUTES}m",
                        "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in fired],
                    }
                ],
            }
        ],
    }
    path = folder / "week.test.yml"
    path.write_text(yaml.safe_dump(test, sort_keys=False), encoding="utf-8")
    done = subprocess.run([promtool, "test", "rules", path], capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.stack
@pytest.mark.timeout(900)
def test_a_normal_week_is_quiet(program: Callable[[str], Path], tmp_path: Path) -> None:
    """From the very first day on: mornings, evenings, a weekend, a deploy, a holiday on a Wednesday, a thousandth of errors."""
    check(program("promtool"), tmp_path, normal_days(), [])


@pytest.mark.stack
@pytest.mark.timeout(900)
def test_the_same_with_something_wrong_is_not(program: Callable[[str], Path], tmp_path: Path) -> None:
    """A disk that fills, and an afternoon on which traffic halves, so that the silence is not deafness."""
    fallen = 16 * 60 // STEP_MINUTES
    days = {
        name: counted(lambda step: 0.45 if step > fallen else 0.966) if name == ours("mgeo_requests_total", status="success") else values
        for name, values in normal_days().items()
    }
    days[ours("system_filesystem_usage_bytes", mgeo_folder="data")] = level(lambda step: 900 if step > fallen else 500)

    check(program("promtool"), tmp_path, days, ["DiskFilling", "TrafficDrop"], hours=20)
