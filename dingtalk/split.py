"""Pure: blocks of text → messages that each fit, cut on the borders of the blocks and counted in exactly the bytes that are sent."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from dingtalk.escape import ELLIPSIS, is_mark
from dingtalk.mention import NOBODY, count, first, mention_text, union, without
from dingtalk.part import MAX_BODY_BYTES, MAX_MENTIONS, Button, Mention, Part, Shape

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_MENTION_CHARACTERS = 80
"""Longer is no mobile and no user id."""
MAX_MENTION_BYTES = 8_000
"""So that those who are called leave room for what they are called for."""

_UUID = "0" * 32
_ZERO_WIDTH_JOINER = "\u200d"
_PARAGRAPH = "\n\n"
# What DingTalk asks for: two blanks on both sides.
_LINE = {Shape.MARKDOWN: "  \n  ", Shape.ACTION_CARD: "  \n  ", Shape.TEXT: "\n"}
_NUMBERING = "（{}/{}）"
_LONGEST_NUMBERING = _NUMBERING.format(99_999, 99_999)
_OTHERS = "以上告警，请以下同事关注："
_WHOLE_LINK = re.compile(r"\[[^\]]*\]\([^)]*\)")
_OPEN_LINK = re.compile(r"\[[^\]]*(?:\](?:\([^)]*)?)?\Z")
_CLOSED_BY_ITSELF = ("**", "`", "~~")
_FONT, _FONT_END = re.compile(r"<font\b[^>]*>"), "</font>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """What stays together.

    Attributes:
        text: markdown or plain text, escaped already.
        call: who is called for it, in the message that has it.
        rest: what stands at the end of it instead when it has to be cut.
        line: it is one line, and stands directly under the one before.
    """

    text: str
    call: Mention = NOBODY
    rest: str = ""
    line: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What all messages of one have.

    Attributes:
        foot: stands under the blocks of each.
        keywords: words that robots ask for; room for the longest is kept.
        limit: most bytes of a body.
    """

    title: str
    foot: str = ""
    shape: Shape = Shape.MARKDOWN
    buttons: tuple[Button, ...] = ()
    keywords: tuple[str, ...] = ()
    limit: int = MAX_BODY_BYTES

    @property
    def keyword_bytes(self) -> int:
        """What the longest keyword takes in a body."""
        return max((encoded_bytes(_PARAGRAPH + keyword) for keyword in self.keywords if keyword), default=0)


@dataclass(slots=True)
class _Draft:
    """A message in the making."""

    texts: list[str] = field(default_factory=list)
    call: Mention = NOBODY
    text_bytes: int = 0


