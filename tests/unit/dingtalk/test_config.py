"""The configuration of the notifier: what it takes, and how it says no."""

from __future__ import annotations

import pytest

from dingtalk.config import Config, load_config
from dingtalk.errors import ConfigError

ROBOT = """
[[robots]]
name = "ops"
token = "0123456789abcdef"
secret = "SEC0123"
"""
RECEIVER = """
[[receivers]]
name = "critical"
robots = ["ops"]
"""


@pytest.fixture
def load(tmp_path):
    def load(text: str, **files: str) -> Config:
        for name, content in files.items():
            (tmp_path / name).write_text(content)
        path = tmp_path / "notifier.toml"
        path.write_text(text)
        return load_config(path)

    return load


def faults(load, text: str, **files: str) -> str:
    with pytest.raises(ConfigError) as refused:
        load(text, **files)
    return str(refused.value)


def test_a_robot_and_a_receiver_are_enough(load):
    """Everything else has a default: loopback, the alert manager beside it, eighteen a minute, Shanghai's time."""
    config = load(ROBOT + RECEIVER)
    assert (config.host, config.port, config.alertmanager_url) == ("127.0.0.1", 8060, "http://127.0.0.1:9093")
    assert (config.robots[0].per_minute, config.robots[0].reserve, config.time_zone) == (18, 3, "Asia/Shanghai")
    assert config.organisation("default").monthly_quota == 3000


def test_secrets_never_print(load):
    """Neither in a line of a log nor in an error."""
    config = load('token = "inbound"\n' + ROBOT + RECEIVER)
    assert "0123456789abcdef" not in repr(config)
    assert "SEC0123" not in repr(config)
    assert "inbound" not in repr(config)
    said = faults(load, 'token = "inbound"\nport = "x"\n' + ROBOT + RECEIVER)
    assert "inbound" not in said
    assert "0123456789abcdef" not in said


def test_a_secret_may_stand_in_a_file_beside_the_configuration(load):
    """Its end of line is not part of it; several fallbacks stand one a line."""
    config = load(
        'token_file = "inbound"\n[[robots]]\nname = "ops"\ntoken_file = "robot"\n' + RECEIVER + 'fallbacks_file = "others"\n',
        inbound="one\n",
        robot="two\n",
        others="mailto://a\nmailto://b\n",
    )
    assert config.token.get_secret_value() == "one"
    assert config.robots[0].token.get_secret_value() == "two"
    assert [one.get_secret_value() for one in config.receivers[0].fallbacks] == ["mailto://a", "mailto://b"]


def test_a_receiver_nobody_knows_is_the_default_one(load):
    """A notification is never refused for its name."""
    second = '[[receivers]]\nname = "warning"\nrobots = ["ops"]\n'
    assert load(ROBOT + RECEIVER + second).receiver("nobody").name == "critical"
    assert load('default_receiver = "warning"\n' + ROBOT + RECEIVER + second).receiver("nobody").name == "warning"
    assert load(ROBOT + RECEIVER + second).receiver("warning").name == "warning"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (ROBOT + ROBOT + RECEIVER, "robots: the name 'ops' is given twice"),
        (ROBOT + RECEIVER + RECEIVER, "receivers: the name 'critical' is given twice"),
        (ROBOT + RECEIVER.replace('"ops"', '"oqs"'), "receiver 'critical' names the robot 'oqs', which is none of [[robots]]"),
        (ROBOT + RECEIVER + '[rota]\npeople = ["张三"]\n', "'张三' is called, but is none of [[people]]"),
        ('default_receiver = "x"\n' + ROBOT + RECEIVER, "default_receiver = 'x' is none of [[receivers]]"),
        (ROBOT + 'url = "https://example.com/robot/send"\n' + RECEIVER, "robot 'ops' is at example.com, which is not DingTalk's"),
        (ROBOT + 'url = "http://oapi.dingtalk.com/robot/send"\n' + RECEIVER, "http:// would show its token to the network; use https"),
        (
            'allowed_hosts = ["simulator"]\n' + ROBOT + 'url = "http://simulator:8061/robot/send"\n' + RECEIVER,
            "http:// would show its token to the network; use https",
        ),
        (
            'allowed_hosts = ["http://oapi.dingtalk.com"]\n' + ROBOT + 'url = "http://oapi.dingtalk.com/robot/send"\n' + RECEIVER,
            "http:// would show its token to the network; use https",
        ),
        (
            'allowed_hosts = ["http://simulator"]\n' + ROBOT + 'url = "http://other:8061/robot/send"\n' + RECEIVER,
            "robot 'ops' is at other, which is not DingTalk's",
        ),
        ('public_url = "http://127.0.0.1:6006"\n' + ROBOT + RECEIVER, "no phone reaches a loopback address"),
        ('public_url = "http://localhost"\n' + ROBOT + RECEIVER, "no phone reaches a loopback address"),
        ('public_url = "box.example"\n' + ROBOT + RECEIVER, "public_url = box.example is no address of a page"),
        ('time_zone = "Shanghai"\n' + ROBOT + RECEIVER, "'Shanghai' is no time zone; give one such as Asia/Shanghai"),
        (ROBOT + "per_minute = 21\n" + RECEIVER, "robots.0.per_minute: Input should be less than or equal to 20"),
        (ROBOT + "per_minute = 3\n" + RECEIVER, "reserve = 3 leaves nothing of per_minute = 3"),
        (ROBOT + 'token_file = "robot"\n' + RECEIVER, "robots.0: token and token_file are both given; keep one"),
        ('[[robots]]\nname = "ops"\ntoken_file = "absent"\n' + RECEIVER, "absent cannot be read: No such file or directory"),
        ('[[robots]]\nname = "ops"\n' + RECEIVER, "robots.0.token: Field required"),
        (RECEIVER, "robots: Field required"),
        (ROBOT + RECEIVER + '[[people]]\nname = "张三"\n', "张三 has neither mobile nor user_id"),
        (ROBOT + RECEIVER + "[[owners]]\nquiet_from = 22:00:00\n", "quiet_from and quiet_until belong together"),
        ("colour = 1\n" + ROBOT + RECEIVER, "colour: Extra inputs are not permitted"),
        ("robots = [", "is no TOML"),
    ],
)
def test_what_is_wrong_is_named_with_its_place_and_its_fix(load, text, said):
    """Before anything runs."""
    assert said in faults(load, text)


