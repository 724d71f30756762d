"""The Dockerfiles of service and notifier: linted, and each of their steps checked as far as that goes without a container engine."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import packages_distributions
from pathlib import Path

import dockerfile
import pytest

from tests.deadline import until
from tests.rules.alertmanager import free_port

ROOT = Path(__file__).parents[2]
HADOLINT = Path(sys.executable).parent / "hadolint"


@dataclass(frozen=True)
class Image:
    """One Dockerfile, and what it must say."""

    path: str
    locks: tuple[str, ...]
    command: tuple[str, ...]
    port: str
    title: str
    description: str

    @property
    def text(self) -> str:
        return (ROOT / self.path).read_text(encoding="utf-8")

    @property
    def commands(self) -> tuple[dockerfile.Command, ...]:
        return tuple(dockerfile.parse_file(str(ROOT / self.path)))

    def stages(self) -> list[list[dockerfile.Command]]:
        """The instructions of each stage, without those before the first."""
        commands = self.commands
        starts = [number for number, command in enumerate(commands) if command.cmd == "FROM"]
        return [list(commands[start:end]) for start, end in zip(starts, [*starts[1:], None], strict=True)]

    def copied(self) -> list[str]:
        """What comes from the tree."""
        copies = [command for command in self.commands if command.cmd == "COPY" and not any("--from" in flag for flag in command.flags)]
        return [source.rstrip("/") for command in copies for source in command.value[:-1]]

    def last(self, instruction: str) -> tuple[str, ...]:
        """The value of an instruction of the final stage that occurs there once."""
        (found,) = [command.value for command in self.stages()[-1] if command.cmd == instruction]
        value: tuple[str, ...] = found
        return value


SERVICE = Image(
    path="service/Dockerfile",
    locks=("requirements.txt", "requirements-torch.txt"),
    command=("mgeo", "serve"),
    port="8000",
    title="MGeo",
    description="An inference service for Chinese address matching that can answer for itself",
)
NOTIFIER = Image(
    path="dingtalk/Dockerfile",
    locks=("dingtalk/requirements.txt",),
    command=("mgeo", "notifier", "run", "--config=/etc/notifier/notifier.toml", "--host=0.0.0.0", "--data-dir=/data"),
    port="8060",
    title="MGeo notifier",
    description="Tells DingTalk groups what Alertmanager says, and loses nothing",
)
IMAGES = pytest.mark.parametrize("image", [SERVICE, NOTIFIER], ids=["service", "notifier"])


def uv() -> str:
    """The program, found as the Makefile finds it."""
    return shutil.which("uv") or str(ROOT / ".uv/bin/uv")


@IMAGES
def test_the_linter_has_nothing_to_say(image: Image) -> None:
    """No rule is switched off."""
    done = subprocess.run([HADOLINT, "--no-color", image.path], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, done.stdout) == (0, "")


def test_the_linter_would_say_something(tmp_path: Path) -> None:
    """So that its silence above means something."""
    (tmp_path / "Dockerfile").write_text("FROM python:latest\nRUN cd /tmp\n", encoding="utf-8")

    done = subprocess.run([HADOLINT, "--no-color", tmp_path / "Dockerfile"], capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 1
    assert sorted(re.findall(r"DL\d{4}", done.stdout)) == ["DL3003", "DL3007"]


@IMAGES
def test_there_is_one_base_image_and_its_tag_is_given_from_outside(image: Image) -> None:
    """So that the tag stands in .env alone."""
    bases = [stage[0].value[0] for stage in image.stages()]

    assert bases == ["python:${PYTHON_VERSION}", "packages", "python:${PYTHON_VERSION}"]
    assert image.commands[0].value == ("PYTHON_VERSION",)


def test_both_take_the_same_uv() -> None:
    """One version to raise."""
    assert re.findall(r"^ARG UV_VERSION=.*", SERVICE.text, re.MULTILINE) == re.findall(r"^ARG UV_VERSION=.*", NOTIFIER.text, re.MULTILINE)


@IMAGES
def test_what_is_copied_is_there(image: Image) -> None:
    """The packages of the program, and the lock."""
    program = ["LICENSE", "README.md", "cli", "dingtalk", "pyproject.toml", "service"]

    assert sorted(image.copied()) == sorted([*program, *image.locks])
    assert {source for source in image.copied() if not (ROOT / source).exists()} == set()


def test_nothing_else_goes_to_the_builds() -> None:
    """Neither the data folder nor the secrets; nor what would make a layer anew and is not in it."""
    rules = [line for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    allowed = {rule[1:] for rule in rules if rule.startswith("!")}

    assert rules[0] == "*"
    assert allowed == {source for source in {*SERVICE.copied(), *NOTIFIER.copied()} if source != "dingtalk/requirements.txt"}
    assert {rule for rule in rules[1:] if not rule.startswith("!")} == {
        "dingtalk/Dockerfile",
        "dingtalk/requirements.in",
        "dingtalk/simulated",
        "service/Dockerfile",
        "**/__pycache__",
    }


@IMAGES
def test_the_packages_come_from_the_locks_and_as_wheels(image: Image) -> None:
    """By hash, so that a changed file is refused; without a build, so that no compiler is needed."""
    installs = [command.value[0] for command in image.stages()[0] if command.cmd == "RUN" and "uv pip install" in command.value[0]]

    assert installs == [" ".join(["uv pip install --no-build --require-hashes", *(f"-r {lock}" for lock in image.locks)])]
    assert "apt-get" not in image.text


@IMAGES
def test_the_final_stage_installs_nothing(image: Image) -> None:
    """What it has comes from the stages before, and pip is gone."""
    runs = [command.value[0] for command in image.stages()[-1] if command.cmd == "RUN"]

    assert len(runs) == 1
    assert runs[0].startswith("pip uninstall --yes --quiet --root-user-action=ignore pip setuptools wheel ")
    assert [(command.flags, command.value) for command in image.stages()[-1] if command.cmd == "COPY"] == [
        (("--from=packages",), ("/opt/venv", "/opt/venv")),
        (("--from=program",), ("/opt/mgeo", "/opt/mgeo")),
    ]


@IMAGES
def test_the_container_is_not_root_and_ends_by_sigterm(image: Image) -> None:
    """By number, so that an engine can tell; both end in order on SIGTERM; data in one volume, which is where they look for it."""
    environment = dict(zip(image.last("ENV")[::2], image.last("ENV")[1::2], strict=True))

    assert image.last("USER") == ("10001:10001",)
    assert image.last("STOPSIGNAL") == ("SIGTERM",)
    assert image.last("VOLUME") == ("/data",)
    assert environment.get("MGEO_DATA_DIR") == "/data" or "--data-dir=/data" in image.command
    assert environment["HOME"] == "/tmp"
    assert environment["PYTHONDONTWRITEBYTECODE"] == "1"


@IMAGES
def test_the_container_says_by_itself_whether_it_is_well(image: Image) -> None:
    """By the probe, at the port that it exposes."""
    assert image.last("HEALTHCHECK") == ("CMD", "python", "-m", "service.probe", f"http://127.0.0.1:{image.port}/readyz")
    assert image.last("EXPOSE") == (image.port,)
    assert image.last("ENTRYPOINT") + image.last("CMD") == image.command


@IMAGES
def test_the_image_has_labels(image: Image) -> None:
    """Of the Open Container Initiative; the version comes from outside, as the tag does."""
    labels = {
        name.removeprefix("org.opencontainers.image."): value.strip('"')
        for name, value in zip(image.last("LABEL")[::2], image.last("LABEL")[1::2], strict=True)
    }

    assert labels == {
        "title": image.title,
        "description": image.description,
        "version": "${SERVICE_VERSION}",
        "licenses": "Apache-2.0",
    }


def locked(*paths: str) -> dict[str, str]:
    """The version of every package in locks, by its name."""
    texts = "".join((ROOT / path).read_text(encoding="utf-8") for path in paths)
    return dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", texts, re.MULTILINE))


def test_the_notifiers_packages_are_the_tested_ones_without_the_services() -> None:
    """In the very versions that the tests run with; no model, no server of the service, no calendar of rules."""
    own, all_ = locked(*NOTIFIER.locks), locked(*SERVICE.locks)

    assert {name: version for name, version in own.items() if all_[name] != version} == {}
    assert {"torch", "numpy", "transformers", "safetensors", "fastapi", "nvidia-ml-py", "supervisor"} & set(all_) & set(own) == set()
    assert {"torch", "numpy", "transformers", "safetensors", "fastapi", "nvidia-ml-py", "supervisor"} - set(all_) == set()


NOTIFIERS_OWN = sorted([*ROOT.glob("dingtalk/**/*.py"), *ROOT.glob("cli/notifier/*.py"), *ROOT.glob("cli/watch/*.py")])


def test_whatever_the_notifier_imports_is_among_its_packages() -> None:
    """Also what is imported only when it is needed; named itself, and not only brought by another."""
    named = {
        name.lower().replace("_", "-")
        for name in (ROOT / "dingtalk/requirements.in").read_text(encoding="utf-8").splitlines()
        if name and not name.startswith("#")
    }
    imported = {
        (alias.name if isinstance(node, ast.Import) else str(node.module)).partition(".")[0]
        for path in NOTIFIERS_OWN
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    others = imported - set(sys.stdlib_module_names) - {"dingtalk", "cli", "service"}
    by_module = packages_distributions()
    distributions = {module: {name.lower().replace("_", "-") for name in by_module[module]} for module in others}

    assert {"apprise", "httpx", "starlette", "typer"} <= others
    assert {module for module, names in distributions.items() if not names & named} == set()
    assert "tzdata" in named


@pytest.mark.slow
@pytest.mark.parametrize("platform", ["x86_64-manylinux_2_36", "aarch64-manylinux_2_36"])
@pytest.mark.parametrize(("image", "package"), [(SERVICE, "torch"), (NOTIFIER, "apprise")], ids=["service", "notifier"])
def test_every_locked_package_has_a_wheel_for_the_image(image: Image, package: str, platform: str) -> None:
    """For its Python and its C library, on both processors: the resolution fails where one would have to be built."""
    version = re.search(r"^PYTHON_VERSION=(3\.\d+)\.\d+-slim-bookworm$", (ROOT / ".env").read_text(encoding="utf-8"), re.MULTILINE)
    assert version is not None
    locks = [argument for lock in image.locks for argument in ("-r", lock)]
    target = ["--python-platform", platform, "--python-version", version[1]]
    command = [uv(), "pip", "install", "--dry-run", "--no-build", "--require-hashes", "--reinstall", *target, *locks]

    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "VIRTUAL_ENV": sys.prefix}, capture_output=True, text=True, timeout=110, check=False
    )

    assert done.returncode == 0, done.stderr
    assert f" + {package}==" in done.stderr


def built(image: Image, folder: Path) -> Path:
    """What the stage `program` leaves: its very commands, with folders of the test for those of the image, offline, from what it copies."""
    build, target = folder / "build", folder / "mgeo"
    build.mkdir()
    for source in {source for command in image.stages()[1] if command.cmd == "COPY" for source in command.value[:-1]}:
        place = build / source.rstrip("/")
        if place.suffix or place.name == "LICENSE":
            shutil.copy(ROOT / source, place)
        else:
            shutil.copytree(
                ROOT / source, place, ignore=shutil.ignore_patterns("__pycache__", "Dockerfile", "requirements.in", "simulated")
            )
    (script,) = [command.value[0] for command in image.stages()[1] if command.cmd == "RUN"]
    script = script.replace("/build", str(build)).replace("/opt/mgeo", str(target))
    environment = {
        "PATH": f"{Path(uv()).parent}:/usr/bin:/bin",
        "HOME": str(folder),
        "VIRTUAL_ENV": sys.prefix,
        "UV_COMPILE_BYTECODE": "1",
    }

    subprocess.run(["/bin/sh", "-euc", script], cwd=build, env=environment, capture_output=True, timeout=110, check=True)

    assert {path.name for path in target.iterdir()} - {".lock"} == {"bin", "cli", "dingtalk", "service", "mgeo-0.1.0.dist-info"}
    assert list((target / "service/__pycache__").glob("probe.*.pyc")) != []
    assert {path.name for path in (target / "dingtalk").iterdir()} & {
        "Dockerfile",
        "requirements.in",
        "requirements.txt",
        "simulated",
    } == set()
    return target


@pytest.mark.slow
def test_the_steps_that_build_the_service_leave_one_that_runs(tmp_path: Path) -> None:
    """With its model and its pages."""
    target = built(SERVICE, tmp_path)

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
    assert (target / "service/model/embedded/model.safetensors").is_file()
    assert (target / "service/api/templates/overview.html").is_file()


@pytest.mark.slow
def test_the_steps_that_build_the_notifier_leave_one_that_runs_with_its_packages_alone(tmp_path: Path) -> None:
    """In an environment of the lock: it judges the configuration of Compose, runs, and ends in order; so does the simulator."""
    environment = tmp_path / "venv"
    at = {**os.environ, "VIRTUAL_ENV": str(environment)}
    subprocess.run([uv(), "venv", "--quiet", "--python", sys.executable, environment], timeout=60, check=True)
    install = [uv(), "pip", "install", "--quiet", "--no-build", "--require-hashes", "-r", *NOTIFIER.locks]
    subprocess.run(install, cwd=ROOT, env=at, timeout=110, check=True)
    target = built(NOTIFIER, tmp_path)
    mgeo = [environment / "bin/python", "-W", "error", "-m", "cli.main"]
    variables = {"PYTHONPATH": str(target), "PYTHONDONTWRITEBYTECODE": "1"}

    def said(*arguments: str | Path) -> str:
        done = subprocess.run([*mgeo, *arguments], cwd=target, env=variables, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    config = ROOT / "dingtalk/simulated/notifier.toml"
    assert said("notifier", "check", "--config", config) == f"{config} can be used: 3 robots, 3 receivers\n"
    notifier_port, simulator_port = free_port(), free_port()
    listening = {
        f"http://127.0.0.1:{notifier_port}/readyz": (
            "run",
            "--config",
            config,
            f"--port={notifier_port}",
            f"--data-dir={tmp_path / 'data'}",
        ),
        f"http://127.0.0.1:{simulator_port}/livez": ("simulate", f"--port={simulator_port}"),
    }
    processes = [
        subprocess.Popen([*mgeo, "notifier", *arguments], cwd=target, env=variables, stdout=subprocess.DEVNULL)
        for arguments in listening.values()
    ]
    try:
        probe = [environment / "bin/python", "-m", "service.probe", *listening]
        until(lambda: subprocess.run(probe, cwd=target, env=variables, capture_output=True, timeout=60, check=False).returncode == 0)
    finally:
        for process in processes:
            process.terminate()
        ends = [process.wait(timeout=30) for process in processes]
    assert ends == [0, 0]
    assert not (target / "service/model/embedded").exists()
    assert list(environment.glob("lib/*/site-packages/torch")) == []
