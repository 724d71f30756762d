"""The data folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from service.data_dir import prepare_data_dir
from service.errors import StartupError


def test_the_folder_is_made_with_its_parents_and_resolved(tmp_path: Path, monkeypatch) -> None:
    """A relative folder means one folder, wherever the process goes later."""
    monkeypatch.chdir(tmp_path)
    assert prepare_data_dir(Path("a/b")) == tmp_path / "a" / "b"
    assert (tmp_path / "a" / "b").is_dir()


def test_a_file_in_its_place_is_named_with_the_setting_and_the_fix(tmp_path: Path) -> None:
    """The start says which folder, which setting and what to do."""
    (tmp_path / "taken").write_text("")
    with pytest.raises(StartupError) as caught:
        prepare_data_dir(tmp_path / "taken")
    assert str(caught.value) == (
        f"MGEO_DATA_DIR: the data folder {tmp_path / 'taken'} cannot be made (File exists); "
        "make it writable for this user, or set MGEO_DATA_DIR to a folder that is"
    )


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path, monkeypatch) -> None:
    """The superuser may write anywhere, so the system's answer is made up here."""
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)
    with pytest.raises(StartupError, match=r"MGEO_DATA_DIR: the data folder .* cannot be written; make it writable"):
        prepare_data_dir(tmp_path)
