"""Pure: what the standard variables do to the promise that every inference has its span."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def sampling_notice(environ: Mapping[str, str]) -> str | None:
    """What `OTEL_TRACES_SAMPLER` or `OTEL_SDK_DISABLED` takes away, in words; None while every inference gets its span."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return "OTEL_SDK_DISABLED = true: there are no spans, nothing leaves by OTLP and /metrics is empty; log and store go on"
    sampler = environ.get("OTEL_TRACES_SAMPLER", "")
    if sampler in {"", "always_on"}:
        return None
    if sampler.endswith("traceidratio"):
        share = f"only {environ.get('OTEL_TRACES_SAMPLER_ARG') or '1.0'} of all traces are kept"
    elif sampler.endswith("always_off"):
        share = "no trace is kept"
    else:
        share = "a caller's traceparent decides whether a trace is kept"
    return f"OTEL_TRACES_SAMPLER = {sampler}: {share}, so traces no longer match metrics, log and store one to one"
