"""A stack of the drill's own: what it is given, that nothing of it stays, and that nothing else is touched.

`mgeo up` is a stand-in here, which can be made to fail; the real one runs in tests/stack.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from cli.drill.apart import ApartFailed, environment, stack_apart
from cli.stack.interrupts import SIGNALS
from cli.stack.layout import Layout
from cli.stack.marked import marked_processes
from service.errors import StartupError
from service.settings import Settings
from service.stack_settings import StackPortSettings
from tests.deadline import DEADLINE, until

ROOT = Path(__file__).parents[3]
UP = """
import os, pathlib, subprocess, sys, time
pathlib.Path(os.environ["MGEO_DATA_DIR"], "stack").mkdir()
subprocess.Popen(
    [sys.executable, "-S", "-c", "import time; time.sleep(600)"],
    env={**os.environ, "MGEO_STACK_PROGRAM": "service"},
    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
)
"""
GOOD = (sys.executable, "-S", "-c", UP)
BAD = (sys.executable, "-S", "-c", f"{UP}\nprint('starting service', file=sys.stderr)\nsys.exit('mgeo: 0.1 GiB free there')")
ENDLESS = (sys.executable, "-S", "-c", f"{UP}\ntime.sleep(600)")


@pytest.fixture
def layout(tmp_path):
    layout = Layout(tmp_path / "var")
    yield layout
    assert running(layout.drilled) == []


def running(layout):
    return [found.program for found in marked_processes(layout.run)]


def apart(layout, up=GOOD, said=None):
    return stack_apart(layout, scale=0.05, say=[].append if said is None else said.append, up=up)


@contextmanager
def left_behind(layout, program="loki"):
    """A process of a stack whose drill was killed, and a file that it kept."""
    layout.run.mkdir(parents=True)
    (layout.run / "kept").write_text("old")
    variables = {**os.environ, "MGEO_STACK": str(layout.run), "MGEO_STACK_PROGRAM": program}
    with subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"], env=variables) as process:
        try:
            until(lambda: running(layout) == [program])
            yield process
        finally:
            process.kill()


def test_it_is_there_inside_and_gone_after(layout):
    """Below the data folder, which may be a new one; of that nothing stays but the lock."""
    said = []
    with apart(layout, said=said) as own:
        assert own == Layout(layout.data_dir / "drilled")
        assert own.run.is_dir()
        assert running(own) == ["service"]

    assert running(own) == []
    assert [path.name for path in layout.data_dir.iterdir()] == ["drilled.lock"]
    assert said == [f"bringing up a stack of the drill's own in {layout.data_dir}/drilled"]


def test_the_stack_beside_it_is_not_touched(layout):
    """Neither its processes nor its files."""
    with left_behind(layout, "prometheus") as other:
        with apart(layout):
            assert running(layout) == ["prometheus"]

        assert other.poll() is None
        assert (layout.run / "kept").read_text() == "old"


def test_what_a_drill_that_was_killed_has_left_is_ended_and_emptied_first(layout):
    """Or its ports would be taken, and its history be told again."""
    with left_behind(layout.drilled) as old, apart(layout) as own:
        assert old.wait(DEADLINE) == -signal.SIGTERM
        assert running(own) == ["service"]
        assert not (own.run / "kept").exists()


def test_one_that_does_not_come_up_is_told_with_its_last_words(layout):
    """And leaves nothing."""
    with pytest.raises(ApartFailed) as failed, apart(layout, BAD):
        pytest.fail("it is not up")

    assert str(failed.value).splitlines() == [
        "the stack of the drill's own did not come up (`mgeo up` ended with 1); it said last:",
        "  starting service",
        "  mgeo: 0.1 GiB free there",
    ]
    assert not layout.drilled.data_dir.exists()


def test_one_that_takes_too_long_is_given_up(layout, monkeypatch):
    """It may build programs for an hour, and no longer."""
    monkeypatch.setattr("cli.drill.apart.UP_WITHIN", 0.2)

    with pytest.raises(ApartFailed, match="was not up within 0 s"), apart(layout, ENDLESS):
        pytest.fail("it is not up")

    assert not layout.drilled.data_dir.exists()


def test_a_program_that_is_not_there_is_told(layout):
    """Such as an interpreter that an upgrade has taken away."""
    with pytest.raises(StartupError, match=r"up\.log cannot be used \(No such file or directory\)"), apart(layout, ("/nowhere/mgeo",)):
        pytest.fail("it is not up")

    assert not layout.drilled.data_dir.exists()


def test_a_drill_that_breaks_breaks_and_its_stack_ends_all_the_same(layout):
    """What went wrong is told by who knows it."""
    with pytest.raises(ZeroDivisionError), apart(layout):
        1 / 0  # noqa: B018

    assert not layout.drilled.data_dir.exists()


def test_two_at_a_time_are_one_too_many(layout):
    """The second would end the first one's stack."""
    with apart(layout) as own:
        with pytest.raises(ApartFailed, match=r"another `mgeo drill --apart` is at work in .*; wait for it, or name"), apart(layout):
            pytest.fail("it is the second")
        assert running(own) == ["service"]

    with apart(layout):
        pass


def test_a_data_folder_that_cannot_be_one_is_told(tmp_path):
    """With its setting."""
    (tmp_path / "var").write_text("a file")

    with pytest.raises(StartupError, match=r"MGEO_DATA_DIR: the data folder .* cannot be made"), apart(Layout(tmp_path / "var")):
        pytest.fail("there is nowhere to be")


