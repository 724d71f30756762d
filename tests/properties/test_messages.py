"""Whatever Alertmanager says, it is told: every alert, in messages that DingTalk takes."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from dingtalk.escape import escape
from dingtalk.links import FakeLinks, SignedLinks
from dingtalk.message import Renderer
from dingtalk.part import MAX_BODY_BYTES, Shape
from tests.alerts import LONG_TEXTS, MINUTE, NOW, TEXTS, alert, config, received

READER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
UUID = "0" * 32
PEOPLE = [{"name": "张三", "mobile": "13800000000"}, {"name": "李四", "user_id": "li"}]
KEYWORD = "告警通知告警通知"
ROBOTS = [{"name": "ops", "token": "x", "keyword": KEYWORD}]
PLAIN = Renderer(config(robots=ROBOTS, people=PEOPLE, owners=[{"people": ["张三", "李四"]}]))
PUBLIC = Renderer(
    config(robots=ROBOTS, people=PEOPLE, owners=[{"people": ["张三"], "everyone": True}], public_url="https://box.example.com"),
    links=SignedLinks("https://box.example.com/notifier", b"0123456789abcdef"),
)
CARD = Renderer(
    config(
        robots=ROBOTS,
        people=[{"name": "李四", "user_id": "li"}],
        owners=[{"people": ["李四"]}],
        receivers=[{"name": "critical", "robots": ["ops"], "card": True}],
        public_url="https://box.example.com",
    ),
    links=FakeLinks(),
)
RENDERERS = st.sampled_from([PLAIN, PUBLIC, CARD])
ANNOTATIONS = st.dictionaries(
    st.sampled_from([
        "summary", "description", "value", "threshold", "first_steps", "runbook_url", "dashboard_url", "story_url", "request_ids", "ended_at",
    ]),
    LONG_TEXTS | st.sampled_from(["/a", "https://a.example/" + "x" * 900, "r-1 r-2"]),
).filter(lambda drawn: not any("evil.example" in text for name, text in drawn.items() if name.endswith("_url")))  # fmt: skip
"""An address that a rule names as its own leads where it says; nothing else may lead anywhere."""


@st.composite
def alerts(draw):
    starts_at = draw(st.sampled_from([NOW, NOW - 90 * MINUTE, NOW + 60, 0.0, -62_135_596_800.0]))
    return alert(
        draw(TEXTS),
        draw(st.sampled_from(["critical", "warning", "info", "none", "odd"])),
        draw(TEXTS),
        starts_at=starts_at,
        ends_at=draw(st.none() | st.just(starts_at + 60)),
        labels=draw(st.dictionaries(TEXTS, TEXTS, max_size=2) | st.just({"late": "true"})),
        fingerprint=draw(st.sampled_from("abcdefgh")),
        **draw(ANNOTATIONS),
    )


NOTIFICATIONS = st.builds(
    received,
    st.just(alert()) | alerts(),
    alerts(),
    alerts(),
    group_key=TEXTS,
    truncated=st.integers(0, 10**9),
    late=st.booleans(),
    repeat=st.integers(0, 10**6),
    group_labels=st.dictionaries(TEXTS, LONG_TEXTS, max_size=2),
)
GROUPS = st.lists(NOTIFICATIONS, min_size=1, max_size=3)


def check(parts):
    """What DingTalk asks of every message, and what nobody may bring into one."""
    assert parts
    for part in parts:
        assert part.title.strip()
        assert part.text.strip()
        for keyword in ("", KEYWORD):
            assert len(part.with_keyword(keyword).body(UUID)) <= MAX_BODY_BYTES
        called = [*part.mention.mobiles, *part.mention.user_ids, *(["所有人"] if part.mention.everyone else [])]
        assert sorted(word for word in part.text.split() if word.startswith("@")) == sorted(f"@{name}" for name in called)
        assert part.text.count("@") == len(called)
        if part.shape is Shape.TEXT:
            assert "://" not in part.text
            continue
        for token in READER.parse(part.text):
            assert token.type in {"heading_open", "heading_close", "paragraph_open", "paragraph_close", "inline"}
            for leaf in token.children or []:
                assert leaf.type in {"text", "softbreak", "hardbreak", "link_open", "link_close"}
                if leaf.type == "link_open" and leaf.attrs["href"].startswith("http"):
                    assert leaf.attrs["href"].split("/")[2] in {"box.example.com", "alerts.example.com", "a.example"}


def newest(notifications):
    return {one.fingerprint: one for each in notifications for one in each.notification.alerts}.values()


def check_told(parts, told):
    text = "\n".join(part.text for part in parts)
    for one in told:
        assert escape(one.name, 80) in text
        assert escape(one.labels["mgeo_instance_name"] or one.labels.get("instance", ""), 80) in text


@given(RENDERERS, GROUPS)
@example(PUBLIC, [received(alert(description="告" * 40_000))])
def test_a_group_is_told_whole(renderer, group):
    """Every alert with its name and where it is, in messages that fit; nothing in them came from a label but text."""
    parts = renderer.group(group, NOW)
    check(parts)
    check_told(parts, newest(group))


@settings(max_examples=50)
@given(RENDERERS, st.lists(GROUPS, min_size=1, max_size=3))
def test_a_digest_is_told_whole(renderer, groups):
    """The same of many groups."""
    parts = renderer.digest(groups, NOW)
    check(parts)
    check_told(parts, [one for group in groups for one in newest(group)])


@given(RENDERERS, GROUPS)
def test_plain_text_is_told_whole(renderer, group):
    """Without any link, and without what the rules wrote."""
    parts = renderer.plain(group, NOW)
    check(parts)
    assert all(part.shape is Shape.TEXT and not part.buttons for part in parts)


@pytest.mark.no_cover  # ten thousand times what others do a few times
def test_a_storm_is_told_whole():
    """Ten thousand alerts of a hundred groups: each is named, critical ones first, in a few dozen messages."""
    groups = [
        [
            received(
                *(alert(f"Alert{group}", "critical" if group == 50 else "warning", f"box-{group}-{n}") for n in range(100)),
                group_key=f"{group}",
            )
        ]
        for group in range(100)
    ]
    parts = PLAIN.digest(groups, NOW)
    check(parts)
    assert len(parts) < 50
    text = "\n".join(part.text for part in parts)
    assert all(f"Alert{group} · box-{group}-{number} · " in text for group in range(100) for number in range(100))
    assert parts[0].text.count("🔴") >= 100
    assert "🔴" not in parts[-1].text
