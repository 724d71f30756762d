"""Passwords and tokens: from the settings, or made once."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from pydantic import SecretStr

from cli.stack.layout import Layout
from cli.stack.passwords import bcrypt_hash, gateway_password, kept_password, token_file
from service.errors import SettingsError, StartupError
from service.settings import Settings


def test_a_password_is_made_once_and_kept(tmp_path):
    """24 characters, mode 0600."""
    path = tmp_path / "password"
    first = kept_password(path)
    assert len(first) == 24
    assert kept_password(path) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_password_that_cannot_be_read_is_named(tmp_path):
    """With the fix."""
    with pytest.raises(StartupError, match="cannot be used"):
        kept_password(tmp_path)


def test_the_gateways_password_comes_from_setting_file_or_data_folder(tmp_path):
    """With where it stands, but never itself in that place."""
    file = tmp_path / "given"
    file.write_text("from file\n")
    layout = Layout(tmp_path)
    assert gateway_password(Settings.load(gateway_password="direct"), layout) == ("direct", "MGEO_GATEWAY_PASSWORD")
    assert gateway_password(Settings.load(gateway_password_file=file), layout) == ("from file", f"MGEO_GATEWAY_PASSWORD_FILE = {file}")
    made, place = gateway_password(Settings.load(), layout)
    assert (len(made), place) == (24, str(tmp_path / "gateway.password"))


@pytest.mark.parametrize(("password", "words"), [("", "is empty; write one"), ("好" * 25, "has more than 72 bytes; shorten it")])
def test_a_password_that_bcrypt_cannot_take_is_refused(tmp_path, password, words):
    """It is not printed."""
    (tmp_path / "given").write_text(password)
    with pytest.raises(SettingsError, match=words) as caught:
        gateway_password(Settings.load(gateway_password_file=tmp_path / "given"), Layout(tmp_path))
    assert "好" not in str(caught.value)


def test_a_program_that_cannot_hash_is_named(tmp_path):
    """Without the password."""
    with pytest.raises(StartupError, match="/bin/false cannot hash the gateway's password") as caught:
        bcrypt_hash(Path("/bin/false"), "secret")
    assert "secret" not in str(caught.value)


def test_a_token_is_handed_on_as_a_file(tmp_path):
    """A copy of it, the file that has it, or nothing."""
    copy = tmp_path / "copy"
    assert token_file(SecretStr("token"), None, copy) == copy
    assert (copy.read_text(), stat.S_IMODE(copy.stat().st_mode)) == ("token", 0o600)
    assert token_file(None, Path("/its/file"), copy) == Path("/its/file")
    assert token_file(None, None, copy) is None
