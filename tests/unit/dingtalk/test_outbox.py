"""The store of the notifier."""

from __future__ import annotations

import secrets
import sqlite3
import zlib

import pytest

from dingtalk.alert import REPEATED
from dingtalk.boot import Boot, this_boot
from dingtalk.errors import StoreUnavailable
from dingtalk.links import group_digest
from dingtalk.outbox.file import FILE
from dingtalk.outbox.migrations import MIGRATIONS, migrate
from dingtalk.outbox.rows import Accepted, Draft, MessageState, RobotRow, RobotState
from dingtalk.outbox.store import Outbox
from dingtalk.part import Button, Mention, Part, Shape
from dingtalk.payload import parse
from dingtalk.plan import Form, Lane
from dingtalk.quota import Degradation
from tests.full_disk import small_disk
from tests.notifier import START, Time, alert, payload


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def opened(tmp_path, time):
    made = []

    def make(folder=tmp_path, *, max_queue=10, boot="boot"):
        made.append(Outbox.open(folder, clock=time.clock, boot=Boot(id=boot), max_queue=max_queue))
        return made[-1]

    yield make
    for one in made:
        one.close()


def receive(outbox, body, *, window=240.0, receiver="main"):
    return outbox.receive(parse(body, receiver=receiver, now=START), body, replica_window=window)


def draft(*parts, receipts=(), key="g", lane=Lane.NORMAL):
    return Draft(receiver="main", group_key=key, lane=lane, form=Form.GROUP, parts=parts, receipts=receipts, received_at=START)


def test_a_receipt_outlives_its_process(opened):
    """With its payload as it came."""
    outbox = opened()
    body = payload(alert())
    stored = receive(outbox, body)
    outbox.close()
    (receipt,) = opened().waiting_receipts("main", "g")
    assert (receipt.id, receipt.payload, receipt.received_at) == (stored.id, body, START)


def test_commits_are_on_the_disk(opened):
    """WAL, and a sync at each commit."""
    connection = opened()._connection
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)


def test_the_file_is_for_its_owner_alone(opened, tmp_path):
    """Alerts may tell what others shall not know."""
    opened()
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


def test_another_replica_is_recognised_within_the_window(opened, time):
    """By content: another order and another address of Alertmanager are the same, another state or time is not."""
    outbox = opened()
    one, two = alert(instance="a"), alert(instance="b")
    first = receive(outbox, payload(one, two, externalURL="http://am-1"))
    time.now += 239
    assert receive(outbox, payload(two, one, externalURL="http://am-2")) == Accepted(id=first.id, duplicate=True)
    assert not receive(outbox, payload(one, alert(instance="b", status="resolved", ends_at=START))).duplicate
    assert not receive(outbox, payload(one, two), receiver="other").duplicate
    time.now += 2
    assert not receive(outbox, payload(one, two)).duplicate


def test_a_replica_is_recognised_when_the_clock_was_set_back(opened, time):
    """A little."""
    outbox = opened()
    receive(outbox, payload(alert()))
    time.jump = -100
    assert receive(outbox, payload(alert())).duplicate


def test_a_repetition_by_alertmanager_is_no_duplicate(opened):
    """And is numbered; news begin anew."""
    outbox = opened()
    receive(outbox, payload(alert()))
    assert not receive(outbox, payload(alert(), reason=REPEATED)).duplicate
    assert not receive(outbox, payload(alert(), reason=REPEATED)).duplicate
    receive(outbox, payload(alert(), alert(instance="b")))
    receive(outbox, payload(alert(), alert(instance="b"), reason=REPEATED))
    assert [receipt.repeat for receipt in outbox.waiting_receipts("main", "g")] == [0, 1, 2, 0, 1]
    (group,) = outbox.waiting_groups(recent=900)
    assert (group.receipts, group.repeats, group.alerts) == (5, 3, 7)


