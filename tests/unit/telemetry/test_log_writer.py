"""The log lines' way from any thread to their sinks."""

from __future__ import annotations

import errno
import json
import os
import threading
import time
from pathlib import Path

import pytest

from service.telemetry.log_file import DailyFile, claim_log_file
from service.telemetry.log_writer import LogWriter, StdoutSink
from tests.deadline import DEADLINE, until
from tests.full_disk import files_up_to


class ListSink:
    """Keeps its lines; fails or stands still on demand."""

    name = "list"

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.failure: Exception | None = None
        self.tries = 0
        self.gate = threading.Event()
        self.gate.set()
        self.closed = False

    def write(self, lines: bytes) -> None:
        self.tries += 1
        assert self.gate.wait(DEADLINE)
        if self.failure is not None:
            raise self.failure
        self.lines += lines.splitlines(keepends=True)

    def close(self) -> None:
        self.closed = True


def record(number: int) -> dict[str, object]:
    return {"number": number}


def numbers(lines: list[bytes]) -> list[int]:
    return [json.loads(line)["number"] for line in lines]


def disk_full() -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/secret/path")


def test_records_become_lines_in_their_order() -> None:
    """Every sink gets every line."""
    one, other = ListSink(), ListSink()
    writer = LogWriter([one, other], queue_size=1000)
    for number in range(250):
        writer.write(record(number))
    assert writer.close(DEADLINE)
    assert one.lines == other.lines
    assert numbers(one.lines) == list(range(250))
    assert writer.written == 250
    assert writer.dropped == {"queue_full": 0, "write_failed": 0}
    assert one.closed


def test_a_line_is_there_soon_without_closing() -> None:
    """The thread looks for lines by itself."""
    sink = ListSink()
    writer = LogWriter([sink], queue_size=1000)
    writer.write(record(1))
    until(lambda: sink.lines == [b'{"number":1}\n'])
    assert (writer.depth, writer.degraded) == (0, None)
    writer.close(DEADLINE)


def test_20_000_lines_for_a_sink_that_stands_still_never_block_and_are_counted() -> None:
    """The queue takes what it can; the rest is lost by count, and to write one costs microseconds."""
    sink = ListSink()
    sink.gate.clear()
    writer = LogWriter([sink], queue_size=1000)
    writer.write(record(0))
    until(lambda: sink.tries == 1)
    started = time.monotonic()
    for number in range(1, 20_001):
        writer.write(record(number))
    assert time.monotonic() - started < 5
    assert writer.depth == 1001
    assert writer.dropped == {"queue_full": 19_000, "write_failed": 0}
    sink.gate.set()
    assert writer.close(DEADLINE)
    assert numbers(sink.lines) == list(range(1001))


