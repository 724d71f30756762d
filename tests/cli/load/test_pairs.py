"""The address pairs a load sends."""

from __future__ import annotations

import pytest

from cli.load.pairs import MAX_PAIRS, PAIRS, read_pairs


def test_the_built_in_pairs_look_like_real_ones():
    """About thirty, all different, all Chinese, all within the length the model sees."""
    assert len(PAIRS) >= 30
    assert len(set(PAIRS)) == len(PAIRS)
    for pair in PAIRS:
        for address in pair:
            assert 8 <= len(address) <= 100
            assert any("一" <= character <= "鿿" for character in address)


def test_pairs_are_read_from_a_csv_file(tmp_path):
    """A byte order mark and other columns do not matter; an empty address is sent as it is."""
    file = tmp_path / "pairs.csv"
    file.write_text("\ufeffid,address2,address1\n1,乙,甲\n2,丁,\n3\n", encoding="utf-8")
    assert read_pairs(file) == (("甲", "乙"), ("", "丁"), ("", ""))


def test_a_huge_file_is_read_in_part(tmp_path):
    """A load draws from 100,000 pairs at most."""
    file = tmp_path / "pairs.csv"
    file.write_text("address1,address2\n" + "a,b\n" * (MAX_PAIRS + 10))
    assert len(read_pairs(file)) == MAX_PAIRS


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "needs the columns address1 and address2"),
        (b"address1\nx\n", "needs the columns address1 and address2"),
        (b"address1,address2\n", "has no pair after its first line"),
        ("address1,address2\n甲,乙\n".encode("gb18030"), "cannot be read as UTF-8 CSV"),
    ],
)
def test_a_file_without_pairs_is_refused_with_the_reason(tmp_path, content, reason):
    """Before a single request is sent."""
    file = tmp_path / "pairs.csv"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=reason):
        read_pairs(file)


def test_a_file_that_is_not_there_is_named(tmp_path):
    """With the system's reason."""
    with pytest.raises(ValueError, match=r"none\.csv cannot be read as UTF-8 CSV: .*No such file"):
        read_pairs(tmp_path / "none.csv")
