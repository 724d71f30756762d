"""The spool under any sequence of appends, answers, full disks, deaths and restarts."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from service.telemetry.sdk.spool import Batch, Spool, SpoolSettings
from service.telemetry.sdk.spool.segment import MemorySegment
from tests.full_disk import files_up_to

SIGNALS = ("traces", "logs")
MAX_BYTES = 64 * 1024
MAX_AGE = 100.0
HEAD = 24

signals = st.sampled_from(SIGNALS)


class SpoolMachine(RuleBasedStateMachine):
    """Every payload has a number, and as many items as say whether it was counted: 1 to 3."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.now = 0.0
        self.losses: Counter[tuple[str, str]] = Counter()
        self.numbers = dict.fromkeys(SIGNALS, 0)
        self.items: dict[tuple[str, int], int] = {}
        self.unknown: set[tuple[str, int]] = set()
        self.acknowledged: dict[str, list[int]] = {signal: [] for signal in SIGNALS}
        self.refused: set[tuple[str, int]] = set()
        self.batches: dict[str, Batch] = {}
        self.spool = self.opened()

    def opened(self) -> Spool:
        bounds = SpoolSettings(folder=self.folder / "spool", max_bytes=MAX_BYTES, max_age=MAX_AGE)
        spool = Spool(bounds, self.losses, unix_ns=lambda: 10**18 + round(self.now * 10**9), monotonic=lambda: self.now)
        spool.look()
        return spool

    def teardown(self) -> None:
        self.spool.close()
        shutil.rmtree(self.folder)

    # --- what may happen ----------------------------------------------------------------------------------------------

    @rule(signal=signals, size=st.sampled_from([10, 3_000, 9_000, 20_000]), items=st.integers(1, 3))
    def append(self, signal: str, size: int, items: int) -> None:
        number, in_memory = self.numbers[signal], self.kept_in_memory(signal)
        self.numbers[signal] += 1
        self.items[signal, number] = items
        lost = self.losses[signal, "write_failed"]
        self.spool.append(signal, f"{number}:".encode().ljust(size, b"."), items=items)
        if self.losses[signal, "write_failed"] != lost:  # memory has a bound too, and gives up its own oldest
            self.unknown |= {(signal, gone) for gone in {*in_memory, number} - {*self.left(signal)}}

    @rule(signal=signals, size=st.sampled_from([3_000, 30_000]), items=st.integers(1, 3))
    def append_on_a_full_disk(self, signal: str, size: int, items: int) -> None:
        with files_up_to(10):
            self.append(signal, size, items)

    @rule(signal=signals)
    def take(self, signal: str) -> None:
        batch = self.spool.take(signal)
        if batch is not None:
            self.batches[signal] = batch

    def answered(self, signal: str) -> tuple[Batch | None, int]:
        batch = self.batches.pop(signal, None)
        return batch, -1 if batch is None else int(batch.payload.partition(b":")[0])

    @rule(signal=signals)
    def acknowledge(self, signal: str) -> None:
        batch, number = self.answered(signal)
        if batch is not None:
            self.acknowledged[signal].append(number)
            self.spool.acknowledge(batch)

    @rule(signal=signals)
    def refuse(self, signal: str) -> None:
        batch, number = self.answered(signal)
        if batch is not None:
            self.refused.add((signal, number))
            self.spool.refuse(batch)

    @rule(signal=signals)
    def give_back(self, signal: str) -> None:
        batch, _ = self.answered(signal)
        if batch is not None:
            self.spool.give_back(batch)

    @rule(seconds=st.sampled_from([0.0, 1.0, 20.0, 90.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.spool.look()

    @rule()
    def stop_and_start(self) -> None:
        self.forget_orphans()
        self.spool.close()
        self.spool = self.opened()

    def kept_in_memory(self, signal: str) -> list[int]:
        pieces = [piece for piece in self.spool._backlogs[signal] if isinstance(piece, MemorySegment)]
        return [int(entry.payload.partition(b":")[0]) for piece in pieces for entry in piece._entries]

    @precondition(lambda self: not any(self.kept_in_memory(signal) for signal in SIGNALS))
    @rule(torn=st.integers(0, 10))
    def kill_and_start(self, torn: int) -> None:
        """With the last write of one signal cut short, if there was one."""
        self.forget_orphans()
        lives = [life for life in (self.spool._life, *self.spool._inherited) if life is not None]
        for life in lives:
            life.release()
        for signal in SIGNALS[: 1 if torn else 0]:
            written = sorted(self.spool._life.path.glob(f"{signal}.*.seg")) if self.spool._life is not None else []
            if written:
                os.truncate(written[-1], written[-1].stat().st_size - torn)
                self.unknown.add((signal, self.numbers[signal] - 1))
        self.spool = self.opened()

    def forget_orphans(self) -> None:
        """What is on its way and has no file any more ends with the process, uncounted; all others are sent again."""
        for signal, batch in self.batches.items():
            if batch.piece is None:
                number = int(batch.payload.partition(b":")[0])
                self.unknown.add((signal, number))
                self.items[signal, number] = 0
        self.batches.clear()

    # --- what always holds --------------------------------------------------------------------------------------------

    @invariant()
    def nothing_is_acknowledged_twice_or_out_of_order(self) -> None:
        for signal, numbers in self.acknowledged.items():
            assert numbers == sorted(set(numbers)), signal

    @invariant()
    def the_files_stay_within_the_bound(self) -> None:
        on_disk = sum(path.stat().st_size for path in self.folder.rglob("*.seg"))
        assert on_disk <= MAX_BYTES
        assert self.spool.size_bytes == on_disk

    @invariant()
    def every_item_is_sent_lost_by_count_or_still_there(self) -> None:
        for signal in SIGNALS:
            appended = sum(items for (of, _), items in self.items.items() if of == signal)
            sent = sum(self.items[signal, number] for number in self.acknowledged[signal])
            lost = sum(count for (of, _), count in self.losses.items() if of == signal)
            waiting = sum(piece.items for piece in self.spool._backlogs[signal])
            batch = self.batches.get(signal)
            orphaned = batch.entry.items if batch is not None and batch.piece is None else 0
            assert sent + lost + waiting + orphaned == appended, signal

    @invariant()
    def what_waits_is_the_newest(self) -> None:
        """The bounds drop from the old end only, so what is left has no gap but for what was torn."""
        for signal in SIGNALS:
            left = [number for number in self.left(signal) if (signal, number) not in self.unknown]
            expected = [number for number in range(self.numbers[signal]) if (signal, number) not in self.unknown]
            assert left == expected[len(expected) - len(left) :], signal

    def left(self, signal: str) -> list[int]:
        found = []
        for piece in self.spool._backlogs[signal]:
            if isinstance(piece, MemorySegment):
                found += [int(entry.payload.partition(b":")[0]) for entry in piece._entries]
            else:
                content = piece.path.read_bytes()[piece._start :]
                while content:
                    length = int.from_bytes(content[:4], "little")
                    found.append(int(content[HEAD : HEAD + length].partition(b":")[0]))
                    content = content[HEAD + length :]
        return found


SpoolMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestSpool = SpoolMachine.TestCase
