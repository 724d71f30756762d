"""What `gc.freeze()` after the warm-up saves: the longest pauses of the real server with its real model, with and without.

A full collection by itself is rare in a server that keeps little, and its moment is chance; so some are asked for under
load, in the same number for both.
"""

from __future__ import annotations

import asyncio
import signal
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.address_pairs import PAIRS
from benchmarks.figure import Figure, Report, Table
from benchmarks.keep_alive import KeepAliveClient, match_requests
from benchmarks.machine import usable_cores
from benchmarks.pauses import Pause, between, milliseconds
from benchmarks.server_process import ServerProcess
from benchmarks.spread import Spread

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.effort import Effort

NUMBERS = range(200, 300)
CONNECTIONS = 8
PIECE = 100
"""Requests between two looks at the clock."""

BURST_TIMEOUT = 120.0
FREEZE, NO_FREEZE = "with gc.freeze()", "without"


class TooFewCollectionsError(Exception):
    """The server did not make the full collections it was asked for."""


def run(effort: Effort) -> Report:
    """Load both servers, one after the other.

    Raises:
        ServerFailedError: a server did not start or end as it should.
        BadAnswerError: a server did not answer with 200.
        TooFewCollectionsError: it was asked for more full collections than it made.
    """
    with tempfile.TemporaryDirectory(prefix="gc-freeze-") as folder:
        measured = {
            FREEZE: _pauses(Path(folder) / "freeze", effort, freeze=True),
            NO_FREEZE: _pauses(Path(folder) / "no-freeze", effort, freeze=False),
        }
    return report(measured, effort)


def _pauses(folder: Path, effort: Effort, *, freeze: bool) -> list[Pause]:
    folder.mkdir()
    file = folder / "pauses"
    settings = {"MGEO_DATA_DIR": str(folder), "MGEO_PORT": "0", "MGEO_FREEZE_GC": str(freeze).lower()}
    with ServerProcess("benchmarks.collector_server", str(file), settings=settings, cores=usable_cores()) as server:
        begin, end, asked = asyncio.run(_load(server, effort))
    pauses = between(map(Pause.parse, file.read_text().splitlines()), begin, end)
    full = len(milliseconds(pauses, full=True))
    if full < asked or not asked:
        raise TooFewCollectionsError(f"{asked} full collections were asked for and {full} made; load it for longer")
    return pauses


async def _load(server: ServerProcess, effort: Effort) -> tuple[float, float, int]:
    """When the load began and ended, by the monotonic clock, and how many full collections were asked for."""
    requests = match_requests(PAIRS)
    asked = 0
    async with KeepAliveClient(server.port, connections=CONNECTIONS) as client:
        await client.send(requests, total=effort.warm_up, timeout=BURST_TIMEOUT)
        begin = time.monotonic()
        while (passed := time.monotonic() - begin) < effort.seconds:
            if passed >= (asked + 0.5) * effort.seconds / effort.collections:
                server.send_signal(signal.SIGUSR1)
                asked += 1
            await client.send(requests, total=PIECE, timeout=BURST_TIMEOUT)
        return begin, time.monotonic(), asked


def report(measured: Mapping[str, list[Pause]], effort: Effort) -> Report:
    """Pure: the figures and the table of the noted collections; each side has at least one full one."""
    figures: list[Figure] = []
    rows: list[tuple[str, ...]] = []
    for base, (shown, pauses) in zip((NUMBERS.start, NUMBERS.start + 10), measured.items(), strict=True):
        full, young = milliseconds(pauses, full=True), milliseconds(pauses, full=False)
        spread, worst_young = Spread.of(full), max(young, default=0.0)
        name = "freeze" if shown == FREEZE else "no_freeze"
        figures += [
            Figure(number=base, name=f"gc_freeze.{name}.worst_pause_milliseconds", value=max(spread.high, worst_young)),
            Figure(number=base + 1, name=f"gc_freeze.{name}.full_collection_milliseconds", value=spread.median, spread=spread.bounds),
            Figure(number=base + 2, name=f"gc_freeze.{name}.worst_young_collection_milliseconds", value=worst_young),
        ]
        rows.append((shown, f"{max(spread.high, worst_young):.1f}", spread.text(1), str(len(full)), f"{worst_young:.2f}", str(len(young))))
    header = ("gc.freeze()", "worst pause, ms", "full collection, ms", "of them", "worst of the younger generations, ms", "of them")
    remark = (
        f"{effort.seconds:.0f} s of load on {CONNECTIONS} connections each, after {effort.warm_up} requests of warm-up, by the embedded "
        f"model; {effort.collections} full collections were asked for, any further ones came by themselves."
    )
    return Report(figures=tuple(figures), tables=(Table(title="Garbage collection", header=header, rows=tuple(rows)),), remarks=(remark,))
