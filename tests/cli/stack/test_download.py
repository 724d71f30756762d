"""A download is bounded, and nothing is used that has another checksum."""

from __future__ import annotations

import hashlib

import pytest

from cli.stack.download import fetch, fetch_text
from cli.stack.program import PassedOver
from tests.cli.stack.conftest import sha256

CONTENT = bytes(range(256)) * 4096


def redirect_to(url):
    def answer(handler):
        handler.send_response(302)
        handler.send_header("Location", url)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def test_a_file_is_written_when_its_checksum_is_right(tmp_path, server, said):
    """Also behind a redirect, as releases are; SHA-512 sums too."""
    server.files["/there"] = CONTENT
    server.files["/here"] = redirect_to("/there")
    fetch(f"{server.url}/here", tmp_path / "a", sha256(CONTENT), say=said.append)
    fetch(f"{server.url}/there", tmp_path / "b", "sha512:" + hashlib.sha512(CONTENT).hexdigest(), say=said.append)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() == CONTENT
    assert said == []


def test_how_far_it_is_is_said_now_and_then(tmp_path, server, said):
    """Here the clock jumps six seconds at every look."""
    server.files["/a"] = CONTENT
    seconds = iter(range(0, 6000, 6))
    fetch(f"{server.url}/a", tmp_path / "a", sha256(CONTENT), say=said.append, monotonic=lambda: float(next(seconds)))
    assert said[0].endswith(" of 1 MB after 6.00 s")


def test_another_checksum_is_said_with_both(tmp_path, server, said):
    """Whoever reads it can look the right one up."""
    server.files["/a"] = b"evil"
    with pytest.raises(PassedOver, match=r"/a has the sha256 sum b5c1fb2e[0-9a-f]{56} and not 0000.*nothing of it is used"):
        fetch(f"{server.url}/a", tmp_path / "a", "sha256:" + "0" * 64, say=said.append)


def test_a_file_that_is_too_long_is_not_read_to_its_end(tmp_path, server, said):
    """Whether its length is announced or not."""

    def endless(handler):
        handler.send_response(200)
        handler.end_headers()
        try:
            while True:
                handler.wfile.write(b"x" * 65536)
        except OSError:
            pass

    server.files["/announced"] = CONTENT
    server.files["/endless"] = endless
    for name in ("announced", "endless"):
        with pytest.raises(PassedOver, match=f"/{name} is longer than 1,000 bytes"):
            fetch(f"{server.url}/{name}", tmp_path / name, sha256(b""), say=said.append, max_bytes=1000)


def test_a_download_has_a_time_limit(tmp_path, server, said):
    """In all, not only between two pieces."""
    server.files["/a"] = CONTENT
    seconds = iter(range(0, 100_000, 1000))
    with pytest.raises(PassedOver, match=r"/a did not arrive within 50\.0 min"):
        fetch(
            f"{server.url}/a",
            tmp_path / "a",
            sha256(CONTENT),
            say=said.append,
            total_timeout=3000,
            monotonic=lambda: float(next(seconds)) * 4,
        )


def cut_off(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b"only this")


@pytest.mark.parametrize(
    ("path", "reason"),
    [("/absent", "answers with status 404"), ("/cut", "cannot be had"), ("/away", "cannot be had"), ("/ftp", "cannot be had")],
)
def test_what_cannot_be_had_says_why(tmp_path, server, said, path, reason):
    """Not there; cut off; redirected to where nobody listens; redirected to what is not HTTP."""
    server.files["/cut"] = cut_off
    server.files["/away"] = redirect_to("http://127.0.0.1:1/")
    server.files["/ftp"] = redirect_to("ftp://127.0.0.1/file")
    with pytest.raises(PassedOver, match=reason):
        fetch(f"{server.url}{path}", tmp_path / "a", sha256(CONTENT), say=said.append)


def test_a_text_is_read_from_this_machine(server):
    """And is bounded."""
    server.files["/sums"] = b"abc"
    assert fetch_text(f"{server.url}/sums") == "abc"
    with pytest.raises(PassedOver, match="longer than 2 bytes"):
        fetch_text(f"{server.url}/sums", max_bytes=2)


def test_a_list_of_checksums_is_taken_by_https_alone(server):
    """Asked for by plain HTTP, or redirected to it, it proves nothing."""
    server.files["/sums"] = redirect_to("http://releases.invalid/sums")
    for url in ("http://releases.invalid/sums", f"{server.url}/sums"):
        with pytest.raises(PassedOver, match=r"http://releases\.invalid/sums is not HTTPS"):
            fetch_text(url)
