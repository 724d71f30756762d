"""What the notifier is compared with."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from benchmarks.disk_floor import synced_file, synced_row


def test_a_file_has_what_was_appended_before_and_after(tmp_path):
    """Each round goes on with the same one."""
    for content in (b"ab", b"cd"):
        with synced_file(tmp_path / "file") as append:
            append(content)
            assert (tmp_path / "file").read_bytes().endswith(content)
    assert (tmp_path / "file").read_bytes() == b"abcd"


def test_a_row_is_committed_when_the_call_returns(tmp_path):
    """Another connection sees it at once; the mode is that of the outbox."""
    for content in (b"ab", b"cd"):
        with synced_row(tmp_path / "rows") as commit:
            commit(content)
            with closing(sqlite3.connect(tmp_path / "rows")) as other:
                assert other.execute("SELECT content FROM row ORDER BY id DESC LIMIT 1").fetchone() == (content,)
                assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
