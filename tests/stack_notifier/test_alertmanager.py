"""What Alertmanager does with the answers of a receiver: the facts that the notifier is built on. A new version may change them."""

from __future__ import annotations

import time

import pytest

from tests.stack_notifier.box import sample_alert
from tests.stack_notifier.receiver import Receiver

pytestmark = pytest.mark.stack
PATHS = ("200", "302", "400", "413", "429", "500", "503", "slow")
INTERVAL = 6.0
"""Of a group: within it Alertmanager begins no new round, but goes on with one."""
AT_ONCE = INTERVAL / 2
"""A second call so soon is a retry, and a later one may be the next round: a busy machine has as long to be late."""
ROUTES = """
route:
  receiver: nobody
  group_by: [alertname]
  group_wait: 100ms
  group_interval: 6s
  repeat_interval: 1h
  routes:
{routes}
receivers:
  - name: nobody
{receivers}
"""
FIRING, RESOLVED = ("Posted firing",), ("Posted resolved",)


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def answered(box, receiver):
    """Start an Alertmanager that tells every path."""
    routes = "\n".join(f'    - {{matchers: [\'alertname="Posted"\'], receiver: "{path}", continue: true}}' for path in PATHS)
    receivers = "\n".join(
        f'  - name: "{path}"\n    webhook_configs:\n'
        f'      - {{url: "{receiver.url}/{path}", send_resolved: true, timeout: 1s, http_config: {{follow_redirects: false}}}}'
        for path in PATHS
    )
    box.start_alertmanager(config=ROUTES.format(routes=routes, receivers=receivers))
    return receiver


def test_only_a_5xx_or_no_answer_in_time_is_tried_again_at_once(box, answered):
    """And what ends while nobody takes it is never told: neither that it fired nor that it is over."""
    box.post(sample_alert(seconds=INTERVAL - 1))
    box.wait(lambda: answered.states("/200") == [FIRING, RESOLVED])
    # Ten seconds after it began the last try was made, and given up; then rounds in which there is nothing to tell.
    end = next(call.at for call in answered.calls) + 10 + 2 * INTERVAL
    box.wait(lambda: time.monotonic() > end)
    begun = {path: next(call.at for call in answered.calls if call.path == f"/{path}") for path in PATHS}
    at_once = {path: sum(call.path == f"/{path}" and call.at < at + AT_ONCE for call in answered.calls) for path, at in begun.items()}
    assert {path for path, tries in at_once.items() if tries == 1} == {"200", "302", "400", "413", "429"}
    assert {path for path, tries in at_once.items() if tries > 1} == {"500", "503", "slow"}
    assert all(set(answered.states(f"/{path}")) == {FIRING} for path in PATHS if path != "200")
    assert not any(call.at > end - INTERVAL for call in answered.calls)
    assert all(call.method == "POST" for call in answered.calls)
    assert box.metric("alertmanager", "alertmanager_notifications_failed_total", integration="webhook", reason="clientError") > 0


def test_what_still_fires_is_told_in_a_later_round(box, answered):
    """Whatever was answered before; so a 4xx costs a round, and the alert only if it ends."""
    box.post(sample_alert())
    box.wait(lambda: all(answered.states(f"/{path}") for path in PATHS))
    answered.instead = {f"/{path}": 200 for path in PATHS}
    taken = len(answered.calls)
    box.wait(lambda: {call.path for call in answered.calls[taken:]} >= {f"/{path}" for path in PATHS[1:]})
    box.post(sample_alert(seconds=0))
    box.wait(lambda: all(answered.states(f"/{path}")[-1] == RESOLVED for path in PATHS))
    assert answered.states("/200") == [FIRING, RESOLVED]


def test_of_a_group_that_was_told_the_end_is_tried_until_it_is_taken(box, answered):
    """Also after it ended long ago."""
    answered.instead = {f"/{path}": 200 for path in PATHS}
    box.post(sample_alert(seconds=2))
    box.wait(lambda: all(answered.states(f"/{path}") for path in PATHS))
    answered.instead = {}
    box.wait(lambda: all(answered.states(f"/{path}").count(RESOLVED) >= 2 for path in PATHS[1:]))
    answered.instead = {f"/{path}": 200 for path in PATHS}
    taken = len(answered.calls)
    box.wait(lambda: {call.path for call in answered.calls[taken:]} >= {f"/{path}" for path in PATHS[1:]})
    assert answered.states("/200") == [FIRING, RESOLVED]
