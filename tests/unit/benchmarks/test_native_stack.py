"""The commands of a stack under measurement; the stack itself is started by the benchmark alone."""

from __future__ import annotations

import pytest

from benchmarks.native_stack import NativeStack, StackFailedError
from cli.drill.free_ports import free_ports


def test_a_stack_is_told_its_ports_and_nothing_of_the_callers_own_settings(tmp_path, monkeypatch):
    """What is measured is what ships."""
    monkeypatch.setenv("MGEO_LOKI_RETENTION_DAYS", "1")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "1")
    stack = NativeStack(tmp_path / "data", {"port": 1, "loki_port": 2, "jaeger_query_port": 3, "prometheus_port": 4})
    own = {name: value for name, value in stack.environment.items() if name.startswith(("MGEO_", "OTEL_"))}
    assert own == {
        "MGEO_DATA_DIR": str(tmp_path / "data"),
        "MGEO_MODEL": "fake",
        "MGEO_PORT": "1",
        "MGEO_LOKI_PORT": "2",
        "MGEO_JAEGER_QUERY_PORT": "3",
        "MGEO_PROMETHEUS_PORT": "4",
    }
    assert stack.urls == {
        "MGEO_JAEGER_URL": "http://127.0.0.1:3",
        "MGEO_LOKI_URL": "http://127.0.0.1:2",
        "MGEO_PROMETHEUS_URL": "http://127.0.0.1:4",
    }


@pytest.mark.slow
def test_a_command_that_fails_says_why(tmp_path):
    """`mgeo status` where nothing is up."""
    with pytest.raises(StackFailedError, match=r"mgeo status --json ended with 1: .*\[\]"):
        NativeStack(tmp_path / "data", {}).processes()


def test_free_ports_are_all_different():
    """They are held until all are known."""
    assert len(set(free_ports(5))) == 5
