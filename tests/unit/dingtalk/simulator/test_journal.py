"""What survives a restart."""

from __future__ import annotations

import itertools
import stat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dingtalk.simulator.journal import FileJournal
from tests.unit.dingtalk.simulator.composition import HandClock, Robots, text


def started(path, clock: HandClock, *, spare: int = 1000, **more: object) -> Robots:
    """A simulator that goes on from this file; the monotonic clock may have begun anew."""
    journal = FileJournal(path, spare)
    robots = Robots({}, {"name": "dev", "token": "d"}, clock=clock, journal=journal, **more)
    robots.server.restore(journal.entries())
    return robots


def state(robots: Robots) -> tuple:
    server = robots.server
    facts = [(fact.name, round(fact.banned_seconds, 3), fact.window_used, fact.quota_used) for fact in server.facts()]
    return robots.messages, robots.attempts, server.history.next_message, server.history.next_attempt, facts


class RestartedClock(HandClock):
    """A machine that was started again: the wall clock goes on, the monotonic one is new."""

    def __init__(self, before: HandClock) -> None:
        super().__init__(before.unix())

    def monotonic(self) -> float:
        return 3.0 + self.seconds


def test_messages_calls_bans_windows_and_uuids_are_there_again(tmp_path):
    """As if nothing had been."""
    clock = HandClock()
    before = started(tmp_path / "sim.jsonl", clock, limit=3)
    before.send(text("一", msgUuid="u", at={"atMobiles": ["13800138000"]}))
    before.send(text("一", msgUuid="u"))
    before.send(token="d")
    clock.tick(30)
    before.send()
    before.send()
    after = started(tmp_path / "sim.jsonl", RestartedClock(clock), limit=3)
    assert after.messages == before.messages
    assert state(after) == state(before)
    assert after.messages[0].duplicates == 1
    assert after.verdict().answer.status == 302
    assert after.code(text("二", msgUuid="u"), token="d") == 0
    after.clock.tick(600)
    assert after.code() == 0
    assert [message.index for message in after.messages] == [1, 2, 3, 4, 5]


def test_a_uuid_is_still_known_after_a_restart_until_its_time_is_over(tmp_path):
    """Down or up, ten minutes are ten minutes."""
    clock = HandClock()
    started(tmp_path / "sim.jsonl", clock).send(text("一", msgUuid="u"))
    clock.tick(599)
    after = started(tmp_path / "sim.jsonl", RestartedClock(clock))
    assert after.code(text("一", msgUuid="u")) == 0
    assert after.outcomes == ["delivered", "duplicate"]
    after.clock.tick(1)
    after.send(text("一", msgUuid="u"))
    assert after.outcomes[-1] == "delivered"


def test_what_the_control_api_did_is_remembered_too(tmp_path):
    """A ban, its end, and a reset."""
    clock, path = HandClock(), tmp_path / "sim.jsonl"
    robots = started(path, clock)
    robots.server.ban("ops")
    assert started(path, clock).server.facts()[0].banned_seconds == 600
    robots.server.lift_ban("ops")
    assert started(path, clock).server.facts()[0].banned_seconds == 0
    robots.send()
    robots.server.reset()
    after = started(path, clock)
    assert (after.messages, after.attempts, after.server.facts()[0].quota_used) == ([], [], 0)
    after.send()
    assert [message.index for message in after.messages] == [2]


def test_a_robot_that_is_gone_leaves_its_messages(tmp_path):
    """The settings may have changed meanwhile."""
    path = tmp_path / "sim.jsonl"
    robots = started(path, HandClock())
    robots.send(token="d")
    robots.server.ban("dev")
    journal = FileJournal(path, 10)
    after = Robots(journal=journal)
    after.server.restore(journal.entries())
    assert [message.robot for message in after.messages] == ["dev"]


