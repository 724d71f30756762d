"""The documented schema of the log line."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import ErrorType
from service.telemetry.log_record import encode, inference_record, plain_record
from service.telemetry.log_schema import schema
from service.telemetry.names import SEVERITIES, EventName
from tests.inference_events import refused, success
from tests.strategies import events

COMMITTED = Path(__file__).parents[3] / "docs" / "log-schema.json"
VALIDATOR = jsonschema.Draft202012Validator(schema(), format_checker=jsonschema.FormatChecker())


def line(record: dict[str, object]) -> dict[str, object]:
    return json.loads(encode(record))


def test_the_committed_schema_is_the_one_made_from_the_names() -> None:
    """docs/log-schema.json never lags behind the code."""
    assert json.loads(COMMITTED.read_text(encoding="utf-8")) == schema()


def test_the_schema_is_itself_valid() -> None:
    """It is JSON Schema 2020-12."""
    jsonschema.Draft202012Validator.check_schema(schema())


def test_every_field_is_required_and_no_other_allowed() -> None:
    """A reader can rely on each field being there."""
    properties = schema()["properties"]
    assert schema()["required"] == list(properties)
    assert len(properties) == 26
    assert schema()["additionalProperties"] is False


@pytest.mark.parametrize(
    ("name", "described"),
    [
        ("level", {"type": "string", "enum": ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]}),
        ("label", {"type": ["string", "null"], "enum": ["not_match", "partial_match", "exact_match", None]}),
        ("batch_size", {"type": ["integer", "null"], "minimum": 1}),
        ("timestamp", {"type": "string", "format": "date-time"}),
    ],
)
def test_types_values_and_bounds_come_from_the_names_table(name: str, described: dict[str, object]) -> None:
    """Null is among the values of a field that may be null."""
    found = dict(schema()["properties"][name])
    assert found.pop("description")
    assert found == described


@pytest.mark.parametrize("error_type", [None, *ErrorType])
def test_the_record_of_every_outcome_is_valid(error_type: ErrorType | None) -> None:
    """Success and every error type."""
    event = success() if error_type is None else refused(error_type)
    VALIDATOR.validate(line(inference_record(event, service="mgeo", instance="one")))


@given(event=events())
def test_the_record_of_any_event_is_valid(event) -> None:
    """Odd names, missing facts and large numbers included."""
    VALIDATOR.validate(line(inference_record(event, service="mgeo", instance="one")))


@given(name=st.sampled_from(EventName), level=st.sampled_from(SEVERITIES), unix_ns=st.integers(0, 1 << 62), function=st.none() | st.text())
def test_the_record_of_any_other_event_is_valid(name: EventName, level: str, unix_ns: int, function: str | None) -> None:
    """Library names can be any text."""
    VALIDATOR.validate(line(plain_record(name, level=level, now_unix_ns=unix_ns, function=function, service="mgeo", instance="one")))


@pytest.mark.parametrize(
    "change",
    [{"status": "fine"}, {"latency_ms": -1}, {"level": None}, {"address1": "西湖"}, {"batch_size": 0}, {"error_type": "unheard_of"}],
)
def test_a_line_outside_the_schema_is_refused(change: dict[str, object]) -> None:
    """The schema is not so loose that anything passes."""
    record = line(inference_record(success(), service="mgeo", instance="one"))
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate({**record, **change})


def test_a_line_without_a_field_is_refused() -> None:
    """A missing field is not the same as null."""
    record = line(inference_record(success(), service="mgeo", instance="one"))
    del record["queue_ms"]
    with pytest.raises(jsonschema.ValidationError, match="'queue_ms' is a required property"):
        VALIDATOR.validate(record)
