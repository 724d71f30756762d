"""Whatever stands in an archive, nothing is written but what was asked for, and that where it was asked for."""

from __future__ import annotations

import io
import tarfile
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from cli.stack.archive import extract
from cli.stack.program import PassedOver

HOSTILE = ["../caddy", "/tmp/caddy", "a/../../caddy", "./../caddy", "caddy/../caddy", "..", ".", "/", "caddy\\..\\x", "~/caddy", "-rf"]
NAMES = st.one_of(
    st.sampled_from([*HOSTILE, "caddy", "./caddy", "caddy/"]),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40),
)
KINDS = st.sampled_from([tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE])


@given(st.lists(st.tuples(NAMES, KINDS, NAMES, st.binary(max_size=20)), max_size=8))
def test_nothing_is_written_elsewhere(members: list[tuple[str, bytes, str, bytes]]) -> None:
    """Members of any name and kind, links to anywhere: at most the one asked-for file appears, plain, with its own content."""
    with tempfile.TemporaryDirectory() as root:
        inner = Path(root) / "outer/inner"
        inner.mkdir(parents=True)
        archive = Path(root) / "a.tar.gz"
        with tarfile.open(archive, "w:gz") as tar:
            for name, kind, target, content in members:
                member = tarfile.TarInfo(name)
                member.type, member.linkname = kind, target
                member.size = len(content) if kind == tarfile.REGTYPE else 0
                tar.addfile(member, io.BytesIO(content))
        before = set(Path(root).rglob("*"))
        try:
            extract(archive, {"caddy": inner / "ours"})
            extracted = True
        except PassedOver:
            extracted = False
        after = set(Path(root).rglob("*")) - before
        assert after == ({inner / "ours"} if extracted else set())
        if extracted:
            assert not (inner / "ours").is_symlink()
            assert (inner / "ours").read_bytes() in [content for name, kind, _, content in members if kind == tarfile.REGTYPE]
