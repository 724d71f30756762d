"""Takes named files out of a tar or zip archive. No name in an archive ever becomes a path, and no link is followed."""

from __future__ import annotations

import tarfile
import zipfile
import zlib
from lzma import LZMAError
from typing import IO, TYPE_CHECKING

from cli.stack.program import PassedOver

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

MAX_FILE_BYTES = 1 << 30
_CHUNK = 1 << 20
BROKEN = (tarfile.TarError, zipfile.BadZipFile, zlib.error, LZMAError, EOFError, OSError, NotImplementedError)
"""What the libraries raise for an archive that is cut off, damaged or none at all."""


def extract(archive: Path, members: Mapping[str, Path], *, max_bytes: int = MAX_FILE_BYTES) -> None:
    """Write each member, by its exact name in the archive, to its path, as an executable.

    Raises:
        PassedOver: a member is missing, no plain file, or longer than `max_bytes`; or the archive is broken.
    """
    try:
        if zipfile.is_zipfile(archive):
            _extract_zip(archive, members, max_bytes)
        else:
            _extract_tar(archive, members, max_bytes)
    except BROKEN as error:
        raise PassedOver(f"{archive.name} is no whole archive ({str(error) or type(error).__name__})") from error


def write_executable(source: IO[bytes], path: Path, max_bytes: int, *, on_chunk: Callable[[bytes], object] = len) -> None:
    """Copy a stream into a new executable file; `on_chunk` sees every piece.

    Raises:
        PassedOver: there is more of it than `max_bytes`.
    """
    written = 0
    with path.open("xb") as target:
        while chunk := source.read(_CHUNK):
            written += len(chunk)
            if written > max_bytes:
                raise PassedOver(f"{path.name} is longer than {max_bytes:,} bytes")
            on_chunk(chunk)
            target.write(chunk)
    path.chmod(0o755)


def _extract_tar(archive: Path, members: Mapping[str, Path], max_bytes: int) -> None:
    missing = dict(members)
    with tarfile.open(archive, "r:*") as tar:
        for member in tar:
            path = missing.pop(member.name.removeprefix("./"), None)
            if path is None:
                continue
            source = tar.extractfile(member) if member.isreg() else None
            if source is None:
                raise PassedOver(f"{member.name} in {archive.name} is not a plain file")
            write_executable(source, path, max_bytes)
            if not missing:
                return
    raise PassedOver(f"{archive.name} has no {', no '.join(missing)}")


def _extract_zip(archive: Path, members: Mapping[str, Path], max_bytes: int) -> None:
    with zipfile.ZipFile(archive) as file:
        for name, path in members.items():
            try:
                information = file.getinfo(name)
            except KeyError:
                raise PassedOver(f"{archive.name} has no {name}") from None
            kind = information.external_attr >> 16 & 0o170000
            if information.is_dir() or kind not in {0, 0o100000}:
                raise PassedOver(f"{name} in {archive.name} is not a plain file")
            with file.open(information) as source:
                write_executable(source, path, max_bytes)
