"""The dashboards' files: written once, checked without writing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana.dashboards.file import DASHBOARDS, encoded, main

ROOT = Path(__file__).parents[3]


def test_they_are_written_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A second time there is nothing to write."""
    assert main([], tmp_path) == 0
    assert capsys.readouterr().out == "wrote overview.json\n"

    assert main([], tmp_path) == 0
    assert capsys.readouterr().out == ""


def test_the_check_names_what_is_out_of_date_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Missing or edited by hand, it is told on standard error; what is right passes."""
    assert main(["--check"], tmp_path) == 1
    assert capsys.readouterr().err == "overview.json is out of date; run `make docs` and commit it\n"
    assert list(tmp_path.iterdir()) == []

    main([], tmp_path)
    assert main(["--check"], tmp_path) == 0
    (tmp_path / "overview.json").write_text("{}", encoding="utf-8")
    assert main(["--check"], tmp_path) == 1
    assert (tmp_path / "overview.json").read_text(encoding="utf-8") == "{}"


@pytest.mark.slow
def test_the_committed_files_are_up_to_date() -> None:
    """As `make check` asks."""
    run = subprocess.run([sys.executable, "-m", "grafana.dashboards", "--check"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


@pytest.mark.parametrize("name", DASHBOARDS)
def test_making_one_twice_makes_the_same(name: str) -> None:
    """No state is left behind by the first."""
    assert encoded(DASHBOARDS[name]()) == encoded(DASHBOARDS[name]())


@pytest.mark.parametrize("name", DASHBOARDS)
def test_the_models_of_grafanas_own_schema_read_it_without_losing_anything(name: str) -> None:
    """Parsed into them and written again, every member is still there."""
    register_default_plugins()
    text = encoded(DASHBOARDS[name]())

    assert json.loads(json.dumps(Dashboard.from_json(json.loads(text)), cls=JSONEncoder)) == json.loads(text)
