"""What a rule is: a recording, or an alert with everything that is said about it. Pure data."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from prometheus.alerting.scale import Duration

if TYPE_CHECKING:
    from collections.abc import Mapping

NOW = Duration(0)


class Severity(StrEnum):
    """Who is disturbed: critical wakes somebody, warning waits for the day, info is read, none is not for people."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"
    NONE = "none"


class Area(StrEnum):
    """What an alert is about; inhibition and routing go by it."""

    INFERENCE = "inference"
    PROCESS = "process"
    TELEMETRY = "telemetry"
    ALERTING = "alerting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A series that is computed once and used by several rules or at other times.

    Attributes:
        why: the comment above it.
        labels: what tells several recordings of one name apart.
    """

    record: str
    expr: str
    why: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert.

    Attributes:
        name: English, as everybody calls it; the runbook is `docs/runbooks/NAME.md`.
        why: the comment above it: where its line is drawn, and why there.
        hold: how long the expression must hold; `for`.
        keep: how long it goes on firing when the expression does not hold any more.
        summary: fixed, in Chinese.
        description: a template, in Chinese; the alert's name is put before it.
        value: a template: the measured value with its unit, for people.
        threshold: the line it is over, for people.
        story: path and query of a search for requests that show it; None when no request does.
        drill: the name of the drill that makes it fire; None when there is none.
        no_drill: why not.
    """

    name: str
    area: Area
    severity: Severity
    expr: str
    why: str
    summary: str
    description: str
    value: str
    threshold: str
    hold: Duration = NOW
    keep: Duration = NOW
    story: str | None = None
    drill: str | None = None
    no_drill: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Rules that are evaluated one after the other; one file."""

    name: str
    why: str
    rules: tuple[Recording | Alert, ...]
