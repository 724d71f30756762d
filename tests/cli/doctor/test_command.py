"""`mgeo doctor` as a whole."""

from __future__ import annotations

import json
import re
import sys

import pytest

from cli.doctor import command as doctor_module
from cli.main import main

pytestmark = pytest.mark.slow  # imports torch and transformers, as the doctor does

CHECKS = [
    "python", "packages", "clock", "settings", "spelling", "data folder", "log folder", "disk", "store", "hash key", "port", "device",
    "model", "nvml", "sampler", "otlp",
]  # fmt: skip
ARGUMENTS = ["doctor", "--model", "fake", "--port", "0"]


def found(capsys, *arguments, code=0):
    assert main([*ARGUMENTS, *arguments, "--json"]) == code
    members = json.loads(capsys.readouterr().out)
    return members["verdict"], {check["check"]: check for check in members["checks"]}


def test_a_machine_that_is_ready_passes_every_check(capsys, tmp_path):
    """Exit code 0; nothing is made or changed."""
    verdict, checks = found(capsys)
    assert verdict == "ok"
    assert list(checks) == CHECKS
    assert all(check["verdict"] == "ok" and check["fix"] == "" for check in checks.values())
    assert list(tmp_path.iterdir()) == []


def test_the_list_is_for_readers(capsys):
    """A line for each check."""
    assert main(ARGUMENTS) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [re.split(r"\s{2,}", line)[1] for line in lines if line.startswith("ok ")] == CHECKS


def test_a_wrong_setting_is_a_failure_and_what_hangs_on_it_is_left_out(capsys, monkeypatch):
    """Exit code 1."""
    monkeypatch.setenv("MGEO_DEADLINE", "-1")
    verdict, checks = found(capsys, code=1)
    assert (verdict, checks["settings"]["verdict"]) == ("fail", "fail")
    assert list(checks) == CHECKS[:5]


def test_a_misspelt_variable_is_a_warning(capsys, monkeypatch):
    """Exit code 0."""
    monkeypatch.setenv("MGEO_MAX_BATCH_SIZ", "8")
    verdict, checks = found(capsys)
    assert verdict == "warn"
    assert checks["spelling"]["found"] == "MGEO_MAX_BATCH_SIZ is not a setting; did you mean MGEO_MAX_BATCH_SIZE?"


def test_a_model_that_is_not_there_is_a_failure(capsys, tmp_path):
    """The other checks are made all the same."""
    verdict, checks = found(capsys, "--model", str(tmp_path / "none"), code=1)
    assert (verdict, checks["model"]["verdict"], len(checks)) == ("fail", "fail", 16)
    assert str(tmp_path / "none") in checks["model"]["found"]


def answering(body):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(body)).encode())]})
        await send({"type": "http.response.body", "body": body})

    return app


@pytest.mark.parametrize("body", [b"<html>", b'{"status": "fine"}'])
def test_a_port_that_is_taken_by_another_program_is_a_failure(capsys, serve_app, body):
    """With its name: it does not answer like mgeo."""
    port = serve_app(answering(body)).rpartition(":")[2]
    _, checks = found(capsys, "--port", port, code=1)
    assert re.fullmatch(rf"127\.0\.0\.1:{port} is taken by .+ \(pid \d+\)", checks["port"]["found"])


def test_a_port_that_mgeo_has_is_well(capsys, serve_app):
    """It says that it is alive."""
    port = serve_app(answering(b'{"status": "alive"}')).rpartition(":")[2]
    _, checks = found(capsys, "--port", port)
    assert checks["port"]["found"].startswith(f"mgeo is already running on 127.0.0.1:{port} (")


def test_every_endpoint_is_checked(capsys, monkeypatch):
    """A dead one is a warning."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    assert main([*ARGUMENTS, "--json"]) == 0
    checks = json.loads(capsys.readouterr().out)["checks"]
    assert [(check["check"], check["verdict"]) for check in checks[-3:]] == [("otlp", "warn")] * 3


def test_a_check_that_breaks_does_not_hide_the_others(capsys, monkeypatch):
    """It is a failure of its own."""
    monkeypatch.setattr(doctor_module.shutil, "disk_usage", lambda _: 1 / 0)
    _, checks = found(capsys, code=1)
    assert checks["disk"]["found"] == "the check itself failed: ZeroDivisionError: division by zero"
    assert len(checks) == 16


@pytest.mark.parametrize("name", ["fastapi", "torch"])
def test_without_a_package_nothing_more_can_be_checked(capsys, monkeypatch, name):
    """It is named with what installs it."""
    monkeypatch.setitem(sys.modules, name, None)
    _, checks = found(capsys, code=1)
    assert list(checks) == ["python", "packages"]
    assert name in checks["packages"]["found"]
