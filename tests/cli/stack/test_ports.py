"""Ports are looked at before anything starts."""

from __future__ import annotations

import os
import socket

import pytest

from cli.stack.plan import plan
from cli.stack.ports import check_ports
from cli.stack.process import Listener
from cli.stack.profile import Profile
from service.errors import StartupError
from service.listener import PortTaken
from tests.cli.stack.sites import process, site


@pytest.fixture
def taken():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.fixture
def free():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def test_free_ports_pass(free):
    """And are free afterwards."""
    for _ in range(2):
        check_ports([process(ports=[("MGEO_LOKI_PORT", free)])])


def test_a_taken_port_is_named_with_its_owner_and_the_fix(taken, free):
    """The owner is this very process."""
    with pytest.raises(PortTaken) as caught:
        check_ports([process("prometheus", ports=[("MGEO_PROMETHEUS_PORT", free)]), process("loki", ports=[("MGEO_LOKI_PORT", taken)])])
    assert f"MGEO_LOKI_PORT = {taken} (loki): 127.0.0.1:{taken} is taken by " in str(caught.value)
    assert f"(pid {os.getpid()}); stop it, or set another MGEO_LOKI_PORT" in str(caught.value)
    assert "PROMETHEUS" not in str(caught.value)
    assert caught.value.exit_code == 73


def test_an_owner_that_cannot_be_found_is_another_process(taken):
    """As in a container that hides it."""
    with pytest.raises(PortTaken, match="is taken by another process; stop it"):
        check_ports([process(ports=[("MGEO_LOKI_PORT", taken)])], owner=lambda port: None)


def test_two_settings_with_one_port_are_named_both(free):
    """Nothing else is looked at."""
    with pytest.raises(PortTaken, match=f"MGEO_B = {free}: is MGEO_A too; give one of them another port"):
        check_ports([process("a", ports=[("MGEO_A", free)]), process("b", ports=[("MGEO_B", free)])])


def test_the_defaults_do_not_collide():
    """All ports of the full profile with everything are different."""
    ports = [listener.port for one in plan(site(Profile.FULL, gateway=True, grafana=True)) for listener in one.listeners]
    assert len(set(ports)) == len(ports) == 18


def test_an_address_of_another_machine_is_refused(free):
    """192.0.2.1 is nobody's."""
    foreign = process(listeners=(Listener(setting="MGEO_LOKI_PORT", host="192.0.2.1", port=free),))
    with pytest.raises(StartupError, match=r"thing cannot listen on 192\.0\.2\.1 .*; use 127\.0\.0\.1"):
        check_ports([foreign])
