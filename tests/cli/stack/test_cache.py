"""Entries of the cache appear whole or not at all, once."""

from __future__ import annotations

import os
import threading

import pytest

from cli.stack.cache import ProgramCache, executable
from service.errors import ProgramUnavailable
from service.file_lock import FileLock
from tests.deadline import until


def test_an_entry_is_made_once_and_found(tmp_path, said):
    """The second call makes nothing."""
    cache = ProgramCache(tmp_path / "cache")
    assert cache.find("built", "loki-1") is None
    made = cache.make("built", "loki-1", lambda folder: (folder / "loki").write_text("x"), say=said.append)
    again = cache.make("built", "loki-1", lambda _: pytest.fail("made twice"), say=said.append)
    assert made == again == cache.find("built", "loki-1") == cache.matching("built", "loki-*")
    assert [path.name for path in made.iterdir()] == ["loki"]
    assert said == []


def test_a_failure_leaves_nothing(tmp_path, said):
    """Neither the entry nor the half of it; the error is that of the filling."""
    cache = ProgramCache(tmp_path)

    def fill(folder):
        (folder / "half").write_text("x")
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        cache.make("built", "loki-1", fill, say=said.append)
    assert cache.find("built", "loki-1") is None
    assert cache.matching("built", "loki*") is None
    assert [path.name for path in (tmp_path / "built").iterdir()] == ["loki-1.lock"]


def test_what_a_killed_process_left_is_cleared(tmp_path, said):
    """A folder of work that nobody holds is from the dead."""
    cache = ProgramCache(tmp_path)
    (tmp_path / "built/loki-1.work").mkdir(parents=True)
    (tmp_path / "built/loki-1.work/old").write_text("x")
    assert cache.matching("built", "loki*") is None
    made = cache.make("built", "loki-1", lambda folder: (folder / "new").write_text("x"), say=said.append)
    assert [path.name for path in made.iterdir()] == ["new"]


def test_two_that_want_the_same_make_it_once(tmp_path, said):
    """The second waits for the first, says so, and takes its result."""
    entered, go_on = threading.Event(), threading.Event()
    fills = []

    def fill(folder):
        fills.append(folder)
        entered.set()
        assert go_on.wait(20)

    results = []

    def run():
        results.append(ProgramCache(tmp_path).make("built", "loki-1", fill, say=said.append))

    threads = [threading.Thread(target=run) for _ in range(2)]
    threads[0].start()
    assert entered.wait(20)
    threads[1].start()
    until(lambda: said)
    go_on.set()
    for thread in threads:
        thread.join(20)
    assert results == [tmp_path / "built/loki-1"] * 2
    assert len(fills) == 1
    assert said == ["another process is making loki-1; waiting for it"]


def test_the_wait_for_another_process_has_an_end(tmp_path, said):
    """It may hang; the message names the entry."""
    (tmp_path / "built").mkdir()
    lock = FileLock.take(tmp_path / "built/loki-1.lock")
    with pytest.raises(ProgramUnavailable, match="loki-1 has been made by another process for 0 s; end that process"):
        ProgramCache(tmp_path).make("built", "loki-1", lambda _: None, say=said.append, wait=0.0)
    lock.release()


def test_a_cache_that_cannot_be_written_is_named_with_its_setting(tmp_path, said):
    """Here its place is taken by a file."""
    (tmp_path / "cache").write_text("")
    with pytest.raises(ProgramUnavailable, match=r"MGEO_STACK_CACHE: .*/cache cannot be written \(Not a directory\)"):
        ProgramCache(tmp_path / "cache").make("built", "loki-1", lambda _: None, say=said.append)


def test_pruning_spares_what_is_wanted_and_what_is_being_made(tmp_path, said):
    """Everything else goes."""
    cache = ProgramCache(tmp_path)
    wanted = cache.make("built", "loki-2", lambda _: None, say=said.append)
    old = cache.make("built", "loki-1", lambda _: None, say=said.append)
    unpacked = cache.make("unpacked", "abc", lambda _: None, say=said.append)
    (tmp_path / "built/jaeger-1.work").mkdir()
    lock = FileLock.take(tmp_path / "built/jaeger-1.lock")
    assert cache.prune({wanted}) == [old, unpacked]
    lock.release()
    assert wanted.is_dir()
    assert (tmp_path / "built/jaeger-1.work").is_dir()
    assert cache.prune({wanted}) == [tmp_path / "built/jaeger-1.work"]


def test_an_executable_is_a_file_that_may_be_run(tmp_path):
    """A folder or a plain file is none."""
    (tmp_path / "plain").write_text("")
    assert not executable(tmp_path)
    assert not executable(tmp_path / "absent")
    assert not executable(tmp_path / "plain")
    os.chmod(tmp_path / "plain", 0o700)
    assert executable(tmp_path / "plain")
