"""One call of /robot/send, and the checks it passes by itself: who calls, how it is signed, what it says."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING

from dingtalk.simulator import errcode
from dingtalk.simulator.blocklist import blocked
from dingtalk.simulator.bodies import Body, BodyRefused, read_body
from dingtalk.simulator.signature import SignatureFault, signature_fault

if TYPE_CHECKING:
    from dingtalk.simulator.errcode import Refusal, Wording
    from dingtalk.simulator.settings import Robot, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call as it came over HTTP; the query's members after one URL-decoding, `body_bytes` also of a body too long to keep."""

    token: str
    timestamp: str | None
    sign: str | None
    content_type: str
    body: bytes
    body_bytes: int
    client: str


def check(call: Call, robot: Robot, settings: Settings, *, now: float) -> tuple[Body | None, Refusal | None]:
    """What the call says, as far as it could be read, and why it is refused, if it is; never neither.

    Args:
        call: the call.
        robot: whom its token belongs to.
        settings: the rules.
        now: seconds since 1970.
    """
    wording = settings.wording
    refusal = _closed(robot) or _stranger(call, robot, wording) or _unsigned(call, robot, settings, now)
    if refusal is None and call.body_bytes > settings.body_limit:
        refusal = errcode.body_size(wording, settings.body_limit)
    if refusal is not None:
        return None, refusal
    try:
        body = read_body(call.content_type, call.body, wording)
    except BodyRefused as error:
        return None, error.refusal
    if robot.keywords and not any(keyword in body.words for keyword in robot.keywords):
        return body, errcode.keywords_missing(wording)
    return body, blocked(body, settings.blocklist)


def _closed(robot: Robot) -> Refusal | None:
    if robot.dissolved:
        return errcode.GROUP_DISSOLVED
    return errcode.ROBOT_DISABLED if robot.disabled else None


def _stranger(call: Call, robot: Robot, wording: Wording) -> Refusal | None:
    if not robot.allow_ips:
        return None
    address = network_address(call.client)
    if isinstance(address, IPv4Address) and any(address in network for network in robot.allow_ips):
        return None
    return errcode.address_not_allowed(wording, call.client)


def _unsigned(call: Call, robot: Robot, settings: Settings, now: float) -> Refusal | None:
    if robot.secret is None:
        return None
    fault = signature_fault(
        secret=robot.secret.get_secret_value(),
        timestamp=call.timestamp,
        sign=call.sign,
        now=now,
        tolerance=settings.signature_tolerance_seconds,
    )
    if fault is None:
        return None
    invalid = fault is SignatureFault.INVALID_TIMESTAMP
    return errcode.timestamp_invalid(settings.wording) if invalid else errcode.sign_mismatch(settings.wording)


def network_address(client: str) -> IPv4Address | IPv6Address | None:
    """The caller's address, an IPv4 one also where a dual-stack socket writes it as IPv6; None when it is none."""
    try:
        address = ip_address(client)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
