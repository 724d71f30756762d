"""The file of answers that goes out."""

from __future__ import annotations

import os

import pytest

from cli.match.input import PairFile
from cli.match.output import ResultFile, UnusableOutput
from cli.match.row import PairRow, RowResult
from service.errors import ErrorType
from service.telemetry.event import Answer

ANSWER = Answer(label="exact_match", similarity=0.97, not_match=0.01, partial_match=0.04, exact_match=0.95)
ROW = PairRow(index=0, line=2, fields=("1", "甲", "乙"), addresses=("甲", "乙"))


def result_file(path, *, encoding="utf-8", line_end="\n"):
    return ResultFile(path, header=("id", "address1", "address2"), encoding=encoding, line_end=line_end)


def test_answers_stand_behind_the_columns_they_came_with(tmp_path):
    """Label, similarity, three probabilities; or the reason why there are none. What was too much stands last."""
    target = tmp_path / "out.csv"
    with result_file(target) as results:
        results.write(RowResult(row=ROW, answer=ANSWER))
        results.write(RowResult(row=ROW, error_type=ErrorType.EMPTY_ADDRESS))
        misfit = PairRow(index=2, line=4, fields=("3", "a", "b"), surplus=("c",), addresses=None)
        results.write(RowResult(row=misfit, error_type=ErrorType.MISSING_FIELD))
    assert (
        target.read_text()
        == """\
id,address1,address2,label,similarity,p_not_match,p_partial_match,p_exact_match,error_type
1,甲,乙,exact_match,0.970000,0.010000,0.040000,0.950000,
1,甲,乙,,,,,,empty_address
3,a,b,,,,,,missing_field,c
"""
    )


def test_the_file_appears_whole_or_not_at_all(tmp_path):
    """Until the end it is written beside its target."""
    target = tmp_path / "out.csv"
    target.write_text("old")
    with result_file(target) as results:
        results.write(RowResult(row=ROW, answer=ANSWER))
        assert target.read_text() == "old"
        assert (tmp_path / "out.csv.part").exists()
    assert target.read_text().startswith("id,")
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_after_a_failure_the_target_is_as_it_was(tmp_path, failure):
    """And nothing is left beside it."""
    target = tmp_path / "out.csv"
    target.write_text("old")
    with pytest.raises(failure), result_file(target):
        raise failure
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_bytes_that_did_not_fit_the_encoding_come_out_as_they_went_in(tmp_path, encoding):
    """Rows that were refused can be looked at and mended."""
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    line = "北京市朝阳区建国路88号,上海市\r\n".encode(encoding.removesuffix("-sig"))
    header = b"\xef\xbb\xbf" if encoding == "utf-8-sig" else b""
    source.write_bytes(header + b"address1,address2\r\n" + line * 10 + b"\xff,x\r\n")
    with (
        PairFile(source, encoding=encoding.removesuffix("-sig")) as pairs,
        ResultFile(target, header=pairs.header, encoding=pairs.encoding, line_end=pairs.line_end) as results,
    ):
        for row in pairs.rows():
            results.write(RowResult(row=row, answer=ANSWER))
    added = b",exact_match,0.970000,0.010000,0.040000,0.950000,"
    expected = (
        source.read_bytes()
        .replace(b"\r\n", added + b"\r\n")
        .replace(b"address2" + added, b"address2,label,similarity,p_not_match,p_partial_match,p_exact_match,error_type")
    )
    assert target.read_bytes() == expected


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    """Before any row is answered."""
    with pytest.raises(UnusableOutput, match=r"out\.csv cannot be written \(No such file or directory\); it was left as it was"):
        result_file(tmp_path / "nowhere" / "out.csv")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_disk_that_fills_is_said_and_leaves_nothing(tmp_path):
    """The target is as it was."""
    target = tmp_path / "out.csv"
    (tmp_path / "out.csv.part").symlink_to("/dev/full")
    with pytest.raises(UnusableOutput, match="No space left on device"), result_file(target) as results:
        for _ in range(10_000):
            results.write(RowResult(row=ROW, answer=ANSWER))
    assert list(tmp_path.iterdir()) == []
