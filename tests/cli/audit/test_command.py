"""`mgeo audit`, on the embedded store of a data folder and on servers that answer as the stack does."""

from __future__ import annotations

import json
import re
import time
from collections import Counter

import pytest

from cli.main import main
from service.errors import ErrorType, Outcome
from service.requeststore.ledger import LedgerEntry, life_of
from service.requeststore.sqlite_writer import SqliteWriter
from service.surroundings.audit_record import AuditRecord, read_record, write_record
from service.telemetry.event import Clock
from tests.cli.audit.stores import INSTANCE, Fixed, Jaeger, Loki, Prometheus
from tests.inference_events import refused, success

MS = 1_000_000
SECOND = 1000 * MS


class Data:
    """A data folder in which a process, a minute old, has answered two inferences and refused a third."""

    def __init__(self, folder):
        self.begun = time.time_ns() - 60 * SECOND
        self.life = life_of(INSTANCE, self.begun)
        self.collected = self.begun + 10 * SECOND
        ids = ["0000000000000001", "0000000000000002", "0000000000000003"]
        self.events = [
            success("request-1", span_id=ids[0], trace_id="0" * 31 + "1", started_unix_ns=self.begun + SECOND),
            success("request-2", span_id=ids[1], trace_id="0" * 31 + "2", started_unix_ns=self.begun + 2 * SECOND),
            refused(ErrorType.EMPTY_ADDRESS, "request-3", span_id=ids[2], trace_id="0" * 31 + "3", started_unix_ns=self.begun + 3 * SECOND),
        ]
        folder.mkdir(parents=True)
        writer = SqliteWriter(
            folder / "telemetry.db",
            queue_size=100,
            retention=7 * 86_400,
            max_bytes=64_000_000,
            capture="off",
            service_instance=INSTANCE,
            life=self.life,
            clock=Clock(monotonic=time.monotonic, unix_ns=time.time_ns),
        )
        for seq, event in enumerate(self.events, 1):
            writer.add(event, seq)
        counts = Counter({Outcome.SUCCESS: 2, Outcome.INVALID: 1})
        writer.add_entry(LedgerEntry(life=self.life, collected_unix_ns=self.collected, counts=counts))
        # One more that nothing has, of a process that was killed.
        final = LedgerEntry(
            life=self.life, collected_unix_ns=self.collected + SECOND, counts=counts + Counter([Outcome.ERROR]), final=True, died=True
        )
        writer.add_entry(final)
        assert writer.close(10)

    @property
    def loki(self):
        return Loki([(event.started_unix_ns, f"{event.span_id} {event.request_id} {event.outcome} 1 {INSTANCE}") for event in self.events])

    @property
    def jaeger(self):
        return Jaeger([(event.trace_id, event.span_id, event.started_unix_ns, event.outcome.value) for event in self.events])

    @property
    def prometheus(self):
        dropped = "sum by (signal, reason) (max_over_time(mgeo_telemetry_dropped_total[1d])) > 0"
        lost = [{"metric": {"reason": "queue_full", "signal": "logs"}, "value": [1.0, "4"]}]
        return Prometheus({self.collected // MS: (2, 1, 0)}, others={dropped: lost})


@pytest.fixture
def data(tmp_path):
    return Data(tmp_path / "var")


@pytest.fixture(autouse=True)
def nothing_at_the_default_address(monkeypatch):
    """A service the developer runs does not answer the tests."""
    monkeypatch.setenv("MGEO_PORT", "9")


def without_moments(text):
    """A report without the ranges of time that it was asked for, which go on."""
    return re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "", text)


def options(serve_app, **apps):
    return [part for name, app in apps.items() for part in (f"--{name}", serve_app(app))]


def test_a_stack_that_has_everything(data, serve_app, capsys):
    """One JSON object with every store by outcome, and exit code 0."""
    stores = options(serve_app, prometheus=data.prometheus, loki=data.loki, jaeger=data.jaeger)
    assert main(["audit", "--json", "--settle", "0s", *stores]) == 0
    found = json.loads(capsys.readouterr().out)
    counts = {"total": 3, "success": 2, "invalid": 1, "overloaded": 0, "timeout": 0, "cancelled": 0, "error": 0}
    for name in ("served", "prometheus", "loki", "jaeger", "embedded"):
        assert found[name] == counts
    assert (found["difference"], found["unflushed"], found["passed"], found["profile"]) == (0, 1, True, "full")
    assert found["unflushed_by_outcome"]["error"] == 1
    assert found["missing"] == {name: {"count": 0, "ids": []} for name in ("loki", "jaeger", "embedded")}
    assert [life["instance"] for life in found["window"]["lives"]] == [INSTANCE]
    assert (found["unread"], found["notes"], found["hints"], found["missing_numbers"]) == ({}, [], [], [])


def test_what_is_missing_is_shown_with_how_to_look_it_up(data, serve_app, capsys):
    """And with what the service says it dropped; exit code 1."""
    loki = data.loki
    del loki.entries[1]
    stores = options(serve_app, prometheus=data.prometheus, loki=loki, jaeger=data.jaeger)
    assert main(["audit", "--settle", "0s", *stores]) == 1
    shown = capsys.readouterr().out
    assert "  outcome           served  Prometheus        Loki      Jaeger    embedded\n" in shown
    assert ["success", "2", "2", "1", "2", "2"] in [line.split() for line in shown.splitlines()]
    assert "difference 1\n  Loki: 1 fewer of success than were served\n" in shown
    assert "unflushed 1: ended after the last collection of a process that was killed\n" in shown
    assert "\nLoki lacks 1, of which:\n" in shown
    assert "success     mgeo lookup request-2\n" in shown
    assert "  - the service dropped 4 of logs: queue_full (mgeo_telemetry_dropped_total)\n" in shown


def test_what_was_found_is_recorded_when_asked_for(data, serve_app, capsys, tmp_path):
    """For the service's metrics; the exit code and what is printed are the same."""
    loki = data.loki
    del loki.entries[1]
    stores = options(serve_app, loki=loki, jaeger=Fixed((401, "no credentials")))
    before = time.time_ns()
    assert main(["audit", "--settle", "0s", *stores]) == 1
    plain = capsys.readouterr().out
    assert read_record(tmp_path / "var") is None
    assert main(["audit", "--settle", "0s", "--record", *stores]) == 1
    assert without_moments(capsys.readouterr().out) == without_moments(plain)
    record = read_record(tmp_path / "var")
    assert (record.difference, record.unflushed, record.unread) == (1, 1, ("jaeger",))
    assert before < record.ended_unix_ns <= time.time_ns()


def test_an_audit_that_could_not_be_made_leaves_the_record_of_the_one_before(tmp_path, capsys):
    """Its age tells that none has been made since."""
    old = AuditRecord(difference=0, unflushed=0, unread=(), ended_unix_ns=1)
    write_record(tmp_path, old)
    assert main(["audit", "--record", "--data-dir", str(tmp_path)]) == 3
    assert read_record(tmp_path) == old


def test_a_record_that_cannot_be_written_is_told_after_what_was_found(data, capsys, tmp_path):
    """By the exit code of a wrong set-up."""
    (tmp_path / "var" / "audit.json").mkdir()
    assert main(["audit", "--settle", "0s", "--record"]) == 78
    shown, told = capsys.readouterr()
    assert "difference 0: embedded has exactly what was served\n" in shown
    assert "audit.json cannot be used" in told
    assert sorted(path.name for path in (tmp_path / "var").glob("audit*")) == ["audit.json"]


def test_without_a_stack_the_store_is_compared_with_the_ledger(data, capsys):
    """And that is said."""
    assert main(["audit", "--settle", "0s"]) == 0
    shown = capsys.readouterr().out
    assert "difference 0: embedded has exactly what was served\n" in shown
    assert "No other store is configured: the embedded store was compared with the ledger only.\n" in shown


def test_the_lite_profile(data, serve_app, capsys):
    """Prometheus scrapes the process; its samples are at moments of their own."""
    info = {"job": "mgeo", "instance": INSTANCE, "service_instance_id": INSTANCE}

    class Scraping(Prometheus):
        def answer(self, path, params):
            if "target_info" in params["query"]:
                return 200, {"status": "success", "data": {"resultType": "vector", "result": [{"metric": info, "value": [1, "1"]}]}}
            return super().answer(path, params)

    scraping = Scraping(dict.fromkeys([data.collected // MS + 300], (2, 1, 0)))
    assert main(["audit", "--settle", "0s", *options(serve_app, prometheus=scraping)]) == 0
    shown = capsys.readouterr().out
    assert "Lite profile: Prometheus scrapes the service, so it is compared with that process only, as far as it was scraped.\n" in shown
    assert main(["audit", "--json", "--settle", "0s", *options(serve_app, prometheus=scraping)]) == 0
    assert json.loads(capsys.readouterr().out)["profile"] == "lite"


def test_a_store_that_cannot_be_read_has_its_own_exit_code(data, serve_app, capsys):
    """It is named, and the others are compared."""
    stores = options(serve_app, loki=Fixed((401, "no credentials")), jaeger=data.jaeger)
    assert main(["audit", "--settle", "0s", *stores]) == 3
    shown = capsys.readouterr().out
    assert "NOT READ: Loki. Loki at 127.0.0.1:" in shown
    assert "answered 401: no credentials.\n" in shown
    assert "not read" in shown
    assert main(["audit", "--json", "--settle", "0s", *stores]) == 3
    found = json.loads(capsys.readouterr().out)
    assert found["loki"] is None
    assert list(found["unread"]) == ["loki"]
    assert (found["difference"], found["passed"]) == (0, False)


def test_an_empty_address_is_none(data, monkeypatch, capsys):
    """So a store of the environment can be left out."""
    monkeypatch.setenv("MGEO_LOKI_URL", "http://127.0.0.1:9")
    assert main(["audit", "--settle", "0s", "--loki", "", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["loki"] is None


def test_a_sampler_that_drops_spans_is_said(data, monkeypatch, capsys):
    """Jaeger then cannot have what the others have."""
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    assert main(["audit", "--settle", "0s"]) == 0
    assert "OTEL_TRACES_SAMPLER = always_off: no trace is kept" in capsys.readouterr().out


def test_a_range_is_cut_at_collections(data, capsys):
    """Here there is only one, before it."""
    assert main(["audit", "--settle", "0s", "--since", "5s"]) == 0
    assert "Nothing was served between" in capsys.readouterr().out


def test_a_range_by_moments(data, capsys):
    """RFC 3339, with its zone."""
    assert main(["audit", "--json", "--settle", "0s", "--since", "2026-01-01T00:00:00Z", "--until", "2100-01-01T08:00:00+08:00"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["window"]["asked_since"] == "2026-01-01T00:00:00.000000000Z"
    assert found["window"]["asked_until"] == "2100-01-01T00:00:00.000000000Z"
    assert found["served"]["total"] == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--since", "yesterday"], "'yesterday' is no moment"),
        (["--since", "2026-11-25T10:00:00"], "is no moment"),
        (["--since", "1m", "--until", "5m"], "--since must be before --until"),
        (["--settle", "30"], "'30' is not a duration"),
        (["--missing", "-1"], "--missing"),
    ],
)
def test_wrong_usage(arguments, said, capsys):
    """Is explained, with exit code 2."""
    assert main(["audit", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_a_folder_without_a_store(tmp_path, capsys):
    """Cannot be audited; that is no difference."""
    assert main(["audit", "--data-dir", str(tmp_path)]) == 3
    assert "telemetry.db cannot be read" in capsys.readouterr().err


def test_rows_that_were_let_go_of_are_not_missed(tmp_path, capsys):
    """The window begins a minute after the oldest that is left, and says why; one that is recorded never reaches further back."""
    import sqlite3

    Data(tmp_path / "var")
    with sqlite3.connect(tmp_path / "var" / "telemetry.db") as connection:
        connection.execute("DELETE FROM inference WHERE id = 1")
    assert main(["audit", "--settle", "0s"]) == 0
    shown = capsys.readouterr().out
    assert "The embedded store has let go of what is older; the window begins there.\n" in shown
    assert main(["audit", "--settle", "0s", "--since", "1h", "--record"]) == 0
    assert "; the window begins there.\n" in capsys.readouterr().out
    assert main(["audit", "--settle", "0s", "--since", "1h"]) == 1
    assert "The embedded store has let go of what is older; the window reaches further back: what is missing there may be no loss.\n" in (
        capsys.readouterr().out
    )
