"""A command beside a running stack finds its stores without being told."""

from __future__ import annotations

import pytest

from cli.stack.layout import Layout
from cli.stack.state import State, write_state
from cli.stack.store_urls import with_running_stack
from service.settings import Settings
from tests.cli.stack.sites import process

STORES = {
    "MGEO_PROMETHEUS_URL": "http://127.0.0.1:19090",
    "MGEO_LOKI_URL": "http://127.0.0.1:13100",
    "MGEO_JAEGER_URL": "http://127.0.0.1:16686/jaeger",
}


def urls(settings):
    return settings.prometheus_url, settings.loki_url, settings.jaeger_url


@pytest.fixture
def data_dir(tmp_path):
    """A data folder whose stack is up."""
    layout = Layout(tmp_path / "data")
    layout.prepare()
    service = process("service", environment={**STORES, "MGEO_PUBLIC_URL": "http://box"})
    write_state(layout, State(profile="full", socket="", password="", processes=(process("loki"), service)))
    return layout.data_dir


def test_the_stores_are_those_that_the_service_was_given(data_dir):
    """All three, and nothing else of its environment."""
    settings = with_running_stack(Settings.load(data_dir=data_dir))

    assert urls(settings) == ("http://127.0.0.1:19090", "http://127.0.0.1:13100", "http://127.0.0.1:16686/jaeger")
    assert settings.public_url is None


def test_what_is_set_stays_and_what_is_empty_is_not_asked(data_dir):
    """From the command line or the environment."""
    settings = with_running_stack(Settings.load(data_dir=data_dir, loki_url="http://elsewhere:3100", jaeger_url=""))

    assert urls(settings) == ("http://127.0.0.1:19090", "http://elsewhere:3100", "")


def test_a_lite_stack_has_one_store(data_dir):
    """Prometheus."""
    write_state(
        Layout(data_dir),
        State(
            profile="lite",
            socket="",
            password="",
            processes=(process("service", environment={"MGEO_PROMETHEUS_URL": "http://127.0.0.1:19090"}),),
        ),
    )

    assert urls(with_running_stack(Settings.load(data_dir=data_dir))) == ("http://127.0.0.1:19090", None, None)


def test_without_a_stack_nothing_is_found(tmp_path):
    """Nor is the folder made."""
    assert urls(with_running_stack(Settings.load(data_dir=tmp_path / "data"))) == (None, None, None)
    assert not (tmp_path / "data").exists()