def test_drops_of_many_threads_are_counted_exactly() -> None:
    """Written and dropped add up to what came in."""
    sink = ListSink()
    writer = LogWriter([sink], queue_size=100)
    threads = [threading.Thread(target=lambda: [writer.write(record(1)) for _ in range(5000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    writer.close(DEADLINE)
    assert len(sink.lines) + writer.dropped["queue_full"] == 20_000


def test_a_failing_sink_makes_the_log_degraded_and_loses_nothing_when_it_recovers() -> None:
    """The reason names the sink and the cause, and no more; the lines wait meanwhile."""
    sink = ListSink()
    sink.failure = disk_full()
    writer = LogWriter([sink], queue_size=1000)
    writer.write(record(1))
    until(lambda: writer.degraded == "list: No space left on device")
    writer.write(record(2))
    sink.failure = None
    until(lambda: writer.degraded is None)
    until(lambda: numbers(sink.lines) == [1, 2])
    assert writer.dropped == {"queue_full": 0, "write_failed": 0}
    writer.close(DEADLINE)


def test_a_failing_sink_is_tried_again_later_and_not_all_the_time(ticking) -> None:
    """With a clock that stands still, one try is all there is."""
    sink = ListSink()
    sink.failure = disk_full()
    writer = LogWriter([sink], queue_size=1000, monotonic=ticking.monotonic)
    writer.write(record(1))
    until(lambda: sink.tries == 1)
    writer.write(record(2))
    until(lambda: writer.depth == 2)
    assert sink.tries == 1
    ticking.tick(0.25)
    until(lambda: sink.tries == 2)
    ticking.tick(0.25)
    writer.write(record(3))
    until(lambda: writer.depth == 3)
    assert sink.tries == 2
    sink.failure = None
    ticking.tick(0.25)
    until(lambda: numbers(sink.lines) == [1, 2, 3])
    writer.close(DEADLINE)


def test_a_sink_that_fails_for_too_long_loses_its_oldest_lines_by_count() -> None:
    """Memory is bounded; the newest lines are the ones somebody will look for."""
    sink, good = ListSink(), ListSink()
    sink.failure = disk_full()
    writer = LogWriter([sink, good], queue_size=100)
    for start in range(0, 300, 50):
        for number in range(start, start + 50):
            writer.write(record(number))
        until(lambda start=start: len(good.lines) == start + 50)
    assert writer.dropped == {"queue_full": 0, "write_failed": 200}
    assert writer.depth == 100
    sink.failure = None
    assert writer.close(DEADLINE)
    assert numbers(sink.lines) == list(range(200, 300))
    assert numbers(good.lines) == list(range(300))


def test_one_failing_sink_does_not_hold_back_the_other() -> None:
    """Standard output goes on when the disk is full."""
    bad, good = ListSink(), ListSink()
    bad.failure = disk_full()
    writer = LogWriter([bad, good], queue_size=100)
    writer.write(record(1))
    until(lambda: numbers(good.lines) == [1])
    assert writer.written == 0
    writer.close(DEADLINE)


def test_a_sink_that_raises_something_unexpected_neither_ends_the_thread_nor_shows_its_message() -> None:
    """The message of an exception may quote anything; its type does not."""
    sink = ListSink()
    sink.failure = RuntimeError("杭州市西湖区")
    writer = LogWriter([sink], queue_size=100)
    writer.write(record(1))
    until(lambda: writer.degraded == "list: RuntimeError")
    sink.failure = None
    until(lambda: numbers(sink.lines) == [1])
    writer.close(DEADLINE)


def test_a_record_that_is_no_json_is_dropped_alone() -> None:
    """Its neighbours are written."""
    sink = ListSink()
    writer = LogWriter([sink], queue_size=100)
    for value in (1, float("nan"), {1, 2}, 2):
        writer.write({"number": value})
    assert writer.close(DEADLINE)
    assert numbers(sink.lines) == [1, 2]
    assert writer.dropped == {"queue_full": 0, "write_failed": 2}


def test_closing_has_a_bound_and_says_when_something_is_left() -> None:
    """A disk that hangs does not keep the process from ending."""
    sink = ListSink()
    sink.gate.clear()
    writer = LogWriter([sink], queue_size=100)
    writer.write(record(1))
    started = time.monotonic()
    assert not writer.close(0.05)
    assert time.monotonic() - started < 10
    sink.gate.set()
    assert writer.close(DEADLINE)


def test_closing_over_a_failing_sink_counts_what_it_never_took() -> None:
    """Nothing disappears without a number."""
    sink = ListSink()
    sink.failure = disk_full()
    writer = LogWriter([sink], queue_size=100)
    for number in range(3):
        writer.write(record(number))
    assert not writer.close(DEADLINE)
    assert writer.dropped == {"queue_full": 0, "write_failed": 3}


def test_a_record_after_closing_is_counted_as_lost() -> None:
    """And closing again is harmless."""
    writer = LogWriter([ListSink()], queue_size=100)
    writer.close(DEADLINE)
    writer.write(record(1))
    assert writer.dropped == {"queue_full": 0, "write_failed": 1}
    assert writer.close(DEADLINE)


def test_a_disk_that_fills_and_is_cleared_again_ends_with_every_line_once(tmp_path: Path) -> None:
    """The real file, and the kernel's refusal."""
    file = DailyFile(claim_log_file(tmp_path), keep=7, max_bytes=1 << 30, unix_ns=time.time_ns)
    writer = LogWriter([file], queue_size=1000)
    writer.write(record(0))
    until(lambda: writer.written == 1)
    with files_up_to(40):
        for number in range(1, 100):
            writer.write(record(number))
        until(lambda: writer.degraded == f"log file {tmp_path / 'inference.log'}: File too large")
    until(lambda: writer.degraded is None)
    assert writer.close(DEADLINE)
    assert numbers((tmp_path / "inference.log").read_bytes().splitlines()) == list(range(100))


@pytest.fixture
def pipe():
    """Both ends of a pipe; whoever closes one end early says so by taking it out of the list."""
    ends = list(os.pipe())
    yield ends
    for end in ends:
        os.close(end)


def test_standard_output_gets_whole_lines(pipe) -> None:
    """Longer ones than a pipe takes at once, too."""
    reader, writer = pipe
    lines = b"".join(b"%03d " % number + b"x" * 3000 + b"\n" for number in range(20))
    got: list[bytes] = []

    def read() -> None:
        while sum(map(len, got)) < len(lines):
            got.append(os.read(reader, 65536))

    thread = threading.Thread(target=read)
    thread.start()
    StdoutSink(writer).write(lines)
    thread.join(DEADLINE)
    assert b"".join(got) == lines


def test_a_reader_that_does_not_read_raises_and_the_torn_line_is_ended(pipe) -> None:
    """A stopped collector does not stop the log file."""
    reader, writer = pipe
    sink = StdoutSink(writer, patience=0.01)
    with pytest.raises(TimeoutError, match="nobody reads standard output"):
        sink.write(b"x" * 200_000 + b"\n")
    os.set_blocking(reader, False)
    with pytest.raises(BlockingIOError):
        while True:
            os.read(reader, 65536)
    sink.write(b"next\n")
    sink.close()
    assert os.read(reader, 65536) == b"\nnext\n"


def test_a_reader_that_has_gone_raises(pipe) -> None:
    """A closed pipe is an error like any other."""
    os.close(pipe.pop(0))
    with pytest.raises(BrokenPipeError):
        StdoutSink(pipe[0]).write(b"line\n")
