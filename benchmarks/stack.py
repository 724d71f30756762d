"""What the full native stack costs and how fast it answers, everything at its defaults.

How long after an answer a request can be looked up, how long a look-up takes with few and with many requests stored, what a
request leaves on disk in each store, and what each process takes of memory and CPU time.
"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from benchmarks.collector_counters import CollectorCounters
from benchmarks.cpu_time import read_cpu_time
from benchmarks.disk_use import Store, allocated, disk_use
from benchmarks.figure import Figure, Report, Table
from benchmarks.freshness import freshness, percentile
from benchmarks.keep_alive import KeepAliveClient
from benchmarks.known_requests import is_traced, known_request, sample
from benchmarks.look_up import by_line, by_story, by_trace, time_in_turns
from benchmarks.machine import usable_cores
from benchmarks.native_stack import StackFailedError, native_stack
from benchmarks.server_process import ServerProcess
from benchmarks.spread import Spread

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping, Sequence

    from benchmarks.effort import Effort, StackEffort
    from benchmarks.known_requests import KnownRequest
    from benchmarks.native_stack import NativeStack, ProcessState

NUMBERS = range(300, 400)
PROCESSES = ("collector", "prometheus", "loki", "jaeger", "alertmanager", "service")
CONNECTIONS = 32
PIECE = 1000
"""Requests between two looks at how far the Collector is behind."""

MOST_BEHIND = 2000
"""Requests that may be on their way to the Collector; the queues of the service have place for more than that, even of their spans."""

STORE_TIMEOUT = 900.0
"""Seconds the stores may take until they have everything."""

LOOK_PAUSE = 0.05
ANSWER_TIMEOUT = 60.0
BURST_TIMEOUT = 120.0
LOAD_TIMEOUT = 600.0

FRESH = {
    "embedded": "the embedded store",
    "loki": "Loki: the log record",
    "jaeger": "Jaeger: the trace",
    "whole": "the whole story, from the stack alone",
}
LOOK_UPS = {
    "embedded": "the embedded store alone",
    "shipped": "as it ships: the embedded store, completed by the stack",
    "stack": "the stack alone, trace id the hash of the request id",
    "stack_traced": "the stack alone, in a trace of the caller's",
    "jaeger": "Jaeger itself: a trace by its id",
    "loki": "Loki itself: a record by its request id",
}
ON_DISK = {
    Store.EMBEDDED: "the embedded store",
    Store.LOG_FILE: "the log file",
    Store.JAEGER: "Jaeger",
    Store.LOKI: "Loki: chunks and index",
    Store.LOKI_WAL: "Loki: write-ahead log",
}
"""What grows with every request. Loki's write-ahead log shrinks again."""

_HOUR = 3600.0
_MB = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """The stack with a number of requests stored.

    Attributes:
        requests: all since it was made.
        at: monotonic seconds.
        look_ups: milliseconds by way, a median for each round.
        disk: bytes by store.
        series: that Prometheus has.
        memory: bytes by process.
    """

    requests: int
    at: float
    look_ups: Mapping[str, Sequence[float]]
    disk: Mapping[Store, int]
    series: int
    memory: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """All that was measured.

    Attributes:
        fresh: seconds from the answer, by store.
        cpu: seconds of CPU a thousand requests, by process, without what it takes when idle.
        memory: bytes by process at the end of the load.
        few: with few requests stored.
        many: with many.
        again: milliseconds of the same look-ups as with few, made once more with many.
        fill_rate: requests a second from few to many.
    """

    fresh: Mapping[str, Sequence[float]]
    cpu: Mapping[str, float]
    memory: Mapping[str, int]
    few: Stored
    many: Stored
    again: Mapping[str, Sequence[float]]
    fill_rate: float


def run(effort: Effort) -> Report:
    """Bring a stack up and measure it.

    Raises:
        StackFailedError: it did not come up, or lost something.
        ServerFailedError: a service that looks into it did not start or end as it should.
        BadAnswerError: the service did not answer with 200.
        NotFoundError: a request could not be looked up.
    """
    with ExitStack() as running:
        stack = running.enter_context(native_stack())
        # One sees the embedded store alone, the other the stack alone: its own folder is empty.
        embedded = running.enter_context(_reader(MGEO_DATA_DIR=str(stack.data_dir)))
        from_stack = running.enter_context(_reader(MGEO_DATA_DIR=str(stack.data_dir.with_name("empty")), **stack.urls))
        urls = {"embedded": f"http://127.0.0.1:{embedded.port}", "stack": f"http://127.0.0.1:{from_stack.port}"}
        # One for all: to make a client takes longer than most questions.
        client = running.enter_context(httpx.Client(trust_env=False, timeout=ANSWER_TIMEOUT))
        return report(_Bench(stack, urls, client, effort.stack).measure(), effort)


