"""All that waits to be sent, bounded in bytes and age: on disk, and in memory while the disk takes nothing."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.telemetry.backoff import Backoff
from service.telemetry.names import OTLP_SIGNALS as SIGNALS
from service.telemetry.sdk.spool.backlog import Backlog, Batch
from service.telemetry.sdk.spool.life import Life, lives, usage
from service.telemetry.sdk.spool.segment import OVERHEAD, Entry, MemorySegment, Segment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from service.telemetry.sdk.spool.backlog import Stored

MEMORY_BYTES = 8_388_608
LOOK_INTERVAL = 5.0
_NS = 1_000_000_000
_SEGMENTS = 64
_SMALLEST_SEGMENT, _LARGEST_SEGMENT = 16_384, 4_194_304

FULL = "spool_full"
EXPIRED = "spool_expired"
REFUSED = "refused"
REJECTED = "rejected"
WRITE_FAILED = "write_failed"
CORRUPT = "corrupt"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolSettings:
    """Where the spool is and what it may hold.

    Args:
        folder: shared by all processes of a data folder. None: nothing outlives the process.
        max_bytes: of all files in it.
        max_age: seconds since a payload was spooled.
    """

    folder: Path | None = None
    max_bytes: int = 1_073_741_824
    max_age: float = 43_200.0


class Spool:
    """A queue for each signal. Thread-safe, one taker a signal; in a forked child it takes nothing in.

    Args:
        settings: place and bounds.
        losses: what is lost is added here by signal and reason.
        unix_ns: the clock that ages are judged by.
        monotonic: the clock of the next try after the disk has failed, and of the next look for dead processes.
    """

    def __init__(
        self,
        settings: SpoolSettings,
        losses: Counter[tuple[str, str]],
        *,
        unix_ns: Callable[[], int] = time.time_ns,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._losses = losses
        self._unix_ns = unix_ns
        self._monotonic = monotonic
        self._segment_bytes = min(max(settings.max_bytes // _SEGMENTS, _SMALLEST_SEGMENT), _LARGEST_SEGMENT)
        # What is in memory must fit on the disk later, beside what is there.
        self._memory_bytes = min(settings.max_bytes if settings.folder is None else settings.max_bytes // 2, MEMORY_BYTES)
        self._process = os.getpid()
        self._mutex = threading.Lock()
        self._looking = threading.Lock()
        self._looked_at: float | None = None
        self._news = {signal: threading.Event() for signal in SIGNALS}
        self._backlogs = {signal: Backlog(signal) for signal in SIGNALS}
        self._life: Life | None = None
        self._inherited: list[Life] = []
        self._others_bytes = 0
        self._others_oldest: int | None = None
        self._disk = Backoff(monotonic)
        self._trouble: str | None = None
        self._sent: Counter[str] = Counter(dict.fromkeys(SIGNALS, 0))
        self._closed = False

    # --- what goes in ---------------------------------------------------------------------------------------------------

    def append(self, signal: str, payload: bytes, *, items: int, newest_only: bool = False) -> None:
        """Take in one payload; never raises, and waits for nothing but the disk.

        Args:
            signal: `traces`, `metrics` or `logs`.
            payload: an export request of OTLP, encoded.
            items: how many spans, records or collections are in it.
            newest_only: whether it makes all earlier payloads of this life and signal worthless.
        """
        if os.getpid() != self._process:
            return  # the parent has it too, and sends it
        backlog, entry = self._backlogs[signal], Entry(payload, items, self._unix_ns())
        with self._mutex:
            if self._closed:
                self._lose(signal, WRITE_FAILED, items)
                return
            self._expire(backlog)
            if not self._to_disk(backlog, entry, alone=newest_only):
                self._to_memory(backlog, entry, alone=newest_only)
            # The older collections go when the new one is written, so that there always is one.
            for piece in backlog.own[:-1] if newest_only else ():
                backlog.discard(piece)
                piece.remove()
        self._news[signal].set()

    def _to_disk(self, backlog: Backlog, entry: Entry, *, alone: bool) -> bool:
        if self._settings.folder is None or self._disk.waiting:
            return False
        needed = len(entry.payload) + OVERHEAD
        if needed > self._settings.max_bytes:
            self._lose(backlog.signal, FULL, entry.items)
            return True
        try:
            self._life = self._life or Life.begin(self._settings.folder, unix_ns=self._unix_ns())
            self._memory_to_disk(self._life)
            self._make_room(needed)
            piece = None if alone else backlog.last
            if not isinstance(piece, Segment) or piece.size + needed > self._segment_bytes:
                piece = Segment.create(self._next_place(backlog, self._life))
                backlog.add(piece)
            try:
                piece.append(entry)
            finally:
                self._retire_if_empty(backlog, piece)
        except OSError as error:
            self._disk.failed()
            self._trouble = f"spool {self._settings.folder}: {error.strerror or error}"
            if isinstance(error, FileNotFoundError):
                self._abandon_life()
            return False
        self._disk.succeeded()
        self._trouble = None
        return True

    def _to_memory(self, backlog: Backlog, entry: Entry, *, alone: bool) -> None:
        piece = None if alone else backlog.last
        if not isinstance(piece, MemorySegment):
            place = self._next_place(backlog, self._life) if self._life is not None else None
            piece = MemorySegment(place)
            backlog.add(piece)
        piece.append(entry)
        reason = FULL if self._settings.folder is None else WRITE_FAILED
        while sum(piece.size for piece in backlog if isinstance(piece, MemorySegment)) > self._memory_bytes:
            oldest = next(piece for piece in backlog if isinstance(piece, MemorySegment) and not piece.empty)
            if backlog.sends_from(oldest):
                backlog.orphan(reason)
                oldest.advance()
            else:
                self._lose(backlog.signal, reason, oldest.advance())
            self._retire_if_empty(backlog, oldest)

    def _memory_to_disk(self, life: Life) -> None:
        """Write down what waits in memory, now that the disk takes it; what is on its way stays until its answer."""
        for backlog in self._backlogs.values():
            for piece in backlog.own:
                if isinstance(piece, MemorySegment):
                    if piece.path is None or piece.path.parent != life.path:
                        piece.path = self._next_place(backlog, life)
                    if not backlog.sends_from(piece):
                        self._make_room(piece.size + OVERHEAD * piece.count)
                        backlog.replace(piece, piece.to_file())

    def _next_place(self, backlog: Backlog, life: Life) -> Path:
        backlog.numbered += 1
        return life.segment(backlog.signal, backlog.numbered)

    def _abandon_life(self) -> None:
        """Somebody has removed our folder: begin another one."""
        life, self._life = self._life, None
        if life is not None:
            life.release()

    # --- what goes out --------------------------------------------------------------------------------------------------

    def take(self, signal: str) -> Batch | None:
        """The next payload of a signal, which stays until it is acknowledged, refused or given back; None when there is none.

        Raises:
            OSError: it cannot be read now.
        """
        backlog = self._backlogs[signal]
        with self._mutex:
            if self._closed or backlog.on_its_way is not None:
                return None
            self._expire(backlog)
            while (piece := backlog.head) is not None:
                entry = piece.first()
                self._lose(signal, CORRUPT, piece.take_damaged())
                if entry is not None:
                    backlog.on_its_way = Batch(signal=signal, entry=entry, piece=piece)
                    return backlog.on_its_way
                self._retire_if_empty(backlog, piece)
        return None

    def acknowledge(self, batch: Batch, *, rejected: int = 0) -> None:
        """The endpoint has taken it, but for so many items, which it will never take."""
        with self._mutex:
            if self._settle(batch):
                self._lose(batch.signal, REJECTED, rejected)
                self._sent[batch.signal] += max(batch.entry.items - rejected, 0)

    def refuse(self, batch: Batch) -> None:
        """The endpoint will never take it: it is lost, and does not hold up the others."""
        with self._mutex:
            if self._settle(batch):
                self._lose(batch.signal, REFUSED, batch.entry.items)

    def give_back(self, batch: Batch) -> None:
        """It has to be sent again, unless it had to go meanwhile."""
        backlog = self._backlogs[batch.signal]
        with self._mutex:
            if self._closed or backlog.on_its_way is not batch:
                return
            backlog.on_its_way = None
            if batch.piece is None and batch.reason is not None:
                self._lose(batch.signal, batch.reason, batch.entry.items)

    def _settle(self, batch: Batch) -> bool:
        backlog = self._backlogs[batch.signal]
        if self._closed or backlog.on_its_way is not batch:
            return False  # whoever has the file now sends it again
        backlog.on_its_way = None
        if batch.piece is not None:
            self._lose(batch.signal, CORRUPT, batch.piece.advance() - batch.entry.items)
            self._retire_if_empty(backlog, batch.piece)
        return True

    # --- bounds ---------------------------------------------------------------------------------------------------------

    def _expire(self, backlog: Backlog) -> None:
        limit = self._unix_ns() - round(self._settings.max_age * _NS)
        for piece in backlog:
            if backlog.sends_from(piece):
                return  # the answer comes within the attempt's deadline, and then it is the first to go
            while not piece.empty and piece.oldest_unix_ns < limit:
                self._lose(backlog.signal, EXPIRED, piece.advance())
            self._retire_if_empty(backlog, piece)

    def _make_room(self, needed: int) -> None:
        over = self._bytes() + needed - self._settings.max_bytes
        while over > 0:
            found = min(self._files(), key=lambda one: one[1].oldest_unix_ns, default=None)
            if found is None:
                return
            backlog, piece = found
            # The oldest goes first, also when a process beside us has it; it looks every few seconds, and is given that time.
            if self._others_oldest is not None and self._others_oldest < piece.oldest_unix_ns and over < self._settings.max_bytes // 8:
                return
            self._lose(backlog.signal, FULL, backlog.discard(piece, FULL))
            self._dispose(piece)
            over = self._bytes() + needed - self._settings.max_bytes

    def _files(self) -> Iterator[tuple[Backlog, Segment]]:
        return ((backlog, piece) for backlog in self._backlogs.values() for piece in backlog if isinstance(piece, Segment))

    def _bytes(self) -> int:
        return sum(piece.size for _, piece in self._files()) + self._others_bytes

    def _retire_if_empty(self, backlog: Backlog, piece: Stored) -> None:
        if piece.empty and piece in list(backlog):
            backlog.discard(piece)
            self._dispose(piece)

    def _dispose(self, piece: Stored) -> None:
        piece.remove()
        folders = {piece.path.parent for _, piece in self._files()}
        for life in [life for life in self._inherited if life.path not in folders]:
            self._inherited.remove(life)
            life.discard()

    def _lose(self, signal: str, reason: str, items: int) -> None:
        if items:
            self._losses[signal, reason] += items

    # --- other processes ------------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Take over what dead processes have left, and see how much the living ones hold; every few seconds at most.

        Whoever calls it while another thread looks waits for that, so that nothing of ours is sent before what we inherit.

        Raises:
            OSError: the spool cannot be read.
        """
        with self._looking:
            now = self._monotonic()
            if self._settings.folder is None or (self._looked_at is not None and now - self._looked_at < LOOK_INTERVAL):
                return
            self._looked_at = now
            with suppress(FileNotFoundError):
                self._look(self._settings.folder)

    def look_soon(self) -> None:
        """Let the next `look` look, however short ago the last one was."""
        self._looked_at = None

    def _look(self, folder: Path) -> None:
        found, held, adopted = lives(folder), list[tuple[int, int]](), list[Life]()
        with self._mutex:
            ours = {life.path for life in (self._life, *self._inherited) if life is not None}
        for path in (path for path in found if path not in ours):
            life = None
            with suppress(OSError):  # one folder that cannot be used must not keep the others from being sent
                life = Life.adopt(path)
            if life is None:
                held += usage(path)
            else:
                adopted.append(life)
        with self._mutex:
            self._others_bytes = sum(size for size, _ in held)
            self._others_oldest = min((changed for _, changed in held), default=None)
        for life in adopted:
            self._inherit(life)
        with self._mutex:
            if not self._closed:
                for backlog in self._backlogs.values():
                    self._expire(backlog)
                self._make_room(0)

    def _inherit(self, life: Life) -> None:
        pieces: dict[str, list[Segment]] = {signal: [] for signal in SIGNALS}
        damaged: Counter[str] = Counter()
        with suppress(OSError):
            for signal, path in life.segments():
                if signal in pieces:
                    with suppress(OSError):  # one file that cannot be read now must not keep the others from being sent
                        segment = Segment.read(path)
                        damaged[signal] += segment.take_damaged()
                        if segment.empty:
                            segment.remove()
                        else:
                            pieces[signal].append(segment)
        with self._mutex:
            if self._closed:
                life.release()
                return
            for signal, items in damaged.items():
                self._lose(signal, CORRUPT, items)
            if not any(pieces.values()):
                life.discard()
                return
            self._inherited.append(life)
            for signal, segments in pieces.items():
                self._backlogs[signal].inherit(segments)

    # --- for the takers -------------------------------------------------------------------------------------------------

    def wait(self, signal: str, seconds: float) -> None:
        """Wait until something of this signal comes in, `wake` is called or the time is over."""
        self._news[signal].wait(seconds)
        self._news[signal].clear()

    def wake(self) -> None:
        """End all waits now."""
        for news in self._news.values():
            news.set()

    # --- what it tells --------------------------------------------------------------------------------------------------

    @property
    def size_bytes(self) -> int:
        """Bytes of all files in the folder; those of other living processes as last seen."""
        with self._mutex:
            return self._bytes()

    @property
    def age(self) -> float:
        """Seconds since the oldest payload was spooled; 0 when nothing waits."""
        with self._mutex:
            oldest = [piece.oldest_unix_ns for backlog in self._backlogs.values() for piece in backlog if not piece.empty]
            return max(self._unix_ns() - min(oldest), 0) / _NS if oldest else 0.0

    @property
    def waiting(self) -> int:
        """Items not yet acknowledged."""
        with self._mutex:
            return sum(piece.items for backlog in self._backlogs.values() for piece in backlog)

    @property
    def sent(self) -> dict[str, int]:
        """Items that the endpoint has acknowledged, by signal."""
        with self._mutex:
            return dict(self._sent)

    @property
    def degraded(self) -> str | None:
        """Why nothing can be written to disk now; None while all is well."""
        return self._trouble

    def close(self) -> None:
        """Leave what was not sent to the next process; safe to call again. What is in memory alone is written if the disk takes it."""
        if os.getpid() != self._process:
            return
        with self._looking, self._mutex:
            if self._closed:
                return
            self._closed = True
            for backlog in self._backlogs.values():
                backlog.on_its_way = None
            self._leave_memory()
            held = [life for life in (self._life, *self._inherited) if life is not None]
            folders = {piece.path.parent for _, piece in self._files()}
            for life in held:
                if life.path in folders:
                    life.release()
                else:
                    life.discard()

    def _leave_memory(self) -> None:
        left = [(backlog, piece) for backlog in self._backlogs.values() for piece in backlog if isinstance(piece, MemorySegment)]
        with suppress(OSError):
            if left and self._settings.folder is not None:
                self._life = self._life or Life.begin(self._settings.folder, unix_ns=self._unix_ns())
                self._memory_to_disk(self._life)
        for backlog, piece in left:
            if piece in list(backlog):
                self._lose(backlog.signal, WRITE_FAILED, piece.items)
