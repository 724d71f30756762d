"""The true programs, built from their pins: each runs and tells the version that it is pinned at."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cli.stack.pin import read_pin
from cli.stack.program import PROGRAMS, TOOLS
from cli.stack.source import Locator
from cli.stack.version_check import ask_version, lacking_components
from service.settings import Settings

pytestmark = [pytest.mark.stack, pytest.mark.timeout(3600)]

TRUE_CACHE = os.environ.get("MGEO_STACK_CACHE")
"""The cache of whoever runs the tests, before they clear the environment; the default one where none is set."""


@pytest.fixture
def locator(said):
    return Locator(Settings.load(stack_cache=Path(TRUE_CACHE) if TRUE_CACHE else None), say=said.append, on_path=False)


@pytest.mark.parametrize("name", [*PROGRAMS, *TOOLS])
def test_a_build_tells_its_pin(locator, name):
    """Built here, or found in the cache."""
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
