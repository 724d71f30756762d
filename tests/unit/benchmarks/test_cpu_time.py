"""CPU time of a process, read from outside."""

from __future__ import annotations

import os
import threading
import time

import pytest

from benchmarks.cpu_time import CpuTime, main_thread_seconds, read_cpu_time


def _spin(seconds: float) -> None:
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


def test_both_times_agree_with_what_the_process_knows_of_itself():
    """To a few milliseconds, the reading's own time included."""
    before, reading, after = time.process_time(), read_cpu_time(os.getpid()), time.process_time()
    assert before <= reading.process <= after
    assert reading.main_thread <= reading.process + 0.05


def test_work_on_another_thread_counts_for_the_process_alone():
    """Also when that thread has ended by the time of the reading."""
    before = read_cpu_time(os.getpid())
    worker = threading.Thread(target=_spin, args=(0.1,))
    worker.start()
    worker.join()
    used = read_cpu_time(os.getpid()) - before
    assert used.process >= 0.1
    assert used.main_thread < 0.05


def test_the_main_thread_s_time_is_the_scheduler_s_first_number(tmp_path):
    """In nanoseconds, before the time it waited and its turns."""
    task = tmp_path / "7" / "task" / "7"
    task.mkdir(parents=True)
    (task / "schedstat").write_text("1500000000 99 3\n")
    assert main_thread_seconds(7, tmp_path) == 1.5


def test_a_difference_is_taken_of_both():
    """Later less earlier."""
    assert CpuTime(5.0, 3.0) - CpuTime(4.0, 2.5) == CpuTime(1.0, 0.5)


def test_a_process_that_does_not_exist_is_an_error(tmp_path):
    """Not a time of nought."""
    with pytest.raises(OSError, match=r"No such file|Invalid argument"):
        read_cpu_time(2**22 + 1, tmp_path)
