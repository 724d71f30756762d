"""Pure: how a group stands now, in the words of a notice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dingtalk.received import read
from dingtalk.told import merge

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dingtalk.escalation import Case
    from dingtalk.outbox.rows import StoredGroup
    from dingtalk.told import Group, Told

MAX_NAMES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One group, by the newest that was received of it.

    Attributes:
        digest: names it in links and commands.
        group: its alerts, those that fire first.
        firing: whether any does, or may: of what Alertmanager left out nobody knows.
        case: who was asked, or has taken it; None when nobody has to.
    """

    digest: str
    receiver: str
    group: Group
    firing: bool
    received_at: float
    case: Case | None

    @property
    def alerts(self) -> tuple[Told, ...]:
        """The alerts that fire; all of them when none does."""
        firing = tuple(told for told in self.group.told if not told.over)
        return firing or self.group.told

    def matching(self, matchers: Mapping[str, str]) -> tuple[Told, ...]:
        """Those of its alerts that a silence with these labels is for."""
        return tuple(told for told in self.alerts if all(told.alert.labels.get(name, "") == value for name, value in matchers.items()))

    @property
    def what(self) -> str:
        """What is wrong and where, and how many more there are."""
        if not self.alerts:
            return f"组 {self.digest}"
        alert = self.alerts[0].alert
        summary = alert.annotations.get("summary", "").strip().removeprefix(alert.name).lstrip(" ：:").strip()
        where = alert.labels.get("mgeo_instance_name") or alert.labels.get("instance", "")
        text = " · ".join(filter(None, [summary[:80] or alert.name, where[:60]]))
        if summary:
            text += f"（{alert.name[:60]}）"
        return f"{text}等 {len(self.alerts)} 条" if len(self.alerts) > 1 else text

    @property
    def names(self) -> str:
        """The English names of its alerts and nothing else of them: what may be said outside of the group."""
        names = list(dict.fromkeys(told.alert.name for told in self.alerts))
        return "、".join(names[:MAX_NAMES]) + ("等" if len(names) > MAX_NAMES else "")


def standing(stored: StoredGroup) -> Standing:
    """How a stored group stands."""
    return Standing(
        digest=stored.digest,
        receiver=stored.receiver,
        group=merge([read(stored.newest)]),
        firing=stored.firing is not None,
        received_at=stored.newest.received_at,
        case=stored.case,
    )


def matchers_text(matchers: Mapping[str, str]) -> str:
    """The labels of a silence as one line."""
    return "，".join(f"{name}={value}" for name, value in sorted(matchers.items()))
