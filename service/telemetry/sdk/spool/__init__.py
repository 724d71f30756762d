"""What waits on disk until the OTLP endpoint has taken it: written first, sent in order, deleted when acknowledged.

What is promised is for the death of the process, by kill -9 too: nothing is fsynced, so the death of the machine may take what
its kernel had not yet written.
"""

from service.telemetry.sdk.spool.backlog import Batch
from service.telemetry.sdk.spool.spool import Spool, SpoolSettings

__all__ = ["Batch", "Spool", "SpoolSettings"]
