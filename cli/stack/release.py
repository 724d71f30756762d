"""The official release archives: one file says where they are, what is in them and what their checksums are."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cli.stack.archive import extract
from cli.stack.download import fetch, fetch_text
from cli.stack.pin import STACK
from cli.stack.program import PassedOver, this_platform
from service.errors import ProgramUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from cli.stack.cache import ProgramCache
    from cli.stack.pin import Pin

KIND = "released"
RELEASES = STACK / "releases.toml"
ARCHITECTURES = ("amd64", "arm64")
_LENGTHS = {"sha256": 64, "sha512": 128}
_SUM_LINE = re.compile(r"^([0-9a-f]{64}|[0-9a-f]{128}) [ *]?(?:\./)?(\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """The official archive of a program for one platform.

    Attributes:
        checksum: `sha256:HEX` or `sha512:HEX`; None when it is not known, and then the archive is not used.
        checksums_url: the list of checksums that the project publishes.
        members: the name in the archive of each executable, by the executable's name.
    """

    url: str
    checksum: str | None
    checksums_url: str
    members: Mapping[str, str]

    @property
    def file_name(self) -> str:
        """The archive's name."""
        return self.url.rpartition("/")[2]


def read_release(pin: Pin, platform: str, releases: Path = RELEASES) -> Release:
    """The release of a program at its pinned version.

    Raises:
        PassedOver: the project publishes none for this platform.
        ProgramUnavailable: the file is not there or has no such entry.
    """
    system, _, arch = platform.partition("-")
    if system != "linux" or arch not in ARCHITECTURES:
        raise PassedOver(f"{releases.name} has no archives for {platform}")
    try:
        entry = tomllib.loads(releases.read_text(encoding="utf-8"))[pin.program.name]
        words = {"version": pin.version, "module_version": pin.module_version, "arch": arch}
        release = Release(
            url=entry["url"].format(**words),
            checksum=entry["sums"].get(sum_key(pin, arch)),
            checksums_url=entry["checksums"].format(**words),
            members={name: member.format(**words) for name, member in entry["members"].items()},
        )
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise ProgramUnavailable(f"{pin.program.name}: {releases} cannot be used ({error!r}); restore it from the repository") from error
    if release.checksum is not None and not _well_formed(release.checksum):
        raise ProgramUnavailable(f"{pin.program.name}: {releases} has the malformed checksum {release.checksum!r}; restore it")
    return release


def sum_key(pin: Pin, arch: str) -> str:
    """The name of a checksum: a sum belongs to one version, so that a new pin never meets an old one."""
    return f"{pin.version}-{arch}"


class ReleaseSource:
    """Downloads official releases into the cache.

    Args:
        mirror: put before every address; the checksums stay those of the file, so that a mirror need not be trusted.
    """

    def __init__(
        self,
        cache: ProgramCache,
        *,
        mirror: str | None,
        say: Callable[[str], None],
        platform: str | None = None,
        releases: Path = RELEASES,
    ) -> None:
        self._cache = cache
        self._mirror = mirror
        self._say = say
        self._platform = platform or this_platform()
        self._releases = releases

    def kept(self, pin: Pin) -> Path:
        """The folder of a release that was downloaded before.

        Raises:
            PassedOver: there is none.
        """
        release = self.announced(pin)
        folder = self._cache.find(KIND, self._entry(pin, release))
        if folder is None:
            raise PassedOver("not downloaded yet")
        return folder

    def announced(self, pin: Pin) -> Release:
        """The release that would be downloaded.

        Raises:
            PassedOver: there is none for this platform, or its checksum is not known.
        """
        release = read_release(pin, self._platform, self._releases)
        if release.checksum is None:
            raise PassedOver(
                f"the checksum of {release.file_name} is not in stack/{self._releases.name}; "
                "`mgeo stack checksums` adds it, on a machine that reaches the project's releases"
            )
        return release

    def download(self, pin: Pin) -> Path:
        """The folder of the release, downloaded if need be.

        Raises:
            PassedOver: it cannot be had, or is not what its checksum says.
        """
        release = self.announced(pin)
        checksum = release.checksum
        assert checksum is not None
        url = f"{self._mirror.rstrip('/')}/{release.url}" if self._mirror else release.url

        def fill(folder: Path) -> None:
            archive = folder / release.file_name
            self._say(f"{pin.program.name} {pin.version}: downloading {url}")
            fetch(url, archive, checksum, say=lambda far: self._say(f"{pin.program.name} {pin.version}: {far}"))
            extract(archive, {member: folder / name for name, member in release.members.items()})
            archive.unlink()

        return self._cache.make(KIND, self._entry(pin, release), fill, say=self._say)

    def _entry(self, pin: Pin, release: Release) -> str:
        assert release.checksum is not None
        return f"{pin.program.name}-{pin.version}-{release.checksum.partition(':')[2][:12]}"


def published_sums(pin: Pin, *, releases: Path = RELEASES) -> dict[str, str]:
    """The checksums that the project publishes for the pinned version, by their names in the file.

    Raises:
        PassedOver: the list cannot be had, or does not have an archive.
    """
    sums = {}
    lists: dict[str, dict[str, str]] = {}
    for arch in ARCHITECTURES:
        release = read_release(pin, f"linux-{arch}", releases)
        if release.checksums_url not in lists:
            lists[release.checksums_url] = {name: digest for digest, name in _SUM_LINE.findall(fetch_text(release.checksums_url))}
        digest = lists[release.checksums_url].get(release.file_name)
        if digest is None:
            raise PassedOver(f"{release.checksums_url} does not list {release.file_name}")
        algorithm = next(name for name, length in _LENGTHS.items() if length == len(digest))
        sums[sum_key(pin, arch)] = f"{algorithm}:{digest}"
    return sums


def write_sums(sums: Mapping[str, Mapping[str, str]], *, releases: Path = RELEASES) -> None:
    """Replace the checksums of each named program in the file; everything else of it stays as it is.

    Raises:
        ProgramUnavailable: the file has no place for them, or cannot be written.
    """
    text = releases.read_text(encoding="utf-8")
    for program, entries in sums.items():
        header = f"[{program}.sums]\n"
        before, found, after = text.partition(header)
        if not found:
            raise ProgramUnavailable(f"{program}: {releases} has no [{program}.sums]; restore it from the repository")
        rest = after.splitlines(keepends=True)
        while rest and rest[0].startswith('"'):
            rest.pop(0)
        text = before + header + "".join(_lines(entries)) + "".join(rest)
    try:
        releases.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ProgramUnavailable(f"{releases} cannot be written ({error.strerror}); run this in a checkout of your own") from error


def _lines(entries: Mapping[str, str]) -> Iterable[str]:
    return (f'"{name}" = "{checksum}"\n' for name, checksum in sorted(entries.items()))


def _well_formed(checksum: str) -> bool:
    algorithm, _, digest = checksum.partition(":")
    return re.fullmatch(r"[0-9a-f]+", digest) is not None and _LENGTHS.get(algorithm) == len(digest)
