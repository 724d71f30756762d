"""`mgeo serve` as a process of its own, and the other commands beside it."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from cli.main import main

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
MIX = "valid=0.7,invalid=0.1,oversized=0.05,cancelled=0.1,batch=0.05"


@pytest.fixture
def service(tmp_path):
    """A running service with the fake model: its process, its URL, its data folder."""
    log = tmp_path / "output"
    config = tmp_path / "mgeo.toml"
    config.write_text("max_batch_size = 7\n")
    with log.open("w") as output:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "cli.main",
                "serve",
                "--model",
                "fake",
                "--port",
                "0",
                "--data-dir",
                str(tmp_path / "var"),
                "--config",
                str(config),
            ],
            cwd=ROOT,
            env={name: value for name, value in os.environ.items() if not name.startswith(("MGEO_", "OTEL_"))},
            stdout=output,
            stderr=output,
        )
    deadline = time.monotonic() + 60
    while (found := re.search(r"listens on (http://\S+)", log.read_text())) is None:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)
    yield process, found[1], tmp_path / "var"
    if process.poll() is None:
        process.kill()
    process.wait()


def without_moment(story):
    """What else ran in that minute still changes while the store takes its last rows."""
    for attempt in story["attempts"]:
        del attempt["moment"]
    return story


def test_the_commands_work_together(service, capsys, tmp_path):
    """A mixed load leaves as many log lines and rows as it sent inferences; each can be looked up; SIGTERM ends it all well."""
    process, url, data_dir = service
    assert "max_batch_size = 7" in (tmp_path / "output").read_text()

    assert (
        main(["load", "--url", url, "--rate", "100", "--duration", "2s", "--mix", MIX, "--json", "--assert", "unreachable=0,unexpected=0"])
        == 0
    )
    load = json.loads(capsys.readouterr().out)
    assert load["outcomes"]["success"] > 100
    assert load["outcomes"]["invalid"] == load["kinds"]["invalid"] + load["kinds"]["oversized"]

    assert main(["lookup", f"load-{load['run']}-0", "--url", url, "--json"]) == 0
    by_api = json.loads(capsys.readouterr().out)
    assert main(["lookup", f"load-{load['run']}-0", "--data-dir", str(data_dir), "--json"]) == 0
    assert without_moment(json.loads(capsys.readouterr().out)) == without_moment(by_api)

    assert main(["match", "甲", "甲", "--model", "fake", "--data-dir", str(data_dir)]) == 0
    matched = re.search(r"mgeo lookup (\S+)", capsys.readouterr().out)[1]
    assert main(["lookup", matched, "--url", url]) == 0
    assert "exact_match" in capsys.readouterr().out

    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    lines = [json.loads(line) for file in (data_dir / "logs").glob("*.log") for line in file.read_text().splitlines()]
    inferences = [line for line in lines if line["event"] == "mgeo.inference"]
    assert len(inferences) == load["inferences"] + 1
    with closing(sqlite3.connect(data_dir / "telemetry.db")) as connection:
        assert connection.execute("SELECT count(*) FROM inference").fetchone()[0] == load["inferences"] + 1


def test_a_taken_port_is_said_with_its_owner(service, capsys):
    """By the second service, with an exit code of its own, before anything heavy is loaded."""
    process, url, data_dir = service
    port = url.rpartition(":")[2]
    assert main(["serve", "--model", "fake", "--port", port, "--data-dir", str(data_dir)]) == 73
    assert f"127.0.0.1:{port} is taken by python (pid {process.pid})" in capsys.readouterr().err.replace("python3.11", "python")
    assert main(["doctor", "--model", "fake", "--port", port, "--data-dir", str(data_dir), "--json"]) == 0
    (check,) = [check for check in json.loads(capsys.readouterr().out)["checks"] if check["check"] == "port"]
    assert check["found"].startswith(f"mgeo is already running on 127.0.0.1:{port} (")


def test_a_config_file_that_is_not_there_is_a_wrong_setting(capsys, tmp_path, monkeypatch):
    """Exit code 78, with its name."""
    monkeypatch.setenv("MGEO_CONFIG_FILE", "overwritten by the option")
    assert main(["serve", "--config", str(tmp_path / "none.toml")]) == 78
    assert "none.toml: cannot be read" in capsys.readouterr().err
