"""One question to a process over HTTP: are you ready?"""

from __future__ import annotations

import http.client
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

TIMEOUT = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What to ask for, and which statuses mean yes."""

    url: str
    accepted: tuple[int, ...] = (200,)

    def ask(self, timeout: float = TIMEOUT) -> str | None:
        """None when the process is ready, else what it said instead."""
        parts = urlsplit(self.url)
        host, port = parts.hostname or "", parts.port
        if parts.scheme == "https":
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(host, port, timeout=timeout, context=_unverified())
        else:
            connection = http.client.HTTPConnection(host, port, timeout=timeout)
        try:
            connection.request("GET", parts.path or "/")
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            return f"{self.url} does not answer ({_reason(error)})"
        finally:
            connection.close()
        return None if status in self.accepted else f"{self.url} answers {status}"


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


def _unverified() -> ssl.SSLContext:
    # Our own gateway, asked by its address; its certificate is made out to its public name.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
