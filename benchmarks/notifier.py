"""What the notifier takes to accept a notification, whatever waits, how many it can tell, and whether a storm delays what is critical.

It runs as `mgeo notifier run` in a process of its own, and posts to the simulator of DingTalk in another. To accept means to store
with fsync and then to answer 200; what that takes is compared with the fsync alone, and with a commit of SQLite alone, of the same
bytes on the same disk in the same round.
"""

from __future__ import annotations

import asyncio
import itertools
import shutil
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from benchmarks.cpu_time import read_cpu_time
from benchmarks.disk_floor import synced_file, synced_row
from benchmarks.figure import Figure, Report, Table
from benchmarks.freshness import percentile
from benchmarks.full_outbox import fill
from benchmarks.keep_alive import KeepAliveClient
from benchmarks.machine import usable_cores
from benchmarks.notifications import notification, numbers_told, on_the_wire
from benchmarks.notifier_process import NOBODY, NotifierProcess, configuration
from benchmarks.paced import send_paced, time_paced
from benchmarks.resident import read_resident
from benchmarks.server_process import ServerProcess
from benchmarks.spread import Spread, ratios

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from benchmarks.effort import Effort, NotifierEffort

NUMBERS = range(400, 500)
CONNECTIONS = 8
STORM_CONNECTIONS = 32
WARM_UP = 50
FLOOD_TIMEOUT = 300.0
TELL_TIMEOUT = 600.0
"""Seconds until everything that is waited for must have been told."""

SHORTENED = 0.001
"""Factor of the notifier's durations where the limit of robots shall be none: its minute is then 60 ms."""

ROBOT_LIMIT = 20 / 60
"""Messages a second that DingTalk takes from one robot."""

CRITICAL_WITHIN = 60.0
WAYS = {
    "fsync": "the bytes appended to a file, and fsync",
    "commit": "the bytes in one row of SQLite, committed with fsync",
    "empty": "the notifier, nothing waiting before",
    "twin": "the same once more: noise of the method",
    "full": "the notifier, {waiting} waiting for a robot out of reach",
    "telling": "the notifier, {waiting} waiting, which it is telling",
}
"""What is timed, in this order in each round."""

STATES = ("empty", "full", "telling")
_PEERS = ("fsync", "commit", "empty")
_LIFTED = {"limit": 10_000, "window_seconds": 0.01, "ip_limit": 100_000, "keep": 100_000}
_QUOTA = {"quota": 1_000_000_000}
_MB = 1_000_000


class NotToldError(Exception):
    """Something was accepted that no message told in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a notifier takes: bytes resident at rest and at most under the load after it, and CPU seconds a second at rest."""

    memory: int
    peak: int
    cpu: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Flood:
    """Notifications as fast as they are taken, until all are told.

    Attributes:
        accepted: a second.
        committed: rows a second that SQLite commits alone, one after the other.
        told: notifications a second, from the first post until the last was told.
        messages: that told them, a second.
        cpu: seconds a thousand notifications, of the notifier.
    """

    accepted: float
    committed: float
    told: float
    messages: float
    cpu: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Storm:
    """Many alerts at once at a notifier with one robot, both with their true durations and limits.

    Attributes:
        slowest: seconds from the acceptance of a critical one until it was told, at most.
        last: seconds from the beginning of the storm until every critical one was told.
        accepting: milliseconds that 99 in 100 notifications were accepted within.
        messages: that the robot had sent by then.
        bans: calls that DingTalk would have refused for their number.
    """

    slowest: float
    last: float
    accepting: float
    messages: int
    bans: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """All that was measured: seconds by way and round; what is held by state and round."""

    seconds: Mapping[str, Sequence[Sequence[float]]]
    held: Mapping[str, Sequence[Held]]
    floods: Sequence[Flood]
    storms: Sequence[Storm]


def run(effort: Effort) -> Report:
    """Measure all of it.

    Raises:
        ServerFailedError: the notifier or the simulator did not start or end as it should.
        BadAnswerError: a notification was not accepted.
        NotToldError: one was not told.
    """
    with tempfile.TemporaryDirectory(prefix="notifier-bench-") as folder:
        return report(_Bench(Path(folder), effort.notifier).measure(), effort)


