"""The file with the newest drills."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service import drill_faults
from service.errors import StartupError
from service.surroundings.drill_record import DRILL_FILE, DrillRecord, read_record, write_record
from tests.full_disk import small_disk

RECORD = DrillRecord(passed=15, failed=("loki-away", "box-gone"), ended_unix_ns=1_795_602_539_619_095_421)
GOOD = {"passed": 15, "failed": ["loki-away", "box-gone"], "ended_unix_ns": 1_795_602_539_619_095_421}


def test_what_was_written_is_read(tmp_path: Path) -> None:
    """The file is plain JSON, and the only one that is left."""
    write_record(tmp_path, RECORD)

    assert read_record(tmp_path) == RECORD
    assert json.loads((tmp_path / "drills.json").read_text()) == GOOD
    assert [path.name for path in tmp_path.iterdir()] == ["drills.json"]


def test_it_is_not_the_file_in_which_faults_are_asked_for() -> None:
    """Or its outcome would end a drill's fault, or be one."""
    assert drill_faults.FILE != DRILL_FILE


def test_the_newest_replaces_the_one_before(tmp_path: Path) -> None:
    """What failed and was mended has failed no more."""
    write_record(tmp_path, RECORD)
    newer = DrillRecord(passed=17, failed=(), ended_unix_ns=1_795_606_139_000_000_000)

    write_record(tmp_path, newer)

    assert read_record(tmp_path) == newer


def test_without_a_drill_there_is_none(tmp_path: Path) -> None:
    """Neither in a folder without the file nor without a folder."""
    assert read_record(tmp_path) is None
    assert read_record(tmp_path / "gone") is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"\xff\xfe",
        b"[" * 60_000,
        *(json.dumps({name: value for name, value in GOOD.items() if name != left_out}).encode() for left_out in GOOD),
        *(
            json.dumps({**GOOD, name: value}).encode()
            for name, value in [
                ("passed", -1),
                ("passed", 1.5),
                ("passed", True),
                ("passed", "15"),
                ("failed", "box-gone"),
                ("failed", 2),
                ("failed", [1]),
                ("failed", None),
                ("ended_unix_ns", float("nan")),
            ]
        ),
    ],
)
def test_a_file_that_is_none_of_ours_is_no_drill(tmp_path: Path, content: bytes) -> None:
    """Torn, of another version or made by hand: no series, rather than a wrong one."""
    (tmp_path / "drills.json").write_bytes(content)

    assert read_record(tmp_path) is None


def test_a_full_disk_is_told_and_the_record_before_stays(tmp_path: Path) -> None:
    """Nothing half written is left behind."""
    with small_disk(tmp_path / "disk", 65_536) as disk:
        write_record(disk, RECORD)
        with (disk / "filler").open("wb", buffering=0) as filler, pytest.raises(OSError, match="No space left"):
            while True:
                filler.write(bytes(4096))

        with pytest.raises(StartupError, match=r"drills\.json cannot be used \(No space left on device\)"):
            write_record(disk, DrillRecord(passed=0, failed=(), ended_unix_ns=0))

        assert read_record(disk) == RECORD
        assert sorted(path.name for path in disk.iterdir()) == ["drills.json", "filler"]


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    """With the setting."""
    with pytest.raises(StartupError, match=r"MGEO_DATA_DIR: .*/gone/drills\.json cannot be used"):
        write_record(tmp_path / "gone", RECORD)


counts = st.integers(0, 2**63 - 1)


@given(record=st.builds(DrillRecord, passed=counts, failed=st.lists(st.text(max_size=20), max_size=20).map(tuple), ended_unix_ns=counts))
def test_every_record_is_read_as_it_was_written(tmp_path_factory: pytest.TempPathFactory, record: DrillRecord) -> None:
    """Whatever failed, and whatever it is called."""
    folder = tmp_path_factory.getbasetemp()

    write_record(folder, record)

    assert read_record(folder) == record
