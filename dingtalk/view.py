"""Pure: an alert as a message shows it: every word and address chosen, nothing escaped yet but addresses."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from dingtalk import wording
from dingtalk.escape import is_reachable, safe_url

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import tzinfo

    from dingtalk.config import Config
    from dingtalk.told import Told

MAX_STEPS = 3
MAX_REQUEST_IDS = 3

# As the service accepts them; nothing else may stand in a command that somebody copies into a shell.
_REQUEST_ID = re.compile(r"(?!-)[A-Za-z0-9._~-]{1,128}(?::\d{1,5})?")
_STEP_NUMBER = re.compile(r"^\s*(?:[-*]|\d{1,2}[.)、])\s+")
_PATH = re.compile(r"/[A-Za-z0-9/._~?=&%-]{1,200}")
_RUNBOOK = re.compile(r"docs/runbooks/([A-Za-z0-9_]{1,80})\.md")
_DASHBOARD = re.compile(r"[A-Za-z0-9_-]{1,40}")
PAGES = "/notifier"
"""Where the notifier's own pages are below the public address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertView:
    """One alert of a message.

    Attributes:
        name: the English name.
        severity: `critical`, `warning`, `info` or `none`.
        mark, severity_word: how that is shown.
        over: whether it has ended; `state` says how in words, empty while it fires.
        late: it is told later than it should have been.
        instance: where; empty when nobody says.
        since, until, lasted: times and length in words; `until` is empty while it fires, `lasted` where nobody knows one of them.
        late_by: how long after its end it is told, in words; empty when it is not late, and where nobody knows the end.
        value, threshold: as the alert's rule wrote them; empty when it did not.
        steps: the first of its runbook.
        runbook_url, dashboard_url, story_url: encoded, and empty where no phone reaches them.
        story_path: where the example requests are listed on this box, when there is no link to them.
        request_ids: of example requests.
    """

    name: str
    severity: str
    mark: str
    severity_word: str
    over: bool
    state: str
    late: bool
    summary: str
    description: str
    instance: str
    since: str
    until: str
    lasted: str
    late_by: str
    value: str
    threshold: str
    steps: tuple[str, ...]
    runbook_url: str
    dashboard_url: str
    story_url: str
    story_path: str
    request_ids: tuple[str, ...]
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


class Viewer:
    """Makes views.

    Args:
        config: its public address and its time zone.
        first_steps: by the alert's name, for alerts that do not bring theirs.
    """

    def __init__(self, config: Config, first_steps: Mapping[str, str]) -> None:
        self._public_url = config.public_url
        self._grafana_url = config.grafana_url
        self.zone: tzinfo = ZoneInfo(config.time_zone)
        self._first_steps = first_steps

    def view(self, told: Told, *, now: float) -> AlertView:
        """How an alert is shown at this moment."""
        alert = told.alert
        annotations = alert.annotations
        ended = told.ended_at
        path = annotations.get("story_url", "") or annotations.get("story", "")
        story = self._url(path)
        return AlertView(
            name=alert.name,
            severity=alert.severity.value,
            mark=wording.OVER_MARK if told.over else wording.SEVERITY_MARKS[alert.severity],
            severity_word=wording.SEVERITY_WORDS[alert.severity],
            over=told.over,
            state="" if not told.over else wording.FIRED_AND_RESOLVED if told.began else wording.RESOLVED,
            late=told.late,
            summary=_without_name(annotations.get("summary", ""), alert.name) or alert.name,
            description=_without_name(annotations.get("description", ""), alert.name),
            instance=alert.labels.get("mgeo_instance_name") or alert.labels.get("instance", ""),
            since=wording.local_time(alert.starts_at, self.zone, now),
            until=self._until(told, now),
            lasted=self._lasted(told, now),
            late_by=wording.duration(now - ended) if told.late and ended is not None else "",
            value=annotations.get("value", "").strip(),
            threshold=annotations.get("threshold", "").strip(),
            steps=_steps(annotations.get("first_steps", "") or self._first_steps.get(alert.name, "")),
            runbook_url=self._runbook(annotations.get("runbook_url", "")),
            dashboard_url=self._dashboard(annotations),
            story_url=story,
            story_path="" if story or not _PATH.fullmatch(path) or path.startswith("//") else path,
            request_ids=_request_ids(annotations.get("request_ids", "") or annotations.get("request_id", "")),
            labels=alert.labels,
            annotations=annotations,
        )

    def _until(self, told: Told, now: float) -> str:
        if not told.over:
            return ""
        return wording.UNKNOWN_TIME if told.ended_at is None else wording.local_time(told.ended_at, self.zone, now)

    @staticmethod
    def _lasted(told: Told, now: float) -> str:
        if not told.alert.starts_at > 0 or (told.over and told.ended_at is None):
            return ""
        return wording.age(now - told.alert.starts_at) if told.ended_at is None else wording.duration(told.ended_at - told.alert.starts_at)

    def _runbook(self, text: str) -> str:
        # The rules name the file of the checkout, which the notifier shows as a page.
        found = _RUNBOOK.fullmatch(text.strip())
        return self._url(f"{PAGES}/runbooks/{found[1]}" if found else text)

    def _dashboard(self, annotations: Mapping[str, str]) -> str:
        uid = annotations.get("dashboard", "").strip()
        if self._grafana_url and _DASHBOARD.fullmatch(uid):
            return self._url(f"{self._grafana_url.rstrip('/')}/d/{uid}")
        return self._url(annotations.get("dashboard_url", ""))

    def _url(self, text: str) -> str:
        url = safe_url(text, self._public_url)
        # Where people reach this stack is said by the configuration, whatever its name looks like.
        return url if url and (urlsplit(url).hostname == urlsplit(self._public_url).hostname or is_reachable(url)) else ""


def _without_name(text: str, name: str) -> str:
    """What a rule says, without the English name before it, which a message has anyway."""
    return text.strip().removeprefix(name).lstrip(" ：:").strip()


def _steps(text: str) -> tuple[str, ...]:
    steps = [_STEP_NUMBER.sub("", step).strip() for step in text[:4_000].splitlines()]
    return tuple(step for step in steps if step)[:MAX_STEPS]


def _request_ids(text: str) -> tuple[str, ...]:
    found = [word for word in re.split(r"[\s,]+", text[:2_000]) if _REQUEST_ID.fullmatch(word)]
    return tuple(found[:MAX_REQUEST_IDS])
