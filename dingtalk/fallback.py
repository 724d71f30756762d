"""The channels for when no robot can be reached: mail, SMS and other messengers, by Apprise."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import SecretStr

    from dingtalk.part import Part

TIMEOUT = 60.0
"""Seconds for all addresses of a receiver."""


class Fallback(Protocol):
    """Tells a message elsewhere."""

    async def send(self, addresses: Sequence[SecretStr], part: Part) -> bool:
        """Whether at least one of the addresses took it."""


class NoFallback:
    """Tells nothing: for a notifier without fallback channels."""

    async def send(self, addresses: Sequence[SecretStr], part: Part) -> bool:  # noqa: ARG002 -- of the Protocol
        """See `Fallback`."""
        return False


class AppriseFallback:
    """By Apprise, which is imported when it is needed first. Its DingTalk plugin is not meant: it does not read DingTalk's answers."""

    async def send(self, addresses: Sequence[SecretStr], part: Part) -> bool:
        """See `Fallback`. An address is a secret and is named nowhere."""
        try:
            async with asyncio.timeout(TIMEOUT):
                # Its plugins raise what their libraries raise, with the address in the message: that one has not taken it.
                taken = await asyncio.gather(*(self._one(address, part) for address in addresses), return_exceptions=True)
        except TimeoutError:
            return False
        return True in taken

    async def _one(self, address: SecretStr, part: Part) -> bool:
        import apprise  # type: ignore[import-not-found,unused-ignore]  # it is installed with the notifier

        channel = apprise.Apprise()
        if not channel.add(address.get_secret_value()):
            return False
        return bool(await channel.async_notify(title=part.title, body=part.text, body_format=apprise.NotifyFormat.TEXT))