@pytest.mark.parametrize("garbage", [b"", b"\n", b"{", b"[]\n", b'{"at": "x"}\n', b"\xff\xfe\n", b'{"at": 1.0, "attempt": {"ind'])
def test_a_line_that_is_not_whole_counts_for_nothing(tmp_path, garbage):
    """A kill can leave one at the end."""
    path = tmp_path / "sim.jsonl"
    started(path, HandClock()).send()
    with path.open("ab") as file:
        file.write(garbage)
    after = started(path, HandClock())
    assert len(after.messages) == 1


def test_the_file_is_for_its_owner_alone_and_its_folder_is_made(tmp_path):
    """Messages name people."""
    path = tmp_path / "a" / "b" / "sim.jsonl"
    started(path, HandClock()).send()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_file_never_has_the_token(tmp_path):
    """Nor the secret."""
    path = tmp_path / "sim.jsonl"
    journal = FileJournal(path, 10)
    robots = Robots({"token": "very-secret-token", "secret": "SECvery"}, journal=journal)
    robots.send(token="very-secret-token")
    robots.send(token="very-secret-nobody")
    assert b"very" not in path.read_bytes().lower()


def test_a_simulator_whose_disk_fails_goes_on_and_says_so(tmp_path):
    """It is there to be called."""
    (tmp_path / "file").write_text("")
    robots = Robots(journal=FileJournal(tmp_path / "file" / "sim.jsonl", 10))
    assert robots.code() == 0
    assert robots.server.journal_failed == "sim.jsonl cannot be written (File exists)"


def test_the_file_is_written_anew_only_once_in_a_while(tmp_path):
    """A summary of all that is kept, then as many lines as were said, then the next."""
    path = tmp_path / "sim.jsonl"
    robots = started(path, HandClock(), spare=10, keep=5, limit=1000)
    sizes = []
    for _ in range(60):
        robots.send()
        sizes.append(path.read_bytes().count(b"\n"))
    assert max(sizes[11:]) == 5 + 5 + 2 + 10
    assert sum(size < before for before, size in itertools.pairwise(sizes)) == 4
    assert [path.name for path in tmp_path.iterdir()] == ["sim.jsonl"]


def test_a_summary_that_cannot_be_written_leaves_the_file(tmp_path):
    """It is tried again only after as many lines more."""
    path = tmp_path / "sim.jsonl"
    (tmp_path / "sim.jsonl.new").mkdir()
    robots = started(path, HandClock(), spare=1, keep=5, limit=1000)
    for _ in range(3):
        robots.send()
    assert len(started(path, HandClock()).messages) == 3


CALLS = st.lists(
    st.tuples(
        st.sampled_from(["t", "d", "nobody"]),
        st.sampled_from([None, "u", "v"]),
        st.integers(0, 40),
        st.sampled_from(["send"] * 20 + ["ban", "lift", "reset"]),
    ),
    min_size=30,
    max_size=60,
)


@settings(max_examples=30)
@given(CALLS, st.integers(1, 12), st.booleans())
def test_a_restart_at_any_moment_changes_nothing_that_is_kept(tmp_path_factory, calls, keep, prolonged):
    """However often the lines were summed up before."""
    clock, path = HandClock(), tmp_path_factory.mktemp("journal") / "sim.jsonl"
    options = {"spare": keep, "keep": keep, "limit": 4, "ban_prolonged": prolonged}
    robots = started(path, clock, **options)
    for token, uuid, pause, deed in calls:
        clock.tick(pause)
        match deed:
            case "ban":
                robots.server.ban("ops")
            case "lift":
                robots.server.lift_ban("ops")
            case "reset":
                robots.server.reset()
            case _:
                robots.send(text("一", msgUuid=uuid), token=token)
    after = started(path, clock, **options)
    assert path.read_bytes().count(b"\n") <= keep * 2 + 2 + keep
    mine, theirs = state(robots), state(after)
    assert theirs[:4] == mine[:4]
    assert [(name, banned, quota) for name, banned, _, quota in theirs[4]] == [(name, banned, quota) for name, banned, _, quota in mine[4]]
