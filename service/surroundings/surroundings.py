"""All that the server watches around itself, started and stopped together, and shown by metrics."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from service.drill_faults import FILE, FaultFile
from service.surroundings import audit_record, drill_record
from service.surroundings.folders import FolderUsage, drilled, read_folders
from service.surroundings.sampler import Sampler
from service.surroundings.store_clocks import StoreClocks
from service.surroundings.workdays import Workdays
from service.telemetry import names
from service.telemetry.gauges import observe_audit, observe_clock_skew, observe_drills, observe_folders, observe_value, observe_workday

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.metrics import Meter

    from service.settings import Settings
    from service.surroundings.audit_record import AuditRecord
    from service.surroundings.drill_record import DrillRecord
    from service.telemetry.event import Clock
    from service.telemetry.log_pipeline import LogPipeline

DISK_INTERVAL: Final = 5.0
CLOCK_INTERVAL: Final = 60.0
CALENDAR_INTERVAL: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """A sampler for each thing that can hang by itself; `start` and `stop` frame their lives.

    Attributes:
        steady: whether the settings say that requests come steadily.
    """

    folders: Sampler[Mapping[str, FolderUsage]]
    store_clocks: Sampler[Mapping[str, float]] | None
    audit: Sampler[AuditRecord | None]
    drills: Sampler[DrillRecord | None]
    workday: Sampler[bool]
    steady: bool

    @classmethod
    def of(cls, settings: Settings, *, clock: Clock, log: LogPipeline) -> Self:
        """What is around a server with these settings, whose data folder is absolute; nothing runs yet."""

        def uncovered(year: int) -> None:
            log.event(names.EventName.CALENDAR_UNCOVERED, level="WARNING", function=str(year))

        folder, monotonic = settings.data_dir, clock.monotonic
        faults = FaultFile(folder / FILE, clock=lambda: clock.unix_ns() / 1e9) if settings.drills == "on" else None

        def folders() -> Mapping[str, FolderUsage]:
            return drilled(read_folders(folder), faults.read().disk_used_ratio if faults else None)

        clocks, workdays = StoreClocks.of(settings, clock), Workdays(clock.unix_ns, uncovered=uncovered)
        return cls(
            folders=Sampler("folder-sampler", folders, interval=DISK_INTERVAL, clock=monotonic),
            store_clocks=Sampler("clock-sampler", clocks.read, interval=CLOCK_INTERVAL, clock=monotonic) if clocks else None,
            audit=Sampler("audit-sampler", lambda: audit_record.read_record(folder), interval=DISK_INTERVAL, clock=monotonic),
            drills=Sampler("drill-sampler", lambda: drill_record.read_record(folder), interval=DISK_INTERVAL, clock=monotonic),
            workday=Sampler("workday-sampler", workdays.is_workday, interval=CALENDAR_INTERVAL, clock=monotonic),
            steady=settings.traffic == "steady",
        )

    def observe(self, meter: Meter) -> None:
        """Publish the last samples; what has none has no series."""
        observe_folders(meter, self.folders.latest)
        if self.store_clocks is not None:
            observe_clock_skew(meter, self.store_clocks.latest)
        observe_audit(meter, self.audit.latest)
        observe_drills(meter, self.drills.latest)
        observe_workday(meter, self.workday.latest)
        observe_value(meter, names.TRAFFIC_EXPECTED, lambda: float(self.steady))

    def start(self) -> None:
        """Start every sampler."""
        for sampler in self._samplers:
            sampler.start()

    def stop(self, timeout: float) -> bool:
        """Stop them all, within `timeout` seconds together; whether all have ended. One that hangs is left behind."""
        deadline = time.monotonic() + timeout
        for sampler in self._samplers:
            sampler.ask_to_stop()
        return all(sampler.stop(max(deadline - time.monotonic(), 0.0)) for sampler in self._samplers)

    @property
    def _samplers(self) -> tuple[Sampler[object], ...]:
        clocks = () if self.store_clocks is None else (self.store_clocks,)
        return self.folders, self.audit, self.drills, self.workday, *clocks
