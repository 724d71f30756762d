"""The keyed hash of addresses, and the key behind it."""

from __future__ import annotations

import multiprocessing
import os
import stat
from pathlib import Path

import pytest

from service.errors import StartupError
from service.hashing import AddressHasher, load_hash_key

KEY = b"k" * 32


def test_the_hash_is_the_first_half_of_hmac_sha256_in_hex() -> None:
    """Anybody with the key can compute the hash of an address with standard tools."""
    assert AddressHasher(KEY).hash("杭州市西湖区文三路1号") == "fce9e628a79fdf7882faa1fe77dec11c"


def test_equal_addresses_have_equal_hashes_under_one_key_and_others_under_another() -> None:
    """The hash finds an address again, but only for who has the key."""
    assert AddressHasher(KEY).hash("西湖") == AddressHasher(KEY).hash("西湖")
    assert AddressHasher(KEY).hash("西湖") != AddressHasher(b"j" * 32).hash("西湖")
    assert AddressHasher(KEY).hash("西湖") != AddressHasher(KEY).hash("西湖区")


def test_a_lone_surrogate_is_hashed_and_not_refused() -> None:
    """The hasher never raises, whatever text reaches it."""
    assert len(AddressHasher(KEY).hash("\ud800")) == 32


def test_the_key_never_shows() -> None:
    """Printing the hasher, in a traceback or a log, tells nothing of the key."""
    assert repr(AddressHasher(KEY)) == "AddressHasher()"
    assert not hasattr(AddressHasher(KEY), "__dict__")


def test_a_short_key_is_refused() -> None:
    """31 bytes are not enough."""
    with pytest.raises(ValueError, match="at least 32 bytes"):
        AddressHasher(b"k" * 31)


def test_the_key_is_made_once_and_readable_by_its_owner_alone(tmp_path: Path) -> None:
    """The first start makes 32 random bytes in hex; every later start reads the same."""
    key = load_hash_key(tmp_path / "data")
    path = tmp_path / "data" / "hash.key"
    assert load_hash_key(tmp_path / "data") == key == path.read_bytes().strip()
    assert len(bytes.fromhex(key.decode())) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path / "data") == ["hash.key"]


def test_two_data_folders_have_different_keys(tmp_path: Path) -> None:
    """Hashes of one folder say nothing about another's."""
    assert load_hash_key(tmp_path / "one") != load_hash_key(tmp_path / "two")


def _load(folder: str, barrier, keys) -> None:
    barrier.wait(30)
    keys.put(load_hash_key(Path(folder)))


def test_processes_that_start_at_once_agree_on_one_key(tmp_path: Path) -> None:
    """Whoever links its file first wins; the others read that one."""
    spawn = multiprocessing.get_context("spawn")
    barrier, keys = spawn.Barrier(4), spawn.Queue()
    processes = [spawn.Process(target=_load, args=(str(tmp_path), barrier, keys)) for _ in range(4)]
    for process in processes:
        process.start()
    found = {keys.get(timeout=30) for _ in processes}
    for process in processes:
        process.join(30)
    assert len(found) == 1
    assert os.listdir(tmp_path) == ["hash.key"]


def test_a_key_made_meanwhile_by_another_process_is_kept(tmp_path: Path, monkeypatch) -> None:
    """The file that another process linked between our look and our link stays."""
    (tmp_path / "hash.key").write_bytes(KEY)
    monkeypatch.setattr(Path, "exists", lambda _path: False)
    assert load_hash_key(tmp_path) == KEY


def test_a_key_file_of_the_operator_is_used_without_its_line_end(tmp_path: Path) -> None:
    """An editor that ends the file with a line end does not change the hashes; the data folder stays empty."""
    file = tmp_path / "key"
    file.write_bytes(KEY + b"\r\n")
    assert load_hash_key(tmp_path / "data", file) == KEY
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(("content", "size"), [(b"", 0), (b"k" * 31 + b"\n", 31)])
def test_a_short_key_file_names_the_setting_and_how_to_write_one(tmp_path: Path, content: bytes, size: int) -> None:
    """The message has the setting, the path, the length and a command, but not the key."""
    file = tmp_path / "key"
    file.write_bytes(content)
    with pytest.raises(StartupError) as caught:
        load_hash_key(tmp_path, file)
    assert str(caught.value) == (
        f"MGEO_HASH_KEY_FILE = {file}: has {size} bytes, at least 32 are needed; write one with: openssl rand -hex 32"
    )


def test_a_missing_key_file_names_the_setting_and_the_fix(tmp_path: Path) -> None:
    """An operator who names a file wants that file: none is made in its place."""
    with pytest.raises(StartupError, match=r"MGEO_HASH_KEY_FILE = .*/absent: cannot be read .* name a readable file"):
        load_hash_key(tmp_path, tmp_path / "absent")


def test_a_damaged_key_of_the_data_folder_is_not_replaced_silently(tmp_path: Path) -> None:
    """A new key would lose every earlier hash; that is for a person to decide."""
    (tmp_path / "hash.key").write_text("short")
    with pytest.raises(StartupError, match=r"hash\.key: has 5 bytes, at least 32 are needed; remove it"):
        load_hash_key(tmp_path)


def test_a_key_that_cannot_be_read_names_the_data_folder(tmp_path: Path) -> None:
    """A folder in the key's place stands for whatever makes it unreadable."""
    (tmp_path / "hash.key").mkdir()
    with pytest.raises(StartupError, match=r"MGEO_DATA_DIR: .*hash\.key cannot be used"):
        load_hash_key(tmp_path)
