"""The telemetry of one process, opened together and closed in reverse."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from typing import TYPE_CHECKING, Any

import pytest

from service.errors import StartupError
from service.gpu import FakeGpuReader, GpuDevice, NullGpuReader
from service.instance import claim
from service.open_table import read_table
from service.recording import Recording, database
from service.requeststore.ledger import LedgerReader
from service.settings import Settings
from service.telemetry import names
from service.telemetry.event import EventDraft, GpuFacts
from tests.deadline import until
from tests.e2e.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CARD = GpuDevice(hw_id="GPU-1", index=0, name="card", memory_used_bytes=6, memory_limit_bytes=24, utilization=0.5)


def settings_of(folder: Path, **more: Any) -> Settings:
    return Settings.load(data_dir=folder / "data", gpu="off", **more)


@pytest.fixture
def recording(tmp_path: Path, ticking: Any) -> Iterator[Recording]:
    recording = Recording.open(settings_of(tmp_path), command="serve", clock=ticking.as_clock(), strict=True)
    yield recording
    recording.close(20)


def infer(recording: Recording) -> EventDraft:
    draft = EventDraft.open(request_id="req-1", function="match", clock=recording.clock)
    recording.recorder.open(draft)
    recording.recorder.record(draft.close())
    return draft


def with_gpu(folder: Path, ticking: Any, monkeypatch: pytest.MonkeyPatch, *script: tuple[GpuDevice, ...]) -> Recording:
    """A recording whose GPUs answer by a script, read by the test and not by the thread."""
    monkeypatch.setattr("service.recording.open_gpu_reader", lambda _mode: (FakeGpuReader(script), ""))
    monkeypatch.setattr("service.gpu.GpuSampler.start", lambda _self: None)
    return Recording.open(settings_of(folder), command="serve", clock=ticking.as_clock(), strict=True)


def test_the_folder_has_a_log_a_store_a_key_and_a_slot(recording: Recording, tmp_path: Path) -> None:
    """As soon as it is open; the instance is named after host, command and slot."""
    infer(recording)
    recording.close(20)

    found = {str(path.relative_to(tmp_path / "data")) for path in (tmp_path / "data").rglob("*") if path.is_file()}
    assert found >= {"logs/inference.log", "telemetry.db", "hash.key", "locks/serve.0.lock"}
    assert database(tmp_path / "data") == tmp_path / "data/telemetry.db"
    assert recording.slot.name.endswith("/serve/0")
    assert recording.telemetry.resource.attributes["service.instance.id"] == recording.slot.instance_id


def test_the_shown_name_is_the_settings(tmp_path: Path) -> None:
    """The id stays that of the slot."""
    recording = Recording.open(settings_of(tmp_path, instance_name="blue"), command="serve")

    assert recording.telemetry.resource.attributes["mgeo.instance.name"] == "blue"
    recording.close(20)


def test_a_second_process_in_the_folder_is_another_instance(recording: Recording, tmp_path: Path) -> None:
    """Two live ones never write one series; a closed one gives its slot back."""
    second = Recording.open(settings_of(tmp_path), command="serve")
    assert (second.slot.slot, second.slot.instance_id != recording.slot.instance_id) == (1, True)
    second.close(20)
    recording.close(20)

    third = Recording.open(settings_of(tmp_path), command="serve")
    assert third.slot.instance_id == recording.slot.instance_id
    third.close(20)


def test_the_log_goes_to_standard_output_too_when_asked(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The same line."""
    recording = Recording.open(settings_of(tmp_path, log_stdout=True), command="serve")
    infer(recording)
    recording.close(20)

    assert capfd.readouterr().out == (tmp_path / "data/logs/inference.log").read_text()


def test_all_is_well_until_it_is_not(recording: Recording, tmp_path: Path) -> None:
    """A store that cannot be written is named in words, and the log says when it began."""
    assert recording.degraded() == []

    recording.store._tell("store x: disk full")
    assert recording.degraded() == ["store x: disk full"]
    recording.store._tell(None)
    recording.close(20)

    events = [json.loads(line)["event"] for line in (tmp_path / "data/logs/inference.log").read_text().splitlines()]
    assert events == ["mgeo.store.degraded", "mgeo.store.recovered"]


