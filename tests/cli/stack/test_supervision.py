"""Real processes under a real supervisord: started, waited for, started again, ended. Nothing outlives its test."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from cli.stack import supervisor
from cli.stack.ending import Ended
from cli.stack.interrupts import Interrupted, interrupts
from cli.stack.marked import SUPERVISOR
from cli.stack.readiness import NotReady
from cli.stack.report import look, table
from cli.stack.state import read_state
from cli.stack.supervisor import Control
from tests.cli.stack.sites import process
from tests.cli.stack.supervised import STAND_IN, Box
from tests.deadline import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def box(tmp_path):
    box = Box(tmp_path / "data here")
    yield box
    box.kill(SUPERVISOR)
    box.end()
    assert box.running() == []


@pytest.fixture(autouse=True)
def data_folder(tmp_path):
    (tmp_path / "data here").mkdir()


def test_processes_come_up_and_go_down(box):
    """Also in a folder with odd characters in its name; a second end finds nothing."""
    state = box.start(box.process("prometheus"), box.process("service"))
    assert box.running() == ["prometheus", "service", "supervisord"]
    assert read_state(box.layout) == state
    assert box.told[0] == "starting prometheus, service"
    assert sorted(line.split(" after ")[0] for line in box.told[1:]) == ["prometheus is ready", "service is ready"]
    assert box.end() == Ended(stopped=("service", "prometheus"))
    assert box.running() == []
    assert read_state(box.layout) is None
    assert box.end() == Ended()
    assert box.end().text() == "nothing was running"


def test_every_process_has_a_group_of_its_own_and_no_variable_that_it_should_not_see(box, monkeypatch):
    """So that a signal to one reaches no other, and a stray setting none."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://elsewhere")
    monkeypatch.setenv("MGEO_API_KEYS", "secret")
    box.start(box.process("prometheus"), box.process("service", drops=()))
    for name, sees in (("prometheus", False), ("service", True)):
        (pid,) = box.pids(name)
        assert os.getpgid(pid) == pid
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        assert (b"MGEO_API_KEYS=secret" in variables) is sees
        assert (b"OTEL_EXPORTER_OTLP_ENDPOINT=http://elsewhere" in variables) is sees
        assert f"MGEO_STACK={box.layout.run}".encode() in variables


def test_a_variable_that_is_kept_gets_through_what_is_dropped(box, monkeypatch):
    """That one, and none that only begins like it; the plan's own value goes before it."""
    for name in ("GF_PATHS_BUNDLED_PLUGINS", "GF_PATHS_BUNDLED_PLUGINS_TOO", "GF_PATHS_DATA", "GF_SERVER_HTTP_PORT"):
        monkeypatch.setenv(name, "/inherited")
    grafana = box.process("grafana", drops=("GF_",), keeps=("GF_PATHS_BUNDLED_PLUGINS", "GF_PATHS_DATA"))
    grafana.environment["GF_PATHS_DATA"] = "/planned"
    box.start(grafana)
    (pid,) = box.pids("grafana")
    variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    assert sorted(variable for variable in variables if variable.startswith(b"GF_")) == [
        b"GF_PATHS_BUNDLED_PLUGINS=/inherited",
        b"GF_PATHS_DATA=/planned",
    ]


def test_no_secret_stands_in_a_file_that_others_read_nor_in_an_argument(box):
    """The state is private, and supervisord's file holds no variable of a process."""
    box.start(box.process("service"))
    assert "STAND_IN" not in box.layout.conf.read_text()
    assert box.layout.conf.stat().st_mode & 0o077 == box.layout.state.stat().st_mode & 0o077 == 0


def test_a_process_that_is_not_listed_is_kept_alive_like_the_others_and_shown_to_nobody(box):
    """It is up, it comes back, it ends with the rest."""
    state = box.start(box.process("service"), box.process("auditor", listed=False))
    assert read_state(box.layout) == state
    assert [row.name for row in look(state)] == ["service"]
    (before,) = box.pids("auditor")
    box.kill("auditor")
    until(lambda: box.pids("auditor") not in ([], [before]))
    assert box.end() == Ended(stopped=("auditor", "service"))


def test_a_killed_process_is_started_again(box):
    """Status sees it away, then back."""
    state = box.start(box.process("prometheus"))
    (before,) = box.pids("prometheus")
    box.kill("prometheus")
    until(lambda: box.pids("prometheus") not in ([], [before]))
    until(lambda: look(state)[0].healthy)
    (row,) = look(state)
    assert row.pid != before
    assert row.memory_bytes > 1_000_000


def test_a_process_that_ends_at_once_fails_the_start_with_its_last_words(box):
    """Everything else is ended again; the message has the log and the advice."""
    with pytest.raises(NotReady) as caught:
        box.start(box.process("prometheus"), box.process("service", "ends at once"))
    message = str(caught.value)
    assert message.startswith("service did not come up: it ended as soon as it was started\nits last lines:\n  the configuration is bad\n")
    assert f"the log: {box.layout.log('service')}" in message
    assert "what to do: look again" in message
    assert caught.value.exit_code == 69
    assert box.running() == []


