"""Fetches a file by HTTP: bounded in size and time, and used only when its checksum is the known one."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING

from cli.duration import duration_text
from cli.stack.program import PassedOver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import httpx

CONNECT_TIMEOUT = 10.0
READ_TIMEOUT = 60.0
TOTAL_TIMEOUT = 1800.0
MAX_BYTES = 1 << 30
SAY_INTERVAL = 5.0
MAX_TEXT_BYTES = 1 << 20


def fetch(
    url: str,
    path: Path,
    checksum: str,
    *,
    say: Callable[[str], None],
    max_bytes: int = MAX_BYTES,
    total_timeout: float = TOTAL_TIMEOUT,
    monotonic: Callable[[], float] = time.monotonic,
) -> None:
    """Write what stands at `url` to `path`; `checksum` is `sha256:HEX` or `sha512:HEX`.

    Raises:
        PassedOver: it cannot be had, is longer than `max_bytes`, takes longer than `total_timeout` seconds, or has another
            checksum.
    """
    algorithm, _, expected = checksum.partition(":")
    digest = hashlib.new(algorithm)
    started = said = monotonic()
    received = 0
    with path.open("xb") as file:
        for chunk, total in _chunks(url):
            received += len(chunk)
            if max(received, total) > max_bytes:
                raise PassedOver(f"{url} is longer than {max_bytes:,} bytes")
            digest.update(chunk)
            file.write(chunk)
            now = monotonic()
            if now - started > total_timeout:
                raise PassedOver(f"{url} did not arrive within {duration_text(total_timeout)}")
            if now - said >= SAY_INTERVAL:
                said = now
                of = f" of {total / 1e6:.0f}" if total else ""
                say(f"{received / 1e6:.0f}{of} MB after {duration_text(now - started)}")
    if digest.hexdigest() != expected:
        raise PassedOver(f"{url} has the {algorithm} sum {digest.hexdigest()} and not {expected}, so nothing of it is used")


def fetch_text(url: str, *, max_bytes: int = MAX_TEXT_BYTES) -> str:
    """A short text, such as a list of checksums; by HTTPS, or from this machine.

    Raises:
        PassedOver: it cannot be had that way, or is longer than `max_bytes`.
    """
    received = b""
    for chunk, _ in _chunks(url, trusted=True):
        received += chunk
        if len(received) > max_bytes:
            raise PassedOver(f"{url} is longer than {max_bytes:,} bytes")
    return received.decode(errors="replace")


def _chunks(url: str, *, trusted: bool = False) -> Iterator[tuple[bytes, int]]:
    """The content piece by piece, each with the length that was announced, or 0."""
    import httpx

    hooks = {"request": [_refuse_plain]} if trusted else {}
    timeout = httpx.Timeout(READ_TIMEOUT, connect=CONNECT_TIMEOUT)
    try:
        with (
            httpx.Client(follow_redirects=True, timeout=timeout, event_hooks=hooks) as client,
            client.stream("GET", url, headers={"Accept-Encoding": "identity"}) as response,
        ):
            if response.status_code != httpx.codes.OK:
                raise PassedOver(f"{url} answers with status {response.status_code}")
            total = int(response.headers.get("Content-Length", 0))
            for chunk in response.iter_bytes():
                yield chunk, total
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise PassedOver(f"{url} cannot be had ({str(error) or type(error).__name__})") from error


def _refuse_plain(request: httpx.Request) -> None:
    if request.url.scheme != "https" and request.url.host not in {"127.0.0.1", "localhost", "::1"}:
        raise PassedOver(f"{request.url} is not HTTPS, so its checksums prove nothing")
