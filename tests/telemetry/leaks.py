"""Finds an address in bytes, in whatever disguise an encoder may have given it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

ADDRESS = "浙江省杭州市余杭区文一西路969号翡翠苑"
OTHER = "广东省深圳市南山区科技园路1号琥珀阁"
# Parts that nothing else in the project contains.
PARTS = ("余杭区文一西路969号翡翠", "翡翠苑", "琥珀阁")


def disguises(text: str) -> Iterator[bytes]:
    """The bytes a text may appear as."""
    escaped = json.dumps(text)[1:-1]
    for form in (text, escaped, escaped.upper().replace("\\U", "\\u"), quote(text), quote(text).lower(), repr(text.encode())[2:-1]):
        yield form.encode()
    # UTF-8 read as Latin-1, as headers are, and written as UTF-8 or escaped again.
    yield text.encode().decode("latin-1").encode()
    yield json.dumps(text.encode().decode("latin-1"))[1:-1].encode()
    yield text.encode("gbk")
    yield text.encode("utf-16-le")


def leaks(content: bytes | str) -> list[str]:
    """The parts of the addresses that are in it."""
    haystack = content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content
    return [part for part in PARTS if any(form in haystack for form in disguises(part))]


def leaking_files(folder: Path) -> list[str]:
    """The files under a folder that contain a part of the addresses, compressed ones opened."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            if leaks(gzip.decompress(content) if path.suffix == ".gz" else content):
                found.append(str(path.relative_to(folder)))
    return found
