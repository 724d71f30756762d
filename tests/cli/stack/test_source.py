"""Where a program comes from: the order, the reasons, the fix."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from cli.stack.bundle import pack
from cli.stack.source import Located, Locator, locate, locate_tool
from service.errors import ProgramUnavailable
from service.settings import Settings
from tests.cli.stack.conftest import MODULES, script, sha256, tar_of, write_go_module

COMPONENTS = "receivers:\n    - name: otlp\n      module: x/receiver/otlpreceiver v0.155.0"
RELEASES = (
    '[{name}]\nurl = "{url}/{{version}}.tar.gz"\nchecksums = ""\nmembers = {members}\n[{name}.sums]\n"{version}-amd64" = "{checksum}"\n'
)


@pytest.fixture
def folder_on_path(tmp_path, monkeypatch):
    """A folder that is first on PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


@pytest.fixture
def make(stack, said, settings, monkeypatch):
    """A Locator over the folder of pins; the settings are read anew, with those that are given."""

    def make(*, bundle=None, on_path=True, **values):
        for name, value in values.items():
            monkeypatch.setenv(f"MGEO_{name.upper()}", str(value))
        return Locator(Settings.load(), say=said.append, bundle=bundle, stack=stack, on_path=on_path)

    yield make
    for name in list(os.environ):
        if name.endswith("_BINARY") and name.startswith("MGEO_"):
            monkeypatch.delenv(name)


def no_releases(stack, *names):
    """A file that knows the programs, and no checksum."""
    (stack / "releases.toml").write_text(
        "".join(
            f'[{name}]\nurl = "https://releases.invalid/{name}.tar.gz"\nchecksums = ""\nmembers = {{}}\n[{name}.sums]\n' for name in names
        )
    )


def test_a_setting_comes_first(make, stack, tmp_path, folder_on_path, said):
    """Before what is on PATH."""
    write_go_module(stack, "alertmanager")
    script(folder_on_path / "alertmanager", "alertmanager, version 0.31.1")
    mine = script(tmp_path / "mine/am", "alertmanager, version 0.31.4")
    located = make(alertmanager_binary=mine).locate("alertmanager")
    assert located == Located(name="alertmanager", path=mine, version="0.31.4", origin="MGEO_ALERTMANAGER_BINARY")
    assert said == []


@pytest.mark.parametrize(
    ("says", "version", "told"),
    [("alertmanager, version 0.25.0", "0.25.0", "is version 0.25.0"), ("alertmanager, version  (branch: )", "unknown", "tells no version")],
)
def test_a_setting_of_another_version_is_taken_with_a_warning(make, stack, tmp_path, said, says, version, told):
    """Whoever names a file has decided."""
    write_go_module(stack, "alertmanager")
    mine = script(tmp_path / "am", says)
    assert make(alertmanager_binary=mine).locate("alertmanager").version == version
    assert said == [f"alertmanager: {mine} {told}, and everything was tested with 0.31.1; taken, because MGEO_ALERTMANAGER_BINARY names it"]


def test_a_setting_that_names_no_executable_is_an_error(make, stack, tmp_path):
    """Nothing else is tried: the user meant something."""
    write_go_module(stack, "loki")
    with pytest.raises(ProgramUnavailable, match=r"MGEO_LOKI_BINARY = .*/none is not an executable file; name one, or unset it"):
        make(loki_binary=tmp_path / "none").locate("loki")


def test_a_setting_that_cannot_be_run_is_an_error(make, stack, tmp_path):
    """With the reason."""
    write_go_module(stack, "loki")
    path = script(tmp_path / "loki", "")
    path.write_bytes(b"\x7fELF")
    with pytest.raises(ProgramUnavailable, match=r"MGEO_LOKI_BINARY: .*cannot be run \(Exec format error\); name the program loki"):
        make(loki_binary=path).locate("loki")


def write_collector_pin(stack):
    (stack / "collector").mkdir()
    (stack / "collector/go.mod").write_text("module m\n\ngo 1.21\n")
    (stack / "collector/manifest.yaml").write_text(
        "dist:\n  version: 0.155.0\nreceivers:\n  - gomod: x/receiver/otlpreceiver v0.155.0\n  - gomod: x/processor/redactionprocessor v0.155.0\n"
    )


def collector(path, components):
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n[ $1 = components ] && echo '{components}' || echo otelcol version 0.155.0\n")
    path.chmod(0o755)
    return path


def test_a_collector_that_lacks_components_is_refused_when_it_is_set(make, stack, tmp_path):
    """It would not start with our configuration."""
    write_collector_pin(stack)
    path = collector(tmp_path / "otelcol", COMPONENTS)
    with pytest.raises(ProgramUnavailable, match=r"MGEO_COLLECTOR_BINARY = .* lacks redactionprocessor, which our configuration uses"):
        make(collector_binary=path).locate("collector")


