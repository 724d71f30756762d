"""The two ways to run the stack, side by side: what `mgeo up` gives a program, Compose gives it too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.stack.notifying import receiver_urls, simulated_config
from cli.stack.plan import plan
from cli.stack.process import Process
from cli.stack.profile import Profile
from cli.stack.targets import target_files
from dingtalk.config import Config, load_config
from tests.cli.stack.sites import site

ROOT = Path(__file__).parents[2]
SERVICES: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
SITE = site(Profile.FULL, gateway=True, grafana=True, public_url="https://box.example")
NATIVE: dict[str, Process] = {process.name: process for process in plan(SITE)}
# A container has a network of its own, in which every program listens at its default port, and one mount a store.
OF_THE_PLACE = ("_PORT", "_HOST", "_DIR")


def flags(arguments: list[str]) -> set[str]:
    return {argument.partition("=")[0] for argument in arguments if argument.startswith("-")}


def test_both_run_the_same_programs() -> None:
    """By the same names; besides, Compose has what containers need: a probe and an owner of volumes."""
    assert set(SERVICES) - set(NATIVE) == {"collector-probe", "volume-owner"}
    assert set(NATIVE) - set(SERVICES) == set()


@pytest.mark.parametrize("name", ["prometheus", "alertmanager", "loki", "jaeger", "collector"])
def test_a_program_gets_the_same_flags(name: str) -> None:
    """But for where it listens, which is its default in a container."""
    assert flags(SERVICES[name]["command"]) == flags(list(NATIVE[name].argv[1:])) - {"--web.listen-address"}


@pytest.mark.parametrize("name", sorted(NATIVE))
def test_a_program_gets_the_same_variables(name: str) -> None:
    """But for what is its default in a container, and for what Grafana's image sets."""
    native = {variable for variable in NATIVE[name].environment if not variable.startswith(("GF_", "PYTHON"))}
    script = "\n".join(SERVICES[name].get("command", []))
    compose = {*SERVICES[name].get("environment", {})}
    defaults = {"MGEO_COLLECTOR_MEMORY_MIB", "MGEO_COLLECTOR_MEMORY_SPIKE_MIB", "MGEO_COLLECTOR_QUEUE_BYTES", "MGEO_DRILLS"}

    missing = {
        variable for variable in native - compose - defaults if not variable.endswith(OF_THE_PLACE) and f"export {variable}=" not in script
    }
    assert missing == set()


@pytest.mark.parametrize(("name", "subcommand"), [("notifier", "run"), ("simulator", "simulate")])
def test_what_tells_people_gets_the_same_flags(name: str, subcommand: str) -> None:
    """With an address for links; where it listens is said in both, since the defaults are a machine's own."""
    own = SERVICES[name]["command"]
    native = list(NATIVE[name].argv)

    assert own[:2] == native[native.index("notifier") :][:2] == ["notifier", subcommand]
    assert flags(own) == flags(native[native.index("notifier") :])


def test_alertmanager_posts_to_the_same_paths() -> None:
    """At another host; no receiver more or less."""
    folder = ROOT / "alertmanager/targets.compose"
    native = {f"{name}.url": f"{url.replace('127.0.0.1', 'notifier')}\n" for name, url in receiver_urls(SITE).items()}

    assert {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()} == native


def test_the_simulator_is_told_by_the_same_configuration(tmp_path: Path) -> None:
    """At another host, which must be allowed; every other entry is the same."""

    def comparable(config: Config) -> dict[str, Any]:
        values = config.model_dump(exclude={"allowed_hosts", "data_dir"})
        values["robots"] = [{**robot, "url": robot["url"].replace("//127.0.0.1:", "//simulator:")} for robot in values["robots"]]
        return values

    (tmp_path / "native.toml").write_text(simulated_config(SITE, key=""), encoding="utf-8")
    native, own = load_config(tmp_path / "native.toml"), load_config(ROOT / "dingtalk/simulated/notifier.toml")

    assert comparable(own) == comparable(native)
    assert own.allowed_hosts == ["http://simulator"]


def test_prometheus_scrapes_the_same_jobs() -> None:
    """With the same labels, whatever their values."""

    def shape(groups: Any) -> set[tuple[str, ...]]:
        return {(group.get("labels", {}).get("job", ""), *sorted(group.get("labels", {}))) for group in groups}

    folder = ROOT / "prometheus/targets.compose"

    assert {path.name: shape(json.loads(path.read_text(encoding="utf-8"))) for path in folder.iterdir()} == {
        name: shape(groups) for name, groups in target_files(SITE, "box").items()
    }


def test_the_auditor_runs_the_same_command_as_often() -> None:
    """But for the interpreter, and the data folder, which the image knows."""
    native = [argument for argument in NATIVE["auditor"].argv if not argument.startswith("--data-dir=")]

    assert [*SERVICES["auditor"]["entrypoint"], *SERVICES["auditor"]["command"]] == [
        "python" if argument == "/python" else argument for argument in native
    ]


def test_the_values_that_no_place_changes_are_the_same() -> None:
    """Memory, the way telemetry is sent, the path below which Jaeger answers."""
    shared = {
        (name, variable): (str(SERVICES[name]["environment"][variable]), value)
        for name, process in NATIVE.items()
        for variable, value in process.environment.items()
        if variable in {"GOMEMLIMIT", "OTEL_EXPORTER_OTLP_PROTOCOL", "MGEO_JAEGER_BASE_PATH", "MGEO_GRAFANA_PORT"}
    }

    assert len(shared) == 5
    assert {key for key, (compose, native) in shared.items() if compose != native} == set()
