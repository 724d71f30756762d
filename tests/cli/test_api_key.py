"""The API key a command sends."""

from __future__ import annotations

import pytest

from cli.api_key import read_api_key


def test_the_key_comes_from_the_file_first(tmp_path):
    """Comments and empty lines are passed over; the variable does not matter then."""
    file = tmp_path / "keys"
    file.write_text("# ours\n\n  s3cret  # the first\nother\n")
    assert read_api_key(file, {"MGEO_API_KEY": "variable"}) == "s3cret"


def test_without_a_file_the_key_comes_from_the_variable():
    """Blanks around it do not count."""
    assert read_api_key(None, {"MGEO_API_KEY": " variable "}) == "variable"


@pytest.mark.parametrize("environment", [{}, {"MGEO_API_KEY": ""}])
def test_there_need_be_no_key(environment):
    """An open service needs none."""
    assert read_api_key(None, environment) is None


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    """So that the user can mend the option."""
    with pytest.raises(ValueError, match=f"--api-key-file {tmp_path / 'none'} cannot be read as UTF-8 text"):
        read_api_key(tmp_path / "none", {})


def test_a_file_without_a_key_is_an_error(tmp_path):
    """An empty key would look like an open service."""
    (tmp_path / "keys").write_text("# none yet\n")
    with pytest.raises(ValueError, match="holds no key"):
        read_api_key(tmp_path / "keys", {})


@pytest.mark.parametrize("key", ["schlüssel", "two\nlines", "bell\x07"])
def test_a_key_that_cannot_stand_in_a_header_is_refused_unquoted(key):
    """The message names the source and never the key."""
    with pytest.raises(ValueError, match="cannot stand in a header") as raised:
        read_api_key(None, {"MGEO_API_KEY": key})
    assert key not in str(raised.value)