def test_what_a_command_line_says_wins(tmp_path):
    """Also over a secret's file, which is not read then; what it does not say stays."""
    path = tmp_path / "notifier.toml"
    path.write_text('token_file = "absent"\nport = 9000\n' + ROBOT + RECEIVER)
    config = load_config(path, token="given", host="::1", port=None)
    assert (config.token.get_secret_value(), config.host, config.port) == ("given", "::1", 9000)


def test_every_fault_is_named_at_once(load):
    """Nobody has to start five times."""
    said = faults(load, ROBOT + ROBOT + RECEIVER.replace('"ops"', '"oqs"'))
    assert "given twice" in said
    assert "oqs" in said


def test_an_empty_secret_file_is_refused(load):
    """It would be a robot without a token."""
    assert "is empty" in faults(load, '[[robots]]\nname = "ops"\ntoken_file = "robot"\n' + RECEIVER, robot="\n")


def test_a_loopback_robot_is_allowed_by_name(load):
    """The simulator is one."""
    config = load('allowed_hosts = ["127.0.0.1"]\n' + ROBOT + 'url = "http://127.0.0.1:8061/robot/send"\n' + RECEIVER)
    assert config.robot("ops").url == "http://127.0.0.1:8061/robot/send"


def test_a_host_may_be_allowed_without_tls_by_name(load):
    """A simulator in a container is no loopback address; with TLS it is allowed by the same entry."""
    for scheme in ("http", "https"):
        config = load(f'allowed_hosts = ["http://simulator"]\n{ROBOT}url = "{scheme}://simulator:8061/robot/send"\n{RECEIVER}')
        assert config.robot("ops").url == f"{scheme}://simulator:8061/robot/send"


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    """With the reason."""
    with pytest.raises(ConfigError, match=r"absent\.toml cannot be read: No such file or directory"):
        load_config(tmp_path / "absent.toml")


def test_folders_are_beside_the_configuration(load, tmp_path):
    """Wherever the process was started; an absolute path stays."""
    config = load('templates = "mine"\ndata_dir = "/srv/notifier"\n' + ROBOT + RECEIVER)
    assert (config.templates, str(config.data_dir)) == (tmp_path / "mine", "/srv/notifier")


WATCHER = '[[watchers]]\nurl = "https://watch.example:8060"\nkey_file = "watch.key"\nbox = "gpu-1"\n'
BOX = '[[boxes]]\nname = "gpu-1"\nkey = "0123456789abcdef"\n'


def test_watchers_and_boxes_have_keys_that_may_stand_in_files(load):
    """A watcher is known by its address; secrets do not print."""
    config = load(ROBOT + RECEIVER + WATCHER + BOX, **{"watch.key": "a key that both have\n"})
    (watcher,), (box,) = config.watchers, config.boxes
    assert (watcher.name, watcher.box, watcher.key.get_secret_value()) == ("watch.example:8060", "gpu-1", "a key that both have")
    assert (box.name, box.receiver, config.silent_after, config.remind_every) == ("gpu-1", "", 300.0, 14_400.0)
    assert config.heartbeat_receiver == "watchdog"
    assert "a key that" not in repr(config)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BOX.replace("0123456789abcdef", "short"), "boxes.0.key: a key has at least 16 characters; `openssl rand -hex 32` makes one"),
        ("silent_after = 60\n", "silent_after: Input should be greater than or equal to 120"),
        (BOX + BOX, "boxes: the name 'gpu-1' is given twice"),
        (BOX + 'receiver = "nobody"\n', "box 'gpu-1' names the receiver 'nobody', which is none of [[receivers]]"),
        (WATCHER + WATCHER, "watchers: the name 'watch.example:8060' is given twice"),
        (WATCHER.replace("https://watch.example:8060", "watch.example"), "url is no address of a watcher"),
        (WATCHER.replace("https://", "ftp://"), "url is no address of a watcher"),
        (WATCHER.replace("8060", "8060/?a=b"), "url is no address of a watcher"),
        ('[[receivers]]\nname = "watchdog"\nrobots = ["ops"]\n', "receiver 'watchdog' would hear nothing, since it is heartbeat_receiver"),
    ],
)
def test_faults_of_watching_are_named(load, text, said):
    """With the fix; never with the key."""
    words = faults(load, text + ROBOT + RECEIVER, **{"watch.key": "a key that both have\n"})
    assert said in words
    assert "short" not in words
    assert "a key that both" not in words
