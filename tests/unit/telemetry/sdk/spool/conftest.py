"""OTLP endpoints that answer as they are told, and the standard exporters whose connections lead to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from service.telemetry.sdk.exporters import otlp_exporter, otlp_transport
from tests.e2e.receiver import GrpcReceiver, Receiver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from service.telemetry.sdk.spool.transport import Transport


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., tuple[Any, Transport]]]:
    """A receiver, and the transport of a signal that leads to it by the standard variables."""
    opened: list[Any] = []

    def connect(kind: type[Receiver], signal: str = "traces", **options: Any) -> tuple[Any, Transport]:
        receiver = kind(**options)
        for name, value in receiver.variables.items():
            monkeypatch.setenv(name, value)
        transport = otlp_transport(signal, otlp_exporter(signal))
        opened.extend((transport, receiver))
        return receiver, transport

    yield connect
    for part in opened:
        part.close()


@pytest.fixture(params=[Receiver, GrpcReceiver], ids=["http", "grpc"])
def kind(request: pytest.FixtureRequest) -> type[Receiver]:
    """The kind of receiver, by protocol."""
    return request.param  # type: ignore[no-any-return]
