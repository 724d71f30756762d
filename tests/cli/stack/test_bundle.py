"""A bundle is used whole, unchanged and on its own platform, or not at all."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile

import pytest

from cli.stack.bundle import BundleSource, pack
from cli.stack.cache import ProgramCache
from cli.stack.program import PassedOver
from service.errors import ProgramUnavailable


@pytest.fixture
def cache(tmp_path):
    return ProgramCache(tmp_path / "cache")


@pytest.fixture
def bundle(tmp_path, said):
    """A bundle of two executables."""
    for name in ("caddy", "amtool"):
        (tmp_path / name).write_bytes(name.encode() * 1000)
    packed = pack(
        tmp_path / "b.tar.gz",
        [("caddy", "2.11.9", tmp_path / "caddy"), ("amtool", "0.31.1", tmp_path / "amtool")],
        say=said.append,
        platform="linux-amd64",
    )
    assert [(one.name, one.version, one.size) for one in packed] == [("caddy", "2.11.9", 5000), ("amtool", "0.31.1", 6000)]
    return tmp_path / "b.tar.gz"


def source(path, cache, said, platform="linux-amd64"):
    return BundleSource(path, cache, say=said.append, platform=platform)


def test_what_was_packed_comes_out_again(bundle, cache, said, tmp_path):
    """Executable, with its version; unpacked once."""
    path, version = source(bundle, cache, said).find("caddy")
    assert path.read_bytes() == b"caddy" * 1000
    assert path.stat().st_mode & 0o777 == 0o755
    assert version == (2, 11, 9)
    assert source(bundle, cache, said).find("amtool")[0].parent == path.parent
    assert said.count(f"unpacking {bundle}") == 1
    assert sorted(one.name for one in path.parent.iterdir()) == ["amtool", "caddy"]
    assert not list(tmp_path.glob("*.part"))


def test_what_is_not_in_it_is_passed_over(bundle, cache, said):
    """The next source is asked."""
    with pytest.raises(PassedOver, match=r"it is not in b\.tar\.gz"):
        source(bundle, cache, said).find("loki")


def test_a_bundle_of_another_platform_is_refused(bundle, cache, said):
    """Its executables could not run."""
    with pytest.raises(ProgramUnavailable, match="it was packed for linux-amd64, and this machine is linux-arm64"):
        source(bundle, cache, said, platform="linux-arm64").find("caddy")


def test_a_cut_off_bundle_is_refused(bundle, cache, said, tmp_path):
    """Wherever it ends; nothing of it stays."""
    whole = bundle.read_bytes()
    for length in range(0, len(whole) - 8, 37):
        bundle.write_bytes(whole[:length])
        with pytest.raises(
            ProgramUnavailable, match=r"the bundle .*b\.tar\.gz is not used: (it is cut off|it lacks|its first member|its manifest)"
        ):
            source(bundle, cache, said).find("caddy")
    assert [path.suffix for path in (tmp_path / "cache").glob("*/*") if path.suffix != ".lock"] == []


def test_a_missing_bundle_is_named(tmp_path, cache, said):
    """With what makes one."""
    with pytest.raises(
        ProgramUnavailable, match=r"none\.gz is not used: it cannot be read \(No such file or directory\); `mgeo stack pack"
    ):
        source(tmp_path / "none.gz", cache, said).find("caddy")


def forge(path, members, *, programs=None, manifest=None, **changes):
    """A bundle with these members, and a manifest that says what it is told to say."""
    described = {
        "format": 1,
        "platform": "linux-amd64",
        "programs": programs
        if programs is not None
        else [
            {"name": "caddy", "version": "2.11.9", "sha256": hashlib.sha256(b"true").hexdigest(), "size": 4},
        ],
    } | changes
    content = manifest if manifest is not None else json.dumps(described).encode()
    with tarfile.open(path, "w:gz") as tar:
        for name, data, kind in [("manifest.json", content, tarfile.REGTYPE), *members]:
            member = tarfile.TarInfo(name)
            member.type, member.size = kind, len(data) if kind == tarfile.REGTYPE else 0
            member.linkname = "/bin/sh"
            tar.addfile(member, io.BytesIO(data))


FILE = tarfile.REGTYPE


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ([("caddy", b"evil", FILE)], "caddy has not the checksum of its manifest.json: it was changed or damaged"),
        ([("caddy", b"longer", FILE)], "caddy is not a plain file of 4 bytes"),
        ([("caddy", b"", tarfile.SYMTYPE)], "caddy is not a plain file"),
        ([("caddy", b"", tarfile.LNKTYPE)], "caddy is not a plain file"),
        ([("caddy", b"true", FILE), ("caddy", b"evil", FILE)], "a member 'caddy' that its manifest.json does not name"),
        ([("caddy", b"true", FILE), ("../../evil", b"x", FILE)], "a member '../../evil' that its manifest.json does not name"),
        ([("/etc/evil", b"x", FILE)], "a member '/etc/evil'"),
        ([("caddy", b"true", FILE), ("manifest.json", b"{}", FILE)], "a member 'manifest.json' that"),
        ([], "it lacks caddy, which its manifest.json names"),
    ],
)
def test_a_changed_bundle_is_refused(tmp_path, cache, said, members, reason):
    """Content, kind, names that lead elsewhere, more or less than the manifest says; nothing is written."""
    forge(tmp_path / "b.tar.gz", members)
    with pytest.raises(ProgramUnavailable, match=reason):
        source(tmp_path / "b.tar.gz", cache, said).find("caddy")
    assert [path for path in (tmp_path / "cache").rglob("*") if path.suffix != ".lock"] == [tmp_path / "cache/unpacked"]


def described(**changes):
    return {"name": "caddy", "version": "2.11.9", "sha256": "0" * 64, "size": 4} | changes


@pytest.mark.parametrize(
    ("forged", "reason"),
    [
        ({"programs": [described(name="../caddy")]}, "cannot be understood"),
        ({"programs": [described(name="sh")]}, "cannot be understood"),
        ({"programs": [described(size=-1)]}, "cannot be understood"),
        ({"programs": [described(size="4")]}, "cannot be understood"),
        ({"programs": [described(size=1 << 40)]}, "cannot be understood"),
        ({"programs": [described(sha256="abc")]}, "cannot be understood"),
        ({"programs": [described(version="devel")]}, "cannot be understood"),
        ({"programs": [{}]}, "cannot be understood"),
        ({"programs": 7}, "cannot be understood"),
        ({"manifest": b"\xff"}, "cannot be understood"),
        ({"manifest": b"[]"}, "cannot be understood"),
        ({"programs": [described(), described()]}, "names an executable twice"),
        ({"format": 2}, "another format"),
        ({"manifest": b" " * ((1 << 20) + 1)}, "its first member is not manifest.json"),
    ],
)
def test_a_manifest_that_says_nonsense_is_refused(tmp_path, cache, said, forged, reason):
    """Before anything is unpacked."""
    forge(tmp_path / "b.tar.gz", [], **forged)
    with pytest.raises(ProgramUnavailable, match=reason):
        source(tmp_path / "b.tar.gz", cache, said).find("caddy")
    assert not (tmp_path / "cache").exists()


def test_some_other_archive_is_no_bundle(tmp_path, cache, said):
    """Its first member is something else."""
    with tarfile.open(tmp_path / "b.tar.gz", "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("README"))
    with pytest.raises(ProgramUnavailable, match=r"its first member is not manifest\.json"):
        source(tmp_path / "b.tar.gz", cache, said).find("caddy")


def test_what_changed_after_it_was_unpacked_is_refused(bundle, cache, said):
    """Every use proves the checksum anew."""
    path, _ = source(bundle, cache, said).find("caddy")
    path.write_bytes(b"evil")
    with pytest.raises(ProgramUnavailable, match=r"caddy is not what was unpacked there; remove .* and try again"):
        source(bundle, cache, said).find("caddy")


def test_a_bundle_that_cannot_be_written_is_said(tmp_path, said):
    """And no part of it stays."""
    with pytest.raises(ProgramUnavailable, match=r"absent/b\.tar\.gz cannot be written \(No such file or directory"):
        pack(tmp_path / "absent/b.tar.gz", [], say=said.append)
