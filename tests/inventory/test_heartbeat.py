"""The alert that always fires, and its way to the watcher, have the same names everywhere."""

from __future__ import annotations

from cli.stack.notifying import HEARTBEAT_RECEIVER
from dingtalk.config import Config
from dingtalk.heartbeat import WATCHDOG
from prometheus.alerting import routing
from prometheus.alerting.alerting import meta
from prometheus.alerting.rule import Alert
from prometheus.alerting.scale import TimeScale


def test_watchdog_goes_to_the_receiver_that_the_notifier_takes_for_a_sign_of_life():
    """In Alertmanager's routes, in what `mgeo up` gives it, and in the notifier's configuration."""
    assert Config.model_fields["heartbeat_receiver"].default == HEARTBEAT_RECEIVER == routing.WATCHDOG
    assert f"matchers: ['alertname=\"{WATCHDOG}\"'], receiver: {HEARTBEAT_RECEIVER}," in routing.alertmanager(TimeScale())
    assert WATCHDOG in {rule.name for rule in meta(TimeScale()).rules if isinstance(rule, Alert)}