def test_an_older_alertmanager_gives_no_reason(opened, time):
    """Then the same content after the window is a repetition; with another reason it is none."""
    outbox = opened()
    receive(outbox, payload(alert()))
    time.now += 241
    receive(outbox, payload(alert()))
    time.now += 241
    receive(outbox, payload(alert(), reason="first notification"))
    assert [receipt.repeat for receipt in outbox.waiting_receipts("main", "g")] == [0, 1, 0]


def test_what_is_critical_has_a_little_more_room(opened):
    """A tenth."""
    outbox = opened(max_queue=10)
    for number in range(10):
        receive(outbox, payload(alert(), group=f"g{number}"))
    receive(outbox, payload(alert(severity="critical"), group="h1"))
    with pytest.raises(StoreUnavailable):
        receive(outbox, payload(alert(severity="critical"), group="h2"))


def test_the_queue_has_a_bound(opened):
    """Beyond it the sender must try again; what is known already is known."""
    outbox = opened(max_queue=2)
    for number in range(2):
        receive(outbox, payload(alert(), group=f"g{number}"))
    with pytest.raises(StoreUnavailable, match="2 notifications wait"):
        receive(outbox, payload(alert(), group="g2"))
    with pytest.raises(StoreUnavailable):
        outbox.check()
    assert receive(outbox, payload(alert(), group="g1")).duplicate
    outbox.put(draft(Part(title="t", text="t"), receipts=(1,)))
    outbox.check()
    assert receive(outbox, payload(alert(), group="g2")).id


def test_a_message_is_stored_as_it_will_be_sent(opened):
    """Text, shape, mentions, buttons and uuid, part by part."""
    outbox = opened()
    card = Part(
        title="标题",
        text="@1 [x](y)",
        shape=Shape.ACTION_CARD,
        mention=Mention(mobiles=("1",), user_ids=("u",), everyone=True),
        buttons=(Button(title="接手", url="https://x"),),
    )
    outbox.put(draft(card, Part(title="2", text="2"), key="群"))
    outbox.close()
    second, first = opened().messages()
    assert first.part == card
    assert (first.number, first.total, second.number) == (1, 2, 2)
    assert first.group_key == "群"
    assert len(first.msg_uuid) == 32
    assert first.msg_uuid != second.msg_uuid


def test_only_the_next_part_of_a_bundle_goes_out(opened):
    """The second after the first is told, or is dead."""
    outbox = opened()
    receipt = receive(outbox, payload(alert(severity="critical")))
    bundle = outbox.put(draft(Part(title="1", text="1"), Part(title="2", text="2"), receipts=(receipt.id,)))
    (first,) = outbox.outgoing()
    assert (first.bundle, first.left, first.recallable) == (bundle, 2, True)
    send = outbox.begin_send(first.id, robot="r1", organisation="o")
    assert outbox.outgoing() == []
    assert outbox.begin_send(first.id, robot="r1", organisation="o") is None
    assert outbox.delivered(first.id, send=send, robot="r1") == []
    (second,) = outbox.outgoing()
    assert (second.left, second.recallable) == (1, False)
    (told,) = outbox.delivered(second.id, send=None, robot="fallback")
    assert (told.severity.value, told.received_at) == ("critical", START)
    assert outbox.depth().oldest is None


def test_a_group_under_way_is_busy(opened):
    """Until the last part of its bundle is told."""
    outbox = opened()
    first = receive(outbox, payload(alert()))
    outbox.put(draft(Part(title="1", text="1"), receipts=(first.id,)))
    receive(outbox, payload(alert(status="resolved", ends_at=START)))
    (group,) = outbox.waiting_groups(recent=900)
    assert (group.busy, group.recent) == (True, 1)
    (part,) = outbox.outgoing()
    assert part.followed
    outbox.delivered(part.id, send=None, robot="r1")
    (group,) = outbox.waiting_groups(recent=900)
    assert not group.busy


