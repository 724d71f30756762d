"""Processes of a stack are found by the mark in their environment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cli.stack.marked import MarkedProcess, marked_processes, memory_bytes
from tests.deadline import until

ASLEEP = "import time; print('asleep', flush=True); time.sleep(60)"


@pytest.fixture
def marked():
    """A process with the mark of a run folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", ASLEEP],
        env={**os.environ, "MGEO_STACK": "/data/stack", "MGEO_STACK_PROGRAM": "loki"},
        stdout=subprocess.PIPE,
        process_group=0,
    )
    process.stdout.readline()
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_marked_process_is_found_with_its_name(marked):
    """And only by the very folder."""
    assert marked_processes(Path("/data/stack")) == [MarkedProcess(pid=marked.pid, program="loki")]
    assert marked_processes(Path("/data")) == []


def test_a_signal_ends_it_and_a_second_one_is_lost(marked):
    """Nothing is raised for a process that is gone."""
    found = marked_processes(Path("/data/stack"))[0]
    found.signal(signal.SIGKILL)
    marked.wait()
    until(lambda: marked_processes(Path("/data/stack")) == [])
    found.signal(signal.SIGKILL)


def test_memory_is_that_of_the_group(marked):
    """A Python takes a few MiB; a process that is not there takes none."""
    assert 2_000_000 < memory_bytes(marked.pid) < 100_000_000
    assert memory_bytes(2**22 + 1) is None


def test_what_hides_is_passed_over(tmp_path):
    """Processes of others, and such as end while they are looked at."""
    (tmp_path / "1").mkdir()
    (tmp_path / "2").mkdir()
    (tmp_path / "2/stat").write_text("2 (odd) name) S")
    (tmp_path / "3").symlink_to(tmp_path / "gone")
    assert marked_processes(Path("/data/stack"), tmp_path) == []
    assert memory_bytes(2, tmp_path) is None
