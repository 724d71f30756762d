"""A box for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.stack_notifier.box import Box


@pytest.fixture
def box(tmp_path: Path, program: Callable[[str], Path]) -> Iterator[Box]:
    """Nothing of it runs yet."""
    box = Box(tmp_path, program)
    yield box
    box.close()