def test_of_several_names_on_path_the_first_that_will_do_is_taken(make, stack, folder_on_path):
    """The core distribution lacks components; the contrib one has them. The program is called as we call it."""
    write_collector_pin(stack)
    whole = COMPONENTS + "\n      module: x/processor/redactionprocessor v0.155.0"
    collector(folder_on_path / "otelcol-contrib", COMPONENTS)
    path = collector(folder_on_path / "otelcol", whole)
    assert make().locate("collector") == Located(name="collector", path=path, version="0.155.0", origin="PATH")


def test_an_old_one_on_path_is_passed_over_and_said(make, stack, folder_on_path, said, server):
    """Debian's Prometheus has no OTLP receiver; the official release is taken instead."""
    write_go_module(stack, "prometheus")
    old = script(folder_on_path / "prometheus", "prometheus, version 2.42.0+ds (branch: debian/sid, revision: 2.42.0+ds-5)")
    content = tar_of({"p": b"prometheus", "t": b"promtool"})
    server.files["/3.15.0.tar.gz"] = content
    (stack / "releases.toml").write_text(
        RELEASES.format(
            name="prometheus", url=server.url, members='{ prometheus = "p", promtool = "t" }', version="3.15.0", checksum=sha256(content)
        )
    )
    locator = make()
    assert locator.foreseen("prometheus").startswith("would download 3.15.0.tar.gz, else build with go1.")
    assert locator.at_hand("prometheus") is None
    located = locator.locate("prometheus")
    assert (located.version, located.origin, located.path.read_bytes()) == ("3.15.0", "official release", b"prometheus")
    assert said[0] == f"prometheus: PATH is passed over: {old} is version 2.42.0, and 3.15.0 is needed"
    assert locator.at_hand("prometheus") == located
    assert locator.locate("promtool").path == located.path.with_name("promtool")


def test_what_is_on_path_and_cannot_be_run_or_tells_no_version_is_passed_over(make, stack, folder_on_path, said):
    """An unknown version is not the pinned one."""
    write_go_module(stack, "loki")
    no_releases(stack, "loki")
    path = script(folder_on_path / "loki", "loki, version  (branch: , revision: unknown)")
    locator = make()
    assert locator.locate("loki").origin == "built from stack/loki"
    assert said[0] == f"loki: PATH is passed over: {path} tells no version"
    path.write_bytes(b"\x7fELF")
    said.clear()
    assert locator.locate("loki").origin == "built from stack/loki"
    assert said == [f"loki: PATH is passed over: {path} cannot be run (Exec format error)"]


def test_a_tool_of_a_setting_stands_beside_it(make, stack, tmp_path):
    """Else the tool comes from where it can be had."""
    write_go_module(stack, "prometheus")
    script(tmp_path / "own/promtool", "promtool, version 3.15.0")
    located = make(prometheus_binary=script(tmp_path / "own/prometheus", "prometheus, version 3.15.0")).locate("promtool")
    assert located == Located(name="promtool", path=tmp_path / "own/promtool", version="3.15.0", origin="MGEO_PROMETHEUS_BINARY")


def test_a_tool_that_is_not_beside_the_setting_is_looked_for_on(make, stack, tmp_path, folder_on_path):
    """Here on PATH."""
    write_go_module(stack, "prometheus")
    script(folder_on_path / "promtool", "promtool, version 3.15.1")
    located = make(prometheus_binary=script(tmp_path / "own/prometheus", "prometheus, version 3.15.0")).locate("promtool")
    assert (located.path, located.origin) == (folder_on_path / "promtool", "PATH")


def test_a_bundle_comes_before_releases_and_builds(make, stack, tmp_path, said):
    """And what is not in it comes from elsewhere: here from a build."""
    for name in ("caddy", "loki"):
        write_go_module(stack, name)
    no_releases(stack, "caddy", "loki")
    pack(tmp_path / "b.tar.gz", [("caddy", "2.11.9", script(tmp_path / "caddy", "v2.11.9", argument="version"))], say=said.append)
    locator = make(bundle=tmp_path / "b.tar.gz")
    located = locator.locate("caddy")
    assert (located.version, located.origin) == ("2.11.9", "bundle")
    assert locator.locate("loki").origin == "built from stack/loki"


def test_a_release_without_a_checksum_leads_to_a_build(make, stack, said):
    """With a sentence that says why."""
    write_go_module(stack, "loki")
    no_releases(stack, "loki")
    locator = make()
    assert locator.foreseen("loki").startswith("would build with go1.")
    located = locator.locate("loki")
    assert subprocess.check_output([located.path, "--version"]) == b"loki version 3.7.8\n"
    assert said[0] == (
        "loki: the official release is passed over: the checksum of loki.tar.gz is not in stack/releases.toml; "
        "`mgeo stack checksums` adds it, on a machine that reaches the project's releases"
    )


