"""The OpenTelemetry SDK, set up once for a process: resource, sampler, ids, views, exporters.

The only part of telemetry that imports `opentelemetry.sdk`.
"""

from service.telemetry.sdk.exporters import otlp_over_http, otlp_wanted
from service.telemetry.sdk.id_generator import RequestIdGenerator
from service.telemetry.sdk.providers import Telemetry, setup
from service.telemetry.sdk.request_points import request_counts
from service.telemetry.sdk.spool import SpoolSettings
from service.telemetry.sdk.views import ZeroedHistogram

__all__ = [
    "RequestIdGenerator",
    "SpoolSettings",
    "Telemetry",
    "ZeroedHistogram",
    "otlp_over_http",
    "otlp_wanted",
    "request_counts",
    "setup",
]
