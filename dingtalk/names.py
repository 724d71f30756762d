"""Every name that leaves the notifier by its traces.

`service/telemetry/names.py` has the same table, from which the Collector's list and docs/telemetry.md are made; a test compares the two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

SCOPE = "mgeo.notifier"
SERVICE_NAME = "mgeo-notifier"

RECEIVE_SPAN = "mgeo.notifier.receive"
DELIVER_SPAN = "mgeo.notifier.deliver"
ATTEMPT_SPAN = "mgeo.notifier.attempt"

RECEIVER = "mgeo.notifier.receiver"
DUPLICATE = "mgeo.notifier.duplicate"
STATUS_CODE = "http.response.status_code"
MESSAGE = "mgeo.notifier.message"
FORM = "mgeo.notifier.form"
LANE = "mgeo.notifier.lane"
STATE = "mgeo.notifier.state"
ATTEMPTS = "mgeo.notifier.attempts"
ROBOT = "mgeo.notifier.robot"
OUTCOME = "mgeo.notifier.outcome"
ERRCODE = "mgeo.notifier.errcode"
ATTEMPT = "mgeo.notifier.attempt"

SPANS: Mapping[str, tuple[str, ...]] = {
    RECEIVE_SPAN: (RECEIVER, DUPLICATE, STATUS_CODE),
    DELIVER_SPAN: (MESSAGE, RECEIVER, FORM, LANE, STATE, ATTEMPTS, ROBOT),
    ATTEMPT_SPAN: (ROBOT, OUTCOME, ERRCODE, ATTEMPT),
}
"""The attributes of each span."""
