"""The whole service, started for a test on its own folder, with a clock moved by hand."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from opentelemetry.instrumentation._semconv import _OpenTelemetrySemanticConventionStability

from tests.telemetry.in_process import Running, running

HASH_KEY = b"0123456789abcdef0123456789abcdef"


@pytest.fixture(autouse=True)
def _stable_conventions(monkeypatch) -> None:
    """The switch is a variable of the process that the instrumentation reads once; each test begins as a new process would."""
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "")
    monkeypatch.setattr(_OpenTelemetrySemanticConventionStability, "_initialized", False)
    monkeypatch.setattr(_OpenTelemetrySemanticConventionStability, "_OTEL_SEMCONV_STABILITY_SIGNAL_MAPPING", {})


@pytest.fixture
async def start(tmp_path: Path, ticking) -> AsyncIterator[Callable[..., Awaitable[Running]]]:
    """Start the service with these settings; it is stopped after the test."""
    key = tmp_path / "key"
    key.write_bytes(HASH_KEY)
    async with AsyncExitStack() as stack:
        yield lambda **settings: stack.enter_async_context(
            running(tmp_path / "data", clock=ticking.as_clock(), hash_key_file=key, **settings)
        )


class Gate:
    """Holds the model until it is opened, and lets time pass while it does."""

    def __init__(self, tick: Callable[[float], None]) -> None:
        self.seconds = 0.25
        self.entered = threading.Event()
        self.opened = threading.Event()
        self._tick = tick

    def __call__(self) -> None:
        self._tick(self.seconds)
        self.entered.set()
        assert self.opened.wait(20)


@pytest.fixture
def gate(start, ticking) -> Iterator[Gate]:
    """A gate; open at the latest when the test ends, before the service is stopped."""
    gate = Gate(ticking.tick)
    yield gate
    gate.opened.set()
