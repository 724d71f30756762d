"""Pure: signed links that expire, for what people do from a message: take an alert over, silence it, see all of it.

A link is an address with a token: the claims as JSON and an HMAC-SHA256 over exactly that text, both in the alphabet of URLs.
What it may do stands in the token and nowhere else. Whether it was used before, the store knows.
They are plain https addresses: DingTalk's own scheme would open them in another window on a PC, and on a phone nowhere at all.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from dingtalk.errors import LinkRefused

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_TOKEN_CHARACTERS = 4_096
MIN_KEY_BYTES = 16
DAY_SECONDS = 86_400.0

# So that a signature made for something else with the same key is none here.
_DOMAIN = b"mgeo-notifier link 1\n"


class Purpose(StrEnum):
    """What a link is for; also the first step of its path."""

    ACKNOWLEDGE = "ack"
    SILENCE = "silence"
    SHOW = "show"


class Refusal(StrEnum):
    """Why a link does not count."""

    MALFORMED = "the link is incomplete; open it from the message again"
    FORGED = "the link was not made by this notifier, or its key was changed"
    EXPIRED = "the link has expired; use the one of a newer message"
    OTHER_PURPOSE = "the link was made for something else"
    USED = "the link was used already; use the one of a newer message"
    UNDER_WAY = "the link is being used, or was a moment ago; try it again in half a minute"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a link allows.

    Attributes:
        group: digest of the receiver and the key of the group, as `group_digest` gives it.
        matchers: labels of the silence; empty for other purposes.
        expires_at: seconds since 1970.
    """

    purpose: Purpose
    receiver: str
    group: str
    matchers: Mapping[str, str] = field(default_factory=dict)
    expires_at: int


class Links(Protocol):
    """Makes the links of a message."""

    def acknowledge(self, receiver: str, group_key: str, *, now: float) -> str:
        """Where somebody takes a group over."""

    def silence(self, receiver: str, group_key: str, matchers: Mapping[str, str], *, now: float) -> str:
        """Where somebody silences what has these labels."""

    def show(self, receiver: str, group_key: str, *, now: float) -> str:
        """Where all that was received of a group can be read."""


class SignedLinks:
    """Links that nobody else can make.

    Args:
        base_url: where the notifier's pages are reached from a phone.
        key: secret, 16 bytes or more.
        lifetime: seconds until a link expires.

    Raises:
        ValueError: the key is too short.
    """

    def __init__(self, base_url: str, key: bytes, *, lifetime: float = DAY_SECONDS) -> None:
        if len(key) < MIN_KEY_BYTES:
            raise ValueError(f"link_key has {len(key)} bytes; give {MIN_KEY_BYTES} or more")
        self._base_url = base_url.rstrip("/")
        self._key = key
        self._lifetime = lifetime

    def acknowledge(self, receiver: str, group_key: str, *, now: float) -> str:
        """Where somebody takes a group over."""
        return self._url(Purpose.ACKNOWLEDGE, receiver, group_key, {}, now)

    def silence(self, receiver: str, group_key: str, matchers: Mapping[str, str], *, now: float) -> str:
        """Where somebody silences what has these labels."""
        return self._url(Purpose.SILENCE, receiver, group_key, matchers, now)

    def show(self, receiver: str, group_key: str, *, now: float) -> str:
        """Where all that was received of a group can be read."""
        return self._url(Purpose.SHOW, receiver, group_key, {}, now)

    def token(self, claim: Claim) -> str:
        """Sign a claim."""
        members = {"p": claim.purpose, "r": claim.receiver, "g": claim.group, "m": dict(claim.matchers), "e": claim.expires_at}
        # ASCII by escapes, so that any text of a label is JSON, and the same again.
        text = _encode(json.dumps(members, sort_keys=True, separators=(",", ":")).encode())
        return f"{text}.{self._signature(text)}"

    def verify(self, token: str, purpose: Purpose, *, now: float) -> Claim:
        """What a token allows.

        Args:
            token: the last step of the address's path.
            purpose: what it shall be used for.
            now: seconds since 1970.

        Raises:
            LinkRefused: it does not count; says why.
        """
        text, dot, signature = token.partition(".")
        if not dot or len(token) > MAX_TOKEN_CHARACTERS or not token.isascii():
            raise LinkRefused(Refusal.MALFORMED)
        # As text: in base64 several texts may stand for the same bytes, and only one of them was given out.
        if not hmac.compare_digest(signature, self._signature(text)):
            raise LinkRefused(Refusal.FORGED)
        claim = _claim(text)
        if claim.purpose is not purpose:
            raise LinkRefused(Refusal.OTHER_PURPOSE)
        if now >= claim.expires_at:
            raise LinkRefused(Refusal.EXPIRED)
        return claim

    def _url(self, purpose: Purpose, receiver: str, group_key: str, matchers: Mapping[str, str], now: float) -> str:
        group = group_digest(receiver, group_key)
        claim = Claim(purpose=purpose, receiver=receiver, group=group, matchers=matchers, expires_at=int(now + self._lifetime))
        return f"{self._base_url}/{purpose}/{self.token(claim)}"

    def _signature(self, text: str) -> str:
        return _encode(hmac.digest(self._key, _DOMAIN + text.encode(), hashlib.sha256))


class FakeLinks:
    """Links that say what they are for; nothing is signed."""

    def __init__(self, base_url: str = "https://alerts.example.com/notifier") -> None:
        self._base_url = base_url

    def acknowledge(self, receiver: str, group_key: str, *, now: float) -> str:  # noqa: ARG002 -- as the Protocol has it
        """Where somebody takes a group over."""
        return f"{self._base_url}/ack/{group_digest(receiver, group_key)}"

    def silence(self, receiver: str, group_key: str, matchers: Mapping[str, str], *, now: float) -> str:  # noqa: ARG002 -- as above
        """Where somebody silences what has these labels."""
        return f"{self._base_url}/silence/{group_digest(receiver, group_key)}"

    def show(self, receiver: str, group_key: str, *, now: float) -> str:  # noqa: ARG002 -- as above
        """Where all that was received of a group can be read."""
        return f"{self._base_url}/show/{group_digest(receiver, group_key)}"


def group_digest(receiver: str, group_key: str) -> str:
    """Names a group of a receiver in twelve characters, for links and commands."""
    text = json.dumps([receiver, group_key])
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def _claim(text: str) -> Claim:
    try:
        members = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        return Claim(
            purpose=Purpose(members["p"]), receiver=members["r"], group=members["g"], matchers=members["m"], expires_at=members["e"]
        )
    except (binascii.Error, ValueError, KeyError, TypeError):
        # Signed by our key, but by another version.
        raise LinkRefused(Refusal.MALFORMED) from None


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