def test_of_a_long_queue_the_urgent_and_the_oldest_are_looked_at(opened, time):
    """Of each receiver, so that one whose robots are dead does not hide another."""
    outbox = opened()
    for receiver, group, severity in (("a", "1", "info"), ("a", "2", "info"), ("a", "3", "critical"), ("b", "4", "info")):
        receive(outbox, payload(alert(severity=severity), group=group), receiver=receiver)
        time.now += 1
    assert sorted(one.group_key for one in outbox.waiting_groups(recent=900, limit=2)) == ["1", "3", "4"]


def test_nothing_critical_waits_for_what_is_not(opened):
    """But for what is: the end of a critical alert comes after its beginning."""
    outbox = opened()
    first = receive(outbox, payload(alert()))
    outbox.put(draft(Part(title="1", text="1"), receipts=(first.id,)))
    second = receive(outbox, payload(alert(severity="critical", instance="b")))
    (group,) = outbox.waiting_groups(recent=900)
    assert (group.lane, group.busy) == (Lane.CRITICAL, False)
    outbox.put(draft(Part(title="1", text="1"), receipts=(second.id,), lane=Lane.CRITICAL))
    receive(outbox, payload(alert(severity="critical", instance="b", status="resolved", ends_at=START)))
    (group,) = outbox.waiting_groups(recent=900)
    assert (group.lane, group.busy) == (Lane.CRITICAL, True)


def test_a_bundle_is_taken_back_only_when_nothing_of_it_may_be_told(opened):
    """Its receipts wait again."""
    outbox = opened()
    receipt = receive(outbox, payload(alert()))
    bundle = outbox.put(draft(Part(title="1", text="1"), receipts=(receipt.id,)))
    assert outbox.recall(bundle)
    assert [one.id for one in outbox.waiting_receipts("main", "g")] == [receipt.id]
    bundle = outbox.put(draft(Part(title="1", text="1"), receipts=(receipt.id,)))
    (part,) = outbox.outgoing()
    outbox.begin_send(part.id, robot="r1", organisation="o")
    assert not outbox.recall(bundle)
    outbox.close()
    outbox = opened()
    assert not outbox.recall(bundle)
    (part,) = outbox.outgoing()
    assert (part.pinned, part.recallable, part.attempts) == ("r1", False, 1)


def test_sends_are_counted_before_they_are_made(opened, time):
    """And go on to count in the next process: one that was under way when it died counts from then on."""
    outbox = opened()
    outbox.put(draft(Part(title="1", text="1")))
    (part,) = outbox.outgoing()
    outbox.begin_send(part.id, robot="r1", organisation="o")
    time.now += 30
    assert outbox.ages({"r1": 9}) == {"r1": (0.0,)}
    assert outbox.calls("o", since=START) == 1
    outbox.close()
    outbox = opened()
    time.now += 20
    assert outbox.ages({"r1": 9}) == {"r1": (20.0,)}
    assert outbox.calls("o", since=START) == 1


def test_ages_know_nothing_of_the_wall_clock(opened, time):
    """Set forward it makes no send older; after a reboot a send is as old as the machine has run, at least."""
    outbox = opened()
    outbox.put(draft(Part(title="1", text="1")))
    (part,) = outbox.outgoing()
    outbox.end_send(outbox.begin_send(part.id, robot="r1", organisation="o"), outcome="retry", counted=False)
    time.jump = 1e6
    assert outbox.ages({"r1": 9, "r2": 9}) == {"r1": (0.0,), "r2": ()}
    assert outbox.calls("o", since=0) == 0
    outbox.close()
    time.now = 12.0
    assert opened(boot="next").ages({"r1": 9}) == {"r1": (12.0,)}


def test_states_outlive_the_process(opened):
    """Of robots and organisations."""
    outbox = opened()
    outbox.set_robot("r1", RobotRow(state=RobotState.BANNED, until=5.0, detail="x"))
    outbox.set_step("o", Degradation.DIGESTS)
    outbox.close()
    outbox = opened()
    assert outbox.robots() == {"r1": RobotRow(state=RobotState.BANNED, until=5.0, detail="x")}
    assert outbox.steps() == {"o": Degradation.DIGESTS}


