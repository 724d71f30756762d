"""The true programs, built from their pins: each runs and tells the version that it is pinned at."""

from __future__ import annotations

import pytest

from cli.stack.bundle import pack
from cli.stack.pin import read_pin
from cli.stack.program import PROGRAMS, TOOLS
from cli.stack.source import Locator
from cli.stack.version_check import ask_version, lacking_components
from service.settings import Settings

pytestmark = pytest.mark.stack


@pytest.fixture
def locator():
    """Takes what is built already, else builds."""
    return Locator(Settings.load(), say=print, on_path=False)


@pytest.mark.parametrize("name", [*PROGRAMS, *TOOLS])
def test_a_build_tells_its_pin(locator, name):
    """Also to whoever finds it on PATH one day."""
    program = PROGRAMS.get(name) or TOOLS[name]
    binary = next((binary for binary in program.binaries if binary.name == name), program.binaries[0])
    located = locator.built(name)
    assert ask_version(located.path, binary) == read_pin(program).version
    assert located.version == str(read_pin(program).version)


def test_the_collector_has_every_component_of_its_manifest(locator):
    """What was built can run our configuration."""
    manifest = read_pin(PROGRAMS["collector"]).manifest
    assert manifest is not None
    assert lacking_components(locator.built("collector").path, manifest) == []


def test_a_bundle_of_a_true_program_runs_from_another_cache(locator, tmp_path):
    """A statically linked one needs nothing of the machine that packed it."""
    built = locator.built("amtool")
    pack(tmp_path / "b.tar.gz", [("amtool", built.version, built.path)], say=print)
    elsewhere = Locator(Settings.load(stack_cache=tmp_path / "cache"), say=print, bundle=tmp_path / "b.tar.gz", on_path=False)
    located = elsewhere.locate("amtool")
    assert (located.origin, located.path.is_relative_to(tmp_path)) == ("bundle", True)
    assert str(ask_version(located.path, PROGRAMS["alertmanager"].binaries[1])) == built.version
