"""Where inferences were seen: one record of one store, and the stores that are read for them in slices of time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """One inference in one store. `status` is what the store says of its outcome."""

    span_id: str
    request_id: str
    status: str
    instance: str
    started_unix_ns: int
    ended_unix_ns: int


class Sightings(Protocol):
    """A store of spans or log records, asked for those of inferences; `signal` is what it is sent, as OTLP calls it."""

    name: str
    signal: str

    async def between(self, since_ns: int, until_ns: int) -> Sequence[Sighting]:
        """All that began in a range of time, `until` excluded; it may give more, and one several times.

        Raises:
            BackendUnread: the store cannot be read, or not completely.
        """
        ...
