"""What the Collector says of itself: how much it took, how much each store has taken from it, and what still waits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectorCounters:
    """Counts since its start.

    Attributes:
        accepted_logs: log records it took.
        accepted_spans: spans it took.
        stored_logs: log records that Loki acknowledged.
        stored_spans: spans that Jaeger acknowledged.
        queued: bytes that wait on disk for any store.
    """

    accepted_logs: int
    accepted_spans: int
    stored_logs: int
    stored_spans: int
    queued: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read its metrics page; what it has not yet counted is nought."""
        totals: dict[str, float] = {}
        for name, value in _samples(text):
            totals[name] = totals.get(name, 0.0) + value
        return cls(
            accepted_logs=round(totals.get("otelcol_receiver_accepted_log_records", 0)),
            accepted_spans=round(totals.get("otelcol_receiver_accepted_spans", 0)),
            stored_logs=round(totals.get("otelcol_exporter_sent_log_records", 0)),
            stored_spans=round(totals.get("otelcol_exporter_sent_spans", 0)),
            queued=round(totals.get("otelcol_exporter_queue_size", 0)),
        )

    def holds(self, requests: int, before: CollectorCounters) -> bool:
        """Whether the stores have the log record and at least two spans of so many requests since an earlier look, and nothing waits."""
        return (
            self.stored_logs - before.stored_logs >= requests
            and self.stored_spans - before.stored_spans >= 2 * requests
            and self.stored_logs == self.accepted_logs
            and self.stored_spans == self.accepted_spans
            and self.queued == 0
        )


def _samples(text: str) -> Iterator[tuple[str, float]]:
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            # The parser gives every counter this end, whatever the page calls it.
            yield sample.name.removesuffix("_total"), sample.value
