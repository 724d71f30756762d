"""Official releases: found, fetched, checked, unpacked; and their checksums kept."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from cli.stack.cache import ProgramCache
from cli.stack.pin import read_pin
from cli.stack.program import PROGRAMS, PassedOver
from cli.stack.release import ReleaseSource, published_sums, read_release, write_sums
from service.errors import ProgramUnavailable
from tests.cli.stack.conftest import sha256, tar_of, write_go_module, zip_of

ARCHIVE = tar_of({"alertmanager-0.31.1.linux-amd64/alertmanager": b"am", "alertmanager-0.31.1.linux-amd64/amtool": b"tool"})
CHECKSUM = sha256(ARCHIVE)
TOML = """# A comment that stays.
[alertmanager]
url = "{url}/v{{version}}/alertmanager-{{version}}.linux-{{arch}}.tar.gz"
checksums = "{url}/v{{version}}/sha256sums.txt"
members = {{ alertmanager = "alertmanager-{{version}}.linux-{{arch}}/alertmanager", amtool = "alertmanager-{{version}}.linux-{{arch}}/amtool" }}

[alertmanager.sums]
"0.30.0-amd64" = "sha256:old"
"0.31.1-amd64" = "{checksum}"

# Another comment.
[caddy.sums]
"""
PATH = "/v0.31.1/alertmanager-0.31.1.linux-amd64.tar.gz"


@pytest.fixture
def pin(stack):
    write_go_module(stack, "alertmanager")
    return read_pin(PROGRAMS["alertmanager"], stack)


@pytest.fixture
def make_source(stack, tmp_path, said, pin):
    """A source of releases under a URL, with a checksum."""

    def make(url, checksum=CHECKSUM, *, mirror=None, platform="linux-amd64"):
        (stack / "releases.toml").write_text(TOML.format(url=url, checksum=checksum))
        cache = ProgramCache(tmp_path / "cache")
        return ReleaseSource(cache, mirror=mirror, say=said.append, platform=platform, releases=stack / "releases.toml")

    return make


def test_a_release_is_downloaded_once_with_its_tools(make_source, server, pin, said):
    """Checked, unpacked under our names, kept."""
    server.files[PATH] = ARCHIVE
    source = make_source(server.url)
    with pytest.raises(PassedOver, match="not downloaded yet"):
        source.kept(pin)
    folder = source.download(pin)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"alertmanager": b"am", "amtool": b"tool"}
    assert source.kept(pin) == source.download(pin) == folder
    assert server.asked == [PATH]
    assert said == [f"alertmanager 0.31.1: downloading {server.url}{PATH}"]


def test_a_mirror_is_put_before_the_address(make_source, server, pin):
    """The official address is never asked; the checksum is the official one."""
    server.files[f"/mirror/https://releases.invalid{PATH}"] = ARCHIVE
    make_source("https://releases.invalid", mirror=f"{server.url}/mirror/").download(pin)
    assert server.asked == [f"/mirror/https://releases.invalid{PATH}"]


def test_a_changed_archive_leaves_nothing_behind(make_source, server, pin, tmp_path):
    """A mirror cannot slip anything in."""
    server.files[PATH] = tar_of({"alertmanager-0.31.1.linux-amd64/alertmanager": b"evil"})
    source = make_source(server.url)
    with pytest.raises(PassedOver, match="nothing of it is used"):
        source.download(pin)
    assert [path.suffix for path in (tmp_path / "cache/released").iterdir()] == [".lock"]


def test_an_archive_of_another_layout_is_passed_over(make_source, server, pin):
    """The right checksum, but not what our file says is in it."""
    content = tar_of({"alertmanager": b"am"})
    server.files[PATH] = content
    with pytest.raises(PassedOver, match=r"has no alertmanager-0\.31\.1\.linux-amd64/alertmanager"):
        make_source(server.url, sha256(content)).download(pin)


def test_without_a_known_checksum_nothing_is_downloaded(make_source, server, pin, stack):
    """The reason says what adds one; an older version's sum is no sum."""
    source = make_source(server.url)
    file = stack / "releases.toml"
    file.write_text(file.read_text().replace('"0.31.1-amd64"', '"0.31.0-amd64"'))
    with pytest.raises(
        PassedOver, match=r"the checksum of alertmanager-0\.31\.1\.linux-amd64\.tar\.gz is not in stack/releases\.toml; `mgeo stack"
    ):
        source.download(pin)
    assert server.asked == []


@pytest.mark.parametrize("platform", ["darwin-arm64", "linux-riscv64"])
def test_other_platforms_have_no_release(make_source, server, pin, platform):
    """The projects have some, but we could not say that they work."""
    with pytest.raises(PassedOver, match=f"releases.toml has no archives for {platform}"):
        make_source(server.url, platform=platform).download(pin)


