"""The programs of the stack: the table, the pins, the releases and the settings speak of the same ones."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from cli.stack.pin import components, read_pin
from cli.stack.program import GRAFANA, PROGRAMS
from cli.stack.release import ARCHITECTURES, read_release
from service.stack_settings import ProgramSettings

STACK = Path(__file__).parents[2] / "stack"
RELEASES = tomllib.loads((STACK / "releases.toml").read_text(encoding="utf-8"))
MANIFEST = yaml.safe_load((STACK / "collector/manifest.yaml").read_text(encoding="utf-8"))


def go_mod(name: str) -> str:
    return (STACK / name / "go.mod").read_text(encoding="utf-8")


def required(name: str) -> dict[str, str]:
    """The version of every module that a module requires."""
    return dict(re.findall(r"^\t(\S+) (v\S+)", go_mod(name), re.MULTILINE))


def test_every_pinned_module_is_a_program_and_every_program_is_pinned() -> None:
    """One folder in stack/ for each, and no other."""
    assert {path.parent.name for path in STACK.glob("*/go.mod")} == set(PROGRAMS)


def test_every_program_has_its_setting() -> None:
    """MGEO_NAME_BINARY, Grafana's too."""
    settings = {name.removesuffix("_binary") for name in ProgramSettings.model_fields if name.endswith("_binary")}
    assert settings == {*PROGRAMS, GRAFANA.name}


def test_every_program_has_its_release() -> None:
    """And the file has no other."""
    assert set(RELEASES) == set(PROGRAMS)


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_a_release_has_every_executable_of_its_program(name: str, arch: str) -> None:
    """Over HTTPS, with the version in the address, and every template filled in."""
    pin = read_pin(PROGRAMS[name])
    release = read_release(pin, f"linux-{arch}")
    assert set(release.members) == {binary.name for binary in PROGRAMS[name].binaries}
    assert release.url.startswith("https://github.com/")
    assert release.checksums_url.startswith("https://github.com/")
    assert str(pin.version) in release.url
    assert arch in release.url
    assert not set("{}") & set(release.url + release.checksums_url + "".join(release.members.values()))


@pytest.mark.parametrize("name", PROGRAMS)
def test_checksums_belong_to_the_pinned_version(name: str) -> None:
    """After a pin has changed, `mgeo stack checksums` replaces them."""
    assert {key.rpartition("-")[0] for key in RELEASES[name]["sums"]} <= {str(read_pin(PROGRAMS[name]).version)}


@pytest.mark.parametrize("name", [name for name in PROGRAMS if name != "collector"])
def test_a_module_requires_its_program_and_names_its_commands(name: str) -> None:
    """The packages that are built are the module's tools."""
    tools = set(re.findall(r"^(?:tool |\t)(\S+/cmd/\S+)$", go_mod(name), re.MULTILINE))
    assert PROGRAMS[name].module in required(name)
    assert tools == {binary.package for binary in PROGRAMS[name].binaries}


def test_the_collectors_manifest_and_module_have_the_same_versions() -> None:
    """The manifest decides what is compiled in, the module in which version."""
    listed = [entry["gomod"].split() for value in MANIFEST.values() if isinstance(value, list) for entry in value]
    assert [module for module, _ in listed] == components(STACK / "collector/manifest.yaml")
    assert dict(listed) == {module: required("collector").get(module) for module, _ in listed}


def test_the_collectors_components_are_of_its_own_version() -> None:
    """Components and core are released together; stable modules count from 1."""
    versions = {entry["gomod"].split()[1] for value in MANIFEST.values() if isinstance(value, list) for entry in value}
    assert {version for version in versions if version.startswith("v0.")} == {f"v{MANIFEST['dist']['version']}"}
    assert required("collector")["go.opentelemetry.io/collector/cmd/builder"] == f"v{MANIFEST['dist']['version']}"
