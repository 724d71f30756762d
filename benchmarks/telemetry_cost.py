"""What telemetry costs a request in CPU time, against the same server without any and against the stock instrumentation.

All variants run at the same time, each its own process on the same core, and are loaded in turns, so that what disturbs
the machine disturbs all of them. CPU time is read from the beginning of a round to that of the next: work that is put off
(rows, lines, exports) counts too.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.address_pairs import PAIRS
from benchmarks.cpu_time import CpuTime, read_cpu_time
from benchmarks.figure import Figure, Report, Table
from benchmarks.keep_alive import KeepAliveClient, match_requests
from benchmarks.machine import usable_cores
from benchmarks.server_process import ServerProcess
from benchmarks.spread import Spread, differences, ratios
from benchmarks.variants import Variant

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.effort import Effort

NUMBERS = range(100, 200)
CONNECTIONS = (1, 32)
BURST_TIMEOUT = 120.0
EXPECTED = {
    # The server's span and the inference's; a batch's too, but that may have many members.
    Variant.OURS: {"log_records": 1, "spans": 2},
    # The server's, and one for each message of ASGI: the body, the wait for a disconnect, the head and the body of the answer.
    Variant.STOCK: {"spans": 5},
}
"""What has to arrive of a request at the OTLP endpoint."""

_US = 1_000_000
_SHOWN = {
    Variant.OURS: "this service, all signals exported",
    Variant.OURS_LOCAL: "this service, without an OTLP endpoint",
    Variant.STOCK: "FastAPIInstrumentor at its defaults, and logging",
    Variant.TWIN: "nothing: noise of the method",
}


class LostSignalsError(Exception):
    """A variant did not send what it should have; its figures would be too good."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Microseconds of CPU a request took, round by round: of the whole process, and of the thread that answers."""

    process: tuple[float, ...]
    main_thread: tuple[float, ...]


def run(effort: Effort) -> Report:
    """Measure all variants at each number of connections.

    Raises:
        ServerFailedError: a variant did not start or end as it should.
        BadAnswerError: a variant did not answer with 200.
        LostSignalsError: a variant did not export all it should.
    """
    server_cores, other_cores = _cores()
    own_cores = usable_cores()
    with ExitStack() as stack:
        # Not the servers' core; given back, since other benchmarks may want it.
        os.sched_setaffinity(0, other_cores)
        stack.callback(os.sched_setaffinity, 0, own_cores)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="telemetry-cost-")))
        with ServerProcess("benchmarks.otlp_sink", settings={}, cores=other_cores) as sink, ExitStack() as running:
            servers = {
                variant: running.enter_context(
                    ServerProcess("benchmarks.variants", variant, settings=_settings(variant, folder, sink.port), cores=server_cores)
                )
                for variant in Variant
            }
            costs = {connections: asyncio.run(_measure(servers, connections, effort)) for connections in CONNECTIONS}
        arrived: dict[str, dict[str, int]] = json.loads(sink.output.splitlines()[-1])
    requests = len(CONNECTIONS) * (effort.warm_up + effort.rounds * effort.turns * effort.requests)
    per_request = check_arrived(arrived, requests)
    return report(costs, per_request, effort)


def _cores() -> tuple[list[int], list[int]]:
    """The core of the servers, and those of all else; the same where there is only one."""
    cores = usable_cores()
    return cores[-1:], cores[:-1] or cores


