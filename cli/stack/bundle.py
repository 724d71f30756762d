"""One file with every program of the stack, for machines that can neither download nor build.

A gzipped tar: `manifest.json` first, then each executable under its own name. The manifest has the checksum of each; whoever
hands the file over vouches for the manifest.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from cli.stack.archive import BROKEN, MAX_FILE_BYTES, write_executable
from cli.stack.program import GRAFANA, PROGRAMS, PassedOver, Version, this_platform
from service.errors import ProgramUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from cli.stack.cache import ProgramCache

KIND = "unpacked"
MANIFEST = "manifest.json"
FORMAT = 1
MAX_MANIFEST_BYTES = 1 << 20
# Measured on Alertmanager, 31 MB: gzip -6 11.7 MB in 1.7 s, gzip -9 11.6 MB in 4.9 s, xz 8.6 MB in 22 s. zstd comes with Python 3.14.
COMPRESSION = 6
KNOWN = frozenset(binary.name for program in (*PROGRAMS.values(), GRAFANA) for binary in program.binaries)


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """One executable in a bundle."""

    name: str
    version: str
    sha256: str
    size: int


def pack(output: Path, files: Sequence[tuple[str, str, Path]], *, say: Callable[[str], None], platform: str | None = None) -> list[Packed]:
    """Write a bundle of (name, version, path) of executables; it appears when it is complete.

    Raises:
        ProgramUnavailable: it cannot be written, or an executable cannot be read.
    """
    part = output.with_name(f".{output.name}.part")
    try:
        packed = [Packed(name=name, version=version, sha256=file_sum(path), size=path.stat().st_size) for name, version, path in files]
        manifest = {
            "format": FORMAT,
            "platform": platform or this_platform(),
            "programs": [{"name": one.name, "version": one.version, "sha256": one.sha256, "size": one.size} for one in packed],
        }
        with tarfile.open(part, "w:gz", compresslevel=COMPRESSION) as tar:
            content = json.dumps(manifest, indent=1).encode()
            _add(tar, MANIFEST, len(content), 0o644, io.BytesIO(content))
            for (name, version, path), one in zip(files, packed, strict=True):
                say(f"packing {name} {version}, {one.size / 1e6:.0f} MB")
                with path.open("rb") as file:
                    _add(tar, name, one.size, 0o755, file)
        part.replace(output)
    except OSError as error:
        raise ProgramUnavailable(
            f"{output} cannot be written ({error.strerror or error}: {error.filename}); name a file in a folder with room"
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return packed


class BundleSource:
    """The programs of one bundle. Opened in full before anything of it is used, and unpacked once into the cache.

    Raises:
        ProgramUnavailable: by each method, when the file is not a whole bundle for this platform with what its manifest says.
    """

    def __init__(self, path: Path, cache: ProgramCache, *, say: Callable[[str], None], platform: str | None = None) -> None:
        self._path = path
        self._cache = cache
        self._say = say
        self._platform = platform or this_platform()

    def find(self, name: str) -> tuple[Path, Version]:
        """The executable of that name and its version, its checksum proved.

        Raises:
            PassedOver: it is not in the bundle.
        """
        content, packed = self._manifest()
        one = packed.get(name)
        if one is None:
            raise PassedOver(f"it is not in {self._path.name}")
        entry = hashlib.sha256(content).hexdigest()[:24]
        path = self._cache.make(KIND, entry, lambda folder: self._unpack(folder, packed), say=self._say) / name
        if not path.is_file() or file_sum(path) != one.sha256:
            raise ProgramUnavailable(f"{path} is not what was unpacked there; remove {path.parent} and try again")
        return path, Version.parse(one.version)

    def _manifest(self) -> tuple[bytes, dict[str, Packed]]:
        try:
            with tarfile.open(self._path, "r:gz") as tar:
                return self._read_manifest(tar)
        except BROKEN as error:
            raise self._refused(_reason(error)) from error

    def _read_manifest(self, tar: tarfile.TarFile) -> tuple[bytes, dict[str, Packed]]:
        first = tar.next()
        source = tar.extractfile(first) if first is not None and first.isreg() and first.name == MANIFEST else None
        if source is None or first is None or first.size > MAX_MANIFEST_BYTES:
            raise self._refused(f"its first member is not {MANIFEST}")
        content = source.read()
        try:
            manifest = json.loads(content)
            packed = [_packed(program) for program in manifest["programs"]]
            made_for, known = manifest["platform"], manifest["format"] == FORMAT
        except (ValueError, KeyError, TypeError) as error:
            raise self._refused(f"its {MANIFEST} cannot be understood") from error
        if not known:
            raise self._refused("it has another format; pack it with this version of mgeo")
        if made_for != self._platform:
            raise self._refused(f"it was packed for {made_for}, and this machine is {self._platform}")
        by_name = {one.name: one for one in packed}
        if len(by_name) != len(packed):
            raise self._refused(f"its {MANIFEST} names an executable twice")
        return content, by_name

    def _unpack(self, folder: Path, packed: dict[str, Packed]) -> None:
        self._say(f"unpacking {self._path}")
        missing = dict(packed)
        try:
            with tarfile.open(self._path, "r:gz") as tar:
                self._read_manifest(tar)
                for member in islice(tar, 1, None):
                    self._unpack_one(tar, member, folder, missing.pop(member.name, None))
        except BROKEN as error:
            raise self._refused(_reason(error)) from error
        if missing:
            raise self._refused(f"it lacks {', '.join(missing)}, which its {MANIFEST} names")

    def _unpack_one(self, tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path, one: Packed | None) -> None:
        if one is None:
            raise self._refused(f"it has a member {member.name!r} that its {MANIFEST} does not name")
        source = tar.extractfile(member) if member.isreg() else None
        if source is None or member.size != one.size:
            raise self._refused(f"{one.name} is not a plain file of {one.size:,} bytes")
        digest = hashlib.sha256()
        write_executable(source, folder / one.name, one.size, on_chunk=digest.update)
        if digest.hexdigest() != one.sha256:
            raise self._refused(f"{one.name} has not the checksum of its {MANIFEST}: it was changed or damaged")

    def _refused(self, reason: str) -> ProgramUnavailable:
        return ProgramUnavailable(f"the bundle {self._path} is not used: {reason}; `mgeo stack pack --output FILE` makes one")


def file_sum(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _packed(program: Any) -> Packed:  # JSON
    name, version, digest, size = (program[key] for key in ("name", "version", "sha256", "size"))
    # The names are a closed set, so that none can lead out of the folder.
    if name not in KNOWN or not isinstance(size, int) or not 0 <= size <= MAX_FILE_BYTES:
        raise ValueError(f"{name!r} is no program of the stack")
    if re.fullmatch(r"[0-9a-f]{64}", digest) is None:
        raise ValueError(f"{digest!r} is no checksum")
    Version.parse(version)
    return Packed(name=name, version=version, sha256=digest, size=size)


def _add(tar: tarfile.TarFile, name: str, size: int, mode: int, content: Any) -> None:  # any binary file
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, mode
    tar.addfile(member, content)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"it cannot be read ({error.strerror})"
    return f"it is cut off or no gzipped tar ({str(error) or type(error).__name__})"
