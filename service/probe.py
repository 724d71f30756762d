"""`python -m service.probe URL…`: asks each address once, and says by its exit code whether all of them answered.

For health checks in containers, also of neighbours whose images have no program that could ask: the standard library only,
so that it is done in a few hundredths of a second, and no proxy of the environment between.
"""

from __future__ import annotations

import http.client
import sys
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Sequence

TIMEOUT = 4.0
"""Seconds for one address; below the five that the health checks allow."""


def ailment(url: str, *, timeout: float = TIMEOUT) -> str:
    """Why the address is not well; empty when it answered with a status of 2xx within `timeout` seconds."""
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname is None:
        return f"{url}: is no http:// address"
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    try:
        connection.request("GET", parts.path or "/", headers={"Connection": "close"})
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"{url}: {str(error) or type(error).__name__}"
    finally:
        connection.close()
    return "" if 200 <= status < 300 else f"{url}: answered {status}"


def main(urls: Sequence[str]) -> int:
    """0 when every address answered, 1 when one did not, 2 when none was named; what is amiss goes to standard error."""
    if not urls:
        sys.stderr.write("usage: python -m service.probe URL...\n")
        return 2
    ailments = [found for url in urls if (found := ailment(url))]
    for found in ailments:
        sys.stderr.write(f"{found}\n")
    return 1 if ailments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