class _Bench:
    """`_folder` is on the disk that is measured; `_numbers` gives each notification its own."""

    def __init__(self, folder: Path, effort: NotifierEffort) -> None:
        self._folder, self._effort = folder, effort
        self._numbers = itertools.count(effort.waiting)
        self._seconds: dict[str, list[list[float]]] = {way: [] for way in WAYS}
        self._held: dict[str, list[Held]] = {state: [] for state in STATES}

    def measure(self) -> Measured:
        effort = self._effort
        for state in ("full", "telling"):
            (self._folder / state).mkdir()
        fill(self._folder / "full" / "outbox", effort.waiting, critical_every=effort.critical_every)
        shutil.copytree(self._folder / "full" / "outbox", self._folder / "telling" / "outbox")
        with self._simulator(_QUOTA) as simulator:
            for _ in range(effort.rounds):
                self._accept(simulator)
        floods = [self._flood() for _ in range(effort.rounds)]
        storms = [self._storm() for _ in range(effort.storms)]
        return Measured(seconds=self._seconds, held=self._held, floods=floods, storms=storms)

    def _accept(self, simulator: ServerProcess) -> None:
        for way, floor in (("fsync", synced_file), ("commit", synced_row)):
            with floor(self._folder / way) as write:
                self._seconds[way].append(time_paced(write, self._bodies(self._effort.requests), rate=self._effort.rate))
        for way in ("empty", "twin"):
            with self._new_folder() as folder:
                self._time(way, folder, NOBODY)
        self._time("full", self._folder / "full", NOBODY)
        self._time("telling", self._folder / "telling", _robot(simulator))

    def _time(self, way: str, folder: Path, robot_url: str) -> None:
        effort = self._effort
        with NotifierProcess(folder, configuration(robot_url)) as notifier:
            time.sleep(effort.rest)
            resting = _cpu_while(notifier.pid, lambda: time.sleep(effort.rest)) / effort.rest
            memory = read_resident(notifier.pid).now
            for count in (WARM_UP, effort.requests):
                requests = [on_the_wire(body) for body in self._bodies(count)]
                answered = asyncio.run(send_paced(notifier.port, requests, rate=effort.rate, connections=CONNECTIONS))
            peak = read_resident(notifier.pid).peak
        self._seconds[way].append([each.seconds for each in answered])
        if way in STATES:
            self._held[way].append(Held(memory=memory, peak=peak, cpu=resting))

    def _flood(self) -> Flood:
        count = self._effort.flood
        bodies = self._bodies(count)
        with synced_row(self._folder / "commit") as commit:
            committing = _seconds_of(lambda: [commit(body) for body in bodies])
        numbers = list(itertools.islice(self._numbers, count))
        requests = [on_the_wire(notification(number)) for number in numbers]
        with self._new_folder() as folder, self._simulator(_QUOTA | _LIFTED) as simulator:
            config = configuration(_robot(simulator), scale=SHORTENED, per_minute=20)
            with NotifierProcess(folder, config) as notifier:
                told: dict[int, float] = {}
                accepting = 0.0

                def flood() -> None:
                    nonlocal accepting
                    accepting = _seconds_of(lambda: asyncio.run(_send(notifier.port, requests)))
                    told.update(_wait_until_told(simulator, numbers))

                begun = time.time()
                cpu = _cpu_while(notifier.pid, flood)
                lasted = max(told[number] for number in numbers) - begun
                messages = _newest(simulator, "last_message")
        return Flood(
            accepted=count / accepting,
            committed=count / committing,
            told=count / lasted,
            messages=messages / lasted,
            cpu=cpu / count * 1000,
        )

    def _storm(self) -> Storm:
        effort = self._effort
        numbers = list(itertools.islice(self._numbers, effort.storm_alerts))
        critical = numbers[:: effort.critical_every]
        urgent = set(critical)
        requests = [on_the_wire(notification(number, critical=number in urgent)) for number in numbers]
        with self._new_folder() as folder, self._simulator(_QUOTA) as simulator:
            with NotifierProcess(folder, configuration(_robot(simulator))) as notifier:
                begun = time.time()
                rate = effort.storm_alerts / effort.storm_seconds
                answered = asyncio.run(send_paced(notifier.port, requests, rate=rate, connections=STORM_CONNECTIONS))
                told = _wait_until_told(simulator, critical)
            accepted = {number: each.at for number, each in zip(numbers, answered, strict=True)}
            outcomes = Counter(attempt["outcome"] for attempt in _entries(simulator, "attempts"))
            return Storm(
                slowest=max(told[number] - accepted[number] for number in critical),
                last=max(told[number] for number in critical) - begun,
                accepting=percentile([each.seconds for each in answered], 0.99) * 1000,
                messages=outcomes["delivered"],
                bans=outcomes["throttled"] + outcomes["banned"] + outcomes["blocked"],
            )

    def _bodies(self, count: int) -> list[bytes]:
        return [notification(number) for number in itertools.islice(self._numbers, count)]

    @contextmanager
    def _new_folder(self) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            yield Path(folder)

    @contextmanager
    def _simulator(self, settings: Mapping[str, float]) -> Iterator[ServerProcess]:
        file = self._folder / "simulator.toml"
        file.write_text("".join(f"{name} = {value}\n" for name, value in settings.items()))
        arguments = ("notifier", "simulate", "--port", "0", "--config", str(file))
        with ServerProcess("cli.main", *arguments, settings={}, cores=usable_cores()) as simulator:
            yield simulator