def test_every_loss_a_part_can_have_is_a_series(recording: Recording) -> None:
    """A reason that the names table lacks would be counted and never shown."""
    recording.losses["traces", "spool_full"] += 2
    known = {(signal, reason) for signal, reasons in names.DROP_REASONS.items() for reason in reasons}

    assert set(recording.lost()) <= known
    assert recording.lost() == {
        ("traces", "spool_full"): 2,
        ("file", "queue_full"): 0,
        ("file", "write_failed"): 0,
        ("store", "queue_full"): 0,
        ("store", "write_failed"): 0,
    }
    assert 'mgeo_telemetry_dropped_total{reason="spool_full",signal="traces"} 2.0' in recording.exposition.render()[0].decode()


def test_open_inferences_queues_and_the_size_of_the_store_are_shown(recording: Recording) -> None:
    """At the moment of the scrape."""
    draft = EventDraft.open(request_id="req-1", function="match", clock=recording.clock)
    recording.recorder.open(draft)

    text = recording.exposition.render()[0].decode()

    assert "mgeo_requests_active 1.0" in text
    assert 'mgeo_telemetry_queue_depth{signal="store"} 0.0' in text
    assert "mgeo_store_size_bytes 0.0" not in text
    assert "mgeo_store_size_bytes " in text
    recording.recorder.record(draft.close())


def test_without_a_gpu_there_are_no_facts_and_no_thread(recording: Recording) -> None:
    """Nor a series."""
    assert recording.gpu_facts(recording.clock.unix_ns()) == ()
    assert recording.gpu_absent == "switched off by MGEO_GPU=off"
    assert "hw_gpu" not in recording.exposition.render()[0].decode()
    assert [thread.name for thread in threading.enumerate() if thread.name == "gpu-sampler"] == []


