"""What the groups saw, and every call with its answer: the newest of both."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING, Any

from dingtalk.simulator.bodies import Link  # noqa: TC001 -- pydantic reads the journal's types when it runs
from dingtalk.simulator.mentions import Mentions  # noqa: TC001 -- the same
from dingtalk.simulator.quota import SHANGHAI

if TYPE_CHECKING:
    from collections.abc import Iterator


class Outcome(StrEnum):
    """What became of a call. Closed."""

    DELIVERED = "delivered"
    DUPLICATE = "duplicate"
    REFUSED = "refused"
    OVER_QUOTA = "over_quota"
    THROTTLED = "throttled"
    BANNED = "banned"
    BLOCKED = "blocked"
    FAULT = "fault"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message that a group sees; `received` in seconds since 1970, `duplicates` the later calls with its msgUuid."""

    index: int
    robot: str
    group: str
    received: float
    msgtype: str
    title: str
    text: str
    links: tuple[Link, ...]
    side_by_side: bool
    mentions: Mentions
    msg_uuid: str
    body_bytes: int
    duplicates: int = 0

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "index": self.index,
            "robot": self.robot,
            "group": self.group,
            "received": in_shanghai(self.received).isoformat(timespec="milliseconds"),
            "received_seconds": self.received,
            "msgtype": self.msgtype,
            "title": self.title,
            "text": self.text,
            "links": [{"title": link.title, "url": link.url, "picture": link.picture} for link in self.links],
            "at": {
                "all": self.mentions.everyone,
                "mobiles": list(self.mentions.mobiles),
                "user_ids": list(self.mentions.user_ids),
                "ignored": [{"id": each.written, "reason": each.ignored} for each in self.mentions.ignored],
            },
            "msgUuid": self.msg_uuid,
            "duplicates": self.duplicates,
            "body_bytes": self.body_bytes,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One call of /robot/send and its answer.

    Attributes:
        index: counts all calls.
        received: seconds since 1970.
        robot: its name; None when no robot has the token.
        client: the caller's network address.
        outcome: what became of it.
        counted: whether it used the robot's window and the organisation's quota.
        http_status: None when the connection is closed without an answer.
        errcode: of the answer, if it has one.
        errmsg: of the answer, if it has one.
        fault: the faults that had a part in it.
        delay: seconds the answer was held back.
        message: the index of the message it delivered, or repeated.
        msgtype: as sent; empty when the body could not be read.
        title: the title, or the beginning of the text.
        msg_uuid: as sent.
        body_bytes: size of the encoded body.
    """

    index: int
    received: float
    robot: str | None
    client: str
    outcome: Outcome
    counted: bool = False
    http_status: int | None = None
    errcode: int | str | None = None
    errmsg: str | None = None
    fault: tuple[str, ...] = ()
    delay: float = 0.0
    message: int | None = None
    msgtype: str = ""
    title: str = ""
    msg_uuid: str = ""
    body_bytes: int = 0

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "index": self.index,
            "robot": self.robot,
            "received": in_shanghai(self.received).isoformat(timespec="milliseconds"),
            "received_seconds": self.received,
            "client": self.client,
            "outcome": self.outcome,
            "counted": self.counted,
            "http_status": self.http_status,
            "errcode": self.errcode,
            "errmsg": self.errmsg,
            "faults": list(self.fault),
            "delay_seconds": self.delay,
            "message": self.message,
            "msgtype": self.msgtype,
            "title": self.title,
            "msgUuid": self.msg_uuid,
            "body_bytes": self.body_bytes,
        }


def in_shanghai(unix: float) -> datetime:
    """A moment in the time zone of the groups."""
    return datetime.fromtimestamp(unix, UTC).astimezone(SHANGHAI)


class History:
    """Keeps the newest `keep` messages and calls. Both are numbered from 1 without gaps, and go on counting after a reset."""

    def __init__(self, keep: int) -> None:
        self._messages: deque[Message] = deque(maxlen=keep)
        self._attempts: deque[Attempt] = deque(maxlen=keep)
        self.next_message = 1
        self.next_attempt = 1

    def show(self, message: Message) -> None:
        """Add a message, which has the index `next_message`."""
        self._messages.append(message)
        self.next_message = message.index + 1

    def note(self, attempt: Attempt) -> None:
        """Add a call, which has the index `next_attempt`."""
        self._attempts.append(attempt)
        self.next_attempt = attempt.index + 1

    def repeated(self, index: int) -> None:
        """Count a call with the msgUuid of a message; one that is not kept any more is not counted."""
        position = index - self.next_message + len(self._messages)
        if 0 <= position < len(self._messages):
            message = self._messages[position]
            self._messages[position] = replace(message, duplicates=message.duplicates + 1)

    def messages(self, since: int = 0) -> Iterator[Message]:
        """The messages kept after index `since`, oldest first."""
        return islice(self._messages, max(since + 1 - self.next_message + len(self._messages), 0), None)

    def attempts(self, since: int = 0) -> Iterator[Attempt]:
        """The calls kept after index `since`, oldest first."""
        return islice(self._attempts, max(since + 1 - self.next_attempt + len(self._attempts), 0), None)

    def newest_messages(self) -> Iterator[Message]:
        """The messages kept, newest first."""
        return reversed(self._messages)

    def newest_attempts(self) -> Iterator[Attempt]:
        """The calls kept, newest first."""
        return reversed(self._attempts)

    def clear(self) -> None:
        """Forget all; the numbers go on."""
        self._messages.clear()
        self._attempts.clear()
