"""The settings file."""

from __future__ import annotations

import pytest

from dingtalk.simulator.settings import Settings, SettingsError

GOOD = """
limit = 10
window_kind = "fixed"
scale = 0.1
journal = "sim.jsonl"

[quotas]
lab = 100

[blocklist]
links = ["evil.example"]

[[robots]]
name = "ops"
token = "very-secret"
secret = "SECvery"
group = "值班群"
keywords = ["告警"]
allow_ips = ["203.0.113.7", "198.51.100.0/24"]
organisation = "lab"

[[groups]]
name = "值班群"
members = [{name = "张三", mobile = "13800138000", user_id = "zhang3"}]
"""


def test_a_file_says_all(tmp_path):
    """Robots, groups, rules."""
    path = tmp_path / "simulator.toml"
    path.write_text(GOOD)
    settings = Settings.load(path)
    assert (settings.limit, settings.window_kind, settings.scale) == (10, "fixed", 0.1)
    assert settings.robots[0].token.get_secret_value() == "very-secret"
    assert [str(network) for network in settings.robots[0].allow_ips] == ["203.0.113.7/32", "198.51.100.0/24"]
    assert (settings.quota_of("lab"), settings.quota_of("default")) == (100, 3000)
    assert [member.name for member in settings.members_of("值班群")] == ["张三"]
    assert settings.members_of("别的群") == ()


def test_what_is_given_beside_the_file_wins(tmp_path):
    """When it is given."""
    path = tmp_path / "simulator.toml"
    path.write_text(GOOD)
    settings = Settings.load(path, scale=0.5, journal=None)
    assert (settings.scale, str(settings.journal)) == (0.5, "sim.jsonl")


def test_the_defaults_are_dingtalk_rules_and_three_robots():
    """Where DingTalk is silent, the harder rule."""
    settings = Settings.load(None)
    assert [(robot.name, robot.group) for robot in settings.robots] == [
        ("critical", "MGeo 紧急告警"),
        ("warning", "MGeo 告警"),
        ("info", "MGeo 通知"),
    ]
    assert (settings.limit, settings.window_seconds, settings.window_kind, settings.ban_seconds) == (20, 60.0, "sliding", 600.0)
    assert (settings.ban_prolonged, settings.counts_refused, settings.quota) == (True, True, 3000)
    assert (settings.uuid_memory_seconds, settings.body_limit, settings.max_mentions, settings.keep) == (600.0, 20_000, 50, 10_000)
    assert (settings.ip_limit, settings.ip_window_seconds, settings.ip_block_seconds) == (10_000, 20.0, 300.0)


def test_secrets_do_not_print():
    """Neither token nor secret."""
    robot = {"name": "ops", "token": "very-secret", "secret": "SECvery", "group": "g"}
    assert "very" not in repr(Settings.of({"robots": [robot]}))


ROBOT = {"name": "very", "token": "very-secret", "group": "g"}


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ({"robots": []}, "robots: "),
        ({"robots": [{}]}, "robots.0.name: Field required"),
        ({"robots": [ROBOT, {**ROBOT, "name": "b"}]}, "robots: token of entry 1 is used twice"),
        ({"robots": [ROBOT, {**ROBOT, "token": "b"}]}, "robots: name of entry 1 is used twice"),
        ({"groups": [{"name": "g"}, {"name": "g"}]}, "groups: name of entry 1 is used twice"),
        ({"robots": [{**ROBOT, "token": ["very-secret"]}]}, "robots.0.token: "),
        ({"robots": [{**ROBOT, "secret": ""}]}, "robots.0.secret: "),
        ({"robots": [{**ROBOT, "keywords": ["k"] * 11}]}, "robots.0.keywords: "),
        ({"robots": [{**ROBOT, "allow_ips": ["2001:db8::/32"]}]}, "robots.0.allow_ips.0: "),
        ({"robots": [{**ROBOT, "color": "red"}]}, "robots.0.color: Extra inputs are not permitted"),
        ({"limit": 0}, "limit: "),
        ({"scale": 0}, "scale: "),
        ({"scale": float("inf")}, "scale: "),
        ({"window_kind": "leaky"}, "window_kind: "),
        ({"nonsense": 1}, "nonsense: Extra inputs are not permitted"),
    ],
)
def test_a_wrong_setting_is_named_but_not_shown(members, told):
    """Its value may be a secret."""
    with pytest.raises(SettingsError) as caught:
        Settings.of(members)
    assert told in str(caught.value)
    assert "very-secret" not in str(caught.value)


@pytest.mark.parametrize(("content", "told"), [(b"[", "is not TOML"), (b"\xff", "is not TOML"), (None, "cannot be read")])
def test_a_file_that_cannot_be_used(tmp_path, content, told):
    """Is named with the cause."""
    path = tmp_path / "simulator.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match=told):
        Settings.load(path)
