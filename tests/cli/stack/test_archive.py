"""Only named plain files leave an archive."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile

import pytest

from cli.stack.archive import extract
from cli.stack.program import PassedOver
from tests.cli.stack.conftest import tar_of, zip_of


def written(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".archive"}


@pytest.mark.parametrize("make", [tar_of, lambda members: tar_of(members, mode="w:xz"), zip_of], ids=["tar.gz", "tar.xz", "zip"])
def test_a_named_file_becomes_an_executable(tmp_path, make):
    """Under the name that we give it; the rest stays in the archive."""
    archive = tmp_path / "a.archive"
    archive.write_bytes(make({"dir-1.0/README": b"read", "dir-1.0/program": b"run me", "dir-1.0/other": b"x"}))
    extract(archive, {"dir-1.0/program": tmp_path / "ours"})
    assert written(tmp_path) == {"ours": b"run me"}
    assert stat.S_IMODE((tmp_path / "ours").stat().st_mode) == 0o755


def test_a_leading_dot_in_a_tar_does_not_matter(tmp_path):
    """Some are made with `tar -C folder .`."""
    (tmp_path / "a.archive").write_bytes(tar_of({"./caddy": b"run"}))
    extract(tmp_path / "a.archive", {"caddy": tmp_path / "caddy"})
    assert written(tmp_path) == {"caddy": b"run"}


@pytest.mark.parametrize("make", [tar_of, zip_of])
def test_a_missing_member_is_named(tmp_path, make):
    """The archive is of another layout than ours says."""
    (tmp_path / "a.archive").write_bytes(make({"other": b"x"}))
    with pytest.raises(PassedOver, match=r"a\.archive has no caddy"):
        extract(tmp_path / "a.archive", {"caddy": tmp_path / "caddy"})


def tar_with(kind, target="/etc/passwd"):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        member = tarfile.TarInfo("caddy")
        member.type, member.linkname = kind, target
        tar.addfile(member)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_anything_but_a_plain_file_is_refused(tmp_path, kind):
    """Links, folders, devices and pipes, though they have the right name."""
    (tmp_path / "a.archive").write_bytes(tar_with(kind))
    with pytest.raises(PassedOver, match=r"caddy in a\.archive is not a plain file"):
        extract(tmp_path / "a.archive", {"caddy": tmp_path / "caddy"})
    assert written(tmp_path) == {}


def test_a_link_in_a_zip_is_refused(tmp_path):
    """A zip keeps the kind of a file in its attributes."""
    information = zipfile.ZipInfo("caddy")
    information.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.archive", "w") as file:
        file.writestr(information, "/etc/passwd")
    with pytest.raises(PassedOver, match=r"caddy in a\.archive is not a plain file"):
        extract(tmp_path / "a.archive", {"caddy": tmp_path / "caddy"})


@pytest.mark.parametrize("make", [tar_of, zip_of])
def test_a_file_that_is_too_long_is_refused(tmp_path, make):
    """Whatever the archive says of its length."""
    (tmp_path / "a.archive").write_bytes(make({"caddy": b"x" * 101}))
    with pytest.raises(PassedOver, match="caddy is longer than 100 bytes"):
        extract(tmp_path / "a.archive", {"caddy": tmp_path / "caddy"}, max_bytes=100)


def test_a_cut_off_archive_is_refused(tmp_path):
    """At every length."""
    whole = tar_of({"caddy": bytes(range(256)) * 50})
    for length in range(0, len(whole) - 8, 61):
        folder = tmp_path / str(length)
        folder.mkdir()
        (folder / "a.archive").write_bytes(whole[:length])
        with pytest.raises(PassedOver, match=r"a\.archive (is no whole archive|has no caddy)"):
            extract(folder / "a.archive", {"caddy": folder / "caddy"})
