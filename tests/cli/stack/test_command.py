"""`mgeo stack` and its commands."""

from __future__ import annotations

import json
import shutil
import tarfile

import pytest

from cli.main import main
from cli.stack import pin, release
from tests.cli.stack.conftest import MODULES, script, write_go_module


@pytest.fixture
def whole_stack(stack, monkeypatch, settings, tmp_path):
    """A folder of pins with every program, in the place of the true one; only Go and the system's own programs are on PATH."""
    for name in MODULES:
        write_go_module(stack, name)
    (stack / "collector").mkdir()
    (stack / "collector/go.mod").write_text("module m\n\ngo 9.0\n")
    (stack / "collector/manifest.yaml").write_text("dist:\n  version: 0.155.0\n")
    (stack / "releases.toml").write_text(
        "".join(
            f'[{name}]\nurl = "https://releases.invalid/{name}.gz"\nchecksums = "https://releases.invalid/{name}.sums"\nmembers = {{}}\n[{name}.sums]\n'
            for name in ("collector", *MODULES)
        )
    )
    monkeypatch.setattr(pin, "STACK", stack)
    go = shutil.which("go")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/go").symlink_to(go)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    return stack


def listed(capsys):
    assert main(["stack", "list", "--json"]) == 0
    return {row["name"]: row for row in json.loads(capsys.readouterr().out)["programs"]}


def test_the_list_says_where_each_program_would_come_from(whole_stack, capsys, tmp_path):
    """At hand, to be built, or not to be had; nothing is made."""
    script(tmp_path / "bin/caddy", "v2.12.0", argument="version")
    script(tmp_path / "bin/grafana", "grafana version 13.0.1")
    rows = listed(capsys)
    assert list(rows) == ["collector", "prometheus", "alertmanager", "loki", "jaeger", "caddy", "grafana"]
    assert rows["caddy"] == {
        "name": "caddy",
        "pinned": "2.11.9",
        "version": "2.12.0",
        "origin": "PATH",
        "path": str(tmp_path / "bin/caddy"),
    }
    assert rows["grafana"]["version"] == "13.0.1"
    assert rows["loki"]["path"] is None
    assert rows["loki"]["origin"].startswith("would build with go1.")
    assert rows["collector"]["origin"].startswith("cannot be had: ")
    assert "stack/collector needs go9.0.0 or newer" in rows["collector"]["origin"]
    assert not (tmp_path / "cache").exists()


def test_the_list_is_a_table_for_people(whole_stack, capsys):
    """A line for each, with a dash for what is not there."""
    assert main(["stack", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "name          pinned    found     where from"
    assert lines[2].startswith("prometheus    3.15.0    –         would build with go1.")
    assert lines[-1] == "grafana       –         –         not installed; optional"


def test_programs_are_built_packed_and_taken_from_the_bundle(whole_stack, capsys, tmp_path, monkeypatch):
    """The way from a machine that can build to one that cannot."""
    assert main(["stack", "build", "caddy", "alertmanager"]) == 0
    captured = capsys.readouterr()
    assert [line.partition(":")[0] for line in captured.out.splitlines()] == ["caddy", "alertmanager"]
    assert "caddy 2.11.9: built in " in captured.err
    bundle = tmp_path / "b.tar.gz"
    assert main(["stack", "pack", "--output", str(bundle), "caddy", "alertmanager"]) == 0
    assert capsys.readouterr().out.startswith(f"{bundle}: 3 executables, ")
    with tarfile.open(bundle) as tar:
        assert tar.getnames() == ["manifest.json", "caddy", "alertmanager", "amtool"]
    monkeypatch.setenv("MGEO_STACK_CACHE", str(tmp_path / "other"))
    assert main(["stack", "list", "--json", "--bundle", str(bundle)]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["programs"]}
    assert {name for name, row in rows.items() if row["origin"] == "bundle"} == {"caddy", "alertmanager"}


def test_a_bundle_is_not_written_over(whole_stack, capsys, tmp_path):
    """Unless that is asked for."""
    (tmp_path / "b.tar.gz").write_text("mine")
    assert main(["stack", "pack", "--output", str(tmp_path / "b.tar.gz"), "caddy"]) == 2
    assert "add --force to replace it" in capsys.readouterr().err
    assert (tmp_path / "b.tar.gz").read_text() == "mine"
    assert main(["stack", "pack", "--force", "--output", str(tmp_path / "b.tar.gz"), "caddy"]) == 0


def test_a_program_that_cannot_be_built_ends_with_78(whole_stack, capsys):
    """With the reason and the fix."""
    assert main(["stack", "build", "collector"]) == 78
    error = capsys.readouterr().err
    assert error.startswith("mgeo: collector cannot be had. Tried, in this order:\n  - a build: ")
    assert "Set MGEO_COLLECTOR_BINARY to an executable" in error


def test_an_unknown_program_is_wrong_usage(whole_stack, capsys):
    """With those that there are."""
    assert main(["stack", "build", "tempo"]) == 2
    assert "'tempo' is no program of the stack; there are collector, prometheus, " in capsys.readouterr().err


def test_checksums_are_written_where_they_can_be_had(whole_stack, capsys, server):
    """The others are said, and the exit code is 1."""
    file = whole_stack / "releases.toml"
    text = file.read_text().replace("https://releases.invalid/caddy.sums", f"{server.url}/caddy.sums")
    file.write_text(text.replace("https://releases.invalid/loki.sums", f"{server.url}/loki.sums"))
    server.files["/caddy.sums"] = f"{'ab' * 64}  caddy.gz\n".encode()
    assert main(["stack", "checksums", "caddy", "loki"]) == 1
    captured = capsys.readouterr()
    assert captured.out == "caddy 2.11.9: 2 checksums\n"
    assert captured.err == f"loki 3.7.8: {server.url}/loki.sums answers with status 404\n"
    assert f'[caddy.sums]\n"2.11.9-amd64" = "sha512:{"ab" * 64}"\n"2.11.9-arm64" = ' in file.read_text()
    assert main(["stack", "checksums", "caddy"]) == 0


def test_pruning_removes_what_no_pin_wants(whole_stack, capsys, tmp_path):
    """And tells what."""
    assert main(["stack", "build", "loki"]) == 0
    (tmp_path / "cache/built/loki-3.0.0-abc-go1").mkdir()
    capsys.readouterr()
    assert main(["stack", "prune"]) == 0
    assert capsys.readouterr().out == f"removed {tmp_path}/cache/built/loki-3.0.0-abc-go1\n"
    assert listed(capsys)["loki"]["origin"] == "built from stack/loki"


def test_the_group_shows_its_commands(capsys):
    """Without one, the help, as a wrong usage; each has help of its own."""
    assert main(["stack"]) == 2
    for command in ("list", "build", "pack", "checksums", "prune"):
        assert main(["stack", command, "-h"]) == 0
        assert capsys.readouterr().out.count(f"\n    mgeo stack {command}") + (command == "prune") >= 2
    assert release.RELEASES.name == "releases.toml"
