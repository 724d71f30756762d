"""One signal's queue: the pieces of dead lives, then those of this one, and the payload that is on its way."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from service.telemetry.sdk.spool.segment import MemorySegment, Segment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.telemetry.sdk.spool.segment import Entry

Stored = Segment | MemorySegment


@dataclass(slots=True, kw_only=True, eq=False)
class Batch:
    """A payload on its way. `piece` is where it stands; None once that had to go, and then `reason` says why."""

    signal: str
    entry: Entry
    piece: Stored | None
    reason: str | None = None

    @property
    def payload(self) -> bytes:
        """The bytes to send."""
        return self.entry.payload


class Backlog:
    """The pieces in the order they are sent. Not thread-safe: the spool's lock guards it."""

    def __init__(self, signal: str) -> None:
        self.signal = signal
        self.on_its_way: Batch | None = None
        self.numbered = 0
        self._inherited: list[Stored] = []
        self._own: list[Stored] = []

    def __iter__(self) -> Iterator[Stored]:
        """All pieces, those of dead lives first."""
        return chain(list(self._inherited), list(self._own))

    @property
    def own(self) -> list[Stored]:
        """The pieces of this life."""
        return list(self._own)

    @property
    def head(self) -> Stored | None:
        """The piece to send from."""
        return next(iter(self), None)

    @property
    def last(self) -> Stored | None:
        """The piece of this life that was begun last."""
        return self._own[-1] if self._own else None

    def sends_from(self, piece: Stored) -> bool:
        """Whether what is on its way is the first of this piece."""
        return self.on_its_way is not None and self.on_its_way.piece is piece

    def orphan(self, reason: str | None) -> None:
        """Let what is on its way have no place any more; `reason` counts if it comes back, None if it need not."""
        if self.on_its_way is not None:
            self.on_its_way.piece, self.on_its_way.reason = None, reason

    def inherit(self, pieces: list[Segment]) -> None:
        """Put the pieces of a dead life behind those inherited before, and before our own."""
        self._inherited += pieces

    def add(self, piece: Stored) -> None:
        """Put a piece at the end."""
        self._own.append(piece)

    def replace(self, old: Stored, new: Stored) -> None:
        """Put a piece in the place of another of this life."""
        self._own[self._own.index(old)] = new

    def discard(self, piece: Stored, reason: str | None = None) -> int:
        """Take a piece out: how many items went with it, without those on their way, which are still decided by the answer."""
        pieces = self._own if piece in self._own else self._inherited
        pieces.remove(piece)
        if self.on_its_way is None or self.on_its_way.piece is not piece:
            return piece.items
        self.orphan(reason)
        return piece.items - self.on_its_way.entry.items
