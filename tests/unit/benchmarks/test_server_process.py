"""Servers in processes of their own, from announcement to end."""

from __future__ import annotations

import os

import pytest

from benchmarks.machine import usable_cores
from benchmarks.server_process import ServerFailedError, ServerProcess

pytestmark = pytest.mark.slow

# Announces a port, tells an environment variable and its cores once it is to end, and ends with a code of its own.
SERVER = """
import os, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit({code}))
print("settings: some", flush=True)
try:
    print("it listens on http://127.0.0.1:4711", flush=True)
    signal.pause()
finally:
    print(os.environ.get("MGEO_MODEL"), os.environ.get("OTEL_SDK_DISABLED"), sorted(os.sched_getaffinity(0)))
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes a module that child processes can run."""
    paths = [str(tmp_path), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in paths if path))

    def write(text: str) -> str:
        (tmp_path / "made_up_server.py").write_text(text)
        return "made_up_server"

    return write


def test_a_server_is_started_with_its_settings_alone_on_its_cores(module, monkeypatch):
    """What the caller has in its own environment must not change what is measured."""
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    monkeypatch.setenv("MGEO_MODEL", "embedded")
    cores = usable_cores()[:1]
    with ServerProcess(module(SERVER.format(code=0)), settings={"MGEO_MODEL": "fake"}, cores=cores) as server:
        assert server.port == 4711
        assert os.sched_getaffinity(server.pid) == set(cores)
    assert server.output == f"fake None {cores}\n"


def test_a_server_that_ends_before_it_listens_is_an_error(module):
    """Which quotes what it said."""
    server = ServerProcess(module("print('the port is taken')"), settings={}, cores=usable_cores())
    with pytest.raises(ServerFailedError, match="the port is taken"), server:
        pass


def test_a_server_that_ends_with_a_failure_is_an_error(module):
    """What it had not yet written or sent may be missing from the figures."""
    server = ServerProcess(module(SERVER.format(code=3)), settings={}, cores=usable_cores())
    with pytest.raises(ServerFailedError, match="exit code 3"), server:
        pass


def test_the_error_inside_is_not_hidden_by_that_of_the_server(module):
    """The first cause is the one to see."""
    server = ServerProcess(module(SERVER.format(code=3)), settings={}, cores=usable_cores())
    with pytest.raises(KeyError), server:
        raise KeyError