class _Splitter:
    """Fills one draft after the other."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._line = _LINE[frame.shape]
        empty = _part(frame, frame.foot, NOBODY, _LONGEST_NUMBERING)
        self.room = frame.limit - len(empty.body(_UUID)) - frame.keyword_bytes - 2 * encoded_bytes(_PARAGRAPH + _LONGEST_NUMBERING)
        self.drafts: list[_Draft] = []
        self._called = NOBODY
        self._left: list[Mention] = []

    def add(self, block: Block) -> None:
        """Put a block where it fits: behind the others, else into a new draft, else cut."""
        call = without(_sane(block.call), self._called)
        if self.drafts and self._put(self.drafts[-1], block, call):
            return
        self.drafts.append(draft := _Draft())
        if self._put(draft, block, call):
            return
        # More people than a message may call: the others are called at the end.
        now = _at_once(call)
        self._left.append(without(call, now))
        if not self._put(draft, block, now):
            cut_text = cut(block.text, self.room - _mention_bytes(now), end=block.rest)
            self._append(draft, replace(block, text=cut_text), now)

    def call_the_others(self) -> None:
        """Those for whom there was no room."""
        left = without(union(self._left), self._called)
        while count(left):
            some = _at_once(left)
            self.drafts.append(draft := _Draft())
            self._append(draft, Block(text=_OTHERS), some)
            left = without(left, some)

    def _put(self, draft: _Draft, block: Block, call: Mention) -> bool:
        both = union([draft.call, call])
        text_bytes = draft.text_bytes + encoded_bytes(self._text(draft, block))
        if count(both) > MAX_MENTIONS or text_bytes + _mention_bytes(both) > self.room:
            return False
        self._append(draft, block, call)
        return True

    def _append(self, draft: _Draft, block: Block, call: Mention) -> None:
        text = self._text(draft, block)
        draft.texts.append(text)
        draft.text_bytes += encoded_bytes(text)
        draft.call = union([draft.call, call])
        self._called = union([self._called, call])

    def _text(self, draft: _Draft, block: Block) -> str:
        return block.text if not draft.texts else (self._line if block.line else _PARAGRAPH) + block.text

    def parts(self) -> list[Part]:
        """The drafts as messages; numbered when there are several."""
        total = len(self.drafts)
        numbers = [_NUMBERING.format(number, total) if total > 1 else "" for number in range(1, total + 1)]
        return [
            _part(self._frame, _PARAGRAPH.join(filter(None, ["".join(draft.texts), self._frame.foot])), draft.call, number)
            for draft, number in zip(self.drafts, numbers, strict=True)
        ]


def split(blocks: Sequence[Block], frame: Frame) -> list[Part]:
    """Messages with all the blocks, in their order.

    Each fits with the longest keyword and any id of 32 characters, calls at most 50 people, and has everyone it calls both in its
    text and in its list. Nobody is called twice.
    """
    splitter = _Splitter(frame)
    for block in blocks:
        splitter.add(block)
    splitter.call_the_others()
    return splitter.parts()


def room(frame: Frame) -> int:
    """How many bytes of text a message has beside what all have, when it calls nobody."""
    return _Splitter(frame).room


def encoded_bytes(text: str) -> int:
    """What a text takes inside a body."""
    return len(json.dumps(text, ensure_ascii=False).encode(errors="replace")) - 2


def cut(text: str, limit: int, *, end: str = "") -> str:
    """The beginning of a text, in at most so many encoded bytes.

    Cut between characters, never within a link or a tag, and what was opened is closed again.

    Args:
        text: markdown or plain text.
        limit: bytes as in a body, those of `end` included; less than `end` needs gives `end` alone.
        end: what stands after the cut.
    """
    if encoded_bytes(text) <= limit:
        return text
    tail = ELLIPSIS + (_PARAGRAPH + end if end else "")
    budget = limit - encoded_bytes(tail)
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if _closed_bytes(text[:middle]) <= budget else (low, middle - 1)
    kept = text[:low]
    while kept and (is_mark(text[len(kept)]) or _ZERO_WIDTH_JOINER in (kept[-1], text[len(kept)]) or text[len(kept)] == "\ufe0f"):
        kept = kept[:-1]
    # Two stars are one marker.
    while kept and kept[-1] in "*~" and text[len(kept)] == kept[-1]:
        kept = kept[:-1]
    kept = _without_unfinished(kept).rstrip()
    return kept + _closers(kept) + tail if kept else end or ELLIPSIS


def _without_unfinished(text: str) -> str:
    place = 0
    while (place := text.find("[", place)) >= 0:
        if (whole := _WHOLE_LINK.match(text, place)) is not None:
            place = whole.end()
        elif _OPEN_LINK.match(text, place) is not None:
            text = text[:place].removesuffix("!")
        else:
            place += 1
    tag = text.rfind("<")
    return text[:tag] if tag >= 0 and ">" not in text[tag:] else text


def _closers(text: str) -> str:
    closers = "".join(marker for marker in _CLOSED_BY_ITSELF if text.count(marker) % 2)
    open_fonts = len(_FONT.findall(text)) - text.count(_FONT_END)
    return closers + _FONT_END * max(open_fonts, 0)


def _closed_bytes(text: str) -> int:
    return encoded_bytes(text) + encoded_bytes("".join(_CLOSED_BY_ITSELF)) + len(_FONT_END) * len(_FONT.findall(text))


def _part(frame: Frame, text: str, call: Mention, number: str) -> Part:
    text = _PARAGRAPH.join(filter(None, [text, mention_text(call), number]))
    return Part(title=frame.title + number, text=text, shape=frame.shape, mention=call, buttons=frame.buttons)


def _sane(mention: Mention) -> Mention:
    return Mention(
        mobiles=tuple(mobile for mobile in mention.mobiles if len(mobile) <= MAX_MENTION_CHARACTERS),
        user_ids=tuple(user_id for user_id in mention.user_ids if len(user_id) <= MAX_MENTION_CHARACTERS),
        everyone=mention.everyone,
    )


def _at_once(mention: Mention) -> Mention:
    """As many of them as one message may call, and everyone."""
    number = min(count(mention), MAX_MENTIONS)
    while number and _mention_bytes(first(mention, number)) > MAX_MENTION_BYTES:
        number -= 1
    return first(mention, number)


def _mention_bytes(mention: Mention) -> int:
    if mention == NOBODY:
        return 0
    # Once in the text, once in quotes and with a comma in its list, and `true` is shorter than `false`.
    listed = sum(encoded_bytes(name) + 3 for name in (*mention.mobiles, *mention.user_ids))
    return encoded_bytes(_PARAGRAPH + mention_text(mention)) + listed
