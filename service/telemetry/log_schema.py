"""The JSON Schema of the log line, made from the names table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.telemetry.names import LOG_FIELDS

if TYPE_CHECKING:
    from service.telemetry.names import LogField


def schema() -> dict[str, object]:
    """JSON Schema 2020-12 of one line: every field is there, no other is."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "One line of the inference log",
        "description": "Written by the service, its command line and the notifier. A field that does not apply is null.",
        "type": "object",
        "properties": {field.name: _property(field) for field in LOG_FIELDS},
        "required": [field.name for field in LOG_FIELDS],
        "additionalProperties": False,
    }


def _property(field: LogField) -> dict[str, object]:
    described: dict[str, object] = {
        "description": field.description,
        "type": field.types[0] if len(field.types) == 1 else list(field.types),
    }
    if field.values:
        described["enum"] = [*(str(value) for value in field.values), *([None] if "null" in field.types else [])]
    if field.minimum is not None:
        described["minimum"] = field.minimum
    if field.format is not None:
        described["format"] = field.format
    return described
