"""What a request brings: its body, bounded and parsed, and the deadline its caller asks for."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, NoReturn

from service.errors import ClientDisconnected, ErrorType, InvalidInput

if TYPE_CHECKING:
    from starlette.datastructures import Headers
    from starlette.types import Receive

TIMEOUT_HEADER = "X-Request-Timeout"


async def read_body(receive: Receive, headers: Headers, *, limit: int) -> bytes:
    """Read the whole body, holding at most `limit` bytes of it.

    Raises:
        InvalidInput: it is longer; told by Content-Length before anything is read, or by counting.
        ClientDisconnected: the caller went away before its end.
    """
    declared = headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:20]) > limit:
        raise _too_large(limit)
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnected(ErrorType.CLIENT_DISCONNECTED)
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def require_json(headers: Headers) -> None:
    """Accept `application/json`, any `+json`, and a missing content type, which many scripts send; nothing encoded.

    Raises:
        InvalidInput: the body is declared to be something else.
    """
    declared = headers.get("content-type")
    if declared is not None and not is_json(declared):
        detail = "Send the header Content-Type: application/json."
        raise InvalidInput(ErrorType.UNSUPPORTED_MEDIA_TYPE, detail, field="Content-Type")
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        detail = "Send the body as it is, without Content-Encoding."
        raise InvalidInput(ErrorType.UNSUPPORTED_MEDIA_TYPE, detail, field="Content-Encoding")


def is_json(content_type: str) -> bool:
    """Whether a media type says JSON."""
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type == "application/json" or (media_type.startswith("application/") and media_type.endswith("+json"))


def parse_json(body: bytes) -> object:
    """Parse strict JSON (RFC 8259): UTF-8 without a byte order mark, no NaN, no Infinity.

    Raises:
        InvalidInput: it is not; the detail tells where, and quotes nothing.
    """
    if not body.strip(b" \t\r\n"):
        raise _malformed("The body is empty; send a JSON object.")
    try:
        return _DECODER.decode(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise _malformed(f"The body is not UTF-8 (byte {error.start}); GBK and UTF-16 have to be converted before sending.") from None
    except json.JSONDecodeError as error:
        if body.startswith(b"\xef\xbb\xbf"):
            raise _malformed("The body begins with a byte order mark; leave it out.") from None
        raise _malformed(f"The body is not valid JSON from line {error.lineno}, column {error.colno} on.") from None
    except RecursionError:
        raise _malformed("The body is nested too deeply.") from None
    except ValueError:
        raise _malformed("The body has a number that JSON does not allow or that is too long.") from None


def request_timeout(headers: Headers) -> float | None:
    """The seconds of `X-Request-Timeout`; None without it.

    Raises:
        InvalidInput: it is not a positive finite decimal number.
    """
    text = headers.get(TIMEOUT_HEADER)
    if text is None:
        return None
    try:
        seconds = float(text) if text.isascii() and "_" not in text else math.nan
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds > 0):
        raise InvalidInput(
            ErrorType.INVALID_HEADER, f"{TIMEOUT_HEADER} is a positive number of seconds, such as 2.5.", field=TIMEOUT_HEADER
        )
    return seconds


def _too_large(limit: int) -> InvalidInput:
    return InvalidInput(ErrorType.BODY_TOO_LARGE, f"The body may have at most {limit} bytes.")


def _malformed(detail: str) -> InvalidInput:
    return InvalidInput(ErrorType.MALFORMED_JSON, detail)


def _no_constant(_name: str) -> NoReturn:
    raise ValueError


_DECODER = json.JSONDecoder(parse_constant=_no_constant)
