"""How each process of a running stack is: looked at, then told as a table or as JSON."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from cli.stack.disk import size_text
from cli.stack.marked import memory_bytes
from cli.stack.readiness import unready_reason
from cli.stack.supervisor import Control, SupervisorGone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cli.stack.process import Process
    from cli.stack.state import State
    from cli.stack.supervisor import Supervised


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One process; `pid` and `memory_bytes` are None while it does not run, `reason` says why it is not healthy."""

    name: str
    version: str
    address: str
    pid: int | None
    memory_bytes: int | None
    healthy: bool
    reason: str
    origin: str

    def as_json(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


def look(state: State) -> list[Row]:
    """All processes that are listed, as they are now, in the order in which they were started. Asks them at the same time."""
    try:
        known = Control(socket=state.socket, password=state.password).processes()
    except SupervisorGone:
        known = {}
    listed = [process for process in state.processes if process.listed]
    with ThreadPoolExecutor(max_workers=len(listed)) as pool:
        return list(pool.map(lambda process: _row(process, known.get(process.name)), listed))


def table(rows: Sequence[Row]) -> str:
    """The rows for a reader; below them, why those that are not healthy are not."""
    head = ("NAME", "VERSION", "ADDRESS", "PID", "MEMORY", "HEALTH")
    cells = [head, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    return "\n".join([*lines, *(f"{row.name}: {row.reason}" for row in rows if not row.healthy)]) + "\n"


def _row(process: Process, known: Supervised | None) -> Row:
    reason = unready_reason(process, known)
    pid = known.pid if known is not None else None
    return Row(
        name=process.name,
        version=process.version,
        address=process.address,
        pid=pid,
        memory_bytes=memory_bytes(pid) if pid is not None else None,
        healthy=reason is None,
        reason=reason or "",
        origin=process.origin,
    )


def _cells(row: Row) -> tuple[str, ...]:
    memory = size_text(row.memory_bytes) if row.memory_bytes is not None else "-"
    return row.name, row.version, row.address, str(row.pid or "-"), memory, "healthy" if row.healthy else "not healthy"
