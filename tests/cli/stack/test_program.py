"""The table of programs and their versions."""

from __future__ import annotations

import platform

import pytest

from cli.stack.program import PROGRAMS, TOOLS, Version, this_platform


@pytest.mark.parametrize(
    ("text", "version"),
    [("v1.2.3", (1, 2, 3)), ("2.42.0+ds", (2, 42, 0)), ("1.26", (1, 26, 0)), ("3.15.0-rc.1", (3, 15, 0))],
)
def test_a_version_is_its_three_numbers(text, version):
    """What precedes and follows them does not count; a missing patch is 0."""
    assert Version.parse(text) == version


@pytest.mark.parametrize("text", ["", "v", "devel", "1", "go1.26"])
def test_what_is_no_version_is_refused(text):
    """An unset version must not pass for one."""
    with pytest.raises(ValueError, match="is not a version"):
        Version.parse(text)


@pytest.mark.parametrize(
    ("found", "pinned", "suits"),
    [
        ("3.15.0", "3.15.0", True),
        ("3.15.0", "3.15.2", True),
        ("3.16.1", "3.15.0", True),
        ("3.14.9", "3.15.0", False),
        ("2.42.0", "3.15.0", False),
        ("4.0.0", "3.15.0", False),
        ("0.155.9", "0.155.0", True),
        ("0.156.0", "0.155.0", False),
        ("0.154.0", "0.155.0", False),
        ("1.155.0", "0.155.0", False),
    ],
)
def test_which_versions_stand_in_for_the_pinned_one(found, pinned, suits):
    """The same major version and no older minor one; below 1.0 the same minor one."""
    assert Version.parse(found).suits(Version.parse(pinned)) is suits


@pytest.mark.parametrize(
    ("name", "module", "release"),
    [
        ("prometheus", "v0.315.0", "3.15.0"),
        ("prometheus", "v0.400.2", "4.0.2"),
        ("jaeger", "v1.76.0", "2.13.0"),
        ("jaeger", "v1.63.1", "2.0.1"),
        ("alertmanager", "v0.31.1", "0.31.1"),
        ("caddy", "v2.11.9", "2.11.9"),
    ],
)
def test_the_release_of_a_module_version(name, module, release):
    """Prometheus and Jaeger number their modules otherwise than their releases."""
    assert str(PROGRAMS[name].release_version(Version.parse(module))) == release


def test_the_tools_come_with_their_programs():
    """The tool promtool comes with Prometheus, amtool with Alertmanager."""
    assert {tool: program.name for tool, program in TOOLS.items()} == {"promtool": "prometheus", "amtool": "alertmanager"}


@pytest.mark.parametrize(("machine", "arch"), [("x86_64", "amd64"), ("aarch64", "arm64"), ("riscv64", "riscv64")])
def test_the_platform_is_written_as_go_writes_it(monkeypatch, machine, arch):
    """So that it can stand in the names of archives."""
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert this_platform() == f"linux-{arch}"
