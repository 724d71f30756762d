"""The key ring: where keys come from, and which are accepted."""

from __future__ import annotations

import pytest

from service.api import keys as keys_module
from service.api.keys import KeyRing
from service.errors import StartupError


def test_without_keys_the_ring_is_empty_and_accepts_nothing():
    """Empty means that the API is open, which others decide; no key is right."""
    ring = KeyRing.load()
    assert not ring
    assert not ring.accepts(b"")
    assert ring.session(b"") is None
    assert not ring.accepts_session("")


def test_keys_are_separated_by_commas():
    """Blanks around them do not count."""
    ring = KeyRing.load(keys=" alpha , beta,,")
    assert [ring.accepts(key) for key in (b"alpha", b"beta", b"", b"alpha1", b"alpha ", b"ALPHA")] == [
        True,
        True,
        False,
        False,
        False,
        False,
    ]


def test_a_file_has_one_key_a_line_and_comments(tmp_path):
    """Windows line ends, blank lines and non-ASCII keys do no harm."""
    file = tmp_path / "keys"
    file.write_bytes("# shop\r\nalpha  # of the shop\r\n\r\nschlüssel\r\n".encode())
    ring = KeyRing.load(file=file)
    assert [ring.accepts(key) for key in (b"alpha", "schlüssel".encode(), b"# shop", b"")] == [True, True, False, False]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read (No such file or directory); name a file this user may read, or unset it"),
        (b"# nothing\n\n", "holds no key; write one a line, or unset it to leave the API open"),
        (b"\xff\xfe", "is not UTF-8 text; write one key a line"),
    ],
)
def test_a_key_file_that_cannot_be_used_stops_the_start(tmp_path, content, message):
    """The message names the setting, the file and the fix."""
    file = tmp_path / "keys"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(StartupError) as raised:
        KeyRing.load(file=file)
    assert str(raised.value) == f"MGEO_API_KEYS_FILE = {file}: {message}"


def test_keys_that_are_set_but_empty_stop_the_start():
    """Else a slip would leave the API open."""
    with pytest.raises(StartupError, match="MGEO_API_KEYS is set but holds no key"):
        KeyRing.load(keys=" , ")


def test_every_key_is_compared_as_a_digest_of_one_length(monkeypatch):
    """No early exit, and nothing whose time depends on the key."""
    compared = []

    monkeypatch.setattr(keys_module.hmac, "compare_digest", lambda left, right: compared.append((len(left), len(right))) or left == right)
    ring = KeyRing(["alpha", "a much longer key than that", "gamma"])
    assert ring.accepts(b"alpha")
    assert compared == [(32, 32)] * 3


def test_a_session_token_belongs_to_its_key_and_its_process():
    """The token is neither the key nor good for another process or another ring."""
    ring = KeyRing(["alpha"], secret=b"1" * 32)
    token = ring.session(b"alpha")
    assert token is not None
    assert "alpha" not in token
    assert ring.accepts_session(token)
    assert ring.session(b"beta") is None
    assert not ring.accepts_session(token[:-1] + ("0" if token[-1] != "0" else "1"))
    assert not KeyRing(["alpha"]).accepts_session(token)
    assert not KeyRing(["beta"], secret=b"1" * 32).accepts_session(token)
    assert not ring.accepts_session("\ud800é")
