"""Where the stack keeps what it needs to run."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from cli.stack import layout as layout_module
from cli.stack.layout import SOCKET_LIMIT, Layout, configuration_root
from service.errors import StartupError


def test_everything_lies_below_the_data_folder():
    """Run state and stores in `stack`, what outlives the stack beside it."""
    layout = Layout(Path("/data"))
    assert layout.state == Path("/data/stack/state.json")
    assert layout.log("loki") == Path("/data/stack/logs/loki.log")
    assert layout.store("loki") == Path("/data/stack/loki")
    assert layout.gateway_password == Path("/data/gateway.password")
    assert layout.control_socket() == Path("/data/stack/control.sock")


def test_the_run_folder_is_its_owners_alone(tmp_path):
    """Mode 0700, whatever it was before."""
    layout = Layout(tmp_path)
    layout.run.mkdir(mode=0o755)
    layout.prepare()
    assert stat.S_IMODE(layout.run.stat().st_mode) == 0o700
    assert layout.logs.is_dir()


def test_a_long_path_gets_a_short_socket(tmp_path):
    """In a private folder below the temporary one; another for each stack."""
    long = [Layout(tmp_path / name / ("x" * SOCKET_LIMIT)) for name in "ab"]
    sockets = [layout.control_socket(tmp_path) for layout in long]
    assert {path.parent for path in sockets} == {tmp_path / f"mgeo-{os.getuid()}"}
    assert sockets[0] != sockets[1]
    assert all(len(path.name) == 21 for path in sockets)


def test_a_short_socket_in_a_folder_that_others_made_is_refused(tmp_path, monkeypatch):
    """Somebody else could be behind it."""
    monkeypatch.setattr(layout_module.tempfile, "gettempdir", lambda: str(tmp_path))
    (tmp_path / f"mgeo-{os.getuid()}").mkdir(mode=0o777)
    (tmp_path / f"mgeo-{os.getuid()}").chmod(0o777)
    with pytest.raises(StartupError, match="is open to others; remove it, or set MGEO_DATA_DIR to a shorter path"):
        Layout(tmp_path / ("x" * SOCKET_LIMIT)).prepare()


def test_a_data_folder_that_cannot_hold_the_run_folder_is_named(tmp_path):
    """As when a file has its name."""
    (tmp_path / "stack").touch()
    with pytest.raises(StartupError, match=r"MGEO_DATA_DIR: .*/stack cannot be used"):
        Layout(tmp_path).prepare()


def test_the_configuration_is_found_from_the_packages_own_place():
    """This checkout has it."""
    assert (configuration_root() / "loki/loki.yaml").is_file()


def test_a_package_without_a_checkout_says_so(tmp_path):
    """With the fix."""
    with pytest.raises(StartupError, match="mgeo was installed without its checkout; clone the repository"):
        configuration_root(tmp_path / "cli/stack/layout.py")