def test_a_process_that_is_not_ready_in_time_fails_the_start_with_what_it_answered(box):
    """It ran, but said no."""
    with pytest.raises(NotReady, match=r"service did not come up: after \d.*/ready answers 503\nits last lines:\n  listening"):
        box.start(box.process("service", "never ready", start_deadline=5.0))
    assert box.running() == []


def test_a_program_that_is_not_there_fails_the_start(box):
    """With what the launcher says."""
    with pytest.raises(NotReady, match="No such file or directory"):
        box.start(process("service", argv=("/nowhere/program",), probes=("http://127.0.0.1:9/",)))


def test_a_process_that_ignores_sigterm_is_killed_and_named(box):
    """After its own grace."""
    box.start(box.process("prometheus", "ignores SIGTERM", stop_grace=0.2), box.process("service"))
    ended = box.end()
    assert ended == Ended(stopped=("service",), killed=("prometheus",))
    assert ended.text() == "stopped: service; killed, since they did not end in time: prometheus"


def test_orphans_of_a_killed_supervisord_are_ended(box):
    """By their mark; the status knows that nobody supervises them."""
    state = box.start(box.process("prometheus"), box.process("service"))
    box.kill(SUPERVISOR)
    until(lambda: box.running() == ["prometheus", "service"])
    rows = look(state)
    assert [row.healthy for row in rows] == [False, False]
    assert rows[0].reason == "nobody supervises it; `mgeo down` ends what is left, `mgeo up` starts anew"
    assert table(rows).splitlines()[1].split() == ["prometheus", "1.2.3", "http://127.0.0.1:1", "-", "-", "not", "healthy"]
    assert box.end() == Ended(stopped=("service", "prometheus"))


def test_orphans_of_which_no_state_is_left_are_ended(box):
    """Even so."""
    box.start(box.process("prometheus"), box.process("stranger"))
    box.kill(SUPERVISOR)
    box.layout.state.unlink()
    until(lambda: SUPERVISOR not in box.running())
    assert box.end() == Ended(stopped=("stranger", "prometheus"))


def test_a_supervisord_that_hangs_is_killed_first(box, monkeypatch):
    """Or it would start again what is ended."""
    monkeypatch.setattr(supervisor, "RPC_TIMEOUT", 0.2)
    box.start(box.process("prometheus"))
    box.kill(SUPERVISOR, signal.SIGSTOP)
    assert box.end() == Ended(stopped=("prometheus",), killed=(SUPERVISOR,))


def test_a_supervisord_that_does_not_come_up_is_told_with_what_it_printed(box):
    """As when its log cannot be written."""
    box.layout.log(SUPERVISOR).mkdir()
    with pytest.raises(NotReady, match=r"(?s)supervisord ended; its last lines:\n.*supervisord\.log"):
        box.start(box.process("prometheus"))


def test_a_process_that_waits_to_be_started_again_is_ended_too(box):
    """It does not run, so there is nothing to tell of."""
    state = box.start(box.process("prometheus"))
    control = Control(socket=state.socket, password=state.password)
    box.layout.state.write_text(box.layout.state.read_text().replace(STAND_IN, "/nowhere/stand_in.py"))
    box.kill("prometheus")
    until(lambda: control.processes()["prometheus"].state == "BACKOFF")
    assert control.processes()["prometheus"].ended
    assert look(state)[0].reason == "it does not run (backoff)"
    assert box.end() == Ended()


def test_a_signal_just_before_the_stack_is_handed_over_ends_it(box):
    """Its caller knows of nothing that it could end."""
    with interrupts() as signals, pytest.raises(Interrupted):
        box.start(box.process("prometheus"), ready=lambda: signal.raise_signal(signal.SIGTERM), hold=signals.hold)
    assert box.running() == []


def test_a_signal_while_the_stack_is_handed_over_waits_until_its_caller_has_it(box):
    """Who then ends it, or keeps it."""

    def hold():
        signals.hold()
        signal.raise_signal(signal.SIGTERM)

    with interrupts() as signals:
        state = box.start(box.process("prometheus"), hold=hold)
        assert state.names == ("prometheus",)
        assert box.running() == ["prometheus", "supervisord"]
        with pytest.raises(Interrupted):
            signals.let_go()


def test_a_signal_while_a_failed_start_is_ended_leaves_nothing_and_keeps_the_reason(box):
    """The clean-up is done whole."""

    def hold():
        signals.hold()
        signal.raise_signal(signal.SIGTERM)

    with interrupts() as signals, pytest.raises(NotReady, match="service did not come up"):
        box.start(box.process("prometheus"), box.process("service", "ends at once"), hold=hold)
    assert box.running() == []


def test_a_signal_at_the_very_beginning_of_that_clean_up_leaves_nothing_either(box):
    """It is told as what it is."""

    def hold():
        signal.raise_signal(signal.SIGTERM)

    with interrupts(), pytest.raises(Interrupted):
        box.start(box.process("prometheus"), box.process("service", "ends at once"), hold=hold)
    assert box.running() == []
