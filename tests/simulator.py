"""The simulator as a process, for tests of notifiers that end: it judges what they told, and can hold an answer back."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import httpx

from tests.deadline import DEADLINE, until

ROOT = Path(__file__).parents[1]
SECRET = "SECsimulator"
HELD = 300.0
"""Seconds for which an answer is held back; longer than a test takes."""
# One robot, whose rules of rate and quota are out of the way, and which forgets no msgUuid.
SETTINGS = """
limit = 10000
window_seconds = 1
ip_limit = 100000
quota = 1000000000
uuid_memory_seconds = 31000000
keep = 1000000
[[robots]]
name = "r1"
token = "{token}"
secret = "{secret}"
group = "值班群"
"""


class Simulator:
    """Of one robot, `r1`.

    Attributes:
        url: where the robot is called.
        token: of the robot, whose secret is `SECRET`.
    """

    def __init__(self, folder: Path, *, token: str = "crash-token") -> None:
        self.token = token
        path = folder / "simulator.toml"
        path.write_text(SETTINGS.format(token=token, secret=SECRET), encoding="utf-8")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "cli.main", "notifier", "simulate", "--config", str(path), "--port", "0"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        said = self._process.stdout.readline()
        found = re.search(r"http://\S+", said)
        assert found is not None, f"the simulator did not start: {said}"
        self.url = f"{found.group()}/robot/send"
        self._http = httpx.Client(base_url=found.group(), trust_env=False, timeout=30)
        self._lists: dict[str, list[dict]] = {}
        self._next: dict[str, int] = {}
        self.reset()

    def reset(self) -> None:
        """Forget all, for the next test."""
        state = self._http.post("/control/reset", json={}).json()
        self._lists = {"messages": [], "attempts": []}
        self._next = {"messages": state["last_message"], "attempts": state["last_attempt"]}

    def messages(self, *, wait: float = 0.0) -> list[dict]:
        """What the group sees, the oldest first; waits so many seconds for one more."""
        return self._read("messages", wait)

    def attempts(self, *, wait: float = 0.0) -> list[dict]:
        """Every call, the oldest first; waits so many seconds for one more."""
        return self._read("attempts", wait)

    def _read(self, name: str, wait: float) -> list[dict]:
        found = self._lists[name]
        while True:
            answer = self._http.get(f"/{name}", params={"since": self._next[name], "wait": wait})
            assert answer.status_code == 200
            document = answer.json()
            if not document[name]:
                return list(found)
            # None is missing between two pages.
            assert document[name][0]["index"] == self._next[name] + 1
            found += document[name]
            self._next[name], wait = document["next"], 0.0

    def lines(self) -> list[str]:
        """All lines that the group sees."""
        return [line for message in self.messages() for line in message["text"].splitlines()]

    def outcomes(self) -> dict[str, int]:
        """What became of all calls."""
        return dict(Counter(attempt["outcome"] for attempt in self.attempts()))

    def until_lines(self, count: int, *, deadline: float = DEADLINE) -> None:
        """Wait until the group sees so many lines."""
        self.until(lambda: len(self.lines()) >= count, deadline=deadline)

    def until(self, condition, *, deadline: float = DEADLINE) -> None:
        """Wait until something holds, which may become true with every message."""
        until(lambda: condition() or (self.messages(wait=0.1) and condition()), deadline=deadline)

    def until_called(self, count: int, *, deadline: float = DEADLINE) -> None:
        """Wait until so many calls have come, whatever became of them."""
        until(lambda: len(self.attempts(wait=0.1)) >= count, deadline=deadline)

    def hold(self, *, seconds: float = HELD) -> None:
        """Hold the answer of the next call back: its message is in the group at once."""
        question = {"kind": "slow", "robot": "r1", "times": 1, "delay_seconds": seconds}
        assert self._http.post("/control/faults", json=question).status_code == 201

    def close(self) -> None:
        """End it well."""
        self._http.close()
        self._process.terminate()
        assert self._process.wait(30) == 0
        self._process.stdout.close()
