"""Pure: the built-in form of a message, line by line, for a phone at night: first what is wrong and where, then what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dingtalk import wording
from dingtalk.escape import escape, escape_lines, link

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dingtalk.view import AlertView

LINE = "  \n  "
"""A new line of the same paragraph, as DingTalk wants it."""
SEPARATOR = " · "
MAX_SUMMARY, MAX_NAME, MAX_INSTANCE = 100, 80, 80
MAX_DESCRIPTION_LINES = 30
MAX_DESCRIPTION = 2_000
SHORT_SUMMARY = 40


def headline(view: AlertView, *, others: int = 0, repeat: int = 0) -> str:
    """How urgent, what, where, and its English name; then how many more there are and which reminder it is."""
    beginning = f"{view.mark} {view.state if view.over else view.severity_word}"
    if view.late:
        beginning += f"（{wording.LATE}）"
    summary = escape(view.summary, MAX_SUMMARY)
    name = escape(view.name, MAX_NAME)
    text = f"{beginning}：{summary}" if summary != name else f"{beginning}：{name}"
    if view.instance:
        text += SEPARATOR + escape(view.instance, MAX_INSTANCE)
    aside = [name] if summary != name else []
    if view.over:
        aside.append(view.severity_word)
    if aside:
        text += f"（{'，'.join(aside)}）"
    if others:
        text += f"等 {others + 1} 条"
    return SEPARATOR.join(filter(None, [text, wording.reminder(repeat)]))


def facts(view: AlertView) -> list[str]:
    """Since when and for how long, and by how much."""
    lines = [_times(view)]
    if view.value and not view.over:
        threshold = f"，阈值 {escape(view.threshold, 80)}" if view.threshold else ""
        lines.append(f"当前 {escape(view.value, 80)}{threshold}")
    return lines


def full(view: AlertView, *, others: int = 0, repeat: int = 0, known: frozenset[str] = frozenset()) -> str:
    """All of one alert.

    Args:
        view: the alert.
        others: how many more the message has; said in the first line of its first alert.
        repeat: which reminder it is; said there too.
        known: steps and links that stand above already, for an alert of the same name.
    """
    lines = ["### " + headline(view, others=others, repeat=repeat), "", *facts(view)]
    if not view.over:
        if view.description and view.description != view.summary:
            lines += escape_lines(view.description, lines=MAX_DESCRIPTION_LINES, limit=MAX_DESCRIPTION)
        lines += [step for step in steps(view) if step not in known]
        links = [one for one in links_of(view) if one not in known]
        lines += [SEPARATOR.join(links)] if links else []
        lines += commands(view)
    head, _, *rest = lines
    return head + "\n\n" + LINE.join(rest)


def brief(view: AlertView, *, summary: bool = True, suffix: str = "") -> str:
    """One alert in a line."""
    text = f"{view.mark} {escape(view.name, MAX_NAME)}"
    if view.instance:
        text += SEPARATOR + escape(view.instance, MAX_INSTANCE)
    text += SEPARATOR + (f"{view.since} 至 {view.until}" if view.over else f"{view.since} 起")
    if view.late:
        text += f"（{wording.LATE}）"
    shown = escape(view.summary, SHORT_SUMMARY)
    return text + (f"：{shown}" if summary and view.summary != view.name else "") + suffix


def bare(view: AlertView) -> str:
    """One alert as plain text without a word that its rule wrote: for a message that DingTalk refused."""
    state = f"{view.mark} {view.state if view.over else view.severity_word}"
    late = f"（{wording.LATE}）" if view.late else ""
    where = SEPARATOR + escape(view.instance, MAX_INSTANCE) if view.instance else ""
    return f"{state}{late}：{escape(view.name, MAX_NAME)}{where}\n{_times(view)}"


def steps(view: AlertView) -> list[str]:
    """The first steps of its runbook, numbered without markdown's lists, which a cut would leave open."""
    return [f"{mark} {escape(step, 200)}" for mark, step in zip(wording.STEP_MARKS, view.steps, strict=False)]


def links_of(view: AlertView) -> list[str]:
    """Where to read on."""
    named = [("请求详情", view.story_url), ("处理手册", view.runbook_url), ("看板", view.dashboard_url)]
    return [link(title, url) for title, url in named if url]


def commands(view: AlertView) -> list[str]:
    """What to type on the box where no link works."""
    if view.story_url:
        return []
    lines = [f"查请求：mgeo lookup {request_id}" for request_id in view.request_ids]
    if not lines and view.story_path:
        lines.append(f"查请求：{escape(view.story_path, 300)}")
    return lines


def counts(views: Sequence[AlertView]) -> str:
    """How many of each kind."""
    firing = [view for view in views if not view.over]
    kinds = {f"{view.mark} {view.severity_word}": 0 for view in firing}
    for view in firing:
        kinds[f"{view.mark} {view.severity_word}"] += 1
    words = [f"触发 {len(firing)} 条"] if firing else []
    if kinds:
        words[0] += f"（{'，'.join(f'{kind} {number}' for kind, number in kinds.items())}）"
    if over := len(views) - len(firing):
        words.append(f"{wording.OVER_MARK} 恢复 {over} 条")
    return "，".join(words)


def _times(view: AlertView) -> str:
    if view.over:
        text = f"{view.since} 至 {view.until}" + (f"，持续 {view.lasted}" if view.lasted else "")
    else:
        just_now = wording.age(0)
        text = f"{view.since} 起" + (f"，{view.lasted if view.lasted == just_now else f'已 {view.lasted}'}" if view.lasted else "")
    return f"{text}；本消息迟到 {view.late_by}" if view.late_by else text
