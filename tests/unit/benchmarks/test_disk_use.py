"""What the stores of a stack occupy on disk."""

from __future__ import annotations

import pytest

from benchmarks.disk_use import Store, allocated, disk_use


@pytest.fixture
def data_dir(tmp_path):
    """A data folder with 64 kB in one file of each store, and in Loki's log twice that."""
    files = {
        "telemetry.db-wal": 1,
        "logs/inference.log": 1,
        "stack/jaeger/values/000001.vlog": 1,
        "stack/loki/chunks/fake/1": 1,
        "stack/loki/wal/00000000": 2,
        "stack/prometheus/data/wal/00000000": 1,
        "stack/collector/exporter": 1,
    }
    for name, size in files.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x" * 65_536 * size)
    return tmp_path


def test_every_store_has_its_files(data_dir):
    """Folders of a few kB each included; Loki's write-ahead log is counted apart from its chunks."""
    found = disk_use(data_dir)
    assert {store: round(size / 65_536) for store, size in found.items()} == {
        Store.EMBEDDED: 1,
        Store.LOG_FILE: 1,
        Store.JAEGER: 1,
        Store.LOKI: 1,
        Store.LOKI_WAL: 2,
        Store.PROMETHEUS: 1,
        Store.COLLECTOR: 1,
    }


def test_a_file_that_was_made_in_advance_takes_what_was_written(tmp_path):
    """Jaeger's store makes its files gigabytes long at once."""
    with (tmp_path / "000001.vlog").open("wb") as file:
        file.truncate(1_000_000_000)
    assert allocated([tmp_path / "000001.vlog"]) < 100_000


def test_a_file_that_is_gone_takes_nothing(tmp_path):
    """Stores remove files whenever they like."""
    assert allocated([tmp_path / "gone"]) == 0
