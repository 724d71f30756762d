"""The text behind `/metrics`: the same names and labels as by OTLP, and nothing but them."""

from __future__ import annotations

import threading

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder


class Exposition:
    """One registry of this process, read at each scrape. Thread-safe; scrapes follow one another."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._lock = threading.Lock()
        # Prometheus' OTLP receiver adds no scope labels unless asked to, so a scrape must not either.
        self.reader = PrometheusMetricReader(registry=self._registry, scope_info_enabled=False)

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """The exposition and its content type, in the format the scraper's Accept header prefers."""
        encode, content_type = choose_encoder(accept)
        with self._lock:
            return encode(self._registry), content_type
