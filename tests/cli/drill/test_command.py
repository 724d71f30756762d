"""`mgeo drill` as people type it: what there is, what is wrong, what came of it, and its exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from cli.drill import command
from cli.drill.catalogue import DRILLS
from cli.main import main
from cli.stack.layout import Layout
from cli.stack.state import State, write_state
from service.drill_faults import FILE, NONE, FaultFile
from tests.cli.drill.results import drill, result, timing, verdict
from tests.cli.stack.sites import process
from tests.deadline import until

ROOT = Path(__file__).parents[3]
NAMES = ("simulator", "watcher", "notifier", "prometheus", "alertmanager", "service")


@pytest.fixture
def ran(monkeypatch):
    """Which drills were asked for and where; they come out as the test puts them here."""
    asked = {"results": [result()]}

    def run(layout, wanted):
        asked["layout"], asked["names"] = layout, [one.name for one in wanted]
        return asked["results"]

    monkeypatch.setattr(command, "_drill", run)
    return asked


FAILED = result(
    drill("error-logs", expects=("ErrorLogs",)), verdict("ErrorLogs was not told", delivered=()), {"ErrorLogs": timing(cleared=9)}
)


def test_without_a_name_it_lists_what_there_is(capsys):
    """A line each: name, what is done, what must come."""
    assert main(["drill"]) == 0
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert [line.split()[0] for line in lines] == [one.name for one in DRILLS]
    assert len({line.index(one.says) for line, one in zip(lines, DRILLS, strict=True)}) == 1
    assert lines[0].endswith("; expects HighLatency")
    assert all(line.endswith(f"; expects {', '.join(one.expects)}") for line, one in zip(lines, DRILLS, strict=True))


@pytest.mark.parametrize("names", [["slow-modle"], ["slow-model", "slow-modle"]])
def test_an_unknown_name_is_a_wrong_usage_before_anything_is_broken(names, ran, capsys):
    """It says how to list them."""
    assert main(["drill", *names]) == 2
    assert "there is no drill 'slow-modle'; `mgeo drill` lists them" in " ".join(capsys.readouterr().err.split())
    assert "names" not in ran


def test_without_a_stack_it_says_how_to_have_one(tmp_path, capsys):
    """Exit code 1, one message, nothing made in the data folder."""
    assert main(["drill", "slow-model", "--data-dir", str(tmp_path / "data")]) == 1
    captured = capsys.readouterr()
    assert captured.err == (
        f"mgeo: no stack is up in {tmp_path / 'data'}; bring one up that may be drilled with `mgeo up --profile full --drills on`, "
        "or add --apart for one of the drill's own\n"
    )
    assert captured.out == ""
    assert not (tmp_path / "data").exists()


def test_the_named_drills_run_in_the_order_in_which_they_were_named(ran, tmp_path):
    """In the stack of the data folder."""
    assert main(["drill", "error-logs", "slow-model", "--data-dir", str(tmp_path)]) == 0
    assert ran["names"] == ["error-logs", "slow-model"]
    assert ran["layout"].data_dir == tmp_path


@pytest.mark.parametrize("names", [["all"], ["slow-model", "all"]])
def test_all_are_all(ran, names):
    """In the order of the list, each once."""
    assert main(["drill", *names]) == 0
    assert ran["names"] == [one.name for one in DRILLS]


def test_a_table_says_what_came_of_it(ran, capsys):
    """Exit code 0 when every message was as it must be, else 1."""
    assert main(["drill", "slow-model"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "1 of 1 as they must be"
    ran["results"] = [result(), FAILED]
    assert main(["drill", "slow-model", "error-logs"]) == 1
    assert capsys.readouterr().out.splitlines()[-2:] == ["error-logs: ErrorLogs was not told", "1 of 2 as they must be"]


def test_json_is_one_array_and_nothing_else(ran, capsys):
    """By the names that other programs rely on."""
    ran["results"] = [result(), FAILED]
    assert main(["drill", "all", "--json"]) == 1
    printed = json.loads(capsys.readouterr().out)
    assert [(one["name"], one["passed"], one["expected"], one["delivered"], one["unexpected"]) for one in printed] == [
        ("slow-model", True, ["HighLatency"], ["HighLatency"], []),
        ("error-logs", False, ["ErrorLogs"], [], []),
    ]
    assert [(one["seconds_to_message"], one["seconds_to_resolved"]) for one in printed] == [(33.0, 17.5), (None, None)]


def test_a_report_is_a_page_a_picture_and_the_figures(ran, tmp_path, capsys):
    """In a folder that is made; also when a drill failed; and it says where."""
    ran["results"] = [result(), FAILED]
    folder = tmp_path / "deep/drills"
    assert main(["drill", "all", "--report", str(folder)]) == 1
    assert sorted(path.name for path in folder.iterdir()) == ["drills.json", "drills.md", "drills.svg"]
    assert [one["name"] for one in json.loads((folder / "drills.json").read_text(encoding="utf-8"))] == ["slow-model", "error-logs"]
    page = (folder / "drills.md").read_text(encoding="utf-8")
    assert page.startswith("# What the drills showed\n")
    assert f"{time.localtime().tm_year}-" in page
    assert "](drills.svg)" in page
    assert (folder / "drills.svg").read_text(encoding="utf-8").startswith("<svg ")
    assert capsys.readouterr().err == f"the report: {folder / 'drills.md'}\n"


def test_a_report_that_cannot_be_written_is_named_after_the_table(ran, tmp_path, capsys):
    """What came of it is not lost."""
    (tmp_path / "file").touch()
    assert main(["drill", "slow-model", "--report", str(tmp_path / "file")]) != 0
    captured = capsys.readouterr()
    assert "1 of 1 as they must be" in captured.out
    assert str(tmp_path / "file") in captured.err


def test_the_help_says_what_it_costs_and_how_it_ends(capsys):
    """Examples, exit codes, and that no real person is called."""
    assert main(["drill", "--help"]) == 0
    words = " ".join(capsys.readouterr().out.split())
    for part in ("mgeo drill slow-model", "mgeo drill all --report var/drills", "mgeo drill all --apart", "Exit codes:", "no real person"):
        assert part in words


async def answered(request):
    """The simulator, before which nothing was said."""
    if request.url.path == "/control/state":
        return JSONResponse({"scale": 0.05, "last_message": 0})
    if request.url.path == "/messages":
        return JSONResponse({"messages": []})
    if request.url.path == "/api/v1/alerts":
        return JSONResponse({"data": {"alerts": []}})
    return JSONResponse({"status": "ok"})


def stack_of(folder, url, names=NAMES):
    """A stack that seems to be up: all of it is one server."""
    layout = Layout(folder)
    layout.prepare()
    processes = tuple(process(name, address=url) for name in names)
    write_state(layout, State(profile="lite", socket="/nowhere/sock", password="p", processes=processes))
    return layout


@pytest.fixture
def url(serve_app):
    return serve_app(Starlette(routes=[Route("/{path:path}", answered, methods=["GET", "POST"])]))


def test_a_drill_of_what_this_profile_lacks_is_left_out_and_said(tmp_path, url, capsys):
    """Loki and the Collector in lite; nothing else was asked for, so nothing runs, and that is no failure."""
    stack_of(tmp_path, url)
    assert main(["drill", "loki-away", "collector-killed", "--data-dir", str(tmp_path)]) == 0
    captured = capsys.readouterr()
    assert captured.err.splitlines() == [
        "loki-away: left out, since this profile has no loki",
        "collector-killed: left out, since this profile has no collector",
    ]
    assert captured.out.endswith("0 of 0 as they must be\n")


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_takes_the_fault_out_and_ends_the_load(tmp_path, url, number):
    """And is said, with the exit code of an interruption."""
    stack_of(tmp_path, url)
    faults = FaultFile(tmp_path / FILE, clock=time.time)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    running = subprocess.Popen(
        [sys.executable, "-m", "cli.main", "drill", "slow-model", f"--data-dir={tmp_path}"],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        until(lambda: faults.read() != NONE or running.poll() is not None)
        assert faults.read().slow_seconds > 0
        (load,) = children(running.pid)
        running.send_signal(number)
        _, errors = running.communicate(timeout=30)
    finally:
        running.kill()
        running.communicate()
    assert (running.returncode, faults.read()) == (130, NONE)
    assert errors.splitlines()[-1] == "interrupted; the fault was taken out"
    assert not Path(f"/proc/{load}").exists()


def children(pid):
    """Processes that a process has started."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8")
    return [int(child) for child in text.split()]
