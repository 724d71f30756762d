"""What a call wants to say: the JSON body of each msgtype, read and checked."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from dingtalk.simulator import errcode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dingtalk.simulator.errcode import Refusal, Wording


class BodyRefused(Exception):
    """The body cannot be a message; `refusal` is the answer."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.text)
        self.refusal = refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A button, the target of a link message, or one entry of a feed."""

    title: str
    url: str
    picture: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AtRequest:
    """Whom the sender wants to @."""

    everyone: bool = False
    mobiles: tuple[str, ...] = ()
    user_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """One message as it was sent."""

    msgtype: str
    title: str = ""
    text: str = ""
    links: tuple[Link, ...] = ()
    side_by_side: bool = False
    at: AtRequest = AtRequest()
    msg_uuid: str = ""

    @property
    def words(self) -> str:
        """All that people read, for keywords and content checks."""
        return "\n".join([self.title, self.text, *(link.title for link in self.links)])


def read_body(content_type: str, raw: bytes, wording: Wording) -> Body:
    """Read the body of a call.

    Raises:
        BodyRefused: with DingTalk's answer.
    """
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise BodyRefused(errcode.INVALID_CONTENT_TYPE)
    members = _object(_json(raw))
    msgtype = members.get("msgtype")
    if not isinstance(msgtype, str):
        raise BodyRefused(errcode.INVALID_PARAMETER)
    reader = _READERS.get(msgtype)
    if reader is None:
        raise BodyRefused(errcode.UNSUPPORTED_MSGTYPE)
    uuid = members.get("msgUuid")
    if uuid is not None and not isinstance(uuid, str):
        raise BodyRefused(errcode.INVALID_PARAMETER)
    parts = reader(_Fields(msgtype, members.get(msgtype), wording))
    return Body(msgtype=msgtype, at=_at(members.get("at")), msg_uuid=uuid or "", **parts)


class _Fields:
    """The member of the body that is named like its msgtype; `where` is what a refusal says is missing a field."""

    def __init__(self, where: str, members: object, wording: Wording) -> None:
        self._where = where
        self._wording = wording
        self._members = {} if members is None else _object(members)

    def needed(self, name: str) -> str:
        text = self.optional(name)
        if not text.strip():
            self.missing(name)
        return text

    def optional(self, name: str) -> str:
        text = self._members.get(name)
        if text is None:
            return ""
        if not isinstance(text, str):
            raise BodyRefused(errcode.INVALID_PARAMETER)
        return text

    def entries(self, name: str) -> list[_Fields]:
        entries = self._members.get(name)
        if not entries:
            self.missing(name)
        if not isinstance(entries, list):
            raise BodyRefused(errcode.INVALID_PARAMETER)
        return [_Fields(f"{self._where}->{name}", entry, self._wording) for entry in entries]

    def missing(self, name: str) -> NoReturn:
        raise BodyRefused(errcode.missing_parameter(self._wording, self._where, name))


def _text(fields: _Fields) -> Mapping[str, Any]:
    return {"text": fields.needed("content")}


def _markdown(fields: _Fields) -> Mapping[str, Any]:
    return {"title": fields.needed("title"), "text": fields.needed("text")}


def _link(fields: _Fields) -> Mapping[str, Any]:
    title, text = fields.needed("title"), fields.needed("text")
    return {"title": title, "text": text, "links": (Link(title=title, url=fields.needed("messageUrl"), picture=fields.optional("picUrl")),)}


def _action_card(fields: _Fields) -> Mapping[str, Any]:
    title, text = fields.needed("title"), fields.needed("text")
    if fields.optional("singleTitle") or fields.optional("singleURL"):
        buttons = [Link(title=fields.needed("singleTitle"), url=fields.needed("singleURL"))]
    else:
        buttons = [Link(title=each.needed("title"), url=each.needed("actionURL")) for each in fields.entries("btns")]
    return {"title": title, "text": text, "links": tuple(buttons), "side_by_side": fields.optional("btnOrientation") == "1"}


def _feed_card(fields: _Fields) -> Mapping[str, Any]:
    links = tuple(
        Link(title=each.needed("title"), url=each.needed("messageURL"), picture=each.needed("picURL")) for each in fields.entries("links")
    )
    return {"links": links}


_READERS: Mapping[str, Callable[[_Fields], Mapping[str, Any]]] = {
    "text": _text,
    "markdown": _markdown,
    "link": _link,
    "actionCard": _action_card,
    "feedCard": _feed_card,
}


def _at(members: object) -> AtRequest:
    if members is None:
        return AtRequest()
    at = _object(members)
    everyone = at.get("isAtAll")
    if everyone is not None and not isinstance(everyone, bool):
        raise BodyRefused(errcode.INVALID_PARAMETER)
    return AtRequest(everyone=bool(everyone), mobiles=_identifiers(at.get("atMobiles")), user_ids=_identifiers(at.get("atUserIds")))


def _identifiers(entries: object) -> tuple[str, ...]:
    if entries is None:
        return ()
    if not isinstance(entries, list) or not all(isinstance(entry, str | int) and not isinstance(entry, bool) for entry in entries):
        raise BodyRefused(errcode.INVALID_PARAMETER)
    return tuple(dict.fromkeys(str(entry) for entry in entries if entry != ""))


def _json(raw: bytes) -> object:
    try:
        members = json.loads(raw.decode("utf-8"), parse_constant=_no_constant)
        # Half of a surrogate pair is no text that could be shown or stored.
        json.dumps(members, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError):
        raise BodyRefused(errcode.MISSING_JSON) from None
    return members


def _object(members: object) -> dict[str, Any]:
    if not isinstance(members, dict):
        raise BodyRefused(errcode.INVALID_PARAMETER)
    return members


def _no_constant(_name: str) -> NoReturn:
    raise ValueError