def _robot(simulator: ServerProcess) -> str:
    return f"http://127.0.0.1:{simulator.port}/robot/send"


async def _send(port: int, requests: Sequence[bytes]) -> None:
    async with KeepAliveClient(port, connections=CONNECTIONS) as client:
        await client.send(requests, total=len(requests), timeout=FLOOD_TIMEOUT)


def _cpu_while(pid: int, act: Callable[[], None]) -> float:
    before = read_cpu_time(pid).process
    act()
    return read_cpu_time(pid).process - before


def _seconds_of(act: Callable[[], object]) -> float:
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun


def _wait_until_told(simulator: ServerProcess, numbers: Sequence[int]) -> dict[int, float]:
    """When each was first told, in seconds since 1970; of others too."""
    told: dict[int, float] = {}
    missing, since, deadline = set(numbers), 0, time.monotonic() + TELL_TIMEOUT
    with httpx.Client(trust_env=False, timeout=60.0) as client:
        while missing:
            if time.monotonic() > deadline:
                raise NotToldError(f"{len(missing)} of {len(numbers)} notifications were not told within {TELL_TIMEOUT:.0f} s")
            answer = client.get(f"http://127.0.0.1:{simulator.port}/messages", params={"since": since, "wait": 5}).raise_for_status().json()
            since = answer["next"]
            for message in answer["messages"]:
                for number in numbers_told(message["text"]):
                    told.setdefault(number, message["received_seconds"])
                    missing.discard(number)
    return told


def _entries(simulator: ServerProcess, kind: str) -> list[dict[str, Any]]:
    """All that the simulator has kept of a kind."""
    found: list[dict[str, Any]] = []
    since = 0
    while True:
        url = f"http://127.0.0.1:{simulator.port}/{kind}"
        answer = httpx.get(url, params={"since": since}, trust_env=False).raise_for_status().json()
        if not answer[kind]:
            return found
        found += answer[kind]
        since = answer["next"]


def _newest(simulator: ServerProcess, kind: str) -> int:
    state: dict[str, Any] = httpx.get(f"http://127.0.0.1:{simulator.port}/control/state", trust_env=False).raise_for_status().json()
    return int(state[kind])


def report(measured: Measured, effort: Effort) -> Report:
    """Pure: the figures and tables of what was measured."""
    figures = [*_accept_figures(measured), *_held_figures(measured), *_flood_figures(measured), *_storm_figures(measured)]
    waiting = effort.notifier.waiting
    tables = (_accept_table(measured, waiting), _held_table(measured, waiting), _flood_table(measured), _storm_table(measured))
    return Report(figures=tuple(figures), tables=tables, remarks=(*_remarks(effort.notifier), _noise(measured)))


