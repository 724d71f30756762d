"""Keeps the outcome of drills where the service shows it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from service.surroundings.drill_record import DrillRecord, write_record

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cli.drill.running import Result


def record_results(data_dir: Path, results: Sequence[Result]) -> None:
    """Write the file.

    Raises:
        StartupError: it cannot be written.
    """
    failed = tuple(result.drill.name for result in results if not result.passed)
    write_record(data_dir, DrillRecord(passed=len(results) - len(failed), failed=failed, ended_unix_ns=time.time_ns()))
