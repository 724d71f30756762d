"""What an audit found, store by store."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cli.audit.window import difference, size

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cli.audit.comparison import Missing
    from cli.audit.embedded import Gap
    from cli.audit.window import Counts, Window

TITLES = {"prometheus": "Prometheus", "loki": "Loki", "jaeger": "Jaeger", "embedded": "embedded"}
"""The stores, as readers know them."""
EXIT_DIFFERENCE = 1
EXIT_UNREAD = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreCounts:
    """What one store has of what was served.

    Attributes:
        counts: by outcome; None when it was not asked, or could not be read.
        served: what it should have; less than all where processes did not send to it, and in the lite profile, where Prometheus
            scrapes one process.
        unread: why it could not be read.
        missing: inferences it lacks, and of those `named` the first; 0 where inferences cannot be told apart.
    """

    counts: Counts | None = None
    served: Counts = field(default_factory=Counter)
    unread: str | None = None
    missing: int = 0
    named: Sequence[Missing] = ()

    @property
    def difference(self) -> Counts:
        """What was served and is not there, by outcome; below 0 where there is more."""
        return Counter() if self.counts is None else difference(self.served, self.counts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """All of it.

    Attributes:
        asked_since_ns, asked_until_ns: the range that was asked for, or that the stores reach back to.
        stores: by name: prometheus, loki, jaeger, embedded; those not configured have no counts and no reason.
        gaps: numbers without a row in the embedded store.
        scraped: whether Prometheus scrapes one process, as in the lite profile.
        notes: what the reader should know of the comparison.
        hints: where a difference may come from.
    """

    asked_since_ns: int
    asked_until_ns: int
    window: Window
    stores: Mapping[str, StoreCounts]
    gaps: Sequence[Gap] = ()
    scraped: bool = False
    notes: Sequence[str] = ()
    hints: Sequence[str] = ()

    @property
    def difference(self) -> int:
        """Over all stores and outcomes, without signs."""
        return sum(size(store.difference) for store in self.stores.values())

    @property
    def unread(self) -> dict[str, str]:
        """The stores that could not be read, and why."""
        return {name: store.unread for name, store in self.stores.items() if store.unread is not None}

    @property
    def exit_code(self) -> int:
        """0 all agree; 1 a difference; 3 a store could not be read, and those that could agree."""
        if self.difference:
            return EXIT_DIFFERENCE
        return EXIT_UNREAD if self.unread else 0