def test_the_nearest_gpu_sample_stands_on_an_event(tmp_path: Path, ticking: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its distance in seconds, before or after; none when all are too far."""
    recording = with_gpu(tmp_path, ticking, monkeypatch, (CARD,))
    start = ticking.unix_ns()
    recording.gpu.sample_once()

    facts = GpuFacts(id="GPU-1", memory_usage=6, memory_limit=24, utilization=0.5, age=0.5)
    assert recording.gpu_facts(start + 500_000_000) == (facts,)
    assert recording.gpu_facts(start - 500_000_000) == (facts,)
    assert recording.gpu_facts(start + 60_000_000_000) == ()
    assert 'hw_gpu_utilization{hw_id="GPU-1",hw_model="card",hw_vendor="nvidia"} 0.5' in recording.exposition.render()[0].decode()
    recording.close(20)


def test_closing_twice_is_harmless(recording: Recording) -> None:
    """And recording after it raises nothing."""
    recording.close(20)
    recording.close(20)

    infer(recording)
    assert recording.lost()["file", "write_failed"] == 1


# --- what outlives the process ----------------------------------------------------------------------------------------


def entries(folder: Path, life: str) -> list[tuple[int, bool]]:
    """Totals of the entries of a life, and whether they are final."""
    with LedgerReader(database(folder / "data")) as reader:
        return [(entry.total, entry.final) for entry in reader.entries(life)]


def test_a_life_is_an_instance_and_when_it_started(recording: Recording) -> None:
    """So that a restart, which has the same instance, is another life."""
    assert recording.life == f"{recording.slot.instance_id}:1770000000000000000"


@pytest.mark.parametrize(
    ("variables", "sends"),
    [
        ({}, frozenset()),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}, frozenset({"traces", "metrics", "logs"})),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_TRACES_EXPORTER": "none"}, frozenset({"metrics", "logs"})),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_SDK_DISABLED": "true"}, frozenset()),
    ],
)
def test_a_life_says_which_signals_leave_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], sends: frozenset[str]
) -> None:
    """So that an audit looks for it in no store that it never sent to."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    recording = Recording.open(settings_of(tmp_path), command="serve", strict=True)
    infer(recording)
    recording.close(1)

    with LedgerReader(database(tmp_path / "data")) as reader:
        assert [life.sends for life in reader.lives()] == [sends]


def test_each_collection_and_the_end_are_in_the_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind the rows they count; and the process is seen to live. Without any endpoint."""
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "20")
    recording = Recording.open(settings_of(tmp_path), command="serve", strict=True)
    table = tmp_path / "data/open/serve.0.table"
    began = seen(table)
    infer(recording)
    until(lambda: (1, False) in entries(tmp_path, recording.life))
    until(lambda: seen(table) > began)
    infer(recording)
    recording.close(20)

    found = entries(tmp_path, recording.life)
    assert found[-1] == (2, True)
    assert found == sorted(found)
    with LedgerReader(database(tmp_path / "data")) as reader:
        assert [row.seq for row in reader.rows(recording.life)] == [1, 2]
    assert not table.exists()


def seen(table: Path) -> int:
    contents = read_table(table.read_bytes())
    assert contents is not None
    return contents.seen_unix_ns


def test_what_is_open_when_the_telemetry_closes_is_for_the_next_process(recording: Recording, tmp_path: Path) -> None:
    """As after a death: it is closed under the ids it had; and what ends too late is not counted twice."""
    draft = EventDraft.open(request_id="req-1", function="match", clock=recording.clock)
    recording.recorder.open(draft)
    recording.close(20)
    recording.losses.clear()

    second = Recording.open(settings_of(tmp_path), command="serve", strict=True)
    second.close(20)
    with LedgerReader(database(tmp_path / "data")) as reader:
        (row,) = reader.rows(second.life)
    assert (row.request_id, row.span_id, row.outcome.value) == ("req-1", draft.span_id, "error")
    assert list((tmp_path / "data/open").iterdir()) == []


def test_a_table_whose_counts_did_not_reach_the_ledger_stays(recording: Recording, tmp_path: Path) -> None:
    """The next process writes the final entry."""
    infer(recording)
    until(lambda: recording.store.written == 1)
    blocker = sqlite3.connect(database(tmp_path / "data"), isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    recording.close(0.4)
    assert (tmp_path / "data/open/serve.0.table").exists()
    blocker.execute("ROLLBACK")
    blocker.close()

    Recording.open(settings_of(tmp_path), command="match").close(20)
    assert entries(tmp_path, recording.life)[-1] == (1, True)
    assert list((tmp_path / "data/open").iterdir()) == []


def test_the_table_has_room_for_all_that_may_be_open(recording: Recording) -> None:
    """What waits, two batches and some to spare; one more is counted and shown."""
    drafts = [EventDraft.open(request_id=f"r-{number}", function="match", clock=recording.clock) for number in range(1345)]
    for draft in drafts:
        recording.recorder.open(draft)
    assert (len(recording.table), recording.lost()["open_events", "table_full"]) == (1344, 1)
    for draft in drafts:
        recording.recorder.record(draft.close())
    assert len(recording.table) == 0


# --- failed starts ----------------------------------------------------------------------------------------------------


def newer_store(folder: Path) -> None:
    connection = sqlite3.connect(folder / "telemetry.db")
    connection.execute("CREATE TABLE migration (name TEXT PRIMARY KEY) WITHOUT ROWID")
    connection.execute("INSERT INTO migration VALUES ('m999_of_the_future')")
    connection.commit()
    connection.close()


def short_key(folder: Path) -> None:
    (folder / "hash.key").write_text("short")


def file_for_logs(folder: Path) -> None:
    (folder / "logs").write_text("")


def folder_for_store(folder: Path) -> None:
    (folder / "telemetry.db").mkdir()


def file_for_tables(folder: Path) -> None:
    (folder / "open").write_text("")


def folder_for_table(folder: Path) -> None:
    (folder / "open/serve.0.table.new").mkdir(parents=True)


@pytest.mark.parametrize("spoil", [newer_store, short_key, file_for_logs, folder_for_store, file_for_tables, folder_for_table])
def test_a_part_that_cannot_be_opened_fails_the_start_and_leaves_nothing_open(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    """In words; no thread goes on, and the slot is free for the next try."""
    folder = tmp_path / "data"
    folder.mkdir()
    spoil(folder)
    before = set(threading.enumerate())
    descriptors = set(os.listdir("/proc/self/fd"))

    with pytest.raises(StartupError) as caught:
        Recording.open(settings_of(tmp_path), command="serve")

    assert caught.value.__traceback__ is not None  # which keeps all that was opened from being freed by the way
    assert set(threading.enumerate()) <= before
    assert set(os.listdir("/proc/self/fd")) <= descriptors
    slot = claim(folder, "serve")
    assert slot.slot == 0
    slot.release()


def test_a_gpu_that_is_insisted_on_and_absent_fails_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is opened."""

    def refuse(_mode: str) -> tuple[NullGpuReader, str]:
        raise StartupError("no GPU")

    monkeypatch.setattr("service.recording.open_gpu_reader", refuse)
    with pytest.raises(StartupError, match=r"^no GPU$"):
        Recording.open(settings_of(tmp_path), command="serve")

    assert not (tmp_path / "data").exists()


# --- the way to an OTLP endpoint --------------------------------------------------------------------------------------


def test_without_an_endpoint_there_is_no_spool(recording: Recording, tmp_path: Path) -> None:
    """Neither folder nor thread; its series stand at 0, so that rules need not ask whether there is one."""
    infer(recording)
    text = recording.exposition.render()[0].decode()

    assert not (tmp_path / "data/spool").exists()
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("otlp")] == []
    assert "mgeo_spool_size_bytes 0.0" in text
    assert "mgeo_spool_age_seconds 0.0" in text
    assert 'mgeo_telemetry_sent_total{signal="traces"} 0.0' in text