def test_when_nothing_helps_every_reason_is_told(make, stack, tmp_path, monkeypatch):
    """In the order in which it was tried, with the fix; a second attempt says the same."""
    write_go_module(stack, "caddy")
    no_releases(stack, "caddy")
    monkeypatch.setenv("PATH", str(tmp_path))
    locator = make()
    with pytest.raises(ProgramUnavailable) as raised:
        locator.locate("caddy")
    assert str(raised.value) == (
        "caddy cannot be had. Tried, in this order:\n"
        "  - the setting: MGEO_CADDY_BINARY is not set\n"
        "  - PATH: not there\n"
        "  - a kept release: the checksum of caddy.tar.gz is not in stack/releases.toml; "
        "`mgeo stack checksums` adds it, on a machine that reaches the project's releases\n"
        "  - a kept build: not built yet\n"
        "  - the official release: the checksum of caddy.tar.gz is not in stack/releases.toml; "
        "`mgeo stack checksums` adds it, on a machine that reaches the project's releases\n"
        "  - a build: there is no `go` on PATH\n"
        "Set MGEO_CADDY_BINARY to an executable, or give a bundle (`mgeo stack pack` makes one elsewhere), or mend one of the reasons above."
    )
    assert raised.value.exit_code == 78
    assert locator.foreseen("caddy") == (
        "cannot be had: the checksum of caddy.tar.gz is not in stack/releases.toml; `mgeo stack checksums` adds it, "
        "on a machine that reaches the project's releases; there is no `go` on PATH"
    )


def test_an_emptied_cache_entry_is_said(make, stack, tmp_path):
    """Somebody removed the executable and left the folder."""
    write_go_module(stack, "loki")
    no_releases(stack, "loki")
    located = make(on_path=False).locate("loki")
    located.path.unlink()
    with pytest.raises(ProgramUnavailable, match=r"a build: .*/loki is not there any more; remove .*/built/loki-3\.7\.8"):
        make(on_path=False).locate("loki")


def test_what_the_pins_of_today_have_in_the_cache_is_known(make, stack):
    """So that pruning spares it."""
    write_collector_pin(stack)
    for name in MODULES:
        write_go_module(stack, name)
    no_releases(stack, "collector", *MODULES)
    locator = make(on_path=False)
    assert [*locator.kept_folders()] == []
    folder = locator.built("loki").path.parent
    assert [*locator.kept_folders()] == [folder]


def test_grafana_is_started_where_it_is_installed(make, stack, tmp_path, folder_on_path, settings, said):
    """By setting or PATH, in whatever version; nowhere else does it come from."""
    script(folder_on_path / "grafana-server", "Version 10.2.3 (commit: abc, branch: HEAD)")
    assert make().grafana() == Located(name="grafana", path=folder_on_path / "grafana-server", version="10.2.3", origin="PATH")
    mine = script(tmp_path / "grafana", "grafana version 13.0.1")
    assert make(grafana_binary=mine).grafana() == Located(name="grafana", path=mine, version="13.0.1", origin="MGEO_GRAFANA_BINARY")


def test_without_grafana_there_is_none(settings, said, tmp_path, monkeypatch):
    """That is no error."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert locate("grafana", settings, say=said.append) is None


def test_a_program_is_located_by_the_pins_of_the_checkout(settings, said, tmp_path, monkeypatch):
    """The functions for `mgeo up`: here what is on PATH has the version that stack/ pins."""
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    script(tmp_path / "bin/alertmanager", "alertmanager, version 0.31.1")
    script(tmp_path / "bin/amtool", "amtool, version 0.31.1")
    located = locate("alertmanager", settings, say=said.append)
    assert located == Located(name="alertmanager", path=tmp_path / "bin/alertmanager", version="0.31.1", origin="PATH")
    assert locate_tool("amtool", settings, say=said.append).path == tmp_path / "bin/amtool"


def test_a_build_may_be_asked_for(make, stack, folder_on_path):
    """Whatever is on PATH."""
    write_go_module(stack, "loki")
    script(folder_on_path / "loki", "loki, version 3.7.8")
    assert make().built("loki").origin == "built from stack/loki"
    shutil.rmtree(stack.parent / "loki-source")
    (stack / "loki/go.sum").write_text("\n")
    with pytest.raises(ProgramUnavailable, match=r"(?s)loki cannot be had\. Tried, in this order:\n  - a build: "):
        make().built("loki")
    assert Path(folder_on_path / "loki").exists()