def test_the_last_word_on_each_alert_is_kept(opened, time):
    """What reconciling compares."""
    outbox = opened()
    assert outbox.last_received_at() is None
    receive(outbox, payload(alert(instance="a"), alert(instance="b")))
    time.now += 5
    receive(outbox, payload(alert(instance="a", status="resolved", ends_at=START + 1)))
    told = {one.labels["instance"]: one for one in outbox.told()}
    assert (told["a"].status, told["a"].ends_at, told["a"].at) == ("resolved", START + 1, START + 5)
    assert (told["b"].status, told["b"].ends_at) == ("firing", None)
    assert outbox.last_received_at() == START + 5


def test_what_was_told_goes_after_its_time(opened, time):
    """What waits, dead letters and alerts that fire stay."""
    outbox = opened()
    ids = [receive(outbox, payload(alert(instance=f"{number}"), group=f"g{number}")).id for number in range(3)]
    for number in range(2):
        outbox.put(draft(Part(title="1", text="1"), receipts=(ids[number],), key=f"g{number}"))
    first, second = outbox.outgoing()
    outbox.delivered(first.id, send=None, robot="r1")
    outbox.bury(second.id, outcome="content_blocked", detail="")
    time.now += 100
    assert outbox.purge(keep=101) == 0
    # The receipt, its message and its bundle.
    assert outbox.purge(keep=99) == 3
    assert [message.state for message in outbox.messages()] == [MessageState.DEAD]
    assert len(outbox.told()) == 3
    assert len(outbox.waiting_receipts("main", "g2")) == 1
    time.now += 63 * 86_400
    outbox.purge(keep=99)
    assert outbox.told() == []
    assert len(outbox.waiting_receipts("main", "g2")) == 1


def test_two_notifiers_do_not_share_a_folder(opened, tmp_path):
    """Each would send what the other sends."""
    opened()
    with pytest.raises(StoreUnavailable, match="another notifier uses"):
        opened()


def test_a_newer_outbox_is_not_touched(opened, tmp_path):
    """By an older version."""
    opened().close()
    connection = sqlite3.connect(tmp_path / FILE)
    connection.execute("INSERT INTO migration VALUES ('m999_later')")
    connection.commit()
    connection.close()
    with pytest.raises(StoreUnavailable, match="newer version"):
        opened()


def test_a_file_that_is_no_outbox_is_not_touched(opened, tmp_path):
    """It may be somebody's."""
    (tmp_path / FILE).write_bytes(b"not a database" * 100)
    with pytest.raises(StoreUnavailable, match="cannot be opened"):
        opened()
    assert (tmp_path / FILE).read_bytes() == b"not a database" * 100


def test_an_outbox_of_the_version_before_keeps_what_it_has(opened, tmp_path):
    """What waits and what was told, each with what Alertmanager posted."""
    connection = sqlite3.connect(tmp_path / FILE, isolation_level=None)
    migrate(connection, MIGRATIONS[:8])
    bodies = [payload(alert(), group="g"), payload(alert(instance="box-2"), group="told")]
    for body, group, state, bundle in zip(bodies, ("g", "told"), ("waiting", "told"), (None, 1), strict=True):
        connection.execute(
            "INSERT INTO receipt (received_at, receiver, group_key, content_key, severity, repeat, alerts, payload, state, bundle, digest)"
            " VALUES (?, 'main', ?, ?, 'warning', 0, 1, ?, ?, ?, ?)",
            (START, group, group, zlib.compress(body), state, bundle, group_digest("main", group)),
        )
    connection.close()
    outbox = opened()
    assert [each.payload for each in outbox.waiting_receipts("main", "g")] == bodies[:1]
    assert [each.payload for each in outbox.receipts_of(1)] == bodies[1:]
    assert outbox.group(group_digest("main", "told")).newest.payload == bodies[1]
    assert outbox.receipts_of_group(group_digest("main", "g"))[0][0].payload == bodies[0]
    assert receive(outbox, payload(alert(), group="new")) == Accepted(id=3)


