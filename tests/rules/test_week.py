"""Nobody is disturbed in a normal week; and the same week with one thing wrong is told, so the silence is not deafness."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.rules.promtool import RULES, ours
from tests.rules.week import DAYS, DEPLOY, STEP_MINUTES, STEPS, always, level, normal_days

FIRED = f'count by (alertname) (count_over_time(ALERTS{{alertstate="firing", alertname!="Watchdog"}}[{DAYS}d]))'


def check(promtool: Path, folder: Path, days: dict[str, str], fired: list[str]) -> None:
    """Which alerts fired at any moment of those days."""
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
                        "expr": FIRED,
                        "eval_time": f"{(STEPS - 1) * STEP_MINUTES}m",
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
    """Eleven days from the very first: mornings, evenings, two weekends, a holiday on a Wednesday, a deploy, a thousandth of errors."""
    check(program("promtool"), tmp_path, normal_days(), [])


@pytest.mark.stack
@pytest.mark.timeout(900)
def test_the_same_week_with_something_wrong_is_not(program: Callable[[str], Path], tmp_path: Path) -> None:
    """A disk that fills, and a Wednesday whose quiet no calendar explains."""
    no_holiday = level(lambda step: 0 if step * STEP_MINUTES // 1440 in {2, 3, 9, 10} else 1)
    days = {
        **normal_days(),
        ours("mgeo_workday"): no_holiday,
        ours("system_filesystem_usage_bytes", mgeo_folder="data"): level(lambda step: 900 if step > DEPLOY else 500),
        ours("system_filesystem_limit_bytes", mgeo_folder="data"): always(1000),
    }
    check(program("promtool"), tmp_path, days, ["DiskFilling"])
