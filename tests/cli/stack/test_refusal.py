"""What cannot be asked for together is refused, with every reason at once."""

from __future__ import annotations

import pytest

from cli.stack.profile import Profile
from cli.stack.refusal import exposures, refuse_bad_combinations
from service.errors import SettingsError
from service.settings import Settings

AGENT = {"upstream": "https://box.example:6006/otlp", "upstream_token": "secret"}


def refused(profile, *, gateway=False, **settings):
    with pytest.raises(SettingsError) as caught:
        refuse_bad_combinations(profile, Settings.load(**settings), gateway=gateway)
    return str(caught.value)


@pytest.mark.parametrize(
    ("profile", "settings"),
    [
        (Profile.LITE, {}),
        (Profile.FULL, {"ingest_token": "secret"}),
        (Profile.AGENT, AGENT),
        (Profile.AGENT, {**AGENT, "upstream": "http://127.0.0.1:6006/otlp"}),
        (Profile.AGENT, {**AGENT, "upstream": "http://localhost:6006/otlp"}),
        (Profile.AGENT, {**AGENT, "metrics_need_key": True}),
        (Profile.LITE, {"drills": "on"}),
        (Profile.FULL, {"drills": "on", "drill_scale": 0.05}),
        (Profile.FULL, {"drills": "weekly"}),
        (Profile.FULL, {"drills": "weekly", "notifier_config": "/etc/notifier.toml"}),
    ],
)
def test_what_fits_together_passes(profile, settings):
    """Nothing is raised."""
    refuse_bad_combinations(profile, Settings.load(**settings), gateway=False)


@pytest.mark.parametrize(
    ("profile", "settings", "words"),
    [
        (Profile.LITE, {"port": 0}, "MGEO_PORT = 0: the rest of the stack must know the service's port; name one"),
        (Profile.LITE, {"metrics_need_key": True}, "MGEO_METRICS_NEED_KEY = True: the stack's Prometheus scrapes without a key"),
        (
            Profile.FULL,
            {"upstream": "https://box.example"},
            "MGEO_UPSTREAM = https://box.example: only an agent has one; use --profile agent",
        ),
        (Profile.AGENT, {}, "none is named; add --upstream https://HOST:6006/otlp"),
        (Profile.AGENT, {**AGENT, "upstream": "box.example"}, "MGEO_UPSTREAM = box.example: is not an address"),
        (Profile.AGENT, {**AGENT, "upstream": "https://[::"}, "MGEO_UPSTREAM = https://[::: is not an address"),
        (Profile.AGENT, {**AGENT, "upstream": "https://a:b@box.example"}, "MGEO_UPSTREAM: has a login, a query or a fragment"),
        (Profile.AGENT, {**AGENT, "upstream": "http://box.example/otlp"}, "the token would travel in clear; use https"),
        (Profile.AGENT, {"upstream": "https://box.example"}, "MGEO_UPSTREAM_TOKEN_FILE is not set; name the file"),
        (Profile.AGENT, {**AGENT, "upstream_ca_file": "/nowhere/ca"}, "MGEO_UPSTREAM_CA_FILE = /nowhere/ca: cannot be read (No such file"),
        (Profile.LITE, {"ingest_token": "secret"}, "but --profile lite has no stores for it; use --profile full, or unset it"),
        (Profile.AGENT, {**AGENT, "drills": "on"}, "MGEO_DRILLS = on: an agent alerts nobody; drill the full stack that it reports to"),
        (Profile.AGENT, {**AGENT, "drills": "weekly"}, "MGEO_DRILLS = weekly: an agent alerts nobody"),
        (
            Profile.FULL,
            {"drills": "on", "notifier_config": "/etc/notifier.toml"},
            "MGEO_DRILLS = on with MGEO_NOTIFIER_CONFIG: drills would alarm real people; use `--drills weekly`",
        ),
        (Profile.FULL, {"drill_scale": 0.5}, "MGEO_DRILL_SCALE = 0.5: shorter minutes make alerts of nothing; unset it"),
        (Profile.FULL, {"drills": "weekly", "drill_scale": 0.05}, "MGEO_DRILL_SCALE = 0.05: shorter minutes make alerts of nothing"),
        (Profile.FULL, {"ingest_token_file": "/nowhere/t"}, "MGEO_INGEST_TOKEN_FILE = /nowhere/t: cannot be read (No such file"),
    ],
)
def test_what_does_not_fit_is_named_with_its_fix(profile, settings, words):
    """Setting, value, fix."""
    assert words in refused(profile, **settings)


def test_a_login_in_the_upstream_is_not_repeated():
    """It may be a password."""
    assert "a:b" not in refused(Profile.AGENT, **{**AGENT, "upstream": "https://a:b@box.example"})


def test_half_a_certificate_is_refused():
    """Certificate and key go together, and must be readable."""
    words = refused(Profile.LITE, gateway=True, gateway_certificate_file="/nowhere/cert")
    assert "MGEO_GATEWAY_CERTIFICATE_FILE and MGEO_GATEWAY_KEY_FILE go together" in words
    assert "MGEO_GATEWAY_CERTIFICATE_FILE = /nowhere/cert: cannot be read" in words


def test_an_agent_has_no_gateway():
    """There is nothing to guard."""
    assert "--gateway has no pages to guard in --profile agent" in refused(Profile.AGENT, gateway=True, **AGENT)


def test_all_reasons_are_told_at_once():
    """A line each."""
    words = refused(Profile.AGENT, port=0)
    assert [line[:12] for line in words.splitlines()] == ["the stack ca", "  - MGEO_POR", "  - --profil"]


def test_loopback_exposes_nothing():
    """As are the defaults."""
    assert list(exposures(Settings.load(), gateway=True)) == []


def test_a_stack_that_is_open_to_a_network_is_warned_of():
    """It is allowed: a firewall may stand before it."""
    warnings = list(exposures(Settings.load(stack_host="0.0.0.0", gateway_host="0.0.0.0"), gateway=True))
    assert [warning.partition(";")[0] for warning in warnings] == [
        "MGEO_STACK_HOST = 0.0.0.0: the programs of the stack ask nobody for a password",
        "MGEO_GATEWAY_HOST = 0.0.0.0: the password travels in clear, unless something before the gateway ends TLS",
    ]


def test_a_gateway_with_a_certificate_may_be_open():
    """And one that is not asked for does not matter."""
    certificate = {"gateway_certificate_file": "/cert.pem", "gateway_key_file": "/key.pem"}
    assert list(exposures(Settings.load(gateway_host="0.0.0.0", **certificate), gateway=True)) == []
    assert list(exposures(Settings.load(gateway_host="0.0.0.0"), gateway=False)) == []
