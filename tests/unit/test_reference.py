"""The generated references: what is on them, and how they are kept up to date."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from service.reference import PAGES, configuration_page, log_schema, main, telemetry_page

ROOT = Path(__file__).parents[2]


def test_the_telemetry_page_tells_the_outcomes_with_their_error_types() -> None:
    """As rows of tables."""
    page = telemetry_page().splitlines()

    assert page[0] == "# Telemetry"
    assert "| `success` | – |" in page
    assert "| `overloaded` | `queue_full` `breaker_open` `not_ready` `shutting_down` |" in page
    assert "| `queue_full` | `overloaded` | the inference queue is full |" in page


def test_the_telemetry_page_tells_each_metric_by_both_names() -> None:
    """With kind, unit, labels and meaning, and its boundaries."""
    page = telemetry_page().splitlines()

    assert (
        "| `mgeo_requests_total` | `mgeo.requests` | counter | `{request}` | `status` `error_type` "
        "| Inferences that ended, by status and, but for success, by error type. |"
    ) in page
    assert "| `mgeo_inference_duration_seconds` | 0.001 0.0025 0.005 0.01 0.025 0.05 0.1 0.2 0.4 0.8 1.5 2.5 5 10 30 |" in page
    assert "| `file` | `queue_full` `write_failed` |" in page


def test_the_configuration_page_tells_each_setting() -> None:
    """Variable, default, unit, meaning; none of them is a dash."""
    page = configuration_page().splitlines()

    assert page[0] == "# Configuration"
    assert "| `MGEO_DEADLINE` | `10.0` | seconds | Time an inference may take; a caller's X-Request-Timeout may only shorten it. |" in page
    assert "| `MGEO_HOST` | `127.0.0.1` | – | Address to listen on. Loopback by default: opening it to a network is a decision. |" in page
    assert [line for line in page if line.startswith("| `MGEO_API_KEYS` | – | – |")] != []


@pytest.mark.parametrize("page", [telemetry_page(), configuration_page()])
def test_every_table_has_as_many_cells_in_each_row(page: str) -> None:
    """A `|` inside a description does not tear the table."""
    widths: list[set[int]] = [set()]
    for line in page.splitlines():
        if line.startswith("|"):
            widths[-1].add(line.replace("\\|", "").count("|"))
        elif widths[-1]:
            widths.append(set())

    assert [width for width in widths if len(width) > 1] == []


def test_the_log_schema_is_a_schema() -> None:
    """Of the 2020-12 draft, with every field required and no other allowed."""
    schema = json.loads(log_schema())

    jsonschema.Draft202012Validator.check_schema(schema)
    assert sorted(schema["required"]) == sorted(schema["properties"])
    assert schema["additionalProperties"] is False


def test_the_pages_are_written_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With their folder; a second time there is nothing to write."""
    assert main([], tmp_path) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"wrote {name}" for name in ("docs/telemetry.md", "docs/configuration.md", "docs/log-schema.json", "otel-collector/redaction.yaml")
    ]
    assert (tmp_path / "docs/telemetry.md").read_text(encoding="utf-8") == telemetry_page()

    assert main([], tmp_path) == 0
    assert capsys.readouterr().out == ""


def test_the_check_names_what_is_out_of_date_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One changed, one missing, one as it should be."""
    main([], tmp_path)
    (tmp_path / "docs/telemetry.md").write_text("old", encoding="utf-8")
    (tmp_path / "docs/log-schema.json").unlink()
    capsys.readouterr()

    assert main(["--check"], tmp_path) == 1

    assert capsys.readouterr().err.splitlines() == [
        "docs/telemetry.md is out of date; run `make docs` and commit it",
        "docs/log-schema.json is out of date; run `make docs` and commit it",
    ]
    assert (tmp_path / "docs/telemetry.md").read_text(encoding="utf-8") == "old"
    assert not (tmp_path / "docs/log-schema.json").exists()


def test_the_check_of_fresh_pages_is_silent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And ends with 0."""
    main([], tmp_path)
    capsys.readouterr()

    assert main(["--check"], tmp_path) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.slow
def test_the_pages_are_made_on_their_own_by_the_module(tmp_path: Path) -> None:
    """`python -m service.reference`, in the folder it is run in."""
    done = subprocess.run(
        [sys.executable, "-m", "service.reference"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.glob("**/*.*"))] == sorted(PAGES)
    assert done.stderr == ""
