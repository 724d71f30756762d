"""The order in which waiting tickets become batches: the oldest first, and with it those nearest in length. No lock, no clock."""

from __future__ import annotations

import heapq
from collections import OrderedDict
from itertools import islice
from typing import Generic

from service.ticket import ItemT, OutputT, Ticket

LOOK_AHEAD = 4
"""Batches' worth of tickets among which the nearest in length are sought."""


class LengthQueue(Generic[ItemT, OutputT]):
    """Tickets in order of arrival, taken in groups of like length, because a batch is padded to its longest member."""

    def __init__(self) -> None:
        # Ordered: a plain dict finds its oldest entry only past the holes that earlier ones left.
        self._tickets: OrderedDict[Ticket[ItemT, OutputT], None] = OrderedDict()

    def __len__(self) -> int:
        """How many wait."""
        return len(self._tickets)

    @property
    def oldest(self) -> Ticket[ItemT, OutputT] | None:
        """The one that has waited longest."""
        return next(iter(self._tickets), None)

    def add(self, ticket: Ticket[ItemT, OutputT]) -> None:
        """Join at the end."""
        self._tickets[ticket] = None

    def discard(self, ticket: Ticket[ItemT, OutputT]) -> None:
        """Leave early; nothing happens when it is not here."""
        self._tickets.pop(ticket, None)

    def clear(self) -> tuple[Ticket[ItemT, OutputT], ...]:
        """Take all."""
        tickets = tuple(self._tickets)
        self._tickets.clear()
        return tickets

    def take(self, limit: int, now: float) -> tuple[Ticket[ItemT, OutputT], ...]:
        """Take at most `limit`: the oldest, so that nobody starves, and those nearest to it in length.

        Of two of one length the older goes first. Tickets whose deadline has passed leave without being taken: their
        own timers end them.
        """
        window = list(islice(self._tickets, LOOK_AHEAD * limit))
        alive = [ticket for ticket in window if ticket.deadline > now]
        if len(alive) < len(window):
            for ticket in window:
                if ticket.deadline <= now:
                    del self._tickets[ticket]
        if len(alive) > limit:
            wanted = alive[0].size
            alive = heapq.nsmallest(limit, alive, key=lambda ticket: abs(ticket.size - wanted))
        for ticket in alive:
            del self._tickets[ticket]
        return tuple(alive)