def _settings(variant: Variant, folder: Path, sink_port: int) -> dict[str, str]:
    settings = {"MGEO_DATA_DIR": str(folder / variant), "MGEO_MODEL": "fake"}
    if variant.exports:
        settings |= {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{sink_port}", "OTEL_SERVICE_NAME": variant}
    return settings


async def _measure(servers: Mapping[Variant, ServerProcess], connections: int, effort: Effort) -> dict[Variant, Cost]:
    requests = match_requests(PAIRS)
    readings: dict[Variant, list[CpuTime]] = {variant: [] for variant in servers}
    async with AsyncExitStack() as stack:
        clients = {
            variant: await stack.enter_async_context(KeepAliveClient(server.port, connections=connections))
            for variant, server in servers.items()
        }
        for client in clients.values():
            await client.send(requests, total=effort.warm_up, timeout=BURST_TIMEOUT)
        for _ in range(effort.rounds):
            for turn in range(effort.turns):
                for variant, client in clients.items():
                    if turn == 0:
                        readings[variant].append(read_cpu_time(servers[variant].pid))
                    await client.send(requests, total=effort.requests, timeout=BURST_TIMEOUT)
    for variant, server in servers.items():
        readings[variant].append(read_cpu_time(server.pid))
    return {variant: cost_of(taken, requests=effort.turns * effort.requests) for variant, taken in readings.items()}


def cost_of(readings: Sequence[CpuTime], *, requests: int) -> Cost:
    """Pure: from the CPU times at the beginning of each round and at the end of the last one, the cost of a request.

    Args:
        readings: one more than rounds.
        requests: in each round.
    """
    used = [later - earlier for earlier, later in pairwise(readings)]
    return Cost(
        process=tuple(spent.process / requests * _US for spent in used),
        main_thread=tuple(spent.main_thread / requests * _US for spent in used),
    )


def check_arrived(arrived: Mapping[str, Mapping[str, int]], requests: int) -> dict[Variant, dict[str, float]]:
    """Pure: what each exporting variant sent per request, by signal.

    Raises:
        LostSignalsError: less arrived than `EXPECTED` of each request.
    """
    per_request = {variant: {name: count / requests for name, count in arrived.get(variant, {}).items()} for variant in EXPECTED}
    for variant, expected in EXPECTED.items():
        for name, least in expected.items():
            sent = per_request[variant].get(name, 0.0)
            if sent < least:
                raise LostSignalsError(f"{variant} sent {sent:.3f} {name} a request instead of {least:g}; something drops them")
    return per_request


def report(costs: Mapping[int, Mapping[Variant, Cost]], per_request: Mapping[Variant, Mapping[str, float]], effort: Effort) -> Report:
    """Pure: the figures and tables of the measured costs."""
    figures: list[Figure] = []
    tables: list[Table] = []
    for base, (connections, by_variant) in zip(range(NUMBERS.start, NUMBERS.stop, 20), costs.items(), strict=False):
        figures += _figures(base, connections, by_variant)
        tables.append(_table(connections, by_variant))
    sent = "; ".join(
        f"{variant}: {', '.join(f'{count:.3g} {name}' for name, count in sent.items())}" for variant, sent in per_request.items()
    )
    rounds = f"Medians of {effort.rounds} rounds of {effort.turns * effort.requests} requests a variant (smallest to largest); "
    remarks = (
        rounds + "what is added is the difference to the bare server in the same round.",
        f"Arrived at the OTLP endpoint per request: {sent}.",
    )
    return Report(figures=tuple(figures), tables=tuple(tables), remarks=remarks)


def _figures(base: int, connections: int, costs: Mapping[Variant, Cost]) -> list[Figure]:
    bare = costs[Variant.BARE]
    where = f"connections_{connections}"
    values: list[tuple[str, Spread]] = []
    for variant in _SHOWN:
        cost = costs[variant]
        values += [
            (f"telemetry_cost.{where}.{variant}.added_cpu_microseconds", Spread.of(differences(cost.process, bare.process))),
            (
                f"telemetry_cost.{where}.{variant}.added_main_thread_microseconds",
                Spread.of(differences(cost.main_thread, bare.main_thread)),
            ),
            (f"telemetry_cost.{where}.{variant}.cpu_times_bare", Spread.of(ratios(cost.process, bare.process))),
        ]
    values.append((f"telemetry_cost.{where}.bare.cpu_microseconds", Spread.of(bare.process)))
    values.append((f"telemetry_cost.{where}.bare.main_thread_microseconds", Spread.of(bare.main_thread)))
    ours, stock = costs[Variant.OURS], costs[Variant.STOCK]
    values += [
        (f"telemetry_cost.{where}.ours_to_stock.added_cpu_ratio", _added_ratio(ours.process, stock.process, bare.process)),
        (
            f"telemetry_cost.{where}.ours_to_stock.added_main_thread_ratio",
            _added_ratio(ours.main_thread, stock.main_thread, bare.main_thread),
        ),
    ]
    return [
        Figure(number=base + index, name=name, value=spread.median, spread=spread.bounds) for index, (name, spread) in enumerate(values)
    ]


def _added_ratio(measured: Sequence[float], stock: Sequence[float], bare: Sequence[float]) -> Spread:
    return Spread.of(ratios(differences(measured, bare), differences(stock, bare)))


def _table(connections: int, costs: Mapping[Variant, Cost]) -> Table:
    bare = costs[Variant.BARE]
    rows = [("nothing (the bare server's own time)", Spread.of(bare.process).text(0), Spread.of(bare.main_thread).text(0), "1", "")]
    for variant, shown in _SHOWN.items():
        cost = costs[variant]
        rows.append(
            (
                shown,
                "+ " + Spread.of(differences(cost.process, bare.process)).text(0),
                "+ " + Spread.of(differences(cost.main_thread, bare.main_thread)).text(0),
                Spread.of(ratios(cost.process, bare.process)).text(2),
                _added_ratio(cost.process, costs[Variant.STOCK].process, bare.process).text(2) if variant is not Variant.TWIN else "",
            )
        )
    plural = "connection" if connections == 1 else "connections"
    header = ("telemetry", "CPU µs a request", "of these on the request's thread", "times bare", "added, times stock")
    return Table(title=f"{connections} {plural}", header=header, rows=tuple(rows))
