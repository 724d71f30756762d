"""The ten minutes in which a robot that sent too fast is not heard."""

from __future__ import annotations


class Ban:
    """A ban has a start, `since`; its length is given with every question, because drills shorten it while it runs."""

    def __init__(self) -> None:
        self.since: float | None = None

    def start(self, now: float) -> None:
        """Ban from `now` on; a running ban starts anew."""
        self.since = now

    def lift(self) -> None:
        """End the ban."""
        self.since = None

    def remaining(self, now: float, duration: float) -> float:
        """Seconds until it ends; 0 when there is none."""
        if self.since is None:
            return 0.0
        return max(self.since + duration - now, 0.0)
