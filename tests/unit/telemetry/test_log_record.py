"""The log line of an inference and of anything else."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from service.errors import ErrorType, Outcome
from service.telemetry.event import AddressFacts, Answer, CapturedText, ExceptionFacts
from service.telemetry.log_record import LEVELS, encode, inference_record, plain_record, timestamp
from service.telemetry.names import LOG_FIELDS, EventName
from tests.inference_events import refused, success


def test_an_inference_that_succeeded_leaves_every_field_in_the_documented_order() -> None:
    """The whole line, literally."""
    assert list(inference_record(success(), service="mgeo", instance="one").items()) == [
        ("timestamp", "2026-11-21T09:08:07.654321Z"),
        ("level", "INFO"),
        ("event", "mgeo.inference"),
        ("service", "mgeo"),
        ("instance", "one"),
        ("request_id", "0193f2a0-0000-7000-8000-000000000001"),
        ("trace_id", "fa9027392d823649ffb11446bf5c93a0"),
        ("span_id", "00f067aa0ba902b7"),
        ("function", "match"),
        ("status", "success"),
        ("latency_ms", 12.5),
        ("output_length", 11),
        ("error_type", None),
        ("error_message", None),
        ("address1_length", 17),
        ("address2_length", 19),
        ("address1_hash", "0123456789abcdef0123456789abcdef"),
        ("address2_hash", "fedcba9876543210fedcba9876543210"),
        ("truncated", False),
        ("batch_id", "0193f2a0-0000-7000-8000-00000000ba7c"),
        ("batch_size", 2),
        ("queue_ms", 1.234),
        ("inference_ms", 8.766),
        ("model", "mgeo-embedded@1.0"),
        ("label", "exact_match"),
        ("similarity", 0.9375),
    ]


def test_what_is_unknown_is_null_and_not_left_out() -> None:
    """A request refused at the door has all fields, most of them null."""
    record = inference_record(refused(ErrorType.QUEUE_FULL), service="mgeo", instance="one")
    assert [field.name for field in LOG_FIELDS] == list(record)
    assert {name: value for name, value in record.items() if value is not None} == {
        "timestamp": "2026-11-21T09:08:07.654321Z",
        "level": "WARNING",
        "event": "mgeo.inference",
        "service": "mgeo",
        "instance": "one",
        "request_id": "0193f2a0-0000-7000-8000-000000000002",
        "trace_id": "8b42e0365ca541e1594c0053760cceb3",
        "span_id": "53995c3f42cd8ad8",
        "function": "match",
        "status": "overloaded",
        "latency_ms": 1.5,
        "error_type": "queue_full",
        "error_message": "the inference queue is full",
    }


@pytest.mark.parametrize(
    ("error_type", "status", "level"),
    [
        (ErrorType.EMPTY_ADDRESS, "invalid", "INFO"),
        (ErrorType.BREAKER_OPEN, "overloaded", "WARNING"),
        (ErrorType.DEADLINE_EXCEEDED, "timeout", "WARNING"),
        (ErrorType.CLIENT_DISCONNECTED, "cancelled", "INFO"),
        (ErrorType.MODEL_FAILED, "error", "ERROR"),
    ],
)
def test_the_level_follows_from_the_outcome(error_type: ErrorType, status: str, level: str) -> None:
    """One closed table, the same for spans and HTTP."""
    record = inference_record(refused(error_type), service="mgeo", instance="one")
    assert (record["status"], record["level"]) == (status, level)


@pytest.mark.parametrize("error_type", ErrorType)
def test_the_message_is_the_fixed_one_and_never_that_of_an_exception(error_type: ErrorType) -> None:
    """An exception may quote an address; neither its type nor its frames stand in the line either."""
    event = refused(error_type, exception=ExceptionFacts(type="ValueError", frames=("model.py:1 西湖",)))
    record = inference_record(event, service="mgeo", instance="one")
    assert record["error_message"] == error_type.message
    assert "西湖" not in str(record)
    assert "ValueError" not in str(record)


@pytest.mark.parametrize(
    ("unix_ns", "shown"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (1_795_252_087_999_999_999, "2026-11-21T09:08:07.999999Z"),
        (1_772_323_200_000_000_000, "2026-03-01T00:00:00.000000Z"),
    ],
)
def test_a_timestamp_is_cut_to_microseconds_in_utc(unix_ns: int, shown: str) -> None:
    """Rounding up could put a line into the next second, or the next day."""
    assert timestamp(unix_ns) == shown


def test_milliseconds_have_three_decimals() -> None:
    """Microseconds are what the clocks are good for."""
    assert inference_record(success(duration=0.0123456789), service="mgeo", instance="one")["latency_ms"] == 12.346


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_json_does_not_know_becomes_null(number: float) -> None:
    """A model that answers NaN does not break the log for whoever reads it."""
    answer = Answer(label="exact_match", similarity=number, not_match=number, partial_match=number, exact_match=number)
    record = inference_record(success(answer=answer, duration=number), service="mgeo", instance="one")
    assert (record["similarity"], record["latency_ms"]) == (None, None)
    assert json.loads(encode(record))["similarity"] is None


def test_an_address_that_was_never_cleaned_has_a_length_and_no_hash() -> None:
    """The length is of what came in, the hash of what came out of cleaning."""
    record = inference_record(success(address1=AddressFacts(length=5)), service="mgeo", instance="one")
    assert (record["address1_length"], record["address1_hash"], record["address2_length"]) == (5, None, 19)


def test_another_event_has_the_same_fields_with_those_of_an_inference_null() -> None:
    """One schema for the whole file."""
    record = plain_record(
        EventName.WORKER_STUCK,
        level="ERROR",
        now_unix_ns=1_795_252_087_000_001_999,
        function="worker",
        error_type=ErrorType.WORKER_STUCK,
        service="mgeo",
        instance="one",
    )
    assert list(record) == [field.name for field in LOG_FIELDS]
    assert {name: value for name, value in record.items() if value is not None} == {
        "timestamp": "2026-11-21T09:08:07.000001Z",
        "level": "ERROR",
        "event": "mgeo.worker.stuck",
        "service": "mgeo",
        "instance": "one",
        "function": "worker",
        "error_type": "worker_stuck",
        "error_message": "the model worker was stuck and has been abandoned",
    }


def test_an_error_type_is_not_needed() -> None:
    """Most other events are no errors."""
    record = plain_record(EventName.SERVICE_STARTED, level="INFO", now_unix_ns=0, service="mgeo", instance="one")
    assert (record["error_type"], record["error_message"], record["function"]) == (None, None, None)


def test_a_line_is_compact_utf8_json_with_one_line_end() -> None:
    """Chinese text stays readable, and line ends inside values are escaped."""
    assert encode({"function": "匹配\n", "truncated": None}) == '{"function":"匹配\\n","truncated":null}\n'.encode()


def test_a_lone_surrogate_becomes_the_replacement_character() -> None:
    """UTF-8 has no form for it, and half the JSON parsers refuse its escape."""
    assert encode({"function": "a\ud800\udfffb"}) == '{"function":"a\ufffd\ufffdb"}\n'.encode()


@pytest.mark.parametrize(("value", "error"), [(float("nan"), ValueError), (b"bytes", TypeError)])
def test_what_json_cannot_say_is_refused(value: object, error: type[Exception]) -> None:
    """No line that a strict parser would refuse is ever written."""
    with pytest.raises(error):
        encode({"function": value})


def test_captured_text_is_in_no_record() -> None:
    """Whatever capture_text says, the log has no addresses."""
    event = replace(success(), text=CapturedText("杭州市西湖区", "西湖区"))
    assert "西湖" not in encode(inference_record(event, service="mgeo", instance="one")).decode()


def test_every_outcome_has_a_level() -> None:
    """A new outcome cannot be forgotten here."""
    assert set(LEVELS) == set(Outcome)
