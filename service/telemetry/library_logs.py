"""Log records of libraries, without their text.

A message may quote what the library was given, and so an address. What remains is who complained, how badly and when:
enough to see that something is wrong and where to look; the text is printed by running with that logger on a terminal.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from service.telemetry.log_record import plain_record
from service.telemetry.names import EventName

if TYPE_CHECKING:
    from collections.abc import Callable


class LibraryLogHandler(logging.Handler):
    """Turns records from WARNING on into log lines.

    Args:
        write: takes the record for the log; must not raise.
        service: `service.name`.
        instance: `service.instance.id`.
    """

    def __init__(self, write: Callable[[dict[str, object]], None], *, service: str, instance: str) -> None:
        super().__init__(level=logging.WARNING)
        self._write = write
        self._service = service
        self._instance = instance

    def emit(self, record: logging.LogRecord) -> None:
        """Write logger, level and time; message, arguments and exception are left behind."""
        self._write(
            plain_record(
                EventName.LIBRARY,
                level=_level(record.levelno),
                now_unix_ns=int(record.created * 1e9),
                function=record.name,
                service=self._service,
                instance=self._instance,
            ),
        )


def _level(number: int) -> str:
    if number >= logging.CRITICAL:
        return "CRITICAL"
    return "ERROR" if number >= logging.ERROR else "WARNING"
