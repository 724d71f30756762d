"""The service's Dockerfile: linted, and each of its steps checked as far as that goes without a container engine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import dockerfile
import pytest

ROOT = Path(__file__).parents[2]
COMMANDS = dockerfile.parse_file(str(ROOT / "service/Dockerfile"))
HADOLINT = Path(sys.executable).parent / "hadolint"
LOCKS = ("requirements.txt", "requirements-torch.txt")


def stages() -> list[list[dockerfile.Command]]:
    """The instructions of each stage, without those before the first."""
    starts = [number for number, command in enumerate(COMMANDS) if command.cmd == "FROM"]
    return [list(COMMANDS[start:end]) for start, end in zip(starts, [*starts[1:], None], strict=True)]


def copied() -> list[str]:
    """What comes from the tree."""
    return [
        source.rstrip("/") for c in COMMANDS if c.cmd == "COPY" and not any("--from" in flag for flag in c.flags) for source in c.value[:-1]
    ]


def uv() -> str:
    """The program, found as the Makefile finds it."""
    return shutil.which("uv") or str(ROOT / ".uv/bin/uv")


def last(instruction: str) -> tuple[str, ...]:
    """The value of an instruction of the final stage that occurs there once."""
    (found,) = [command.value for command in stages()[-1] if command.cmd == instruction]
    return found


def test_the_linter_has_nothing_to_say() -> None:
    """No rule is switched off."""
    done = subprocess.run([HADOLINT, "--no-color", "service/Dockerfile"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, done.stdout) == (0, "")


def test_the_linter_would_say_something(tmp_path: Path) -> None:
    """So that its silence above means something."""
    (tmp_path / "Dockerfile").write_text("FROM python:latest\nRUN cd /tmp\n", encoding="utf-8")

    done = subprocess.run([HADOLINT, "--no-color", tmp_path / "Dockerfile"], capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 1
    assert sorted(re.findall(r"DL\d{4}", done.stdout)) == ["DL3003", "DL3007"]


def test_there_is_one_base_image_and_its_tag_is_given_from_outside() -> None:
    """So that the tag stands in .env alone."""
    bases = [stage[0].value[0] for stage in stages()]

    assert bases == ["python:${PYTHON_VERSION}", "packages", "python:${PYTHON_VERSION}"]
    assert COMMANDS[0].value == ("PYTHON_VERSION",)


def test_what_is_copied_is_there_and_not_ignored() -> None:
    """Nothing else goes to the build, neither the data folder nor the secrets."""
    rules = [line for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    allowed = {rule[1:] for rule in rules if rule.startswith("!")}

    assert sorted(copied()) == ["LICENSE", "README.md", "cli", "pyproject.toml", *sorted(LOCKS), "service"]
    assert {source for source in copied() if not (ROOT / source).exists()} == set()
    assert rules[0] == "*"
    assert allowed == set(copied())
    assert {rule for rule in rules[1:] if not rule.startswith("!")} == {"service/Dockerfile", "**/__pycache__"}


def test_the_packages_come_from_the_locks_and_as_wheels() -> None:
    """By hash, so that a changed file is refused; without a build, so that no compiler is needed."""
    installs = [command.value[0] for command in stages()[0] if command.cmd == "RUN" and "uv pip install" in command.value[0]]

    assert installs == ["uv pip install --no-build --require-hashes -r requirements.txt -r requirements-torch.txt"]
    assert "apt-get" not in (ROOT / "service/Dockerfile").read_text(encoding="utf-8")


def test_the_final_stage_installs_nothing() -> None:
    """What it has comes from the stages before, and pip is gone."""
    runs = [command.value[0] for command in stages()[-1] if command.cmd == "RUN"]

    assert len(runs) == 1
    assert runs[0].startswith("pip uninstall --yes --quiet --root-user-action=ignore pip setuptools wheel ")
    assert [(command.flags, command.value) for command in stages()[-1] if command.cmd == "COPY"] == [
        (("--from=packages",), ("/opt/venv", "/opt/venv")),
        (("--from=program",), ("/opt/mgeo", "/opt/mgeo")),
    ]


def test_the_container_is_not_root_and_ends_by_sigterm() -> None:
    """By number, so that an engine can tell; the server flushes on SIGTERM; data in one volume."""
    environment = dict(zip(last("ENV")[::2], last("ENV")[1::2], strict=True))

    assert last("USER") == ("10001:10001",)
    assert last("STOPSIGNAL") == ("SIGTERM",)
    assert last("VOLUME") == (environment["MGEO_DATA_DIR"],) == ("/data",)
    assert environment["HOME"] == "/tmp"
    assert environment["PYTHONDONTWRITEBYTECODE"] == "1"


def test_the_container_says_by_itself_whether_it_is_well() -> None:
    """By the probe, at the port that it exposes."""
    health = last("HEALTHCHECK")

    assert health == ("CMD", "python", "-m", "service.probe", "http://127.0.0.1:8000/readyz")
    assert last("EXPOSE") == ("8000",)
    assert last("ENTRYPOINT") + last("CMD") == ("mgeo", "serve")


def test_the_image_has_labels() -> None:
    """Of the Open Container Initiative; the version comes from outside, as the tag does."""
    labels = {
        name.removeprefix("org.opencontainers.image."): value.strip('"')
        for name, value in zip(last("LABEL")[::2], last("LABEL")[1::2], strict=True)
    }

    assert labels == {
        "title": "MGeo",
        "description": "An inference service for Chinese address matching that can answer for itself",
        "version": "${SERVICE_VERSION}",
        "licenses": "Apache-2.0",
    }


@pytest.mark.slow
@pytest.mark.parametrize("platform", ["x86_64-manylinux_2_36", "aarch64-manylinux_2_36"])
def test_every_locked_package_has_a_wheel_for_the_image(platform: str) -> None:
    """For its Python and its C library, on both processors: the resolution fails where one would have to be built."""
    version = re.search(r"^PYTHON_VERSION=(3\.\d+)\.\d+-slim-bookworm$", (ROOT / ".env").read_text(encoding="utf-8"), re.MULTILINE)
    assert version is not None
    locks = [argument for lock in LOCKS for argument in ("-r", lock)]
    target = ["--python-platform", platform, "--python-version", version[1]]
    command = [uv(), "pip", "install", "--dry-run", "--no-build", "--require-hashes", "--reinstall", *target, *locks]

    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "VIRTUAL_ENV": sys.prefix}, capture_output=True, text=True, timeout=110, check=False
    )

    assert done.returncode == 0, done.stderr
    assert " + torch==" in done.stderr


@pytest.mark.slow
def test_the_steps_that_build_the_program_leave_one_that_runs(tmp_path: Path) -> None:
    """The very commands of the stage, with folders of the test for those of the image: offline, from nothing but what is copied."""
    build, target = tmp_path / "build", tmp_path / "mgeo"
    build.mkdir()
    for source in {source for command in stages()[1] if command.cmd == "COPY" for source in command.value[:-1]}:
        place = build / source.rstrip("/")
        if place.suffix or place.name == "LICENSE":
            shutil.copy(ROOT / source, place)
        else:
            shutil.copytree(ROOT / source, place, ignore=shutil.ignore_patterns("__pycache__", "Dockerfile"))
    (script,) = [command.value[0] for command in stages()[1] if command.cmd == "RUN"]
    script = script.replace("/build", str(build)).replace("/opt/mgeo", str(target))
    environment = {
        "PATH": f"{Path(uv()).parent}:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "VIRTUAL_ENV": sys.prefix,
        "UV_COMPILE_BYTECODE": "1",
    }

    subprocess.run(["/bin/sh", "-euc", script], cwd=build, env=environment, capture_output=True, timeout=110, check=True)

    help_page = subprocess.run(
        [target / "bin/mgeo", "serve", "--help"],
        cwd=target,
        env={"PYTHONPATH": str(target), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "--data-dir" in help_page.stdout
    assert {path.name for path in target.iterdir()} - {".lock"} == {"bin", "cli", "service", "mgeo-0.1.0.dist-info"}
    assert (target / "service/model/embedded/model.safetensors").is_file()
    assert (target / "service/api/templates/overview.html").is_file()
    assert list((target / "service/__pycache__").glob("probe.*.pyc")) != []
