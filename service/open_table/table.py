"""The table of a living process: a few stores into mapped memory for each inference."""

from __future__ import annotations

import contextlib
import mmap
import os
import threading
import weakref
from typing import TYPE_CHECKING, Any

from service.open_table.layout import (
    FIRST_COUNT_WORD,
    FREE,
    INTENT_WORD,
    MAX_SLOTS,
    OPEN,
    OUTCOMES,
    SEEN_WORD,
    header,
    intent,
    pack_slot,
    slot_offset,
)

if TYPE_CHECKING:
    from collections import Counter
    from pathlib import Path

    from service.telemetry.event import EventDraft, InferenceEvent

_CODES = {outcome: code for code, outcome in enumerate(OUTCOMES)}
_NS = 1_000_000_000


class OpenTable:
    """Holds every open inference in a file, with the counts of those that ended. Any thread; never blocks on the disk.

    What is stored in mapped memory is the kernel's at once, so it survives kill -9, the OOM killer and an abort in native code.
    It is not synced: a power cut may take it. When all slots are taken, an inference goes without one, and is counted as
    `table_full`: should the process die with it open, nobody closes it. A forked child writes nothing into its parent's table.

    Args:
        path: of the file; one that is there is replaced.
        life: this run of the process.
        started_unix_ns: when it started.
        slots: inferences that can be open at once.
        losses: where those without a slot are counted.

    Raises:
        OSError: the file cannot be made, or the disk has no room for it.
    """

    def __init__(self, path: Path, *, life: str, started_unix_ns: int, slots: int, losses: Counter[tuple[str, str]]) -> None:
        slots = min(slots, MAX_SLOTS)
        self._path = path
        self._losses = losses
        self._lock = threading.Lock()
        self._free = list(range(slots - 1, -1, -1))
        self._slots: dict[str, int] = {}
        self._total = 0
        self._seen = started_unix_ns
        content = header(life=life, pid=os.getpid(), started_unix_ns=started_unix_ns, slots=slots).ljust(slot_offset(slots), b"\0")
        self._map = _mapped(path, content)
        self._bytes: Any = memoryview(self._map)
        self._words: Any = self._bytes.cast("Q")
        itself = weakref.ref(self)
        os.register_at_fork(after_in_child=lambda: _leave(itself()))

    def __len__(self) -> int:
        """How many inferences have a slot."""
        return len(self._slots)

    def open(self, draft: EventDraft) -> None:
        """Note an inference that begins, with its ids."""
        packed = pack_slot(draft)
        with self._lock:
            if self._bytes is None:
                return
            if packed is None or not self._free:
                self._losses["open_events", "table_full"] += 1
                return
            slot = self._free.pop()
            offset = slot_offset(slot)
            self._bytes[offset + 4 : offset + 4 + len(packed)] = packed
            self._bytes[offset] = OPEN
            self._slots[draft.span_id] = slot
            self._note(draft.started_unix_ns)

    def close(self, event: InferenceEvent) -> None:
        """Count an inference that has ended, and free its slot, if it had one."""
        code = _CODES[event.outcome]
        with self._lock:
            if self._bytes is None:
                return
            slot = self._slots.pop(event.span_id, None)
            self._total += 1
            self._words[INTENT_WORD] = intent(total=self._total, slot=slot, code=code)
            self._words[FIRST_COUNT_WORD + code] += 1
            if slot is not None:
                self._bytes[slot_offset(slot)] = FREE
                self._free.append(slot)
            self._words[INTENT_WORD] = 0
            self._note(event.started_unix_ns + int(event.duration * _NS))

    def seen(self, unix_ns: int) -> None:
        """Note that the process lives: what is open when it dies lasted until the last such moment."""
        with self._lock:
            if self._bytes is not None:
                self._note(unix_ns)

    def leave(self, *, remove: bool) -> None:
        """Write no more, and remove the file, unless something in it is open still. Safe to call again."""
        with self._lock:
            if self._bytes is None:
                return
            self._bytes, words, content = None, self._words, self._bytes
            words.release()
            content.release()
            self._map.close()
        if remove and not self._slots:
            self._path.unlink(missing_ok=True)

    def _note(self, unix_ns: int) -> None:
        if unix_ns > self._seen:
            self._seen = unix_ns
            self._words[SEEN_WORD] = unix_ns


def _mapped(path: Path, content: bytes) -> mmap.mmap:
    # The bytes are written, not only reserved: a store into mapped memory the disk has no room for would kill the process. The
    # file gets its name when it is whole.
    made = path.with_name(f"{path.name}.new")
    descriptor = os.open(made, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        mapped = mmap.mmap(descriptor, len(content))
        made.rename(path)
    except BaseException:
        with contextlib.suppress(OSError):
            made.unlink()
        raise
    finally:
        os.close(descriptor)
    return mapped


def _leave(table: OpenTable | None) -> None:
    # The lock may have been held at the fork by a thread that does not exist here. The map stays: to close it would need its
    # views released, which that thread may have had in hand.
    if table is not None:
        table._lock = threading.Lock()  # noqa: SLF001 -- the same module
        table._bytes = None  # noqa: SLF001
