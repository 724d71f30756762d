"""Pure: one message for a robot, and the exact bytes that are sent of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

MAX_BODY_BYTES = 20_000
"""DingTalk refuses a longer body, as encoded."""
MAX_MENTIONS = 50


class Shape(StrEnum):
    """How a message looks."""

    MARKDOWN = "markdown"
    TEXT = "text"
    ACTION_CARD = "actionCard"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """Who is called by an @; what stands here stands in the text too, or DingTalk calls nobody."""

    mobiles: tuple[str, ...] = ()
    user_ids: tuple[str, ...] = ()
    everyone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """One button of an action card."""

    title: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One message.

    Attributes:
        title: what the list of conversations shows.
        text: markdown, or plain text for the shape `text`.
    """

    title: str
    text: str
    shape: Shape = Shape.MARKDOWN
    mention: Mention = field(default_factory=Mention)
    buttons: tuple[Button, ...] = ()

    def with_keyword(self, keyword: str) -> Part:
        """The same, with the word that a robot asks for; it is not added where it stands already."""
        if not keyword or keyword in self.text:
            return self
        return Part(title=self.title, text=f"{self.text}\n\n{keyword}", shape=self.shape, mention=self.mention, buttons=self.buttons)

    def body(self, msg_uuid: str) -> bytes:
        """What is sent: JSON in UTF-8. `msg_uuid` lets DingTalk recognise a repetition."""
        return json.dumps(self._members(msg_uuid), ensure_ascii=False, separators=(",", ":")).encode(errors="replace")

    def _members(self, msg_uuid: str) -> dict[str, Any]:
        at = {
            "atMobiles": list(self.mention.mobiles),
            "atUserIds": list(self.mention.user_ids),
            "isAtAll": self.mention.everyone,
        }
        if self.shape is Shape.TEXT:
            content: dict[str, Any] = {"content": self.text}
        else:
            content = {"title": self.title, "text": self.text}
        if self.shape is Shape.ACTION_CARD:
            content |= {"btnOrientation": "0", "btns": [{"title": button.title, "actionURL": button.url} for button in self.buttons]}
        return {"msgtype": self.shape.value, self.shape.value: content, "at": at, "msgUuid": msg_uuid}
