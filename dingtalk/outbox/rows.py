"""What the outbox gives and takes, as values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dingtalk.alert import Severity
    from dingtalk.escalation import Case
    from dingtalk.part import Part
    from dingtalk.plan import Form, Lane
    from dingtalk.trace_ids import TraceIds


class MessageState(StrEnum):
    """Where a message is."""

    WAITING = "waiting"
    SENDING = "sending"
    DELIVERED = "delivered"
    MERGED = "merged"
    """Taken back before it was told: its alerts are told by another message, or nobody is to be asked any more."""
    DEAD = "dead"
    """Nobody could be told."""


class RobotState(StrEnum):
    """What a robot is."""

    OK = "ok"
    BANNED = "banned"
    DEAD = "dead"
    MISCONFIGURED = "misconfigured"
    OVER_QUOTA = "over_quota"


NO_ROBOT = "no_robot"
"""Outcome of a dead letter that no robot was there for; it is told when one is there again."""
FALLBACK = "fallback"
"""Stands for a robot where a fallback channel told a message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A receipt that is stored for good, now or as the same content before."""

    id: int
    duplicate: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredReceipt:
    """One receipt; `payload` as it came. `echoes` are fingerprints of late alerts in it that an earlier receipt told already."""

    id: int
    receiver: str
    payload: bytes
    received_at: float
    repeat: int
    echoes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredGroup:
    """One group.

    Attributes:
        digest: names it in links and commands.
        firing: how urgent the most urgent alert that fires is; None when all of it is over.
        newest: the last that was received of it.
        case: who was asked, or has taken it; None when nobody has to.
    """

    digest: str
    receiver: str
    group_key: str
    firing: Severity | None
    newest: StoredReceipt
    case: Case | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UsedLink:
    """A signed link that is used: its hash, by whom, and when it would have expired in seconds since 1970."""

    hash: str
    who: str
    expires_at: float


class LinkUse(StrEnum):
    """How a use of a link begins, which is done only when something came of it."""

    FIRST = "first"
    AGAIN = "again"
    """Of an earlier use nobody knows what came of it."""
    UNDER_WAY = "under_way"
    """Another one is, or was a moment ago: it must not begin."""
    DONE = "done"
    """The link has counted: it must not begin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A rendered bundle, to be stored before its first attempt."""

    receiver: str
    group_key: str
    lane: Lane
    form: Form
    parts: tuple[Part, ...]
    receipts: tuple[int, ...] = ()
    received_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMessage:
    """One message, as people and the worker see it; `group_key` is that of its first group."""

    id: int
    bundle: int
    number: int
    total: int
    form: Form
    receiver: str
    group_key: str
    lane: Lane
    part: Part
    msg_uuid: str
    state: MessageState
    robot: str
    attempts: int
    fallback_tries: int
    next_attempt_at: float
    outcome: str
    detail: str
    received_at: float
    created_at: float
    changed_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One receipt whose every message is delivered."""

    severity: Severity
    received_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertTold:
    """The last that Alertmanager told of one time an alert fired."""

    receiver: str
    fingerprint: str
    status: str
    starts_at: float
    ends_at: float | None
    labels: dict[str, str]
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RobotRow:
    """What is known of a robot; `until` is when it is tried again, in seconds since 1970."""

    state: RobotState = RobotState.OK
    until: float = 0.0
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """How much waits; `oldest` in seconds since 1970, None when nothing waits."""

    critical: int = 0
    normal: int = 0
    oldest: float | None = None
    dead: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRow:
    """One attempt; `outcome` is None while it is under way."""

    id: int
    robot: str
    at: float
    outcome: str | None
    counted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptRow:
    """One receipt without its payload; `trace` is None where none was kept."""

    id: int
    received_at: float
    severity: str
    alerts: int
    repeat: int
    state: str
    trace: TraceIds | None
