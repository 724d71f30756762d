"""The configuration of supervisord, literally."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.stack.layout import Layout
from cli.stack.supervisor import Control, SupervisorGone, configuration_text
from service.errors import StartupError
from tests.cli.stack.sites import process


def text(folder="/data", *, root=False):
    return configuration_text(Layout(Path(folder)), [process("loki", stop_grace=30.0)], python="/python", password="secret", root=root)


def test_a_process_is_kept_alive_for_ever_and_its_log_rotated():
    """It is started through the launcher, which reads the state file."""
    program = text().partition("[program:loki]\n")[2].splitlines()
    assert program[0].startswith("command=/python -I -S /")
    assert program[0].endswith("/cli/stack/launch.py /data/stack/state.json loki")
    assert program[1:] == [
        "priority=0",
        "autorestart=true",
        "startsecs=5",
        "startretries=1000000000",
        "stopwaitsecs=60",
        "stopasgroup=false",
        "killasgroup=true",
        "stdout_logfile=/data/stack/logs/loki.log",
        "stdout_logfile_maxbytes=10485760",
        "stdout_logfile_backups=3",
        "redirect_stderr=true",
    ]


def test_root_is_said_to_be_meant():
    """Else supervisord complains in its log."""
    assert "\nuser=root\n" in text(root=True)
    assert "\nuser=" not in text()


def test_a_path_with_a_space_is_quoted():
    """Supervisord splits commands there."""
    quoted = text("/a b")
    assert "logfile=/a b/stack/logs/supervisord.log" in quoted
    assert "'/a b/stack/state.json' loki" in quoted


@pytest.mark.parametrize("folder", ["/a ;b", "/a #b", "/a\nb", "/50%"])
def test_a_path_that_the_file_cannot_hold_is_refused(folder):
    """Supervisord would misread it."""
    with pytest.raises(StartupError, match=r"MGEO_DATA_DIR: .* has a character that supervisord's configuration cannot hold"):
        text(folder)


def test_a_socket_that_is_not_there_is_a_supervisor_that_is_gone(tmp_path):
    """Whatever is asked."""
    control = Control(socket=str(tmp_path / "none"), password="secret")
    for ask in (control.processes, control.shut_down, lambda: control.stop("loki")):
        with pytest.raises(SupervisorGone):
            ask()
    assert "secret" not in repr(control)
