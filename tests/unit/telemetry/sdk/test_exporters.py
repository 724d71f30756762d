"""Which exporter the standard variables choose, and what its losses are."""

from __future__ import annotations

import pytest

from service.telemetry.sdk import otlp_over_http
from service.telemetry.sdk.exporters import (
    otlp_wanted,
)

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4317"}
SIGNALS = ("traces", "metrics", "logs")


def wanted(environ: dict[str, str]) -> list[str]:
    return [signal for signal in SIGNALS if otlp_wanted(signal, environ)]


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, []),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, []),
        (ENDPOINT, ["traces", "metrics", "logs"]),
        ({"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://collector:4317"}, ["logs"]),
        (ENDPOINT | {"OTEL_TRACES_EXPORTER": "none"}, ["metrics", "logs"]),
        (ENDPOINT | {"OTEL_METRICS_EXPORTER": "none"}, ["traces", "logs"]),
        (ENDPOINT | {"OTEL_LOGS_EXPORTER": "none"}, ["traces", "metrics"]),
        (ENDPOINT | {"OTEL_LOGS_EXPORTER": "console"}, ["traces", "metrics"]),
        (ENDPOINT | {"OTEL_LOGS_EXPORTER": "console, otlp"}, ["traces", "metrics", "logs"]),
        (ENDPOINT | {"OTEL_LOGS_EXPORTER": ""}, ["traces", "metrics", "logs"]),
        (ENDPOINT | {"OTEL_SDK_DISABLED": "TRUE "}, []),
        (ENDPOINT | {"OTEL_SDK_DISABLED": "false"}, ["traces", "metrics", "logs"]),
        (ENDPOINT | {"OTEL_SDK_DISABLED": ""}, ["traces", "metrics", "logs"]),
    ],
)
def test_signals_leave_when_an_endpoint_is_set_and_nothing_switches_them_off(environ: dict[str, str], expected: list[str]) -> None:
    """By the specification's variables; one that is empty counts as not set."""
    assert wanted(environ) == expected


@pytest.mark.parametrize(
    ("environ", "http"),
    [
        (ENDPOINT, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318/"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318/otlp"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:43180"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://[::1]:4318"}, True),
        (ENDPOINT | {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, True),
        (ENDPOINT | {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf"}, True),
        (ENDPOINT | {"OTEL_EXPORTER_OTLP_LOGS_PROTOCOL": "http/protobuf"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, False),
        (ENDPOINT | {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc"}, False),
        (ENDPOINT | {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, True),
        (ENDPOINT | {"OTEL_EXPORTER_OTLP_PROTOCOL": ""}, False),
    ],
)
def test_the_protocol_is_the_variables_or_that_of_the_port(environ: dict[str, str], http: bool) -> None:
    """For traces: their own variable, the common one, then port 4318 means HTTP, and gRPC is what remains."""
    assert otlp_over_http("traces", environ) is http
