"""The errors of the service, drawn as a tree.

::

    ServiceError
    ├── InferenceRefused               an inference that got no answer; ends its event
    │   ├── InvalidInput               the caller's fault; the same request fails again
    │   ├── Overloaded                 we cannot take it now; a retry after `retry_after` may succeed
    │   ├── DeadlineExceeded           no answer within the deadline
    │   ├── ClientDisconnected         nobody waits for the answer any more
    │   └── ModelError                 the model or its worker failed
    │       └── ModelPoisoned          the process can never use the device again
    ├── Unauthorized                   no API key, or a wrong one
    ├── RequestNotFound                nothing is known of this request_id
    ├── InvalidQuery                   a lookup or search that cannot be understood
    ├── StoreError                     a store of requests cannot be read or written
    │   └── BackendFailed              one store of the stack did not answer; says which and why
    ├── GpuUnavailable                 the GPUs cannot be read now; says why and what mends it
    └── StartupError                   the process cannot start; says which setting and which fix
        ├── SettingsError
        ├── ModelLoadError
        └── ProgramUnavailable     a program of the telemetry stack cannot be had; says what was tried

Every `InferenceRefused` carries an `ErrorType`, the closed list that stands in spans, metrics, logs and
answers. Nothing here knows HTTP: `service.api.problem` maps `ErrorType` to a status.

`detail` is for the caller of the API, who sent the text; it never enters telemetry, where the fixed
`ErrorType.message` stands instead, because details and exception messages may carry addresses.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class Outcome(StrEnum):
    """How an inference ended. Closed: dashboards, alerts and the ledger rely on it."""

    SUCCESS = "success"
    INVALID = "invalid"
    OVERLOADED = "overloaded"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    ERROR = "error"


class ErrorType(StrEnum):
    """Why an inference did not succeed. Closed; every value belongs to exactly one `Outcome`."""

    outcome: Outcome
    message: str

    def __new__(cls, value: str, outcome: Outcome, message: str) -> Self:
        """Give the member its outcome and its fixed English text."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.outcome = outcome
        member.message = message
        return member

    MALFORMED_JSON = "malformed_json", Outcome.INVALID, "the body is not valid JSON"
    BODY_TOO_LARGE = "body_too_large", Outcome.INVALID, "the body is over the size limit"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type", Outcome.INVALID, "the body is not application/json"
    MISSING_FIELD = "missing_field", Outcome.INVALID, "a required field is missing"
    WRONG_TYPE = "wrong_type", Outcome.INVALID, "a field has the wrong type"
    EMPTY_ADDRESS = "empty_address", Outcome.INVALID, "an address is empty after cleaning"
    ADDRESS_TOO_LONG = "address_too_long", Outcome.INVALID, "an address is over the length limit in strict mode"
    INVALID_TEXT = "invalid_text", Outcome.INVALID, "an address is not valid Unicode text"
    TOO_MANY_PAIRS = "too_many_pairs", Outcome.INVALID, "the batch has too many pairs"
    INVALID_HEADER = "invalid_header", Outcome.INVALID, "a request header cannot be understood"

    QUEUE_FULL = "queue_full", Outcome.OVERLOADED, "the inference queue is full"
    BREAKER_OPEN = "breaker_open", Outcome.OVERLOADED, "the circuit breaker is open because the model keeps failing"
    NOT_READY = "not_ready", Outcome.OVERLOADED, "the model is not ready yet"
    SHUTTING_DOWN = "shutting_down", Outcome.OVERLOADED, "the service is shutting down"

    DEADLINE_EXCEEDED = "deadline_exceeded", Outcome.TIMEOUT, "no answer within the deadline"

    CLIENT_DISCONNECTED = "client_disconnected", Outcome.CANCELLED, "the client closed the connection"
    CALLER_CANCELLED = "caller_cancelled", Outcome.CANCELLED, "the caller cancelled the call"

    MODEL_FAILED = "model_failed", Outcome.ERROR, "the model raised an exception"
    INVALID_OUTPUT = "invalid_output", Outcome.ERROR, "the model gave an answer that is not three probabilities"
    DEVICE_FAILED = "device_failed", Outcome.ERROR, "the accelerator failed and cannot be used by this process again"
    WORKER_STUCK = "worker_stuck", Outcome.ERROR, "the model worker was stuck and has been abandoned"
    WORKER_DIED = "worker_died", Outcome.ERROR, "the model worker died"
    FUNCTION_FAILED = "function_failed", Outcome.ERROR, "the monitored function raised an exception"
    PROCESS_DIED = "process_died", Outcome.ERROR, "the process died while the inference was open"
    INTERNAL = "internal", Outcome.ERROR, "an unexpected error in the service"


class ServiceError(Exception):
    """Base of everything this package raises on purpose."""


class InferenceRefused(ServiceError):
    """An inference ends without an answer.

    Attributes:
        error_type: the closed reason.
        detail: what the caller can do, for the API's answer only; may quote nothing but field names and numbers.
        retryable: whether the same request may succeed later.
        retry_after: seconds until a retry makes sense, where known.
    """

    retryable = False

    def __init__(self, error_type: ErrorType, detail: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(detail or error_type.message)
        self.error_type = error_type
        self.detail = detail or error_type.message
        self.retry_after = retry_after


class InvalidInput(InferenceRefused):
    """The request cannot be an inference; the caller must change it. `field` names the culprit, if one."""

    def __init__(self, error_type: ErrorType, detail: str = "", *, field: str | None = None) -> None:
        super().__init__(error_type, detail)
        self.field = field


class Overloaded(InferenceRefused):
    """The service refuses quickly rather than answer late."""

    retryable = True


class DeadlineExceeded(InferenceRefused):
    """The deadline passed before the answer; the work is given up."""

    retryable = True


class ClientDisconnected(InferenceRefused):
    """The caller closed the connection before the answer."""


class ModelError(InferenceRefused):
    """The model or its worker failed on this batch."""

    retryable = True


class ModelPoisoned(ModelError):
    """The device context of this process is beyond repair (a CUDA error); only a new process helps."""


class Unauthorized(ServiceError):
    """No API key, or one that is not in the key file."""


class RequestNotFound(ServiceError):
    """Nothing is known of this request_id: never seen, past retention, or not yet written."""


class InvalidQuery(ServiceError):
    """A search with a parameter that cannot be understood; `parameter` names it."""

    def __init__(self, parameter: str, detail: str) -> None:
        super().__init__(detail)
        self.parameter = parameter
        self.detail = detail


class StoreError(ServiceError):
    """A store of requests, embedded or of the stack, cannot be opened, read or written."""


class BackendFailed(StoreError):
    """Jaeger, Loki or Prometheus did not answer, or not with what was asked for; the message says which and why."""


class GpuUnavailable(ServiceError):
    """The GPUs cannot be read now. `reason` says why and `fix` what mends it, both without a full stop."""

    def __init__(self, reason: str, fix: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.fix = fix


class StartupError(ServiceError):
    """The process cannot start.

    Attributes:
        exit_code: what the process ends with, so that a supervisor can tell the causes apart.
    """

    exit_code = 78  # EX_CONFIG of sysexits.h: the configuration, not the program, is wrong


class SettingsError(StartupError):
    """One or more settings are wrong; the message has a line for each with the fix."""


class ModelLoadError(StartupError):
    """The model folder cannot be used; the message names the file and the fix."""


class ProgramUnavailable(StartupError):
    """A program of the telemetry stack cannot be had; the message names it, what was tried, each reason and the fix."""