@pytest.mark.parametrize("text", ["", "[alertmanager", "[alertmanager]\nurl = 1\n", "[alertmanager]\nurl = 'https://x'\n"])
def test_a_broken_file_is_named(stack, pin, text):
    """With the fix."""
    (stack / "releases.toml").write_text(text)
    with pytest.raises(ProgramUnavailable, match=r"alertmanager: .*releases.toml cannot be used .*; restore it"):
        read_release(pin, "linux-amd64", stack / "releases.toml")


@pytest.mark.parametrize("checksum", ["sha256:abc", "md5:" + "0" * 64, "0" * 64, "sha256:" + "g" * 64, "sha512:" + "0" * 64])
def test_a_malformed_checksum_is_an_error(make_source, server, pin, checksum):
    """It cannot match, and looks like one that can."""
    with pytest.raises(ProgramUnavailable, match="malformed checksum"):
        make_source(server.url, checksum).download(pin)


def test_published_checksums_are_read_and_written(make_source, server, pin, stack):
    """Those of the pinned version replace those of the program; the rest of the file stays."""
    make_source(server.url)
    file = stack / "releases.toml"
    server.files["/v0.31.1/sha256sums.txt"] = (
        f"{'a' * 64}  alertmanager-0.31.1.linux-amd64.tar.gz\n{'b' * 64} *./alertmanager-0.31.1.linux-arm64.tar.gz\n{'c' * 64}  other\nnoise\n"
    ).encode()
    sums = published_sums(pin, releases=file)
    write_sums({"alertmanager": sums}, releases=file)
    text = file.read_text()
    assert tomllib.loads(text)["alertmanager"]["sums"] == {"0.31.1-amd64": f"sha256:{'a' * 64}", "0.31.1-arm64": f"sha256:{'b' * 64}"}
    assert text.startswith("# A comment that stays.\n")
    assert text.endswith("\n# Another comment.\n[caddy.sums]\n")
    assert server.asked == ["/v0.31.1/sha256sums.txt"]


def test_sums_are_added_where_there_were_none(make_source, server, stack):
    """At the end of the file too; SHA-512 where the project publishes that."""
    make_source(server.url)
    write_sums({"caddy": {"2.11.9-amd64": f"sha512:{'d' * 128}"}}, releases=stack / "releases.toml")
    assert tomllib.loads((stack / "releases.toml").read_text())["caddy"]["sums"] == {"2.11.9-amd64": f"sha512:{'d' * 128}"}


def test_sha512_lists_are_understood(make_source, server, pin, stack):
    """Told by their length."""
    make_source(server.url)
    lines = (f"{digit * 128}  alertmanager-0.31.1.linux-{arch}.tar.gz\n" for digit, arch in (("1", "amd64"), ("2", "arm64")))
    server.files["/v0.31.1/sha256sums.txt"] = "".join(lines).encode()
    assert published_sums(pin, releases=stack / "releases.toml")["0.31.1-arm64"] == f"sha512:{'2' * 128}"


def test_a_list_without_the_archive_is_said(make_source, server, pin, stack):
    """Nothing is guessed."""
    make_source(server.url)
    server.files["/v0.31.1/sha256sums.txt"] = b"\n"
    with pytest.raises(PassedOver, match=r"does not list alertmanager-0\.31\.1\.linux-amd64\.tar\.gz"):
        published_sums(pin, releases=stack / "releases.toml")


def test_sums_need_their_place_in_the_file(make_source, server, stack):
    """A program that the file does not know."""
    make_source(server.url)
    with pytest.raises(ProgramUnavailable, match=r"has no \[loki.sums\]"):
        write_sums({"loki": {}}, releases=stack / "releases.toml")


def test_a_file_that_cannot_be_written_is_said(make_source, server, stack, monkeypatch):
    """Such as in a checkout of somebody else; root may write anywhere, so here the file opens for reading alone."""
    make_source(server.url)

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "write_text", refuse)
    with pytest.raises(ProgramUnavailable, match=r"releases\.toml cannot be written \(Permission denied\)"):
        write_sums({"caddy": {}}, releases=stack / "releases.toml")


def test_a_release_may_be_a_zip(stack, server, tmp_path, said):
    """Loki's is, and its executable has the platform in its name."""
    write_go_module(stack, "loki")
    content = zip_of({"loki-linux-arm64": b"logs"})
    server.files["/v3.7.8/loki-linux-arm64.zip"] = content
    (stack / "releases.toml").write_text(
        f'[loki]\nurl = "{server.url}/v{{version}}/loki-linux-{{arch}}.zip"\nchecksums = ""\n'
        f'members = {{ loki = "loki-linux-{{arch}}" }}\n[loki.sums]\n"3.7.8-arm64" = "{sha256(content)}"\n'
    )
    cache = ProgramCache(tmp_path / "cache")
    source = ReleaseSource(cache, mirror=None, say=said.append, platform="linux-arm64", releases=stack / "releases.toml")
    assert (source.download(read_pin(PROGRAMS["loki"], stack)) / "loki").read_bytes() == b"logs"