def test_signals_are_as_before_when_it_is_over(layout):
    """Whoever drills has its own."""
    before = [signal.getsignal(number) for number in SIGNALS]
    with apart(layout):
        assert [signal.getsignal(number) for number in SIGNALS] != before

    assert [signal.getsignal(number) for number in SIGNALS] == before


@contextmanager
def drilling(layout, up):
    """A program that has such a stack until it is told to end."""
    program = (
        "import sys, time; from pathlib import Path; from cli.drill.apart import stack_apart; from cli.stack.layout import Layout\n"
        f"with stack_apart(Layout(Path({str(layout.data_dir)!r})), scale=0.05, say=print, up={up!r}):\n"
        "    print('up', flush=True); time.sleep(600)"
    )
    variables = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", program], env=variables, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_too(layout, number):
    """As a shell's Ctrl-C, `kill`, and a terminal that is closed; the exit code is that of a program that was interrupted."""
    with drilling(layout, GOOD) as process:
        assert process.stdout.readline().startswith("bringing up ")
        assert process.stdout.readline() == "up\n"
        process.send_signal(number)
        assert process.wait(DEADLINE) == 130
        assert process.stdout.read() == "interrupted; the stack of the drill's own has ended\n"

    assert not layout.drilled.data_dir.exists()


@pytest.mark.slow
def test_a_signal_while_it_comes_up_ends_all_that_was_started(layout):
    """`mgeo up` among it."""
    with drilling(layout, ENDLESS) as process:
        until(lambda: sorted(running(layout.drilled)) == ["", "service"])
        process.terminate()
        assert process.wait(DEADLINE) == 130

    assert running(layout.drilled) == []
    assert not layout.drilled.data_dir.exists()


@pytest.mark.slow
def test_a_drill_that_is_killed_leaves_what_the_next_one_ends(layout):
    """Also a `mgeo up` that was still at it."""
    with drilling(layout, ENDLESS) as process:
        until(lambda: sorted(running(layout.drilled)) == ["", "service"])
        process.kill()
        process.wait(DEADLINE)

    assert sorted(running(layout.drilled)) == ["", "service"]
    with apart(layout) as own:
        assert running(own) == ["service"]


def given(inherited, settings=None, scale=0.05):
    return environment(Layout(Path("/data/drilled")), inherited, settings or Settings(), scale=scale)


def test_it_has_none_of_the_callers_settings():
    """The model, keys, robots and exporters of the real stack stay with it."""
    own = given({
        "HOME": "/home/me",
        "PATH": "/bin",
        "MGEO_MODEL": "/models/mgeo",
        "MGEO_API_KEYS": "secret",
        "MGEO_NOTIFIER_CONFIG": "/etc/mgeo/notifier.toml",
        "MGEO_CONFIG_FILE": "/etc/mgeo/mgeo.toml",
        "MGEO_STACK": "/data/stack",
        "MGEO_STACK_PROGRAM": "driller",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "https://elsewhere",
    })  # fmt: skip

    assert {name: value for name, value in own.items() if not name.endswith("_PORT")} == {
        "HOME": "/home/me",
        "PATH": "/bin",
        "PYTHONPATH": str(ROOT),
        "MGEO_DATA_DIR": "/data/drilled",
        "MGEO_MODEL": "fake",
        "MGEO_GPU": "off",
        "MGEO_DRILL_SCALE": "0.05",
        "MGEO_COLLECTOR_QUEUE_BYTES": "67108864",
        "MGEO_STACK_CACHE": str(Path("~/.cache/mgeo/stack").expanduser()),
        "MGEO_STACK": "/data/drilled/stack",
        "OTEL_BSP_SCHEDULE_DELAY": "500",
        "OTEL_BLRP_SCHEDULE_DELAY": "500",
    }


def test_it_has_the_callers_programs(tmp_path):
    """Wherever they are named: they would otherwise be downloaded, or built."""
    program = tmp_path / "prometheus"
    settings = Settings(prometheus_binary=program, stack_cache=tmp_path / "cache", release_mirror="https://mirror.example/")

    own = given({}, settings)

    assert own["MGEO_PROMETHEUS_BINARY"] == str(program)
    assert own["MGEO_STACK_CACHE"] == str(tmp_path / "cache")
    assert own["MGEO_RELEASE_MIRROR"] == "https://mirror.example/"
    assert "MGEO_LOKI_BINARY" not in own


def test_it_has_ports_of_its_own():
    """One for every setting of a port, and no two the same."""
    ports = {name: value for name, value in given({"MGEO_PORT": "8000"}).items() if name.endswith("_PORT")}

    assert set(ports) == {"MGEO_PORT", *(f"MGEO_{name}".upper() for name in StackPortSettings.model_fields if name.endswith("_port"))}
    assert len(set(ports.values())) == len(ports)
    assert "8000" not in ports.values()


def test_what_it_is_told_is_understood(monkeypatch):
    """By the settings themselves, as the child reads them."""
    for name, value in given({}, scale=1 / 3).items():
        if name.startswith("MGEO_"):
            monkeypatch.setenv(name, value)

    settings = Settings.load()

    assert (settings.model, settings.gpu, settings.drill_scale) == ("fake", "off", 0.333333)
    assert settings.collector_queue_bytes == 67_108_864
    assert settings.data_dir == Path("/data/drilled")


def test_the_callers_modules_are_found_too():
    """Behind this package itself."""
    assert given({"PYTHONPATH": "/my/modules"})["PYTHONPATH"] == f"{ROOT}{os.pathsep}/my/modules"
