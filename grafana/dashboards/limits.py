"""Where good ends: the service level, and what the telemetry itself must keep. Drawn on the panels."""

from __future__ import annotations

LATENCY_SECONDS = 0.8
ERROR_RATIO = 0.05
# Four missed exports, and a good deal more than a slow one.
SILENCE_SECONDS = 40
COLLECTOR_QUEUE_RATIO = 0.8
