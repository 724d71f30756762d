"""The file of pairs that comes in."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli.match.input import PairFile, UnusableInput
from cli.match.row import PairRow


def written(tmp_path, content):
    file = tmp_path / "pairs.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


def rows_of(tmp_path, content, **options):
    with PairFile(written(tmp_path, content), **options) as pairs:
        return list(pairs.rows())


def test_rows_have_their_addresses_wherever_the_columns_stand(tmp_path):
    """Other columns are kept; blanks around a column's name do not matter; blank lines are passed over."""
    assert rows_of(tmp_path, 'id, address2,address1\n1,乙,甲\n\n2,"丁,1",丙\n') == [
        PairRow(index=0, line=2, fields=("1", "乙", "甲"), addresses=("甲", "乙")),
        PairRow(index=1, line=4, fields=("2", "丁,1", "丙"), addresses=("丙", "丁,1")),
    ]


def test_a_row_with_another_number_of_columns_has_no_addresses(tmp_path):
    """An unquoted comma moves what follows: nobody can tell what is what, but nothing is thrown away."""
    assert rows_of(tmp_path, "address1,address2\n甲,一,乙\n丙\n丁,戊\n") == [
        PairRow(index=0, line=2, fields=("甲", "一"), surplus=("乙",), addresses=None),
        PairRow(index=1, line=3, fields=("丙", ""), addresses=None),
        PairRow(index=2, line=4, fields=("丁", "戊"), addresses=("丁", "戊")),
    ]


def test_a_quote_that_never_closes_costs_a_bounded_part_of_the_file(tmp_path):
    """The reader gives up at its limit and goes on with the next line."""
    rows = rows_of(tmp_path, 'address1,address2\n甲,乙\n"' + "x,y\n" * 50_000)
    assert rows[0].addresses == ("甲", "乙")
    assert rows[1] == PairRow(index=1, line=rows[1].line, fields=("", ""), addresses=None)
    assert rows[2].addresses == ("x", "y")
    assert len(rows) > 10_000


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "gbk", "big5", "utf-16"])
def test_files_of_other_encodings_are_read(tmp_path, encoding):
    """By their name."""
    rows = rows_of(tmp_path, "address1,address2\n北京,上海\n".encode(encoding), encoding=encoding)
    assert [row.addresses for row in rows] == [("北京", "上海")]


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path):
    """Spreadsheets write one, and want it back."""
    with PairFile(written(tmp_path, b"\xef\xbb\xbfaddress1,address2\r\na,b\r\n")) as pairs:
        assert (pairs.header, pairs.encoding, pairs.line_end) == (("address1", "address2"), "utf-8-sig", "\r\n")
    with PairFile(written(tmp_path, b"address1,address2\na,b\n")) as pairs:
        assert (pairs.encoding, pairs.line_end) == ("utf-8", "\n")


def test_a_file_in_another_encoding_is_refused_with_a_hint(tmp_path):
    """Instead of a million rows that are all invalid."""
    file = written(tmp_path, ("address1,address2\n" + "北京市,上海市\n" * 20).encode("gbk"))
    with pytest.raises(UnusableInput, match="is not in utf-8; name its encoding, such as --encoding gb18030 for GBK"):
        PairFile(file)


def test_single_broken_bytes_do_not_refuse_the_file(tmp_path):
    """They stand in their row as lone surrogates, which the pipeline refuses as text."""
    good = "北京市朝阳区,上海市\n".encode() * 20
    rows = rows_of(tmp_path, b"address1,address2\n" + good + b"\xff\xe5,x\n")
    assert rows[-1].addresses == ("\udcff\udce5", "x")
    assert all(row.addresses == ("北京市朝阳区", "上海市") for row in rows[:-1])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "must have the columns address1 and address2 once each; it has nothing"),
        ("a,b\n", "it has a, b"),
        ("address1,address1,address2\n", "once each"),
        ("address1,address2,label\n", "the column label would be added by the answers, but is there already"),
        ("address1,address2,error_type\n", "the column error_type would be added"),
    ],
)
def test_a_file_without_the_columns_is_refused(tmp_path, content, reason):
    """With what was found."""
    with pytest.raises(UnusableInput, match=reason):
        PairFile(written(tmp_path, content))


@pytest.mark.parametrize("encoding", ["klingon", "base64"])
def test_an_encoding_that_is_none_is_refused(tmp_path, encoding):
    """With common ones."""
    with pytest.raises(UnusableInput, match=r"there is no encoding .*; common are utf-8, gb18030"):
        PairFile(written(tmp_path, "address1,address2\n"), encoding=encoding)


def test_a_file_that_cannot_be_opened_is_refused(tmp_path):
    """With the system's reason."""
    with pytest.raises(UnusableInput, match=r"none\.csv cannot be read: No such file"):
        PairFile(tmp_path / "none.csv")
    with pytest.raises(UnusableInput, match="cannot be read: Is a directory"):
        PairFile(tmp_path)


def test_the_bytes_that_were_read_are_counted(tmp_path):
    """They are the progress; at the end all of them were."""
    content = "address1,address2\n" + "a,b\n" * 100_000
    with PairFile(written(tmp_path, content)) as pairs:
        rows = pairs.rows()
        next(rows)
        assert 0 < pairs.bytes_read < pairs.size / 4
        assert len(list(rows)) == 99_999
        assert pairs.bytes_read == pairs.size == len(content)


@settings(max_examples=200)
@given(content=st.binary(max_size=300))
def test_any_bytes_after_the_header_are_rows(tmp_path_factory, content):
    """Numbered without a gap, each as wide as the header; nothing raises."""
    file = tmp_path_factory.getbasetemp() / f"any-{os.getpid()}.csv"
    file.write_bytes(b"address1,x,address2\n" + b"\xe5\x8c\x97,1,\xe4\xba\xac\n" * 200 + content)
    with PairFile(file) as pairs:
        rows = list(pairs.rows())
    assert [row.index for row in rows] == list(range(len(rows)))
    assert all(len(row.fields) == 3 for row in rows)
