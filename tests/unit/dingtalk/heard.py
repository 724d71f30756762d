"""What was heard of, in memory, with the meaning the outbox gives it."""

from __future__ import annotations

from dataclasses import replace

from dingtalk.missed import Heard


class MemoryHeard:
    """One entry for each time an alert began."""

    def __init__(self):
        self.entries = {}
        self.until = None

    def heard_since(self, since):
        return [one for one in self.entries.values() if one.until is None or one.until >= since]

    def hear(self, labels, *, since, at, until=None):
        known = self.entries.get((labels, since), Heard(labels=labels, since=since, at=at))
        self.entries[labels, since] = replace(known, at=at, until=until)

    def reconciled_until(self):
        return self.until

    def reconciled(self, until):
        self.until = until