def _remarks(effort: NotifierEffort) -> tuple[str, ...]:
    accepting = (
        f"Accepting: medians of {effort.rounds} rounds (smallest to largest) of {effort.requests} each way, {effort.rate:g} a second on "
        f"{CONNECTIONS} connections; each has one alert and {len(notification(0))} bytes. "
        f"What is accepted waits too: nothing before is up to {WARM_UP + effort.requests} at the end of a round, and {effort.waiting} are "
        f"{effort.waiting + effort.rounds * (WARM_UP + effort.requests)} after the last one, less what was told."
    )
    throughput = (
        f"Throughput: {effort.flood} notifications on {CONNECTIONS} connections, in {effort.rounds} rounds, "
        f"with the limit of robots lifted as far as the settings go (`scale = {SHORTENED:g}`: {60_000 * SHORTENED:g} ms for a minute, "
        "and a simulator that takes all). More come than a robot tells one by one, so most are told in digests. "
        "As it ships a robot may send 18 messages a minute, and that is what limits it."
    )
    critical = len(range(0, effort.storm_alerts, effort.critical_every))
    storm = (
        f"Storm: {effort.storm_alerts} alerts within {effort.storm_seconds:g} s, {critical} of them critical, "
        f"each in a notification of its own, all for one robot; medians of {effort.storms} storms. "
        "Nothing is shortened, and nothing lifted but the quota of the month."
    )
    return accepting, throughput, storm


def _noise(measured: Measured) -> str:
    p50, p99 = (max(max(ratio, 1 / ratio) for ratio in _compared(measured, "twin", "empty", share)) for share in (0.5, 0.99))
    return (
        f"Noise: in one round two equal notifiers differed by up to {p50:.2f} times in their p50 and {p99:.2f} times in their p99; "
        "a ratio of one round within that says nothing."
    )


def _percentiles(measured: Measured, way: str, share: float) -> list[float]:
    """Milliseconds, round by round."""
    return [percentile(seconds, share) * 1000 for seconds in measured.seconds[way]]


def _figure(number: int, name: str, rounds: Sequence[float]) -> Figure:
    spread = Spread.of(rounds)
    return Figure(number=number, name=name, value=spread.median, spread=spread.bounds)


def _accept_figures(measured: Measured) -> list[Figure]:
    numbers = itertools.count(NUMBERS.start)
    figures = [
        _figure(next(numbers), f"notifier.accept.{way}.p{share * 100:.0f}_milliseconds", _percentiles(measured, way, share))
        for way in WAYS
        for share in (0.5, 0.99)
    ]
    numbers = itertools.count(NUMBERS.start + 20)
    figures += [
        _figure(next(numbers), f"notifier.accept.{way}.p{share * 100:.0f}_to_{peer}_ratio", _compared(measured, way, peer, share))
        for way in WAYS
        for peer in _peers(way)
        for share in (0.5, 0.99)
    ]
    return figures


def _peers(way: str) -> tuple[str, ...]:
    """What a way is compared with: the notifier with the disk, and any other with the empty one."""
    if way in {"fsync", "commit"}:
        return ()
    return _PEERS[:2] if way == "empty" else _PEERS


def _compared(measured: Measured, way: str, peer: str, share: float) -> list[float]:
    return ratios(_percentiles(measured, way, share), _percentiles(measured, peer, share))


def _accept_table(measured: Measured, waiting: int) -> Table:
    rows: list[tuple[str, ...]] = []
    for way, shown in WAYS.items():
        times = [Spread.of(_percentiles(measured, way, share)).text(2) for share in (0.5, 0.99)]
        compared = [
            Spread.of(_compared(measured, way, peer, share)).text(2) if peer in _peers(way) else ""
            for peer in ("commit", "empty")
            for share in (0.5, 0.99)
        ]
        rows.append((shown.format(waiting=waiting), *times, *compared))
    header = ("what", "p50, ms", "p99, ms", "p50, times commit", "p99, times commit", "p50, times empty", "p99, times empty")
    return Table(title="Accepting one notification", header=header, rows=tuple(rows))


def _held_rounds(measured: Measured, state: str) -> tuple[list[float], list[float], list[float]]:
    rounds = measured.held[state]
    return [held.memory / _MB for held in rounds], [held.peak / _MB for held in rounds], [held.cpu for held in rounds]


def _held_figures(measured: Measured) -> list[Figure]:
    numbers = itertools.count(NUMBERS.start + 50)
    names = ("memory.{}.at_rest_megabytes", "memory.{}.peak_megabytes", "cpu.{}.at_rest_seconds_per_second")
    figures = [
        _figure(next(numbers), f"notifier.{name.format(state)}", rounds)
        for state in STATES
        for name, rounds in zip(names, _held_rounds(measured, state), strict=True)
    ]
    for state in STATES[1:]:
        compared = ratios(_held_rounds(measured, state)[0], _held_rounds(measured, "empty")[0])
        figures.append(_figure(next(numbers), f"notifier.memory.{state}.at_rest_to_empty_ratio", compared))
    return figures


