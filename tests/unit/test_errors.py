"""The error tree: the closed list of error types, and what each class carries."""

from __future__ import annotations

import pytest

from service import errors
from service.errors import ErrorType, InferenceRefused, InvalidInput, InvalidQuery, Outcome, ServiceError

OUTCOME_OF = {
    "malformed_json": "invalid",
    "body_too_large": "invalid",
    "unsupported_media_type": "invalid",
    "missing_field": "invalid",
    "wrong_type": "invalid",
    "empty_address": "invalid",
    "address_too_long": "invalid",
    "invalid_text": "invalid",
    "too_many_pairs": "invalid",
    "invalid_header": "invalid",
    "queue_full": "overloaded",
    "breaker_open": "overloaded",
    "not_ready": "overloaded",
    "shutting_down": "overloaded",
    "deadline_exceeded": "timeout",
    "client_disconnected": "cancelled",
    "caller_cancelled": "cancelled",
    "model_failed": "error",
    "invalid_output": "error",
    "device_failed": "error",
    "worker_stuck": "error",
    "worker_died": "error",
    "function_failed": "error",
    "process_died": "error",
    "internal": "error",
}

PARENT_OF = {
    "InferenceRefused": "ServiceError",
    "InvalidInput": "InferenceRefused",
    "Overloaded": "InferenceRefused",
    "DeadlineExceeded": "InferenceRefused",
    "ClientDisconnected": "InferenceRefused",
    "ModelError": "InferenceRefused",
    "ModelPoisoned": "ModelError",
    "Unauthorized": "ServiceError",
    "RequestNotFound": "ServiceError",
    "InvalidQuery": "ServiceError",
    "StoreError": "ServiceError",
    "BackendFailed": "StoreError",
    "GpuUnavailable": "ServiceError",
    "StartupError": "ServiceError",
    "SettingsError": "StartupError",
    "ModelLoadError": "StartupError",
    "ProgramUnavailable": "StartupError",
}


def test_the_outcomes_are_a_closed_set() -> None:
    """Dashboards, alerts and the ledger know these six and no other."""
    assert [outcome.value for outcome in Outcome] == ["success", "invalid", "overloaded", "timeout", "cancelled", "error"]


def test_every_error_type_belongs_to_one_outcome() -> None:
    """The table is complete: nothing here that is not in the code, and the other way round."""
    assert {error.value: error.outcome.value for error in ErrorType} == OUTCOME_OF


def test_no_error_type_stands_for_success() -> None:
    """Success has no error type, and every other outcome has one at least."""
    assert {error.outcome for error in ErrorType} == set(Outcome) - {Outcome.SUCCESS}


def test_every_error_type_has_a_fixed_text_of_its_own() -> None:
    """One short English line, without a place to put a value in."""
    messages = [error.message for error in ErrorType]

    assert len(set(messages)) == len(messages)
    assert [message for message in messages if not message.isascii() or "%" in message or "{" in message or message.endswith(".")] == []


def test_an_error_type_is_its_value_as_text() -> None:
    """It can be written to JSON, compared with text, and found by its value."""
    assert ErrorType.QUEUE_FULL == "queue_full"
    assert f"{ErrorType.QUEUE_FULL}" == "queue_full"
    assert ErrorType("queue_full") is ErrorType.QUEUE_FULL


def test_an_unknown_error_type_is_refused() -> None:
    """The list is closed."""
    with pytest.raises(ValueError, match="'gremlins' is not a valid ErrorType"):
        ErrorType("gremlins")


def test_the_tree_is_as_it_is_drawn() -> None:
    """Every class of the module hangs where the drawing says, and the drawing names every class."""
    classes = {name: value for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}

    assert {name: value.__base__.__name__ for name, value in classes.items() if value is not ServiceError} == PARENT_OF
    assert [name for name in classes if f" {name} " not in f"{errors.__doc__}".replace("\n", " \n")] == []


@pytest.mark.parametrize(
    ("name", "retryable"),
    [
        ("InferenceRefused", False),
        ("InvalidInput", False),
        ("ClientDisconnected", False),
        ("Overloaded", True),
        ("DeadlineExceeded", True),
        ("ModelError", True),
        ("ModelPoisoned", True),
    ],
)
def test_a_refusal_says_whether_a_retry_helps(name: str, retryable: bool) -> None:
    """Whoever was refused for his own fault, or has gone, need not come again."""
    assert getattr(errors, name).retryable is retryable


def test_a_refusal_without_detail_has_the_fixed_text() -> None:
    """The caller is always told something."""
    refusal = InferenceRefused(ErrorType.QUEUE_FULL, retry_after=1.5)

    assert (str(refusal), refusal.detail, refusal.error_type, refusal.retry_after) == (
        "the inference queue is full",
        "the inference queue is full",
        ErrorType.QUEUE_FULL,
        1.5,
    )


def test_a_refusal_with_detail_tells_it() -> None:
    """The detail takes the place of the fixed text, which stays with the error type."""
    refusal = InferenceRefused(ErrorType.QUEUE_FULL, "1024 inferences wait")

    assert (str(refusal), refusal.detail, refusal.error_type.message) == (
        "1024 inferences wait",
        "1024 inferences wait",
        "the inference queue is full",
    )
    assert refusal.retry_after is None


def test_invalid_input_names_the_field() -> None:
    """The problem document can point at it."""
    assert InvalidInput(ErrorType.MISSING_FIELD, field="address2").field == "address2"
    assert InvalidInput(ErrorType.MALFORMED_JSON).field is None


def test_an_invalid_query_names_its_parameter() -> None:
    """Which one, and what is wrong with it."""
    error = InvalidQuery("since", "since is not a time")

    assert (error.parameter, error.detail, str(error)) == ("since", "since is not a time", "since is not a time")


def test_an_unreadable_gpu_says_why_and_what_mends_it() -> None:
    """The doctor prints both."""
    error = errors.GpuUnavailable("the driver is not loaded", "load it")

    assert (str(error), error.reason, error.fix) == ("the driver is not loaded", "the driver is not loaded", "load it")


def test_a_failed_start_ends_with_the_exit_code_of_a_wrong_configuration() -> None:
    """A supervisor can tell it from a crash: EX_CONFIG of sysexits.h."""
    assert {cls.exit_code for cls in (errors.StartupError, errors.SettingsError, errors.ModelLoadError)} == {78}