def test_what_waits_for_an_endpoint_that_is_away_is_shown_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its bytes and age, and in words when it lasts; the next process sends it."""
    monkeypatch.setattr("service.telemetry.sdk.spool.sender.PATIENCE", 0.0)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "200")
    recording = Recording.open(settings_of(tmp_path), command="serve", strict=True)
    infer(recording)
    until(lambda: len(recording.degraded()) == 1 and "traces, metrics, logs" in recording.degraded()[0])

    assert recording.degraded() == ["otlp 127.0.0.1:9 takes no traces, metrics, logs: ConnectionError"]
    text = recording.exposition.render()[0].decode()
    size, age = (float(text.partition(f"\n{name} ")[2].split("\n")[0]) for name in ("mgeo_spool_size_bytes", "mgeo_spool_age_seconds"))
    assert size > 10_000
    assert age > 0
    recording.close(20)
    left = sorted(path.name.partition(".")[0] for path in (tmp_path / "data/spool").rglob("*.seg"))
    assert left == ["logs", "metrics", "traces"]

    receiver = Receiver()
    for name, value in receiver.variables.items():
        monkeypatch.setenv(name, value)
    recording = Recording.open(settings_of(tmp_path), command="serve", strict=True)
    until(lambda: receiver.inference_spans() == receiver.inference_logs() == {"success": 1})
    until(lambda: 'mgeo_telemetry_sent_total{signal="logs"} 1.0' in recording.exposition.render()[0].decode())
    recording.close(20)
    receiver.close()
    assert list((tmp_path / "data/spool").iterdir()) == []


def test_what_the_endpoint_will_never_take_is_a_line_in_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Signal and status, once; what the endpoint says to it may quote an address, and stays out."""
    receiver = Receiver(behaviour=400, answer="杭州市余杭区 cannot be taken".encode())
    for name, value in receiver.variables.items():
        monkeypatch.setenv(name, value)
    recording = Recording.open(settings_of(tmp_path), command="serve", strict=True)
    infer(recording)
    until(lambda: all(recording.losses[signal, "refused"] for signal in ("traces", "metrics", "logs")))
    infer(recording)
    recording.close(20)
    receiver.close()

    text = (tmp_path / "data/logs/inference.log").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    refused = [line for line in lines if line["event"] != "mgeo.inference"]
    assert {line["event"] for line in refused} == {"mgeo.otlp.refused"}
    assert {line["level"] for line in refused} == {"WARNING"}
    assert sorted(line["function"] for line in refused) == ["logs: HTTP 400", "metrics: HTTP 400", "traces: HTTP 400"]
    assert "杭州" not in text


# --- how long it lives, and what had to make room ---------------------------------------------------------------------


def test_how_long_the_process_lives_is_shown(recording: Recording, ticking: Any) -> None:
    """By the clock that only goes forward."""
    ticking.seconds += 90
    assert "process_uptime_seconds 90.0" in recording.exposition.render()[0].decode()


def test_what_had_to_make_room_is_shown_once_something_had_to(recording: Recording) -> None:
    """By store."""
    assert "mgeo_retention_cut_seconds{" not in recording.exposition.render()[0].decode()
    recording.log_file.cut_age = 86_400.0
    recording.store._cut_age = 3600.0
    text = recording.exposition.render()[0].decode()
    assert 'mgeo_retention_cut_seconds{mgeo_store="embedded"} 3600.0' in text
    assert 'mgeo_retention_cut_seconds{mgeo_store="log"} 86400.0' in text
