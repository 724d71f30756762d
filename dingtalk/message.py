"""Pure: notifications → the messages that DingTalk groups read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dingtalk import layout, wording
from dingtalk.escape import link, safe_url, shorten
from dingtalk.links import group_digest
from dingtalk.mention import NOBODY, Roll, union
from dingtalk.notice import Notice, notice_sentence, notice_title
from dingtalk.part import Button, Mention, Part, Shape
from dingtalk.split import Block, Frame, encoded_bytes, room, split
from dingtalk.templates import DIGEST, GROUP, TemplateFailed, Templates
from dingtalk.told import Group, by_group, merge, urgency
from dingtalk.view import AlertView, Viewer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dingtalk.config import Config
    from dingtalk.links import Links
    from dingtalk.received import Received
    from dingtalk.told import Told

DETAILED = 20
"""Alerts of a group that are told in full; those behind them, which are less urgent, get a line each."""
MAX_TITLE = 64
MAX_BUTTONS = 5
SILENCE_HOURS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    """One alert on its way into a message."""

    told: Told
    view: AlertView
    call: Mention
    group: Group


class Renderer:
    """Writes messages.

    Args:
        config: public address, time zone, owners, people, receivers, keywords.
        templates: the user's own; without any, the built-in form.
        links: makes the signed links; used only when the configuration has a public address.
        first_steps: first steps of a runbook by the alert's name, one a line, for alerts that do not bring theirs.
    """

    def __init__(
        self,
        config: Config,
        templates: Templates | None = None,
        *,
        links: Links | None = None,
        first_steps: Mapping[str, str] | None = None,
    ) -> None:
        self._config = config
        self._templates = templates or Templates({})
        self._links = links if config.public_url else None
        self._viewer = Viewer(config, first_steps or {})
        self._roll = Roll(config)
        self._keywords = tuple(sorted({robot.keyword for robot in config.robots if robot.keyword}))

    def group(self, received: Sequence[Received], now: float) -> list[Part]:
        """What one group has to say.

        Args:
            received: its notifications in the order of their receipt; told are the newest states.
            now: seconds since 1970.
        """
        if not received:
            return []
        group = merge(received)
        card = self._config.receiver(group.newest.receiver).card
        shown = self._shown(group, now, by_id=card)
        if not shown:
            return [self._empty(group)]
        views = [one.view for one in shown]
        frame = Frame(
            title=shorten(layout.headline(views[0], others=len(views) - 1), MAX_TITLE),
            foot=self._foot(group, views, now),
            keywords=self._keywords,
        )
        # A card calls nobody by mobile. Who has to be called counts for more than buttons.
        if card and not any(one.call.mobiles for one in shown) and (buttons := self._buttons(group, views, now)):
            frame = Frame(title=frame.title, foot=_truncated(group), shape=Shape.ACTION_CARD, buttons=buttons, keywords=frame.keywords)
        blocks = self._by_template(GROUP, shown, frame, self._group_variables(group, shown, now)) or self._built_in(group, shown, now)
        return split(blocks, frame)

    def digest(self, groups: Sequence[Sequence[Received]], now: float) -> list[Part]:
        """Many groups at once: how many of what, then a line for each alert, the critical ones first.

        Args:
            groups: the notifications of each group, in the order of their receipt.
            now: seconds since 1970.
        """
        merged = [merge(received) for received in groups if received]
        shown = sorted((one for group in merged for one in self._shown(group, now)), key=lambda one: urgency(one.told))
        if not shown:
            return [self._empty(group) for group in merged[:1]]
        variables = self._digest_variables(merged, shown, now)
        counts = variables["counts"]
        foot = _left_out(variables["truncated"])
        frame = Frame(title=shorten(f"📋 告警汇总：{counts}", MAX_TITLE), foot=foot, keywords=self._keywords)
        blocks = self._by_template(DIGEST, shown, frame, variables)
        if not blocks:
            blocks = [Block(text=f"### 📋 告警汇总：{counts}"), *self._lines(shown, now, take_over=True)]
        return split(blocks, frame)

    def plain(self, received: Sequence[Received], now: float) -> list[Part]:
        """The same as plain text without links, images and annotations, for content that DingTalk refused.

        Args:
            received: of one group or of several, in the order of their receipt.
            now: seconds since 1970.
        """
        merged = [merge(one) for one in by_group(received)]
        shown = sorted((one for group in merged for one in self._shown(group, now)), key=lambda one: urgency(one.told))
        if not shown:
            return [self._empty(group, Shape.TEXT) for group in merged[:1]]
        blocks = [Block(text=layout.bare(one.view), call=one.call) for one in shown]
        firing = dict.fromkeys(_digest_of(one.group) for one in shown if not one.view.over)
        foot = [f"接手：mgeo ack {digest}" for digest in list(firing)[:3]]
        truncated = _left_out(sum(group.newest.truncated for group in merged))
        frame = Frame(
            title=shorten(layout.counts([one.view for one in shown]), MAX_TITLE),
            foot="\n".join(filter(None, [truncated, *foot, "（原消息被钉钉拒收，已改为纯文本）"])),
            shape=Shape.TEXT,
            keywords=self._keywords,
        )
        return split(blocks, frame)

    def notice(self, kind: Notice, *, now: float, mention: Mention = NOBODY, **facts: object) -> Part:
        """What the notifier says of itself.

        Args:
            kind: what happened.
            now: seconds since 1970; said, since a notice may wait too.
            mention: who is called.
            **facts: the names in braces in the sentence of the kind; what is not given is said to be unknown.
        """
        title = notice_title(kind)
        text = f"### {title}\n\n{self._clock_time(now)} {notice_sentence(kind, facts)}"
        (part,) = split([Block(text=text, call=mention)], Frame(title=title, keywords=self._keywords))[:1]
        return part

    def faults(self, samples: Mapping[str, Sequence[Received]], now: float) -> list[str]:
        """What is wrong with the user's templates, by rendering each sample strictly; each fault once."""
        faults: dict[str, None] = {}
        for received in samples.values():
            group = merge(received)
            shown = self._shown(group, now)
            variables = {GROUP: self._group_variables(group, shown, now), DIGEST: self._digest_variables([group], shown, now)}
            for name in (name for name in variables if self._templates.has(name)):
                try:
                    self._templates.check(name, {**variables[name], **_alerts(shown)})
                except TemplateFailed as error:
                    faults[str(error)] = None
        return list(faults)

    def _shown(self, group: Group, now: float, *, by_id: bool = False) -> list[_Shown]:
        return [
            _Shown(
                told=told,
                view=self._viewer.view(told, now=now),
                call=self._roll.called(told.alert, over=told.over, now=now, by_id=by_id),
                group=group,
            )
            for told in group.told
        ]

    def _built_in(self, group: Group, shown: Sequence[_Shown], now: float) -> list[Block]:
        blocks: list[Block] = []
        known: dict[str, frozenset[str]] = {}
        for index, one in enumerate(shown[:DETAILED]):
            view = one.view
            text = layout.full(
                view,
                others=0 if index else len(shown) - 1,
                repeat=0 if index else group.repeat,
                known=known.get(view.name, frozenset()),
            )
            known[view.name] = known.get(view.name, frozenset()) | {*layout.steps(view), *layout.links_of(view)}
            blocks.append(Block(text=text, call=one.call, rest=self._rest(group, now)))
        return [*blocks, *self._lines(shown[DETAILED:], now)]

    def _lines(self, shown: Sequence[_Shown], now: float, *, take_over: bool = False) -> list[Block]:
        blocks: list[Block] = []
        told_names: set[tuple[str, str]] = set()
        told_groups: set[str] = set()
        for one in shown:
            view, suffix = one.view, ""
            if take_over and view.severity == "critical" and not view.over and (digest := _digest_of(one.group)) not in told_groups:
                told_groups.add(digest)
                suffix = layout.SEPARATOR + self._take_over(one.group, now)
            text = layout.brief(view, summary=(view.name, view.summary) not in told_names, suffix=suffix)
            told_names.add((view.name, view.summary))
            blocks.append(Block(text=text, call=one.call, line=bool(blocks)))
        return blocks

    def _by_template(self, name: str, shown: Sequence[_Shown], frame: Frame, variables: Mapping[str, Any]) -> list[Block]:
        """The user's form: as many alerts at once as fit. Nothing when there is no template, or it failed for any of them."""
        if not self._templates.has(name):
            return []
        limit = room(frame)
        waiting = [list(shown)]
        blocks: list[Block] = []
        while waiting:
            some = waiting.pop()
            text = self._templates.render(name, {**variables, **_alerts(some)})
            if text is None:
                return []
            if encoded_bytes(text) > limit and len(some) > 1:
                half = len(some) // 2
                waiting += [some[half:], some[:half]]
                continue
            rest = "（以下内容过长，已截去）"
            blocks.append(Block(text=text, call=union(one.call for one in some), rest=rest))
        return blocks

    def _group_variables(self, group: Group, shown: Sequence[_Shown], now: float) -> dict[str, Any]:
        return {
            "receiver": group.newest.receiver,
            "group": _digest_of(group),
            "group_labels": group.newest.group_labels,
            "repeat": group.repeat,
            "counts": layout.counts([one.view for one in shown]),
            "truncated": group.newest.truncated,
            "total": len(shown),
            "now": self._clock_time(now),
        }

    def _digest_variables(self, groups: Sequence[Group], shown: Sequence[_Shown], now: float) -> dict[str, Any]:
        return {
            "counts": layout.counts([one.view for one in shown]),
            "groups": len(groups),
            "truncated": sum(group.newest.truncated for group in groups),
            "total": len(shown),
            "now": self._clock_time(now),
        }

    def _foot(self, group: Group, views: Sequence[AlertView], now: float) -> str:
        lines = [_truncated(group)] if group.newest.truncated else []
        if not all(view.over for view in views):
            named = self._actions(group, now)
            if named:
                lines.append(layout.SEPARATOR.join(link(title, url) for title, url in named))
            else:
                digest = _digest_of(group)
                lines += [f"接手：mgeo ack {digest}", f"静默：mgeo silence {digest} --for {SILENCE_HOURS}h"]
        return layout.LINE.join(lines)

    def _actions(self, group: Group, now: float) -> list[tuple[str, str]]:
        if self._links is None:
            return []
        receiver, key = group.newest.receiver, group.newest.group_key
        named = [("我来处理", self._links.acknowledge(receiver, key, now=now))]
        # A silence without labels would silence everything.
        if group.matchers:
            named.append(("静默", self._links.silence(receiver, key, group.matchers, now=now)))
        # A link with long labels in it may be too long to be one.
        return [(title, url) for title, link_url in named if (url := safe_url(link_url))]

    def _buttons(self, group: Group, views: Sequence[AlertView], now: float) -> tuple[Button, ...]:
        first = views[0]
        named = [] if all(view.over for view in views) else self._actions(group, now)
        named += [("请求详情", first.story_url), ("处理手册", first.runbook_url), ("看板", first.dashboard_url)]
        return tuple(Button(title=title, url=url) for title, url in named if url)[:MAX_BUTTONS]

    def _take_over(self, group: Group, now: float) -> str:
        for title, url in self._actions(group, now)[:1]:
            return link(title, url)
        return f"mgeo ack {_digest_of(group)}"

    def _rest(self, group: Group, now: float) -> str:
        if self._links is not None:
            url = safe_url(self._links.show(group.newest.receiver, group.newest.group_key, now=now))
            if url:
                return link("查看全文", url)
        return f"全文：mgeo notifier status --group {_digest_of(group)}"

    def _empty(self, group: Group, shape: Shape = Shape.MARKDOWN) -> Part:
        text = f"Alertmanager 的通知里没有告警（组 {_digest_of(group)}）。" + _truncated(group)
        return Part(title="空的告警通知", text=text, shape=shape)

    def _clock_time(self, now: float) -> str:
        return wording.local_time(now, self._viewer.zone, now)


def _alerts(shown: Sequence[_Shown]) -> dict[str, list[AlertView]]:
    views = [one.view for one in shown]
    return {"alerts": views, "firing": [view for view in views if not view.over], "resolved": [view for view in views if view.over]}


def _digest_of(group: Group) -> str:
    return group_digest(group.newest.receiver, group.newest.group_key)


def _truncated(group: Group) -> str:
    return _left_out(group.newest.truncated)


def _left_out(number: int) -> str:
    return f"另有 {number} 条告警被 Alertmanager 截去" if number else ""
