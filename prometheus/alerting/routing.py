"""Alertmanager's configuration: who is told how soon and how often, and which alert speaks for which."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus.alerting import limits
from prometheus.alerting.inhibition import INHIBITIONS
from prometheus.alerting.rule import Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from prometheus.alerting.inhibition import Inhibition
    from prometheus.alerting.scale import Scale

WATCHDOG = "watchdog"
RECEIVERS = (Severity.CRITICAL.value, Severity.WARNING.value, Severity.INFO.value, WATCHDOG)
LATE = "late"
"""The label of an alert that the notifier posts because nobody was told of it in time."""
TARGETS = "targets"
"""The folder with the receivers' addresses and the token, beside the configuration."""

_HEAD = """\
# Alertmanager, natively and in docker compose. Made by `python -m prometheus.alerting`; change prometheus/alerting/ instead.
#
# Addresses and the token stand in targets/, which `mgeo up` writes and compose mounts: `<receiver>.url` and `token`, each one line.
# Alertmanager takes the address files relative to its working directory, so it runs in this file's folder.
#
# Alerts about the alerting itself (label area="alerting") go the same way as all others, which may be what is broken. Give them a
# second one that is not DingTalk: a receiver of your own in a file of your own, made of this one by adding as the first route
#
#     - matchers: ['area="alerting"', 'severity=~"critical|warning"']
#       receiver: second-way
#       continue: true
#
# and a receiver `second-way` with `email_configs` or whatever else reaches you. The Watchdog's silence is told by `mgeo watch`.
"""


def alertmanager(scale: Scale, targets: str = TARGETS) -> str:
    """The configuration as text.

    Args:
        scale: for the times of groups and repeats; the time-out of a webhook is real.
        targets: the folder of addresses and token, as Alertmanager reaches it.
    """
    return _HEAD + "".join(f"{line}\n" for part in (_route(scale), _receivers(targets), _inhibitions()) for line in part)


def _route(scale: Scale) -> Iterator[str]:
    def times(wait: str, interval: str, repeat: str) -> str:
        return f"group_wait: {wait}, group_interval: {interval}, repeat_interval: {repeat}"

    d = scale.duration
    yield "route:"
    yield "  # Not by instance: what strikes all boxes at once is one message."
    yield "  group_by: [alertname]"
    yield "  receiver: warning"
    yield f"  group_wait: {d(limits.WAIT)}"
    yield f"  group_interval: {d(limits.INTERVAL)}"
    yield f"  repeat_interval: {d(limits.REPEAT_WARNING)}"
    yield "  routes:"
    for matcher, receiver, values in (
        ('alertname="Watchdog"', WATCHDOG, times("0s", d(limits.INTERVAL_WATCHDOG), d(limits.REPEAT_WATCHDOG))),
        ('severity="none"', WATCHDOG, times(d(limits.WAIT), d(limits.INTERVAL), d(limits.REPEAT_INFO))),
        ('severity="critical"', "critical", times(d(limits.WAIT_CRITICAL), d(limits.INTERVAL_CRITICAL), d(limits.REPEAT_CRITICAL))),
        ('severity="info"', "info", times(d(limits.WAIT), d(limits.INTERVAL), d(limits.REPEAT_INFO))),
    ):
        yield f"    - {{matchers: ['{matcher}'], receiver: {receiver}, {values}}}"


def _receivers(targets: str) -> Iterator[str]:
    yield ""
    yield "receivers:"
    for name in RECEIVERS:
        yield f"  - name: {name}"
        yield "    webhook_configs:"
        yield f"      - url_file: {targets}/{name}.url"
        yield "        send_resolved: true"
        yield "        # Nothing is cut off: the notifier splits what is too long."
        yield "        max_alerts: 0"
        yield "        timeout: 10s"
        yield "        http_config:"
        yield f"          authorization: {{type: Bearer, credentials_file: {targets}/token}}"
        yield "          # A redirect would be followed as GET, and its page taken for success."
        yield "          follow_redirects: false"


def _inhibitions() -> Iterator[str]:
    yield ""
    yield "# One cause, one message. The table is prometheus/alerting/inhibition.py."
    yield "# What was missed is posted by the notifier with the label late, when it may be over: it speaks for nothing that fires now."
    yield "inhibit_rules:"
    for rule in INHIBITIONS:
        yield from _inhibition(rule)


def _inhibition(rule: Inhibition) -> Iterable[str]:
    yield f"  # {rule.why}"
    yield f"  - source_matchers: ['alertname=\"{rule.source}\"']"
    yield f"    target_matchers: ['alertname=~\"{'|'.join(sorted(rule.targets))}\"']"
    yield f"    equal: [{', '.join((*rule.equal, LATE))}]"
