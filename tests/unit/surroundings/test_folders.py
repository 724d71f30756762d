"""How full the file systems of the data folders are."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from service.surroundings.folders import FOLDERS, FolderUsage, drilled, read_folders
from tests.full_disk import small_disk


def told(*, block: int, blocks: int, free: int, available: int) -> os.statvfs_result:
    """What the operating system says of a file system, in blocks."""
    return os.statvfs_result((block * 8, block, blocks, free, available, 0, 0, 0, 0, 255))


def test_what_root_keeps_for_itself_is_not_there(tmp_path: Path) -> None:
    """Of 1000 blocks of 4096 bytes 300 are free, 250 of them for others: 700 are taken of 950."""
    seen = read_folders(tmp_path, lambda _path: told(block=4096, blocks=1000, free=300, available=250))

    assert seen["data"] == FolderUsage(usage_bytes=2_867_200, limit_bytes=3_891_200)


def test_the_data_folder_alone_is_there_without_a_stack(tmp_path: Path) -> None:
    """As with `mgeo serve` by itself; its file system is some real one."""
    (name,) = seen = read_folders(tmp_path)

    assert name == "data"
    assert 0 < seen["data"].usage_bytes <= seen["data"].limit_bytes


def test_each_program_of_the_stack_has_its_folder_once_it_has_run(tmp_path: Path) -> None:
    """Prometheus' configuration is written in every profile, so that its folder is there says nothing yet."""
    for below in ("stack/prometheus", "stack/loki", "stack/notifier", "stack/logs"):
        (tmp_path / below).mkdir(parents=True)
    assert set(read_folders(tmp_path)) == {"data", "loki", "notifier"}

    for below in ("stack/prometheus/data", "stack/jaeger", "stack/collector", "stack/alertmanager"):
        (tmp_path / below).mkdir()
    assert list(read_folders(tmp_path)) == ["data", "collector", "prometheus", "loki", "jaeger", "alertmanager", "notifier"]


def test_a_drill_fills_the_data_folders_disk_alone() -> None:
    """A part of its own limit, in whole bytes; the others, which may be on the same one, stay as they are."""
    found = {name: FolderUsage(usage_bytes=10, limit_bytes=1001) for name in ("data", "loki")}

    assert drilled(found, 0.97) == {
        "data": FolderUsage(usage_bytes=971, limit_bytes=1001),
        "loki": FolderUsage(usage_bytes=10, limit_bytes=1001),
    }
    assert drilled(found, 0.0)["data"].usage_bytes == 0
    assert drilled(found, None) == found
    assert drilled({}, 0.97) == {}


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EACCES, errno.EIO, errno.ESTALE])
def test_a_folder_that_cannot_be_looked_at_leaves_the_others(tmp_path: Path, number: int) -> None:
    """Such as one on a network file system whose server has forgotten it."""

    def stat(path: Path) -> os.statvfs_result:
        if path == tmp_path / "stack/loki":
            raise OSError(number, os.strerror(number))
        return told(block=1, blocks=2, free=1, available=1)

    assert set(read_folders(tmp_path, stat)) == set(FOLDERS) - {"loki"}


@pytest.mark.parametrize("size", [1_048_576, 4_194_304])
def test_a_folder_on_a_disk_of_its_own_is_measured_on_that(tmp_path: Path, size: int) -> None:
    """A link to it is followed, as an operator moves a store to a larger disk."""
    with small_disk(tmp_path / "disk", size) as disk:
        (disk / "lines").write_bytes(bytes(524_288))
        (tmp_path / "data/stack").mkdir(parents=True)
        (tmp_path / "data/stack/loki").symlink_to(disk)

        seen = read_folders(tmp_path / "data")

    assert seen["loki"] == FolderUsage(usage_bytes=524_288, limit_bytes=size)
    assert seen["data"] != seen["loki"]
