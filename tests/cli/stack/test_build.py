"""Builds by the true Go toolchain, of modules without dependencies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cli.stack import build
from cli.stack.build import BuildSource, Toolchain
from cli.stack.cache import ProgramCache
from cli.stack.pin import read_pin
from cli.stack.program import PROGRAMS, PassedOver
from tests.cli.stack.conftest import script, write_go_module
from tests.deadline import until

ROOT = Path(__file__).parents[3]

BUILDER = """package main

import "os"

func main() {
	for _, wanted := range []string{"--config", "manifest.yaml", "--skip-get-modules", "--skip-compilation"} {
		found := false
		for _, given := range os.Args[1:] {
			found = found || given == wanted
		}
		if !found {
			os.Exit(3)
		}
	}
	if _, err := os.Stat("manifest.yaml"); err != nil {
		os.Exit(4)
	}
	os.WriteFile("main.go", []byte("package main\\n\\nfunc main() { println(\\"otelcol-mgeo version 0.155.0\\") }\\n"), 0o644)
}
"""


def told(path, argument="--version"):
    done = subprocess.run([path, argument], capture_output=True, text=True, check=True, timeout=60)
    return (done.stdout + done.stderr).strip()


def living(group):
    """The processes of a group that are not merely waiting to be reaped."""
    found = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, of_group = file.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(of_group) == group and state != "Z":
            found.append(file)
    return found


@pytest.fixture
def source(tmp_path, said):
    return BuildSource(ProgramCache(tmp_path / "cache"), say=said.append)


def pin_of(stack, name):
    write_go_module(stack, name)
    return read_pin(PROGRAMS[name], stack)


@pytest.mark.parametrize(("name", "version"), [("loki", "3.7.8"), ("jaeger", "v2.13.0"), ("caddy", "v2.11.9")])
def test_a_build_tells_the_pinned_version(stack, source, said, name, version):
    """The version is set when it is linked, as each project's releases have it; a second call builds nothing."""
    pin = pin_of(stack, name)
    with pytest.raises(PassedOver, match="not built yet"):
        source.kept(pin)
    folder = source.build(pin)
    assert told(folder / name) == f"{name} version {version}"
    assert [path.name for path in folder.iterdir()] == [name]
    assert source.kept(pin) == source.build(pin) == folder
    assert said[0] == f"{name} {pin.version}: building from stack/{name} with {Toolchain.find().version}"
    assert said[1].startswith(f"{name} {pin.version}: built in ")
    assert len(said) == 2


def test_the_tools_are_built_too(stack, source):
    """Both executables of Alertmanager in one folder."""
    folder = source.build(pin_of(stack, "alertmanager"))
    assert sorted(path.name for path in folder.iterdir()) == ["alertmanager", "amtool"]
    # No package of this small module is the one with the version, so it stays unset.
    assert told(folder / "amtool") == "amtool version"


def test_the_collectors_sources_are_made_from_its_manifest(stack, source, tmp_path):
    """By OpenTelemetry's builder, in the cache: stack/collector stays as it is, and only the executable is kept."""
    folder, builder = stack / "collector", tmp_path / "builder"
    folder.mkdir()
    builder.mkdir()
    (builder / "go.mod").write_text("module mgeo.invalid/tools/builder\n\ngo 1.21\n")
    (builder / "main.go").write_text(BUILDER)
    (folder / "go.sum").write_text("")
    (folder / "go.mod").write_text(
        "module mgeo.invalid/stack/collector\n\ngo 1.24\n\ntool mgeo.invalid/tools/builder\n\n"
        f"require mgeo.invalid/tools/builder v0.0.1\n\nreplace mgeo.invalid/tools/builder => {builder}\n"
    )
    (folder / "manifest.yaml").write_text("dist:\n  version: 0.155.0\n")
    before = {path: path.read_bytes() for path in folder.iterdir()}
    built = source.build(read_pin(PROGRAMS["collector"], stack))
    assert [path.name for path in built.iterdir()] == ["otelcol"]
    assert told(built / "otelcol") == "otelcol-mgeo version 0.155.0"
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("file", ["go.mod", "go.sum"])
def test_a_changed_pin_is_another_build(stack, source, file):
    """The old one stays until it is pruned."""
    pin = pin_of(stack, "loki")
    first = source.build(pin)
    path = pin.folder / file
    path.write_text(path.read_text() + "\n")
    assert source.build(read_pin(PROGRAMS["loki"], stack)) != first


def test_without_go_an_earlier_build_will_do(stack, source, tmp_path, said):
    """A cache that was brought along needs no toolchain."""
    pin = pin_of(stack, "loki")
    folder = source.build(pin)

    def none():
        raise PassedOver("there is no `go` on PATH")

    without = BuildSource(ProgramCache(tmp_path / "cache"), say=said.append, find_toolchain=none)
    assert without.kept(pin) == folder
    with pytest.raises(PassedOver, match="there is no `go` on PATH"):
        without.build(pin)
    with pytest.raises(PassedOver, match="there is no `go` on PATH"):
        without.announced(pin)


