"""The counts in Prometheus, as the raw samples that were written: no function of it that would guess between them is used."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, TypeVar

from cli.audit.samples import MS, Sample
from service.errors import Outcome
from service.telemetry import names

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from cli.audit.backend import Backend

T = TypeVar("T")

FIRST_STEP_MS = 60_000
LONGEST_STEP_MS = 6 * 3_600_000
"""At a sample of some twenty series every ten seconds, 50,000 numbers."""
TARGET_INFO = "target_info"


class PrometheusSamples:
    """Reads `mgeo_requests_total` of one life at a time.

    Args:
        backend: Prometheus.
        unix_ns: the wall clock; nothing is looked for after it.
    """

    def __init__(self, backend: Backend, *, unix_ns: Callable[[], int]) -> None:
        self._backend = backend
        self._unix_ns = unix_ns

    async def before(self, selector: str, ms: int, since_ms: int) -> Sample | None:
        """The newest sample at or before a moment, but after `since`.

        Raises:
            BackendUnread: Prometheus cannot be read.
        """
        async for found in self._steps(selector, ms, since_ms, forward=False):
            return found[-1]
        return None

    async def after(self, selector: str, ms: int, until_ms: int) -> Sample | None:
        """The oldest sample after a moment, but not after `until`.

        Raises:
            BackendUnread: Prometheus cannot be read.
        """
        async for found in self._steps(selector, ms, min(until_ms, self._unix_ns() // MS), forward=True):
            return found[0]
        return None

    async def scraped_as(self, instance: str, at_ms: int, range_ms: int) -> str | None:
        """The selector of what Prometheus scrapes of an instance; None when it scrapes nothing of it.

        Raises:
            BackendUnread: Prometheus cannot be read.
        """
        query = f'last_over_time({TARGET_INFO}{{service_instance_id="{instance}"}}[{max(range_ms, 1)}ms])'
        found = await self._query(
            query, at_ms, lambda result: [f'{{job="{s["metric"]["job"]}",instance="{s["metric"]["instance"]}"}}' for s in result]
        )
        return found[0] if found else None

    async def dropped(self) -> dict[str, int]:
        """What services said within a day that they lost, by `signal reason`, as far as it is not nothing.

        Raises:
            BackendUnread: Prometheus cannot be read.
        """
        query = f"sum by (signal, reason) (max_over_time({names.TELEMETRY_DROPPED.prometheus}[1d])) > 0"
        return await self._query(query, self._unix_ns() // MS, _by_signal)

    async def _steps(self, selector: str, from_ms: int, to_ms: int, *, forward: bool) -> AsyncIterator[list[Sample]]:
        step, at = FIRST_STEP_MS, from_ms
        while at < to_ms if forward else at > to_ms:
            low, high = (at, min(at + step, to_ms)) if forward else (max(at - step, to_ms), at)
            if found := await self._samples(selector, low, high):
                yield found
            at = high if forward else low
            step = min(step * 4, LONGEST_STEP_MS)

    async def _samples(self, selector: str, after_ms: int, up_to_ms: int) -> list[Sample]:
        """The samples in a range that is open on its left side, the oldest first."""
        query = f"{names.REQUESTS.prometheus}{selector}[{up_to_ms - after_ms}ms]"
        return await self._query(query, up_to_ms, _samples)

    async def _query(self, query: str, at_ms: int, read: Callable[[Any], T]) -> T:
        params = {"query": query, "time": f"{at_ms // 1000}.{at_ms % 1000:03d}"}
        result = await self._backend.get("/api/v1/query", params, lambda answer: read(answer["data"]["result"]))
        assert result is not None
        return result


def _samples(result: Any) -> list[Sample]:  # JSON
    counts: dict[int, Counter[Outcome]] = {}
    for series in result:
        outcome = Outcome(series["metric"][names.STATUS])
        for at, value in series["values"]:
            counts.setdefault(round(at * 1000), Counter())[outcome] += int(float(value))
    return [Sample(ms=ms, counts=counts[ms]) for ms in sorted(counts)]


def _by_signal(result: Any) -> dict[str, int]:  # JSON
    return {f"{series['metric']['signal']} {series['metric']['reason']}": int(float(series["value"][1])) for series in result}


def pushed_as(instance: str) -> str:
    """The selector of what an instance pushes."""
    return f'{{job="{names.SERVICE_NAME}",instance="{instance}"}}'


def dropped_in(exposition: str) -> Iterator[tuple[str, int]]:
    """The same as `dropped`, from the text of `/metrics`."""
    prefix = names.TELEMETRY_DROPPED.prometheus + "{"
    for line in exposition.splitlines():
        if line.startswith(prefix):
            labels, _, value = line.removeprefix(prefix).rpartition("} ")
            if float(value) > 0:
                by_name = dict(part.split("=", 1) for part in labels.split(","))
                yield f"{by_name['signal']} {by_name['reason']}".replace('"', ""), int(float(value))
