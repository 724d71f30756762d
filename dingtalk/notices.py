"""What the notifier itself says in the groups, put into the outbox like any other message."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dingtalk.mention import NOBODY
from dingtalk.outbox.rows import Draft
from dingtalk.plan import Form, Lane
from dingtalk.renders import BareRenderer

if TYPE_CHECKING:
    from collections.abc import Collection

    from dingtalk.clock import Clock
    from dingtalk.config import Config
    from dingtalk.notice import Notice
    from dingtalk.outbox.store import Outbox
    from dingtalk.part import Mention
    from dingtalk.renders import Renders


class Notices:
    """Blocking, since they are stored.

    Args:
        config: the receivers.
        outbox: where they wait.
        renderer: writes them; the bare form is said where it fails.
        clock: its wall half is used.
    """

    def __init__(self, config: Config, *, outbox: Outbox, renderer: Renders, clock: Clock) -> None:
        self._config = config
        self._outbox = outbox
        self._renderer = renderer
        self._clock = clock
        self._said: dict[tuple[str, Notice], float] = {}

    def say(self, to: str, kind: Notice, *, mention: Mention = NOBODY, **facts: object) -> None:
        """Say something to a receiver, and call somebody. It goes with what is critical: it tells why the rest may not come.

        Raises:
            StoreUnavailable: it cannot be stored.
        """
        self._outbox.put(self.draft(to, kind, mention=mention, **facts))

    def draft(self, to: str, kind: Notice, *, mention: Mention = NOBODY, **facts: object) -> Draft:
        """What `say` would store, for what has to be stored together with something else."""
        now = self._clock.unix()
        try:
            part = self._renderer.notice(kind, now=now, mention=mention, **facts)
        except Exception:  # noqa: BLE001 -- a notice is told in any form
            part = BareRenderer().notice(kind, now=now, mention=mention, **facts)
        return Draft(receiver=to, group_key=f"notifier:{kind.name}", lane=Lane.CRITICAL, form=Form.NOTICE, parts=(part,), received_at=now)

    def say_all(self, kind: Notice, *, mention: Mention = NOBODY, **facts: object) -> None:
        """Say something to every receiver; to one of those that the same robots serve, since they are the same groups.

        Raises:
            StoreUnavailable: it cannot be stored; a part of them may hear it twice when it is said again.
        """
        for receiver in {frozenset(receiver.robots): receiver for receiver in reversed(self._config.receivers)}.values():
            self.say(receiver.name, kind, mention=mention, **facts)

    def say_seldom(self, to: str, kind: Notice, *, pause: float, **facts: object) -> None:
        """Say something unless it was said within `pause` seconds before: what goes on shall not fill the group.

        Raises:
            StoreUnavailable: it cannot be stored.
        """
        now = self._clock.monotonic()
        last = self._said.get((to, kind))
        if last is None or now - last >= pause * self._config.scale:
            self.say(to, kind, mention=NOBODY, **facts)
            self._said[to, kind] = now

    def say_by(self, robots: Collection[str], kind: Notice, **facts: object) -> None:
        """Say something to the default receiver, or else to the first, that one of the robots serves; to nobody when there is none.

        Raises:
            StoreUnavailable: it cannot be stored.
        """
        for receiver in [self._config.receiver(""), *self._config.receivers]:
            if set(robots) & set(receiver.robots):
                self.say(receiver.name, kind, mention=NOBODY, **facts)
                return