def _reader(**settings: str) -> ServerProcess:
    return ServerProcess("service", settings={"MGEO_PORT": "0", "MGEO_MODEL": "fake", **settings}, cores=usable_cores())


class _Bench:
    """One stack, loaded step by step; `_sent` are the requests it has answered so far."""

    def __init__(self, stack: NativeStack, reader_urls: Mapping[str, str], client: httpx.Client, effort: StackEffort) -> None:
        self._stack, self._readers, self._client, self._effort = stack, reader_urls, client, effort
        self._known: dict[int, KnownRequest] = {}
        self._sent = 0
        self._before = self._counters()

    def measure(self) -> Measured:
        effort = self._effort
        processes = self._stack.processes()
        idle = self._cpu_while(processes, lambda: time.sleep(effort.idle))
        # What the start left behind has arrived by now and is not ours to count.
        self._before = self._counters()
        fresh = self._freshness()
        cpu = self._load_cpu(processes, idle)
        memory = self._memory()
        few, many = effort.stored
        samples = self._samples(self._sent, few), self._samples(self._sent, many)
        keep = {number for chosen in samples for numbers in chosen for number in numbers}
        self._fill(few, keep)
        with_few = self._stored(*samples[0])
        rate = self._fill(many, keep)
        with_many = self._stored(*samples[1])
        again = self._look_up(*samples[0])
        return Measured(fresh=fresh, cpu=cpu, memory=memory, few=with_few, many=with_many, again=again, fill_rate=rate)

    def _freshness(self) -> dict[str, list[float]]:
        stack, effort = self._stack, self._effort
        first = {
            "embedded": by_story(self._readers["embedded"]),
            "loki": by_line(stack.url("loki_port")),
            "jaeger": by_trace(stack.url("jaeger_query_port")),
        }
        then = {"whole": by_story(self._readers["stack"], whole=True)}
        numbers = range(self._sent, self._sent + effort.fresh)
        looks = [{name: way.sees for name, way in ways.items()} for ways in (first, then)]
        found = asyncio.run(freshness(stack.url("port"), *looks, numbers=numbers, spacing=effort.spacing))
        self._sent = numbers.stop
        self._wait_until_stored()
        return found

    def _load_cpu(self, processes: Mapping[str, ProcessState], idle: Mapping[str, float]) -> dict[str, float]:
        effort = self._effort
        sent = 0

        def load() -> None:
            nonlocal sent
            rate, seconds = f"{effort.load_rate:g}", f"{effort.load_seconds:g}s"
            arguments = ("load", "--url", self._stack.url("port"), "--rate", rate, "--duration", seconds, "--json")
            told: dict[str, Any] = json.loads(self._stack.mgeo(*arguments, "--assert", "success>=100%", timeout=LOAD_TIMEOUT))
            sent = told["sent"]
            self._sent += sent
            self._wait_until_stored()

        used = self._cpu_while(processes, load)
        elapsed = used.pop("")
        idle_seconds = idle[""]
        return {name: (seconds - idle[name] / idle_seconds * elapsed) / sent * 1000 for name, seconds in used.items()}

    def _fill(self, until: int, keep: Container[int]) -> float:
        begun, first = time.monotonic(), self._sent
        asyncio.run(self._send(range(first, until), keep))
        rate = (self._sent - first) / (time.monotonic() - begun)
        self._wait_until_stored()
        return rate

    async def _send(self, numbers: range, keep: Container[int]) -> None:
        async with KeepAliveClient(self._stack.ports["port"], connections=CONNECTIONS) as client:
            while self._sent < numbers.stop:
                piece = range(self._sent, min(self._sent + PIECE, numbers.stop))
                requests = {number: known_request(number, unix_ns=time.time_ns()) for number in piece}
                await client.send([request.wire for request in requests.values()], total=len(requests), timeout=BURST_TIMEOUT)
                self._known |= {number: request for number, request in requests.items() if number in keep}
                self._sent = piece.stop
                self._wait(lambda: self._sent - self._arrived() <= MOST_BEHIND, "the Collector does not take what the service sends")

    def _samples(self, first: int, stored: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The numbers of the requests to look up when so many are stored: those with trace ids of their own, and the others."""
        count = self._effort.rounds * self._effort.look_ups
        numbers = range(first, stored)
        return sample((each for each in numbers if not is_traced(each)), count), sample(filter(is_traced, numbers), count)

    def _stored(self, plain_numbers: Sequence[int], traced_numbers: Sequence[int]) -> Stored:
        stack = self._stack
        self._flush_loki()
        head = self._client.get(f"{stack.url('prometheus_port')}/api/v1/status/tsdb").raise_for_status().json()["data"]["headStats"]
        return Stored(
            requests=self._sent,
            at=time.monotonic(),
            disk=disk_use(stack.data_dir),
            series=head["numSeries"],
            look_ups=self._look_up(plain_numbers, traced_numbers),
            memory=self._memory(),
        )

    def _look_up(self, plain_numbers: Sequence[int], traced_numbers: Sequence[int]) -> dict[str, list[float]]:
        stack = self._stack
        plain, traced = ([self._known[number] for number in numbers] for numbers in (plain_numbers, traced_numbers))
        ways = {
            "embedded": (by_story(self._readers["embedded"]), plain),
            "shipped": (by_story(stack.url("port")), plain),
            "stack": (by_story(self._readers["stack"], whole=True), plain),
            "stack_traced": (by_story(self._readers["stack"], whole=True), traced),
            "jaeger": (by_trace(stack.url("jaeger_query_port")), plain),
            "loki": (by_line(stack.url("loki_port")), traced),
        }
        return time_in_turns(ways, rounds=self._effort.rounds)

    def _flush_loki(self) -> None:
        """Have Loki write its open chunks, so that look-ups read what is stored and the disk has all of it."""
        chunks = [Path(self._stack.data_dir, "stack", "loki", "chunks")]
        self._client.post(f"{self._stack.url('loki_port')}/flush").raise_for_status()
        sizes = [-1, allocated(chunks)]
        deadline = time.monotonic() + STORE_TIMEOUT
        while sizes[-1] != sizes[-2] and time.monotonic() < deadline:
            time.sleep(1.0)
            sizes.append(allocated(chunks))

    def _wait_until_stored(self) -> None:
        self._wait(lambda: self._counters().holds(self._sent, self._before), f"not all of {self._sent} requests arrived in Loki and Jaeger")

    def _wait(self, condition: Callable[[], bool], otherwise: str) -> None:
        deadline = time.monotonic() + STORE_TIMEOUT
        while not condition():
            if time.monotonic() > deadline:
                raise StackFailedError(f"{otherwise}: {self._counters()}")
            time.sleep(LOOK_PAUSE)

    def _arrived(self) -> int:
        return self._counters().accepted_logs - self._before.accepted_logs

    def _counters(self) -> CollectorCounters:
        return CollectorCounters.parse(self._client.get(f"{self._stack.url('collector_metrics_port')}/metrics").raise_for_status().text)

    def _memory(self) -> dict[str, int]:
        processes = self._stack.processes()
        return {name: processes[name].memory_bytes for name in PROCESSES}

    def _cpu_while(self, processes: Mapping[str, ProcessState], act: Callable[[], None]) -> dict[str, float]:
        """Seconds of CPU that each process used meanwhile; the seconds that passed under the empty name."""
        before = {name: read_cpu_time(processes[name].pid).process for name in PROCESSES}
        begun = time.monotonic()
        act()
        passed = time.monotonic() - begun
        return {"": passed, **{name: read_cpu_time(processes[name].pid).process - before[name] for name in PROCESSES}}


def report(measured: Measured, effort: Effort) -> Report:
    """Pure: the figures and tables of what was measured."""
    few, many = measured.few, measured.many
    figures = [*_fresh_figures(measured), *_look_up_figures(measured), *_disk_figures(few, many), *_process_figures(measured)]
    figures.append(Figure(number=380, name="stack.fill.requests_per_second", value=measured.fill_rate))
    tables = (_fresh_table(measured), _look_up_table(measured), _disk_table(few, many), _process_table(measured))
    return Report(figures=tuple(figures), tables=tables, remarks=_remarks(measured, effort.stack))


def _remarks(measured: Measured, effort: StackEffort) -> tuple[str, ...]:
    few, many = measured.few, measured.many
    how = (
        f"Freshness: {effort.fresh} requests, one every {effort.spacing:g} s on average. "
        f"CPU time: {effort.load_rate:g} requests a second for {effort.load_seconds:g} s, less what each process takes when idle. "
        f"Look-ups: medians of {effort.rounds} rounds of {effort.look_ups} each (smallest to largest)."
    )
    apart = (
        f"Prometheus has {many.series} series and took {_prometheus_rate(few, many) / _MB:.1f} MB an hour on its way to the first block: "
        "what it takes goes by series and time, not by requests. "
        f"For the Collector's queues {many.disk[Store.COLLECTOR] / _MB:.0f} MB are set aside."
    )
    rate = (
        f"Requests were stored at {measured.fill_rate:.0f} a second: as fast as the service answered on {CONNECTIONS} connections, "
        "with the client and all stores on the same cores."
    )
    return how, apart, rate


def _fresh_figures(measured: Measured) -> list[Figure]:
    return [
        Figure(number=300 + 2 * place + last, name=f"stack.fresh.{name}.p{share * 100:.0f}_seconds", value=percentile(seconds, share))
        for place, name in enumerate(FRESH)
        for last, (share, seconds) in enumerate(((0.5, measured.fresh[name]), (0.99, measured.fresh[name])))
    ]


def _fresh_table(measured: Measured) -> Table:
    rows = tuple(
        (shown, *(f"{percentile(measured.fresh[name], share):.2f}" for share in (0.5, 0.99)), f"{max(measured.fresh[name]):.2f}")
        for name, shown in FRESH.items()
    )
    return Table(title="From an answer until it can be looked up", header=("where", "p50, s", "p99, s", "longest, s"), rows=rows)


def _look_up_figures(measured: Measured) -> list[Figure]:
    figures: list[Figure] = []
    for number, name in zip(range(310, 340, 5), LOOK_UPS, strict=True):
        few, many, again = _look_ups(measured, name)
        figures += [
            _milliseconds(number, f"stack.look_up.{name}.few_milliseconds", few),
            _milliseconds(number + 1, f"stack.look_up.{name}.many_milliseconds", many),
            Figure(number=number + 2, name=f"stack.look_up.{name}.many_to_few_ratio", value=many.median / few.median),
            _milliseconds(number + 3, f"stack.look_up.{name}.again_milliseconds", again),
            Figure(number=number + 4, name=f"stack.look_up.{name}.again_to_few_ratio", value=again.median / few.median),
        ]
    return figures


def _milliseconds(number: int, name: str, spread: Spread) -> Figure:
    return Figure(number=number, name=name, value=spread.median, spread=spread.bounds)


def _look_ups(measured: Measured, name: str) -> tuple[Spread, Spread, Spread]:
    return Spread.of(measured.few.look_ups[name]), Spread.of(measured.many.look_ups[name]), Spread.of(measured.again[name])


def _look_up_table(measured: Measured) -> Table:
    rows: list[tuple[str, ...]] = []
    for name, shown in LOOK_UPS.items():
        few, many, again = _look_ups(measured, name)
        rows.append(
            (shown, few.text(1), many.text(1), f"{many.median / few.median:.2f}", again.text(1), f"{again.median / few.median:.2f}")
        )
    requests = measured.few.requests
    header = ("way", f"ms with {requests} stored", f"ms with {measured.many.requests}", "ratio", f"of these, the first {requests}", "ratio")
    return Table(title="One look-up", header=header, rows=tuple(rows))


def _per_request(store: Store, few: Stored, many: Stored) -> float:
    return (many.disk[store] - few.disk[store]) / (many.requests - few.requests)


def _prometheus_rate(few: Stored, many: Stored) -> float:
    return (many.disk[Store.PROMETHEUS] - few.disk[Store.PROMETHEUS]) / (many.at - few.at) * _HOUR


def _disk_figures(few: Stored, many: Stored) -> list[Figure]:
    figures = [
        Figure(number=number, name=f"stack.disk.{store}.bytes_per_request", value=_per_request(store, few, many))
        for number, store in enumerate(ON_DISK, 340)
    ]
    return [
        *figures,
        Figure(number=345, name="stack.disk.prometheus.bytes_per_hour", value=_prometheus_rate(few, many)),
        Figure(number=346, name="stack.disk.prometheus.series", value=many.series),
        Figure(number=347, name="stack.disk.collector_queue.bytes", value=many.disk[Store.COLLECTOR]),
    ]


def _disk_table(few: Stored, many: Stored) -> Table:
    rows = tuple((shown, f"{_per_request(store, few, many):.0f}", f"{many.disk[store] / _MB:.0f}") for store, shown in ON_DISK.items())
    header = ("store", f"bytes a request, from {few.requests} to {many.requests}", f"MB with {many.requests}")
    return Table(title="On disk", header=header, rows=rows)


def _process_figures(measured: Measured) -> list[Figure]:
    figures: list[Figure] = []
    for place, name in enumerate(PROCESSES):
        figures += [
            Figure(number=350 + place, name=f"stack.memory.{name}.megabytes", value=measured.memory[name] / _MB),
            Figure(number=360 + place, name=f"stack.memory.{name}.many_stored_megabytes", value=measured.many.memory[name] / _MB),
            Figure(number=370 + place, name=f"stack.cpu.{name}.seconds_per_thousand_requests", value=measured.cpu[name]),
        ]
    return sorted(figures, key=lambda figure: figure.number)


def _process_table(measured: Measured) -> Table:
    rows = tuple(
        (name, f"{measured.cpu[name]:.2f}", f"{measured.memory[name] / _MB:.0f}", f"{measured.many.memory[name] / _MB:.0f}")
        for name in PROCESSES
    )
    header = ("process", "CPU s a thousand requests", "MB at the end of that load", f"MB with {measured.many.requests} stored")
    return Table(title="Processes", header=header, rows=rows)
