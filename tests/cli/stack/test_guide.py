"""What a stack that came up tells its owner."""

from __future__ import annotations

from pathlib import Path

from cli.stack.guide import guide
from cli.stack.profile import Profile
from tests.cli.stack.sites import site


def test_lite_says_where_to_look_and_how_to_end_it():
    """Nothing of Grafana, which it has not; and who is told of alerts."""
    assert list(guide(site(), None)) == [
        "",
        "overview:  http://127.0.0.1:8000/",
        "alerts:    told to a simulator of DingTalk, http://127.0.0.1:8061/; MGEO_NOTIFIER_CONFIG names your own robots",
        "end it:    mgeo down --data-dir /data",
    ]


def test_with_robots_of_ones_own_nothing_is_said_of_a_simulator():
    """Alerts go where they should."""
    assert not any(line.startswith("alerts:") for line in guide(site(notifier_config=Path("/etc/notifier.toml")), None))


def test_full_says_how_to_point_a_grafana_at_it():
    """With every variable that our provisioning reads."""
    lines = list(guide(site(Profile.FULL), None))
    assert lines[2] == "Grafana:   none is installed here. To use one of yours, start it with"
    assert "             GF_PATHS_PROVISIONING=/checkout/grafana/provisioning" in lines
    assert "             MGEO_LOKI_URL=http://127.0.0.1:3100" in lines


def test_the_gateway_says_who_may_enter():
    """The place of the password, not the password."""
    lines = list(guide(site(Profile.FULL, gateway=True, grafana=True), ("mgeo", "/data/gateway.password")))
    assert lines[1:4] == [
        "overview:  http://127.0.0.1:6006/",
        "gateway:   http://127.0.0.1:6006/ asks for user mgeo and the password in /data/gateway.password",
        "Grafana:   http://127.0.0.1:6006/grafana/ (user admin, password in /data/grafana.password)",
    ]


def test_an_agent_says_where_its_telemetry_goes():
    """Elsewhere."""
    assert "telemetry: goes to https://box.example/otlp" in list(guide(site(Profile.AGENT, upstream="https://box.example/otlp"), None))
