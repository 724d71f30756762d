"""Whenever a process dies, every inference it ever opened is open in its table or counted there, never both, never neither."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from service.errors import ErrorType, Outcome
from service.open_table import OpenTable, read_table
from service.telemetry.event import Clock, EventDraft

SLOTS = 3
CLOCK = Clock(monotonic=lambda: 1.0, unix_ns=lambda: 1_770_000_000_000_000_000)
endings = st.sampled_from([None, ErrorType.WRONG_TYPE, ErrorType.DEADLINE_EXCEEDED, ErrorType.INTERNAL])
# An inference opens, or the nth of those that are open ends in some way.
steps = st.lists(st.one_of(st.none(), st.tuples(st.integers(0, 5), endings)), max_size=20)


class Watched:
    """A view of the table's memory that keeps what is in it before and after each store, and in the middle of a long one."""

    def __init__(self, view: Any, whole: Any, seen: list[bytes]) -> None:
        self._view, self._whole, self._seen = view, whole, seen

    def __getitem__(self, key: Any) -> Any:
        """What is there."""
        return self._view[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        """Store, and keep what can be seen of it."""
        if isinstance(key, slice):
            middle = len(value) // 2
            self._view[key.start : key.start + middle] = value[:middle]
            self._seen.append(bytes(self._whole))
        self._view[key] = value
        self._seen.append(bytes(self._whole))


@given(steps)
def test_at_any_store_each_inference_is_open_or_counted(steps: list[tuple[int, ErrorType | None] | None]) -> None:
    """A death between two stores, or within one, is followed by exactly those ends that are missing."""
    with tempfile.TemporaryDirectory() as folder:
        table = OpenTable(Path(folder) / "t", life="one:1", started_unix_ns=1, slots=SLOTS, losses=Counter())
        seen: list[bytes] = []
        whole = table._bytes
        words = table._words
        table._bytes, table._words = Watched(whole, whole, seen), Watched(words, whole, seen)
        running: dict[str, EventDraft] = {}
        ended: Counter[Outcome] = Counter()
        for number, step in enumerate(steps):
            before, ended_before = set(running), ended.copy()
            if step is None:
                draft = EventDraft.open(request_id=f"r-{number}", function="match", clock=CLOCK)
                draft.trace_id, draft.span_id = "1" * 32, f"{number + 1:016x}"
                if len(table) < SLOTS:
                    running[draft.request_id] = draft
                table.open(draft)
            elif running:
                draft = running.pop(list(running)[step[0] % len(running)])
                event = draft.close(error_type=step[1])
                ended[event.outcome] += 1
                table.close(event)
            for content in seen:
                found = read_table(content)
                assert found is not None
                state = {inference.request_id for inference in found.inferences}, +Counter(found.counts)
                assert state in ((before, ended_before), (set(running), ended))
            assert not seen or state == (set(running), ended)
            seen.clear()
        table._bytes, table._words = whole, words
        table.leave(remove=False)
