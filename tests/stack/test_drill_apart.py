"""A drill on a stack of its own, with the real programs, below a path that is too long for a socket."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli.stack.layout import Layout
from cli.stack.marked import marked_processes
from service.surroundings.drill_record import read_record
from tests.stack.collector import ROOT

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1800)]


def test_a_drill_on_a_stack_of_its_own_passes_is_recorded_and_leaves_nothing(tmp_path: Path) -> None:
    """Whatever the caller has set: ports that are taken, keys, a model that is not there, robots of real people."""
    layout = Layout(tmp_path / ("a-long-name-" * 8) / "var")
    theirs = {"MGEO_API_KEYS": "secret", "MGEO_MODEL": "/nowhere", "MGEO_NOTIFIER_CONFIG": "/nowhere", "OTEL_SDK_DISABLED": "true"}

    done = subprocess.run(
        [sys.executable, "-m", "cli.main", "drill", "failing-model", "--apart", "--record", "--json", f"--data-dir={layout.data_dir}"],
        env={**os.environ, **theirs, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=1500,
        check=False,
        stdin=subprocess.DEVNULL,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    (result,) = json.loads(done.stdout)
    assert (result["name"], result["passed"], result["scale"]) == ("failing-model", True, 0.05)
    assert "BreakerOpen" in result["delivered"]
    record = read_record(layout.data_dir)
    assert record is not None
    assert (record.passed, record.failed) == (1, ())
    assert marked_processes(layout.drilled.run) == []
    assert sorted(path.name for path in layout.data_dir.iterdir()) == ["drilled.lock", "drills.json"]
    assert not layout.drilled.control_socket().exists()
