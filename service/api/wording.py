"""Outcomes and error types in words: what happened, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from service.errors import ErrorType, Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Words:
    """One error type: `meaning` follows "Failed: " and the like; `advice` is a sentence for caller and operator."""

    meaning: str
    advice: str


OUTCOMES: Mapping[Outcome, str] = MappingProxyType(
    {
        Outcome.SUCCESS: "Answered by the model",
        Outcome.INVALID: "Refused as invalid",
        Outcome.OVERLOADED: "Refused for now",
        Outcome.TIMEOUT: "Given up",
        Outcome.CANCELLED: "Given up",
        Outcome.ERROR: "Failed",
    }
)

ERRORS: Mapping[ErrorType, Words] = MappingProxyType(
    {
        ErrorType.MALFORMED_JSON: Words("the body was not valid JSON", "Send a JSON object encoded as UTF-8."),
        ErrorType.BODY_TOO_LARGE: Words("the body was over the size limit", "Send fewer or shorter pairs in one call."),
        ErrorType.UNSUPPORTED_MEDIA_TYPE: Words("the body was not declared as JSON", "Send the header Content-Type: application/json."),
        ErrorType.MISSING_FIELD: Words("a required field was missing", 'Send both fields: {"address1": "…", "address2": "…"}.'),
        ErrorType.WRONG_TYPE: Words("a field had the wrong type", "Send each address as a JSON string."),
        ErrorType.EMPTY_ADDRESS: Words(
            "nothing was left of an address after cleaning", "Send two addresses with at least one visible character each."
        ),
        ErrorType.ADDRESS_TOO_LONG: Words(
            "an address was over the length limit, which is strict here", "Shorten the address, or turn strict_length off."
        ),
        ErrorType.INVALID_TEXT: Words(
            "an address was not valid Unicode text", "Send whole characters; a surrogate escape needs its other half."
        ),
        ErrorType.TOO_MANY_PAIRS: Words("the batch had too many pairs", "Split the batch into several calls."),
        ErrorType.INVALID_HEADER: Words("a request header could not be understood", "Correct the header, or leave it out."),
        ErrorType.QUEUE_FULL: Words(
            "the inference queue was full", "Retry after the time in Retry-After; if it lasts, add capacity or send less."
        ),
        ErrorType.BREAKER_OPEN: Words(
            "the circuit breaker was open, since the model kept failing", "Retry later; look at the errors just before it for the cause."
        ),
        ErrorType.NOT_READY: Words("the model was not ready yet", "Retry when /readyz answers 200."),
        ErrorType.SHUTTING_DOWN: Words(
            "the service was shutting down", "Retry; another instance, or this one after its restart, will answer."
        ),
        ErrorType.DEADLINE_EXCEEDED: Words(
            "the deadline passed before there was an answer",
            "Retry, perhaps with a longer X-Request-Timeout; the stages show where the time went.",
        ),
        ErrorType.CLIENT_DISCONNECTED: Words(
            "the caller closed the connection before the answer", "If callers give up early, raise their timeout or look for slow stages."
        ),
        ErrorType.CALLER_CANCELLED: Words("the caller cancelled the call", "Nothing needs doing, unless callers give up for slow stages."),
        ErrorType.MODEL_FAILED: Words("the model raised an exception", "Retry once; the exception's type and frames say where it failed."),
        ErrorType.INVALID_OUTPUT: Words(
            "the model gave an answer that is not three probabilities", "Check the model's files; its numbers are not usable."
        ),
        ErrorType.DEVICE_FAILED: Words(
            "the accelerator failed",
            "This process cannot use the device again and ends itself; retry after its restart and check the device.",
        ),
        ErrorType.WORKER_STUCK: Words(
            "the model worker was stuck and has been abandoned", "Retry; if it comes again, look at the model and its device."
        ),
        ErrorType.WORKER_DIED: Words("the model worker died", "Retry; a new worker has taken over. Look at the log for why it died."),
        ErrorType.FUNCTION_FAILED: Words(
            "the monitored function raised an exception", "The exception's type and frames say where it failed."
        ),
        ErrorType.PROCESS_DIED: Words(
            "the process died while the inference was open", "Retry; look at the log and the system for why it died."
        ),
        ErrorType.INTERNAL: Words("an unexpected error in the service", "Retry; if it comes again, report it with its request_id."),
    }
)


def in_words(outcome: Outcome, error_type: ErrorType | None) -> str:
    """One sentence that says how an inference ended."""
    return f"{OUTCOMES[outcome]}." if error_type is None else f"{OUTCOMES[outcome]}: {ERRORS[error_type].meaning}."