def _held_table(measured: Measured, waiting: int) -> Table:
    rows: list[tuple[str, ...]] = []
    for state in STATES:
        memory, peak, cpu = _held_rounds(measured, state)
        compared = ratios(memory, _held_rounds(measured, "empty")[0])
        texts = (Spread.of(memory).text(0), Spread.of(compared).text(2), Spread.of(peak).text(0), Spread.of(cpu).text(3))
        rows.append((WAYS[state].format(waiting=waiting), *texts))
    header = ("what", "MB at rest", "times empty", "MB at most under the load above", "CPU s a second at rest")
    return Table(title="Memory, and CPU time without anything new", header=header, rows=tuple(rows))


def _flood_figures(measured: Measured) -> list[Figure]:
    floods = measured.floods
    start = NUMBERS.start + 70
    return [
        _figure(start, "notifier.flood.accepted_per_second", [flood.accepted for flood in floods]),
        _figure(start + 1, "notifier.flood.accepted_to_commit_ratio", [flood.accepted / flood.committed for flood in floods]),
        _figure(start + 2, "notifier.flood.told_per_second", [flood.told for flood in floods]),
        _figure(start + 3, "notifier.flood.messages_per_second", [flood.messages for flood in floods]),
        _figure(start + 4, "notifier.flood.messages_to_robot_limit_ratio", [flood.messages / ROBOT_LIMIT for flood in floods]),
        _figure(start + 5, "notifier.flood.cpu_seconds_per_thousand", [flood.cpu for flood in floods]),
    ]


def _flood_table(measured: Measured) -> Table:
    floods = measured.floods
    rows = (
        ("notifications accepted a second", Spread.of([flood.accepted for flood in floods]).text(0)),
        ("times what SQLite alone commits, one after the other", Spread.of([flood.accepted / flood.committed for flood in floods]).text(2)),
        ("notifications told a second, from the first post to the last message", Spread.of([flood.told for flood in floods]).text(0)),
        ("messages a second that told them", Spread.of([flood.messages for flood in floods]).text(1)),
        ("times what DingTalk takes from a robot (20 a minute)", Spread.of([flood.messages / ROBOT_LIMIT for flood in floods]).text(1)),
        ("CPU s of the notifier a thousand notifications", Spread.of([flood.cpu for flood in floods]).text(2)),
    )
    return Table(title="Throughput, from the webhook to the simulator's group", header=("what", "measured"), rows=rows)


def _storm_figures(measured: Measured) -> list[Figure]:
    storms = measured.storms
    start = NUMBERS.start + 80
    slowest = Spread.of([storm.slowest for storm in storms])
    bans = sum(storm.bans for storm in storms)
    return [
        Figure(
            number=start,
            name="notifier.storm.slowest_critical_seconds",
            value=slowest.median,
            spread=slowest.bounds,
            goal=f"at most {CRITICAL_WITHIN:.0f} in every storm",
            met=slowest.high <= CRITICAL_WITHIN,
        ),
        _figure(start + 1, "notifier.storm.every_critical_told_seconds", [storm.last for storm in storms]),
        Figure(number=start + 2, name="notifier.storm.bans", value=bans, goal="0 in all storms together", met=bans == 0),
        _figure(start + 3, "notifier.storm.accept_p99_milliseconds", [storm.accepting for storm in storms]),
        _figure(start + 4, "notifier.storm.messages", [storm.messages for storm in storms]),
    ]


def _storm_table(measured: Measured) -> Table:
    storms = measured.storms
    rows = (
        ("from the acceptance of a critical alert until it was told, s, the slowest", Spread.of([each.slowest for each in storms]).text(1)),
        ("from the first alert until every critical one was told, s", Spread.of([each.last for each in storms]).text(1)),
        ("bans, in all storms together", str(sum(each.bans for each in storms))),
        ("accepting one notification meanwhile, p99, ms", Spread.of([each.accepting for each in storms]).text(1)),
        ("messages that the robot had sent by then", Spread.of([float(each.messages) for each in storms]).text(0)),
    )
    return Table(title="A storm", header=("what", "measured"), rows=rows)
