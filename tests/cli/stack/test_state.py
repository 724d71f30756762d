"""The state file: what was written is read again, and nobody else reads it."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from cli.stack.layout import Layout
from cli.stack.plan import plan
from cli.stack.profile import Profile
from cli.stack.state import State, read_state, write_private, write_state
from service.errors import StartupError
from tests.cli.stack.sites import site


@pytest.fixture
def layout(tmp_path):
    layout = Layout(tmp_path)
    layout.prepare()
    return layout


def state():
    processes = plan(site(Profile.FULL, gateway=True, grafana=True))
    return State(profile="full", socket="/data/stack/control.sock", password="secret", processes=processes)


def test_a_state_is_read_as_it_was_written(layout):
    """Processes, listeners and probes among it."""
    write_state(layout, state())
    assert read_state(layout) == state()
    assert stat.S_IMODE(layout.state.stat().st_mode) == 0o600


def test_a_state_does_not_print_its_password():
    """Nor the variables of its processes."""
    assert "secret" not in repr(state())
    assert "GOMEMLIMIT" not in repr(state())


@pytest.mark.parametrize("text", [None, "", "[]", "{}", '{"profile": "lite", "processes": [{"name": "x"}]}'])
def test_no_state_is_no_stack(layout, text):
    """Whether it is missing or broken."""
    if text is not None:
        layout.state.write_text(text)
    assert read_state(layout) is None


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    """With the fix."""
    with pytest.raises(StartupError, match=r"MGEO_DATA_DIR: .*/missing/file cannot be used"):
        write_private(tmp_path / "missing/file", "text")


def test_a_private_file_replaces_an_open_one(tmp_path):
    """Its mode is 0600 from the first moment on."""
    path = Path(tmp_path / "file")
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]
