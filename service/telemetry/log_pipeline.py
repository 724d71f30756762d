"""Where a log record goes: counted, then to the log file by its own thread, and by OTLP when that is set up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from opentelemetry import trace
from opentelemetry._logs import SeverityNumber

from service.telemetry import names
from service.telemetry.log_record import plain_record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry._logs import LoggerProvider
    from opentelemetry.context import Context
    from opentelemetry.metrics import Counter

    from service.errors import ErrorType

_SEVERITY_NUMBERS = {
    "DEBUG": SeverityNumber.DEBUG,
    "INFO": SeverityNumber.INFO,
    "WARNING": SeverityNumber.WARN,
    "ERROR": SeverityNumber.ERROR,
    "CRITICAL": SeverityNumber.FATAL,
}
# In the OTLP record these have a place of their own: time, severity, body, resource, trace context.
_ELSEWHERE = frozenset({"timestamp", "level", "event", "service", "instance", "trace_id", "span_id"})


class RecordWriter(Protocol):
    """Takes records for a file; never blocks, never raises."""

    def write(self, record: dict[str, object]) -> None:
        """Queue one record."""
        ...


class LogPipeline:
    """The only way a record becomes a log line."""

    def __init__(
        self,
        *,
        writer: RecordWriter,
        provider: LoggerProvider,
        counter: Counter,
        service: str,
        instance: str,
        unix_ns: Callable[[], int],
        exporting: bool = True,
    ) -> None:
        self._writer = writer
        self._logger = provider.get_logger(names.SCOPE)
        self._counter = counter
        self._labels = {severity: {names.SEVERITY: severity} for severity in names.SEVERITIES}
        self._unix_ns = unix_ns
        self._exporting = exporting
        self.service = service
        self.instance = instance

    def emit(self, record: dict[str, object], *, unix_ns: int, context: Context | None = None, again: bool = False) -> None:
        """Count one record, queue it for the file, and hand it to the SDK under the span in `context`.

        With `again` it is handed to the SDK alone: a process counted and wrote it, and died before it was sent.
        """
        level = str(record["level"])
        if not again:
            self._counter.add(1, self._labels[level], context=context)
            self._writer.write(record)
        if self._exporting:
            self._logger.emit(
                timestamp=unix_ns,
                observed_timestamp=unix_ns,
                context=context if context is not None else trace.set_span_in_context(trace.INVALID_SPAN),
                severity_number=_SEVERITY_NUMBERS[level],
                severity_text=level,
                body=str(record["event"]),
                event_name=str(record["event"]),
                attributes=_attributes(record),
            )

    def library(self, record: dict[str, object]) -> None:
        """Log a record made from one of a library's."""
        self.emit(record, unix_ns=self._unix_ns())

    def event(
        self,
        name: names.EventName,
        *,
        level: str = "INFO",
        function: str | None = None,
        error_type: ErrorType | None = None,
    ) -> None:
        """Log something that is not an inference."""
        now = self._unix_ns()
        record = plain_record(
            name, level=level, now_unix_ns=now, function=function, error_type=error_type, service=self.service, instance=self.instance
        )
        self.emit(record, unix_ns=now)


def _attributes(record: Mapping[str, object]) -> dict[str, str | bool | int | float]:
    return {key: value for key, value in record.items() if key not in _ELSEWHERE and isinstance(value, str | bool | int | float)}