def test_a_failed_build_says_its_last_lines_and_leaves_nothing(stack, source, tmp_path):
    """So that the cause is on the screen."""
    pin = pin_of(stack, "loki")
    (tmp_path / "loki-source/cmd/loki/main.go").write_text("package main\n\nfunc main() { undefinedName() }\n")
    with pytest.raises(PassedOver, match=r"`go build` in stack/loki failed: .*undefined: undefinedName"):
        source.build(pin)
    assert [path.suffix for path in (tmp_path / "cache/built").iterdir()] == [".lock"]


def test_a_module_that_lacks_a_sum_is_not_changed_but_refused(stack, source):
    """Builds never write go.mod or go.sum."""
    pin = pin_of(stack, "loki")
    go_mod = pin.folder / "go.mod"
    go_mod.write_text(go_mod.read_text().partition("replace")[0])
    with pytest.raises(PassedOver, match=r"`go list -mod=readonly` failed: .*missing go\.sum entry"):
        source.build(pin)
    assert (pin.folder / "go.sum").read_text() == ""


def test_two_builders_at_once_build_once(stack, source, said):
    """The second waits for the first."""
    pin = pin_of(stack, "loki")
    folders = []
    threads = [threading.Thread(target=lambda: folders.append(source.build(pin))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(folders) == 2
    assert folders[0] == folders[1]
    assert sum("building from" in line for line in said) == 1


def test_how_far_a_build_is_is_said(stack, source, said, monkeypatch):
    """Packages and time, now and then; here at every look."""
    monkeypatch.setattr(build, "SAY_INTERVAL", 0.0)
    source.build(pin_of(stack, "loki"))
    assert any(line.startswith("loki 3.7.8: ") and " packages compiled, " in line for line in said)


def test_a_build_that_does_not_end_is_stopped_with_its_children(stack, source, tmp_path, monkeypatch):
    """Here `go` is a script that starts a child and waits; neither is left."""
    pin = pin_of(stack, "loki")
    alive = tmp_path / "alive"
    fake = tmp_path / "bin/go"
    fake.parent.mkdir()
    fake.write_text(
        "#!/bin/sh\ncase $1 in\nenv) echo go1.26.8;;\nlist) echo a;;\n"
        f"build) (echo started > {alive}; exec tail -f /dev/null) & wait;;\nesac\n"
    )
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:/usr/bin:/bin")
    monkeypatch.setattr(build, "SAY_INTERVAL", 0.05)
    monkeypatch.setattr(build, "BUILD_TIMEOUT", 0.5)
    with pytest.raises(PassedOver, match="the build did not end within 500 ms"):
        source.build(pin)
    assert alive.exists()
    # The reader ended, so every process that held the pipe has.
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("mgeo-go")] == []


def test_an_interrupted_build_leaves_no_process_and_no_folder(stack, tmp_path):
    """Ctrl-C during the longest wait of all; the compiler here is a script that would wait for ever."""
    pin_of(stack, "loki")
    started, fake = tmp_path / "started", tmp_path / "bin/go"
    fake.parent.mkdir()
    fake.write_text(
        "#!/bin/sh\ncase $1 in\nenv) echo go1.26.8;;\nlist) echo a;;\n"
        f"build) echo $$ > {started}.part; mv {started}.part {started}; tail -f /dev/null;;\nesac\n"
    )
    fake.chmod(0o755)
    program = (
        "import sys; from pathlib import Path; from cli.stack.source import Locator; from service.settings import Settings\n"
        f"Locator(Settings.load(stack_cache={str(tmp_path / 'cache')!r}), say=print, stack=Path({str(stack)!r})).built('loki')"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=os.environ | {"PATH": f"{fake.parent}:/usr/bin:/bin"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    until(started.exists)
    compiler = int(started.read_text())
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=30)
    assert b"KeyboardInterrupt" in error
    assert [path.suffix for path in (tmp_path / "cache/built").iterdir()] == [".lock"]
    until(lambda: not living(compiler))


@pytest.mark.parametrize(
    ("says", "reason"),
    [("go1.19.8", r"bin/go is go1\.19\.8, and stack/loki needs go1\.21\.0 or newer"), ("devel", "bin/go does not tell its version")],
)
def test_a_go_that_will_not_do_is_named(stack, source, tmp_path, monkeypatch, says, reason):
    """With what the module needs."""
    script(tmp_path / "bin/go", says, argument="env")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    with pytest.raises(PassedOver, match=reason):
        source.build(pin_of(stack, "loki"))


def test_a_go_that_cannot_be_run_is_named(tmp_path, monkeypatch):
    """An executable of another machine."""
    script(tmp_path / "bin/go", "").write_bytes(b"\x7fELF")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(PassedOver, match=r"go cannot be run \(Exec format error\)"):
        Toolchain.find()


def test_a_go_that_hangs_is_named(tmp_path, monkeypatch):
    """Every wait has an end."""
    fake = tmp_path / "bin/go"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\nexec tail -f /dev/null\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:/usr/bin:/bin")
    monkeypatch.setattr(build, "ASK_TIMEOUT", 0.2)
    with pytest.raises(PassedOver, match="`go env GOVERSION` did not end within 200 ms"):
        Toolchain.find()


def test_no_go_is_no_build(tmp_path, monkeypatch):
    """The reason says so."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PassedOver, match="there is no `go` on PATH"):
        Toolchain.find()
