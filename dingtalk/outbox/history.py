"""What lies behind a message: its attempts, and what was received that it tells."""

from __future__ import annotations

from dingtalk.outbox.file import OutboxFile
from dingtalk.outbox.rows import AttemptRow, ReceiptRow
from dingtalk.trace_ids import TraceIds


class History(OutboxFile):
    """Reads the tables `send` and `receipt` for people and for traces."""

    def attempts_of(self, message: int, *, limit: int = 200) -> list[AttemptRow]:
        """The attempts of a message, in the order they were made; the newest when there are more."""
        with self._read() as connection:
            rows = connection.execute(
                "SELECT id, robot, at, outcome, counted FROM send WHERE message = ? ORDER BY id DESC LIMIT ?", (message, limit)
            ).fetchall()
        return [
            AttemptRow(id=row_id, robot=robot, at=at, outcome=outcome, counted=bool(counted))
            for row_id, robot, at, outcome, counted in reversed(rows)
        ]

    def receipts_behind(self, bundle: int, *, limit: int = 200) -> list[ReceiptRow]:
        """What a bundle tells, in the order it came; the first ones when there are more."""
        with self._read() as connection:
            rows = connection.execute(
                "SELECT id, received_at, severity, alerts, repeat, state, trace_id, span_id FROM receipt"
                " WHERE bundle = ? ORDER BY id LIMIT ?",
                (bundle, limit),
            ).fetchall()
        return [
            ReceiptRow(
                id=row_id,
                received_at=received_at,
                severity=severity,
                alerts=alerts,
                repeat=repeat,
                state=state,
                trace=TraceIds(trace_id=trace_id, span_id=span_id) if trace_id else None,
            )
            for row_id, received_at, severity, alerts, repeat, state, trace_id, span_id in rows
        ]

    def messages_of(self, bundle: int) -> list[int]:
        """The numbers of a bundle's messages, in their order."""
        with self._read() as connection:
            return [number for (number,) in connection.execute("SELECT id FROM message WHERE bundle = ? ORDER BY part", (bundle,))]
