"""The notifier under measurement: how it is configured, and that it runs."""

from __future__ import annotations

import httpx
import pytest

from benchmarks.notifier_process import NOBODY, NotifierProcess, configuration
from benchmarks.resident import read_resident
from benchmarks.server_process import ServerFailedError
from dingtalk.config import Config, load_config


def loaded(tmp_path, text: str) -> Config:
    file = tmp_path / "n.toml"
    file.write_text(text)
    return load_config(file)


def test_what_is_not_said_is_the_default(tmp_path):
    """What is measured is what ships, but for the quota, which would end a storm before it is told."""
    config = loaded(tmp_path, configuration(NOBODY))
    (robot,) = config.robots
    assert (robot.url, robot.per_minute, robot.reserve) == ("http://127.0.0.1:1/robot/send", 18, 3)
    assert (config.scale, config.max_queue, config.replica_window) == (1.0, 200_000, 240.0)
    assert (config.alertmanager_url, config.prometheus_url, config.public_url) == ("", "", "")
    assert config.organisation(robot.organisation).monthly_quota == 1_000_000_000
    assert [(receiver.name, receiver.robots) for receiver in config.receivers] == [("ops", ["critical"])]


def test_limits_can_be_lifted_as_far_as_the_settings_go(tmp_path):
    """Twenty in a minute that is shortened to 60 ms."""
    config = loaded(tmp_path, configuration("http://127.0.0.1:8061/robot/send", scale=0.001, per_minute=20))
    assert (config.scale, config.robots[0].per_minute) == (0.001, 20)


@pytest.mark.slow
def test_it_is_ready_inside_the_context_and_gone_after_it(tmp_path):
    """On a port of its own, with its outbox in the folder."""
    with NotifierProcess(tmp_path, configuration(NOBODY)) as notifier:
        assert httpx.get(f"http://127.0.0.1:{notifier.port}/livez", trust_env=False).text == "ok\n"
        assert read_resident(notifier.pid).now > 0
        assert (tmp_path / "outbox" / "outbox.sqlite3").exists()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{notifier.port}/livez", trust_env=False)


@pytest.mark.slow
def test_a_notifier_that_does_not_start_says_why(tmp_path):
    """At once, not after the time it may take."""
    with pytest.raises(ServerFailedError, match="scale"), NotifierProcess(tmp_path, configuration(NOBODY, scale=7.0)):
        pass
