"""What was heard of, in memory, with the meaning the outbox gives it."""

from __future__ import annotations

from dataclasses import replace

from dingtalk.missed import Episode, Heard


class MemoryHeard:
    """One entry for each time an alert began."""

    def __init__(self):
        self.entries = {}
        self.posts = {}
        self.until = None

    def hear(self, labels, *, since, at, until=None):
        """An alert comes from Alertmanager; an earlier time of it was over before."""
        for key, one in self.entries.items():
            if key[0] == labels and one.until is None and one.since < since - 1:
                self.entries[key] = replace(one, until=one.at)
        known = self.entries.get((labels, since), Heard(labels=labels, since=since, at=at))
        self.entries[labels, since] = replace(known, at=at, until=until)
        if until is not None:
            self._end(labels, until)

    def heard_since(self, since):
        return [one for one in self.entries.values() if one.until is None or one.until >= since]

    def kept_back(self, heard):
        for one in heard:
            self.entries[one.labels, one.since] = one

    def note(self, episodes, *, at, posted):
        for one in episodes:
            key = one.labels, one.first
            self.entries[key] = Heard(labels=one.labels, since=one.first, at=at, until=one.last if one.over else None)
            self.posts[key] = self.posts.get(key, 0) + 1 if posted else 0
            if one.over:
                self._end(one.labels, one.last)

    def posted(self, *, before, tries):
        found = [self.entries[key] for key, posts in self.posts.items() if 0 < posts < tries and self.entries[key].at < before]
        return [Episode(labels=one.labels, first=one.since, last=one.until or one.at, over=one.until is not None) for one in found]

    def arrived(self, labels):
        self.posts = {key: 0 if key[0] in labels else posts for key, posts in self.posts.items()}

    def reconciled_until(self):
        return self.until

    def reconciled(self, until):
        self.until = until

    def _end(self, labels, until):
        for key, one in self.entries.items():
            if one.labels == labels and one.until is None and one.since <= until:
                self.entries[key] = replace(one, until=until)
