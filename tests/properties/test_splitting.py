"""Messages that fit, whatever they have to say."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from dingtalk.part import MAX_BODY_BYTES, MAX_MENTIONS, Button, Mention, Part, Shape
from dingtalk.split import Block, Frame, encoded_bytes, split
from tests.alerts import LONG_TEXTS

UUID = "f" * 32
TEXTS = LONG_TEXTS | st.builds(
    lambda piece, count: piece * count, st.sampled_from(["a", "告", "🔴", '"', "\n", "**x", "e\u0301"]), st.integers(0, 9_000)
)
NAMES = st.integers(0, 400).map(lambda number: f"138{number:08}")
MENTIONS = st.builds(
    Mention,
    mobiles=st.lists(NAMES, unique=True, max_size=120).map(tuple),
    user_ids=st.lists(st.text("abc_.张@-", min_size=1, max_size=100), unique=True, max_size=60).map(tuple),
    everyone=st.booleans(),
)
BLOCKS = st.builds(Block, text=TEXTS, call=st.just(Mention()) | MENTIONS, rest=st.just("全文：x"), line=st.booleans())
FRAMES = st.builds(
    Frame,
    title=st.text(max_size=64),
    foot=st.text(max_size=500),
    shape=st.sampled_from(Shape),
    buttons=st.lists(st.builds(Button, title=st.text(max_size=10), url=st.just("https://a.example/" + "x" * 900)), max_size=5).map(tuple),
    keywords=st.lists(st.text(max_size=200), max_size=3).map(tuple),
)


def people(mention: Mention) -> list[str]:
    return [*mention.mobiles, *mention.user_ids]


@given(st.lists(BLOCKS, max_size=12), FRAMES)
@example([Block(text="x", line=True)] * 9_000, Frame(title="t", keywords=("k" * 200,)))
@example([Block(text="告" * 9_000, call=Mention(user_ids=tuple("张" * 79 + chr(97 + n) for n in range(26))), rest="x")], Frame(title=""))
def test_every_part_fits_and_calls_at_most_fifty(blocks, frame):
    """With any of the keywords; whom it calls stands in its text and in its list."""
    parts = split(blocks, frame)
    assert bool(parts) == bool(blocks)
    for part in parts:
        for keyword in ("", *frame.keywords):
            assert len(part.with_keyword(keyword).body(UUID)) <= MAX_BODY_BYTES
        assert len(people(part.mention)) <= MAX_MENTIONS
        assert all(f"@{name}" in part.text.split() for name in people(part.mention))
        assert not part.mention.everyone or "@所有人" in part.text.split()


@given(st.lists(BLOCKS, max_size=12), FRAMES)
def test_everybody_is_called_once(blocks, frame):
    """Nobody is forgotten for want of room, and nobody is called twice; names that DingTalk cannot know are left out."""
    called = [name for part in split(blocks, frame) for name in people(part.mention)]
    wanted = {name for block in blocks for name in people(block.call) if len(name) <= 80}
    assert len(called) == len(set(called))
    assert set(called) == wanted


@given(st.lists(st.integers(1, 15_000), min_size=1, max_size=40))
def test_blocks_that_fit_stay_whole_and_in_order(sizes):
    """Each in one part, none lost, none twice."""
    blocks = [Block(text=f"<{number}>" + "x" * size + f"</{number}>", line=bool(number % 2)) for number, size in enumerate(sizes)]
    parts = split(blocks, Frame(title="t", foot="foot"))
    assert [part.text.count(block.text) for block in blocks for part in parts if block.text in part.text] == [1] * len(blocks)
    text = "".join(part.text for part in parts)
    assert [text.index(block.text) for block in blocks] == sorted(text.index(block.text) for block in blocks)


@given(st.text())
def test_bytes_are_counted_as_they_are_sent(text):
    """Added up, they are those of the body."""
    assert len(Part(title="", text=text).body("")) == len(Part(title="", text="").body("")) + encoded_bytes(text)
