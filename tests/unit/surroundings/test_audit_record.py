"""The file with the newest audit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import StartupError
from service.surroundings.audit_record import AuditRecord, read_record, write_record
from tests.full_disk import small_disk

RECORD = AuditRecord(difference=3, unflushed=1, unread=("loki",), ended_unix_ns=1_795_602_539_619_095_421)
GOOD = {"difference": 3, "unflushed": 1, "unread": ["loki"], "ended_unix_ns": 1_795_602_539_619_095_421}


def test_what_was_written_is_read(tmp_path: Path) -> None:
    """The file is plain JSON, and the only one that is left."""
    write_record(tmp_path, RECORD)

    assert read_record(tmp_path) == RECORD
    assert json.loads((tmp_path / "audit.json").read_text()) == GOOD
    assert [path.name for path in tmp_path.iterdir()] == ["audit.json"]


def test_the_newest_replaces_the_one_before(tmp_path: Path) -> None:
    """There is one audit to show."""
    write_record(tmp_path, RECORD)
    newer = AuditRecord(difference=0, unflushed=0, unread=(), ended_unix_ns=1_795_606_139_000_000_000)

    write_record(tmp_path, newer)

    assert read_record(tmp_path) == newer


def test_without_an_audit_there_is_none(tmp_path: Path) -> None:
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
                ("difference", -1),
                ("difference", 1.5),
                ("difference", True),
                ("difference", "3"),
                ("unflushed", None),
                ("ended_unix_ns", float("nan")),
                ("unread", "loki"),
                ("unread", [1]),
            ]
        ),
    ],
)
def test_a_file_that_is_none_of_ours_is_no_audit(tmp_path: Path, content: bytes) -> None:
    """Torn, of another version or made by hand: no series, rather than a wrong one."""
    (tmp_path / "audit.json").write_bytes(content)

    assert read_record(tmp_path) is None


def test_a_full_disk_is_told_and_the_record_before_stays(tmp_path: Path) -> None:
    """Nothing half written is left behind."""
    with small_disk(tmp_path / "disk", 65_536) as disk:
        write_record(disk, RECORD)
        with (disk / "filler").open("wb", buffering=0) as filler, pytest.raises(OSError, match="No space left"):
            while True:
                filler.write(bytes(4096))

        with pytest.raises(StartupError, match=r"audit\.json cannot be used \(No space left on device\)"):
            write_record(disk, AuditRecord(difference=0, unflushed=0, unread=(), ended_unix_ns=0))

        assert read_record(disk) == RECORD
        assert sorted(path.name for path in disk.iterdir()) == ["audit.json", "filler"]


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    """With the setting."""
    with pytest.raises(StartupError, match=r"MGEO_DATA_DIR: .*/gone/audit\.json cannot be used"):
        write_record(tmp_path / "gone", RECORD)


counts = st.integers(0, 2**63 - 1)


@given(
    record=st.builds(
        AuditRecord,
        difference=counts,
        unflushed=counts,
        unread=st.lists(st.sampled_from(["prometheus", "loki", "jaeger", "embedded"]), unique=True).map(tuple),
        ended_unix_ns=counts,
    )
)
def test_every_record_is_read_as_it_was_written(tmp_path_factory: pytest.TempPathFactory, record: AuditRecord) -> None:
    """Whatever was found."""
    folder = tmp_path_factory.getbasetemp()

    write_record(folder, record)

    assert read_record(folder) == record