def test_a_receipt_goes_with_what_was_posted(opened, tmp_path, time):
    """Nothing of it stays behind, and nothing else goes."""
    outbox = opened()
    receive(outbox, payload(alert(), group="g1"))
    kept = receive(outbox, payload(alert(instance="box-2"), group="g2"))
    outbox.put(draft(Part(title="t", text="t"), receipts=(1,)))
    outbox.delivered(1, send=None, robot="r1")
    time.now += 100
    assert outbox.purge(keep=99) == 3
    assert rows(outbox, "SELECT id FROM receipt") == rows(outbox, "SELECT receipt FROM payload") == [(kept.id,)]


def test_what_was_posted_is_written_once(opened, tmp_path):
    """However large it is, the changes of its state write a few pages."""
    outbox = opened()
    body = payload(alert(description=secrets.token_hex(1_000_000)))
    wal = tmp_path / f"{FILE}-wal"
    outbox._connection.execute("PRAGMA wal_autocheckpoint = 0")
    receive(outbox, body)
    before = wal.stat().st_size
    assert before > 1_000_000
    outbox.put(draft(Part(title="t", text="t"), receipts=(1,)))
    outbox.recall(1)
    outbox.put(draft(Part(title="t", text="t"), receipts=(1,)))
    outbox.delivered(2, send=None, robot="r1")
    assert wal.stat().st_size - before < 200_000
    assert outbox.receipts_of(2)[0].payload == body


def rows(outbox, query):
    with outbox._read() as connection:
        return connection.execute(query).fetchall()


def test_migrations_run_once():
    """All or none."""
    ran = []

    def m001_good(connection):
        ran.append(1)

    def m002_bad(connection):
        raise sqlite3.OperationalError("disk full")

    connection = sqlite3.connect(":memory:", isolation_level=None)
    with pytest.raises(sqlite3.OperationalError):
        migrate(connection, [m001_good, m002_bad])
    migrate(connection, [m001_good])
    migrate(connection, [m001_good])
    connection.close()
    assert ran == [1, 1]


def test_links_that_an_earlier_version_let_count_have_counted():
    """That version kept none of those that made no silence."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection, [step for step in MIGRATIONS if step.__name__ < "m010"])
    connection.execute("INSERT INTO used_link (hash, who, at, expires_at) VALUES ('h', '张三', 1, 2)")
    migrate(connection)
    assert connection.execute("SELECT hash, done FROM used_link").fetchall() == [("h", 1)]
    connection.close()


def test_a_full_disk_is_said_and_forgotten_when_there_is_room_again(opened, tmp_path):
    """Nothing is stored by halves."""
    with small_disk(tmp_path / "disk", 2 * 1024 * 1024) as folder:
        (folder / "ballast").write_bytes(b"x" * 500_000)
        outbox = opened(folder, max_queue=1000)
        stored = 0
        with pytest.raises(StoreUnavailable, match="cannot be written"):
            for number in range(1000):
                receive(
                    outbox,
                    payload(
                        alert(description="".join(chr(0x4E00 + (number * 7919 + i * 104729) % 20000) for i in range(3000))),
                        group=f"g{number}",
                    ),
                )
                stored += 1
        assert not outbox.writable
        assert stored > 5
        with pytest.raises(StoreUnavailable):
            receive(outbox, payload(alert(description="".join(chr(0x4E00 + (i * 104729) % 20000) for i in range(9000))), group="one more"))
        assert outbox.depth().normal == stored
        (folder / "ballast").unlink()
        receive(outbox, payload(alert(), group="one more"))
        assert outbox.writable
        assert outbox.depth().normal == stored + 1
        outbox.close()


def test_a_run_of_the_machine_is_named_by_the_kernel(tmp_path):
    """Where it does not say, each process is a run of its own, and earlier sends are as young as it."""
    assert this_boot(5.0) == this_boot(6.0)
    unnamed = this_boot(5.0, path=tmp_path / "none")
    assert unnamed != this_boot(5.0, path=tmp_path / "none")
    assert unnamed.age(monotonic=8.0, boot_id="before", at=0.0) == 3.0
