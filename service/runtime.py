"""A recording with a model and a pipeline behind it: what the server and `mgeo match` run on."""

from __future__ import annotations

import gc
import os
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from service.breaker import BreakerState
from service.drill_faults import FILE, FaultFile
from service.errors import ErrorType, ModelLoadError
from service.inference import InferencePipeline
from service.recording import Recording, database
from service.requeststore.layered import LayeredRequestStore
from service.requeststore.sqlite import SqliteRequestStore
from service.requeststore.stack import StackRequestStore, stack_client, stack_wanted
from service.telemetry import names
from service.telemetry.gauges import observe_model, observe_value
from service.worker import EXIT_DEVICE_FAILED, EXIT_WARMUP_FAILED, EXIT_WORKER_DYING, EXIT_WORKER_STUCK

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    import httpx

    from service.model.base import Model, ModelInfo
    from service.requeststore.base import RequestStore
    from service.settings import ModelSettings, Settings

_BREAKER_VALUES = {BreakerState.CLOSED: 0.0, BreakerState.HALF_OPEN: 0.5, BreakerState.OPEN: 1.0}

_FATAL_CAUSES = {
    EXIT_WORKER_STUCK: ErrorType.WORKER_STUCK,
    EXIT_DEVICE_FAILED: ErrorType.DEVICE_FAILED,
    EXIT_WORKER_DYING: ErrorType.WORKER_DIED,
    EXIT_WARMUP_FAILED: ErrorType.MODEL_FAILED,
}

EMBEDDED = "embedded"
FAKE = "fake"


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """All collaborators of one serving process; `start` and `stop` frame its life."""

    settings: Settings
    recording: Recording
    model: Model
    pipeline: InferencePipeline
    request_store: RequestStore
    http: httpx.AsyncClient | None = None

    @property
    def recorder(self) -> Any:
        """The recorder of the recording."""
        return self.recording.recorder

    @property
    def model_info(self) -> ModelInfo:
        """Who answers."""
        return self.model.info

    async def start(self) -> None:
        """Warm the model up and begin to answer."""
        await self.pipeline.start()
        if self.settings.freeze_gc:
            # What lives since the start never becomes garbage; without it in view, a full collection is short.
            gc.collect()
            gc.freeze()

    async def stop(self, grace: float) -> None:
        """Finish what is in flight within `grace` seconds, then flush the telemetry."""
        try:
            await self.pipeline.stop(grace)
        finally:
            self.request_store.close()
            if self.http is not None:
                await self.http.aclose()
            # Native libraries look for leaks at the interpreter's end and would take what is frozen for one.
            gc.unfreeze()


def build(
    settings: Settings,
    *,
    command: str,
    model: Model | None = None,
    on_fatal: Callable[[str, int], None] = lambda _reason, _code: None,
    **recording_options: Any,
) -> Runtime:
    """Open the recording, load the model, and put the pipeline on both; nothing runs yet.

    Args:
        settings: all settings.
        command: which program this is.
        model: a loaded model; else the one the settings name.
        on_fatal: told once, from any thread, why the process must end, and with which exit code.
        recording_options: passed to `Recording.open`.

    Raises:
        StartupError: says which setting and how to mend it.
    """
    model = drilled(model or load(settings), settings)
    recording = Recording.open(settings, command=command, **recording_options)
    log, instruments = recording.log, recording.instruments

    def restarted(reason: str) -> None:
        instruments.worker_restarts.add(1, {"reason": reason})
        stuck = reason == "stuck"
        log.event(
            names.EventName.WORKER_STUCK if stuck else names.EventName.WORKER_RESTARTED,
            level="ERROR",
            error_type=ErrorType.WORKER_STUCK if stuck else ErrorType.WORKER_DIED,
        )

    def breaker_changed(state: BreakerState) -> None:
        opened = state is BreakerState.OPEN
        log.event(names.EventName.BREAKER_OPENED if opened else names.EventName.BREAKER_CLOSED, level="ERROR" if opened else "INFO")

    def fatal(reason: str, code: int) -> None:
        log.event(names.EventName.PROCESS_FAILED, level="CRITICAL", error_type=_FATAL_CAUSES.get(code, ErrorType.INTERNAL))
        on_fatal(reason, code)

    pipeline = InferencePipeline(
        model,
        recording.recorder,
        settings=settings,
        hasher=recording.hasher,
        clock=recording.clock,
        gpu_facts=recording.gpu_facts,
        capture=settings.capture_text != "off",
        on_fatal=fatal,
        on_restart=restarted,
        on_breaker=breaker_changed,
    )
    observe_value(recording.meter, names.QUEUE_LENGTH, lambda: pipeline.depth)
    observe_value(recording.meter, names.BREAKER_STATE, lambda: _BREAKER_VALUES[pipeline.breaker_state])
    info = model.info
    observe_model(recording.meter, name=info.name, version=info.version, device=info.device)
    log.event(names.EventName.MODEL_LOADED, function=f"{info.name}@{info.version}")
    store, http = _request_store(recording)
    return Runtime(settings=settings, recording=recording, model=model, pipeline=pipeline, request_store=store, http=http)


def _request_store(recording: Recording) -> tuple[RequestStore, httpx.AsyncClient | None]:
    """The embedded store, with the stack beside it when the settings name one, and the client it is asked with."""
    settings, service = recording.settings, recording.telemetry.service
    embedded = SqliteRequestStore(database(settings.data_dir), service=service)
    if not stack_wanted(settings):
        return embedded, None
    http = stack_client()
    return LayeredRequestStore(embedded, StackRequestStore.of(settings, http, service=service)), http


@asynccontextmanager
async def open_runtime(settings: Settings, command: str, **options: Any) -> AsyncIterator[Runtime]:
    """Build and start a runtime, and take it down again; for programs that are not the server.

    Raises:
        StartupError: says which setting and how to mend it.
    """
    runtime = build(settings, command=command, **options)
    try:
        await runtime.start()
        yield runtime
    finally:
        try:
            await runtime.stop(settings.shutdown_grace)
        finally:
            runtime.recording.close(settings.shutdown_grace)


def drilled(model: Model, settings: Settings) -> Model:
    """The model, open to drills where the settings let them disturb this box."""
    if settings.drills != "on":
        return model
    from service.model.drilled import DrilledModel

    return DrilledModel(model, FaultFile(settings.data_dir / FILE, clock=time.time))


def load(settings: ModelSettings) -> Model:
    """Load the model the settings name.

    Raises:
        ModelLoadError: names the setting, the file and the fix.
    """
    if settings.model == FAKE:
        from service.model.fake import FakeModel

        return FakeModel()
    from service.model.transformer import embedded_model_directory, load_model

    directory = embedded_model_directory() if settings.model == EMBEDDED else Path(settings.model).expanduser()
    try:
        return load_model(directory, device=settings.device, threads=settings.threads or max(1, (os.cpu_count() or 1) - 1))
    except ModelLoadError as error:
        raise ModelLoadError(f"MGEO_MODEL = {settings.model}: {error}") from error
