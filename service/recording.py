"""Everything one process needs to turn events into signals, opened together and closed in reverse.

The server, `mgeo match` and a decorated script each open one; only what answers requests is missing here.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Self

from service.adoption import Adoption
from service.data_dir import prepare_data_dir, unusable
from service.gpu import GpuSampler, open_gpu_reader
from service.hashing import AddressHasher, load_hash_key
from service.instance import InstanceSlot, claim
from service.ledger import Ledger
from service.open_table import OPEN_FOLDER, OpenTable, dead_tables, table_path
from service.requeststore.ledger import life_of
from service.requeststore.sqlite_writer import SqliteWriter
from service.telemetry import names
from service.telemetry.event import Clock, GpuFacts
from service.telemetry.exposition import Exposition
from service.telemetry.gauges import observe_cuts, observe_depths, observe_gpu, observe_losses, observe_sent, observe_value
from service.telemetry.log_file import DailyFile, claim_log_file
from service.telemetry.log_pipeline import LogPipeline
from service.telemetry.log_writer import LogWriter, StdoutSink
from service.telemetry.metrics import Instruments
from service.telemetry.otel_recorder import OtelRecorder
from service.telemetry.refusals import Refusals
from service.telemetry.sdk import SpoolSettings, Telemetry, request_counts, setup

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Sequence
    from pathlib import Path

    from opentelemetry.metrics import Meter
    from opentelemetry.sdk._logs import LogRecordProcessor
    from opentelemetry.sdk.metrics.export import MetricReader, MetricsData
    from opentelemetry.sdk.trace import SpanProcessor

    from service.settings import Settings

DATABASE = "telemetry.db"
SPOOL_FOLDER = "spool"
_NS = 1_000_000_000
_DAY = 86_400.0
_UNDO_TIMEOUT = 1.0
# Beside what waits: two batches on their way through the model and out of it, and calls that are refused at the door.
_SPARE_SLOTS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """The open telemetry of one process.

    Attributes:
        life: this run of the process: its instance and when it started.
    """

    settings: Settings
    clock: Clock
    slot: InstanceSlot
    life: str
    hasher: AddressHasher
    telemetry: Telemetry
    meter: Meter
    exposition: Exposition
    log_file: DailyFile
    log_writer: LogWriter
    log: LogPipeline
    store: SqliteWriter
    ledger: Ledger
    table: OpenTable
    adoption: Adoption
    instruments: Instruments
    recorder: OtelRecorder
    gpu: GpuSampler
    gpu_absent: str
    losses: Counter[tuple[str, str]]

    @classmethod
    def open(
        cls,
        settings: Settings,
        *,
        command: str,
        clock: Clock | None = None,
        strict: bool = False,
        span_processors: Sequence[SpanProcessor] = (),
        log_processors: Sequence[LogRecordProcessor] = (),
        metric_readers: Sequence[MetricReader] = (),
    ) -> Self:
        """Claim a slot in the data folder and start every writer.

        Args:
            settings: all settings.
            command: which program this is (`serve`, `match`, `script`); part of the instance id.
            clock: the two clocks.
            strict: let an error in the recorder raise, as tests want it.
            span_processors: more span processors, for tests.
            log_processors: more log processors, for tests.
            metric_readers: more metric readers, for tests.

        Raises:
            StartupError: the data folder, the key, or NVML cannot be used; says which and how to mend it.
        """
        clock = clock or Clock()
        # What was opened before a part that cannot be is closed again: a script goes on without telemetry.
        with ExitStack() as undo:
            reader, gpu_absent = open_gpu_reader(settings.gpu)
            undo.callback(reader.close)
            # Absolute from here on: a script may change its folder, and its log and store stay where they are.
            settings = settings.model_copy(update={"data_dir": prepare_data_dir(settings.data_dir)})
            slot = claim(settings.data_dir, command, name=settings.instance_name)
            undo.callback(slot.release)
            hasher = AddressHasher(load_hash_key(settings.data_dir, settings.hash_key_file))
            started = clock.unix_ns()
            life = life_of(slot.instance_id, started)
            adoption = _claim_dead(settings.data_dir, slot)
            undo.callback(adoption.let_go)
            hook = _CollectionHook(clock)
            refusals = Refusals(clock.monotonic)
            exposition = Exposition()
            telemetry = setup(
                instance_id=slot.instance_id,
                instance_name=slot.name,
                version=version("mgeo"),
                span_processors=span_processors,
                log_processors=log_processors,
                metric_readers=[exposition.reader, *metric_readers],
                spool=SpoolSettings(
                    folder=settings.data_dir / SPOOL_FOLDER, max_bytes=settings.spool_max_bytes, max_age=settings.spool_max_age
                ),
                on_collection=hook,
                on_refusal=refusals,
            )
            undo.callback(telemetry.shutdown, _UNDO_TIMEOUT)
            meter = telemetry.meter_provider.get_meter(names.SCOPE)
            instruments = Instruments.of(meter)
            log_file = _log_file(settings, clock)
            log_writer = LogWriter([log_file, StdoutSink()] if settings.log_stdout else [log_file], queue_size=settings.log_queue_size)
            undo.callback(log_writer.close, _UNDO_TIMEOUT)
            log = LogPipeline(
                writer=log_writer,
                provider=telemetry.logger_provider,
                counter=instruments.log_records,
                service=telemetry.service,
                instance=slot.instance_id,
                unix_ns=clock.unix_ns,
                exporting=telemetry.exporting or bool(log_processors),
            )
            refusals.log = log
            store = SqliteWriter(
                database(settings.data_dir),
                queue_size=settings.store_queue_size,
                retention=settings.store_days * _DAY,
                max_bytes=settings.store_max_bytes,
                capture=settings.capture_text,
                service_instance=slot.instance_id,
                life=life,
                clock=clock,
                on_change=lambda reason: log.event(
                    names.EventName.STORE_DEGRADED if reason else names.EventName.STORE_RECOVERED, level="ERROR" if reason else "INFO"
                ),
            )
            undo.callback(store.close, _UNDO_TIMEOUT)
            losses: Counter[tuple[str, str]] = telemetry.losses
            table = _open_table(settings, slot, life=life, started_unix_ns=started, losses=losses)
            undo.callback(table.leave, remove=True)
            recorder = OtelRecorder(
                tracer_provider=telemetry.tracer_provider,
                instruments=instruments,
                log=log,
                store=store,
                losses=losses,
                table=table,
                strict=strict,
            )
            ledger = Ledger(life, store, sends=telemetry.sends, on_settled=adoption.settled)
            gpu = GpuSampler(reader, settings.gpu_interval, clock.monotonic, clock.unix_ns)
            recording = cls(
                settings=settings,
                clock=clock,
                slot=slot,
                life=life,
                hasher=hasher,
                telemetry=telemetry,
                meter=meter,
                exposition=exposition,
                log_file=log_file,
                log_writer=log_writer,
                log=log,
                store=store,
                ledger=ledger,
                table=table,
                adoption=adoption,
                instruments=instruments,
                recorder=recorder,
                gpu=gpu,
                gpu_absent=gpu_absent,
                losses=losses,
            )
            recording._observe()
            adoption.close_all(recorder, store, database(settings.data_dir))
            adoption.adopted(instruments.requests.by_outcome().total())
            hook.ledger, hook.table = ledger, table
            if not gpu_absent:
                gpu.start()
            undo.pop_all()
        return recording

    def _observe(self) -> None:
        observe_value(self.meter, names.REQUESTS_ACTIVE, lambda: self.recorder.active)
        observe_value(self.meter, names.STORE_SIZE, lambda: self.store.size_bytes)
        observe_cuts(self.meter, {"embedded": lambda: self.store.cut_age, "log": lambda: self.log_file.cut_age})
        began = self.clock.monotonic()
        observe_value(self.meter, names.PROCESS_UPTIME, lambda: self.clock.monotonic() - began)
        spool = self.telemetry.delivery.spool if self.telemetry.delivery is not None else None
        observe_value(self.meter, names.SPOOL_SIZE, lambda: spool.size_bytes if spool is not None else 0)
        observe_value(self.meter, names.SPOOL_AGE, lambda: spool.age if spool is not None else 0.0)
        observe_sent(self.meter, lambda: spool.sent if spool is not None else {})
        observe_losses(self.meter, self.lost)
        observe_depths(self.meter, {"file": lambda: self.log_writer.depth, "store": lambda: self.store.depth})
        observe_gpu(self.meter, self.gpu.latest)

    def lost(self) -> dict[tuple[str, str], int]:
        """What was lost since the start, by signal and reason."""
        return {
            **self.losses,
            **{("file", reason): count for reason, count in self.log_writer.dropped.items()},
            **{("store", reason): count for reason, count in self.store.dropped.items()},
        }

    def degraded(self) -> list[str]:
        """What does not work although answers do: the log, the store, the way to the OTLP endpoint; in words, empty when all is well."""
        delivery = self.telemetry.delivery
        reasons = [self.log_writer.degraded, self.store.degraded, *(delivery.degraded if delivery is not None else [])]
        return [reason for reason in reasons if reason]

    def gpu_facts(self, unix_ns: int) -> tuple[GpuFacts, ...]:
        """The nearest GPU sample to a moment, as it stands on events; empty without one."""
        sample = self.gpu.nearest(unix_ns) if not self.gpu_absent else None
        if sample is None:
            return ()
        age = abs(unix_ns - sample.taken_at_unix_ns) / _NS
        return tuple(
            GpuFacts(
                id=device.hw_id,
                memory_usage=device.memory_used_bytes,
                memory_limit=device.memory_limit_bytes,
                utilization=device.utilization,
                age=age,
            )
            for device in sample.devices
        )

    def close(self, timeout: float) -> None:
        """Write and send what waits, then close; each part within its share of `timeout` seconds, and also when another fails."""
        share = timeout / 4
        with ExitStack() as parts:
            parts.callback(self.slot.release)
            parts.callback(self._leave)
            parts.callback(self.log_writer.close, share)
            # After the last collection: the store takes its entry of the ledger, and then the final one.
            parts.callback(self.store.close, share)
            parts.callback(self._close_ledger)
            parts.callback(self.telemetry.shutdown, share)
            parts.callback(self.gpu.stop, share)

    def _close_ledger(self) -> None:
        self.ledger.close(self.clock.unix_ns(), self.instruments.requests.by_outcome())

    def _leave(self) -> None:
        # A table whose counts did not get into the ledger, or with something open, is for the next process.
        self.table.leave(remove=self.ledger.closed)
        self.adoption.let_go()


class _CollectionHook:
    """What is done with each collection of the metrics, once there is all that it takes; before, nothing has been counted."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.ledger: Ledger | None = None
        self.table: OpenTable | None = None

    def __call__(self, collection: MetricsData) -> None:
        """Write it into the ledger, and note that this process lives."""
        if self.table is not None:
            self.table.seen(self._clock.unix_ns())
        counted = request_counts(collection)
        if self.ledger is not None and counted is not None:
            self.ledger.collected(*counted)


def database(data_dir: Path) -> Path:
    """The file of the embedded store in a data folder."""
    return data_dir / DATABASE


def _claim_dead(data_dir: Path, slot: InstanceSlot) -> Adoption:
    try:
        return Adoption(dead_tables(data_dir, slot))
    except OSError as error:
        raise unusable(data_dir / OPEN_FOLDER, error) from error


def _open_table(settings: Settings, slot: InstanceSlot, *, life: str, started_unix_ns: int, losses: Counter[tuple[str, str]]) -> OpenTable:
    slots = settings.queue_size + 2 * settings.max_batch_size + _SPARE_SLOTS
    path = table_path(settings.data_dir, slot)
    try:
        return OpenTable(path, life=life, started_unix_ns=started_unix_ns, slots=slots, losses=losses)
    except OSError as error:
        raise unusable(path, error) from error


def _log_file(settings: Settings, clock: Clock) -> DailyFile:
    claim = claim_log_file(settings.data_dir / "logs")
    return DailyFile(claim, keep=settings.log_days, max_bytes=settings.log_max_bytes, unix_ns=clock.unix_ns)
