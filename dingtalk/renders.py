"""Pure: what the worker asks of whoever writes the messages, and a writer that cannot fail, for when the other one does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from dingtalk.alert import AlertStatus
from dingtalk.mention import NOBODY
from dingtalk.part import Mention, Part, Shape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dingtalk.notice import Notice
    from dingtalk.received import Received

_PART_BYTES = 16_000
"""Of the text: as JSON, with quotes doubled at worst, title and keyword, it stays below what DingTalk takes."""
_LINE_CHARACTERS = 300


class Renders(Protocol):
    """Writes messages. What it raises costs its form, not the alert: the bare form is told instead."""

    def group(self, received: Sequence[Received], *, now: float) -> list[Part]:
        """Notifications of one group, in the order they came."""

    def digest(self, groups: Sequence[Sequence[Received]], *, now: float) -> list[Part]:
        """Many groups in one message."""

    def plain(self, received: Sequence[Received], *, now: float) -> list[Part]:
        """The form that DingTalk takes when it refused another: text without links, images and words of annotations."""

    def notice(self, kind: Notice, *, now: float, mention: Mention = NOBODY, **facts: object) -> Part:
        """What the notifier itself has to say, and who is called."""


class BareRenderer:
    """One line an alert: its state, severity, name and instance. Needs nothing and refuses nothing."""

    def group(self, received: Sequence[Received], *, now: float) -> list[Part]:
        """See `Renders`."""
        return self.plain(received, now=now)

    def digest(self, groups: Sequence[Sequence[Received]], *, now: float) -> list[Part]:
        """See `Renders`."""
        return self.plain([one for group in groups for one in group], now=now)

    def plain(self, received: Sequence[Received], *, now: float) -> list[Part]:  # noqa: ARG002 -- of the Protocol
        """See `Renders`."""
        lines = [line for one in received for line in _lines(one)]
        return _parts(list(dict.fromkeys(lines)) or ["(no alerts)"])

    def notice(self, kind: Notice, *, now: float, mention: Mention = NOBODY, **facts: object) -> Part:  # noqa: ARG002 -- of the Protocol
        """See `Renders`."""
        words = ", ".join(f"{name} {value}" for name, value in sorted(facts.items()))
        return _parts([f"notifier: {kind.name.lower().replace('_', ' ')} {words}".strip()])[0]


def _lines(received: Received) -> list[str]:
    notification = received.notification
    lines = [
        " ".join(
            [
                "[恢复]" if alert.status is AlertStatus.RESOLVED else "[告警]",
                alert.severity.value,
                alert.name,
                alert.labels.get("mgeo_instance_name") or alert.labels.get("instance", ""),
            ]
        )
        for alert in notification.alerts
    ]
    if notification.truncated:
        lines.append(f"(+{notification.truncated})")
    # An @ would call somebody; line ends would forge lines.
    return ["".join(c if c.isprintable() and c != "@" else " " for c in line)[:_LINE_CHARACTERS].rstrip() for line in lines]


def _parts(lines: Sequence[str]) -> list[Part]:
    texts, size = [[]], 0  # type: list[list[str]], int
    for line in lines:
        # As JSON a quote or a backslash takes twice its bytes.
        cost = len(line.encode(errors="replace")) + line.count('"') + line.count("\\") + 2
        if texts[-1] and size + cost > _PART_BYTES:
            texts.append([])
            size = 0
        texts[-1].append(line)
        size += cost
    return [
        Part(title=text[0][:60], text="\n".join(text if len(texts) == 1 else [f"({number}/{len(texts)})", *text]), shape=Shape.TEXT)
        for number, text in enumerate(texts, start=1)
    ]
