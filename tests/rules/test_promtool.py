"""Our rules in Prometheus' own unit test: what fires, with every label and every rendered word, and what does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.rules import alerting_cases, inference_cases, process_cases, telemetry_cases
from tests.rules.promtool import run

SUBJECTS = {
    "inference": inference_cases.CASES,
    "process": process_cases.CASES,
    "telemetry": telemetry_cases.CASES,
    "alerting": alerting_cases.CASES,
}


@pytest.mark.stack
@pytest.mark.timeout(600)
@pytest.mark.parametrize("subject", SUBJECTS)
def test_alerts_fire_when_they_must_and_only_then(subject: str, program: Callable[[str], Path], tmp_path: Path) -> None:
    """Each case is a sentence; promtool names the one that fails."""
    run(program("promtool"), tmp_path, SUBJECTS[subject])
