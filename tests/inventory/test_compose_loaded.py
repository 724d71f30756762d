"""The Compose files as Compose's own library loads them: interpolated, merged, and checked for what the schema cannot say."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
BASE, OVERLAY = "docker-compose.yml", "docker-compose.gpu.yml"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

Load = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Load:
    """What `docker compose config` would print for the files, with these variables in the environment."""
    program = tmp_path_factory.mktemp("compose") / "compose"
    go = shutil.which("go") or "/usr/local/go/bin/go"
    subprocess.run([go, "build", "-o", program, "."], cwd=ROOT / "tests/native/compose", capture_output=True, timeout=300, check=True)

    def loaded(*files: str, **variables: str) -> dict[str, Any]:
        environment = {"PATH": os.environ["PATH"], **variables}
        done = subprocess.run([program, *files], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode or done.stderr:
            raise ValueError(done.stderr)
        project: dict[str, Any] = json.loads(done.stdout)
        return project

    return loaded


def test_the_images_have_their_tags(load: Load) -> None:
    """From the .env beside the file."""
    assert {name: service["image"] for name, service in load(BASE)["services"].items()} == {
        "alertmanager": "prom/alertmanager:v0.31.1",
        "auditor": "mgeo/service:0.1.0",
        "collector": "otel/opentelemetry-collector-contrib:0.155.0",
        "collector-probe": "mgeo/service:0.1.0",
        "gateway": "caddy:2.11.9",
        "grafana": "grafana/grafana:13.2.3",
        "jaeger": "jaegertracing/jaeger:2.13.0",
        "loki": "grafana/loki:3.7.8",
        "notifier": "mgeo/notifier:0.1.0",
        "prometheus": "prom/prometheus:v3.15.0",
        "service": "mgeo/service:0.1.0",
        "simulator": "mgeo/notifier:0.1.0",
        "volume-owner": "mgeo/service:0.1.0",
    }


def test_ports_are_open_on_loopback_but_the_services(load: Load) -> None:
    """As published on the host."""
    ports = {
        (name, port["host_ip"], port["published"]) for name, service in load(BASE)["services"].items() for port in service.get("ports", [])
    }

    assert ports == {
        ("service", "0.0.0.0", "8000"),
        ("collector", "127.0.0.1", "4317"),
        ("collector", "127.0.0.1", "4318"),
        ("prometheus", "127.0.0.1", "9090"),
        ("alertmanager", "127.0.0.1", "9093"),
        ("notifier", "127.0.0.1", "8060"),
        ("simulator", "127.0.0.1", "8061"),
        ("loki", "127.0.0.1", "3100"),
        ("jaeger", "127.0.0.1", "16686"),
        ("grafana", "127.0.0.1", "3000"),
        ("gateway", "127.0.0.1", "6006"),
    }


def links(project: dict[str, Any]) -> dict[str, str]:
    """Where people are sent."""
    services = project["services"]
    flags = {name: next(flag for flag in services[name]["command"] if "external-url" in flag) for name in ("prometheus", "alertmanager")}
    return {
        "service": services["service"]["environment"]["MGEO_PUBLIC_URL"],
        "grafana": services["grafana"]["environment"]["MGEO_GRAFANA_URL"],
        **{name: flag.partition("=")[2] for name, flag in flags.items()},
    }


def test_links_lead_to_the_ports_of_this_machine(load: Load) -> None:
    """Without a gateway."""
    assert links(load(BASE)) == {
        "service": "http://localhost:8000",
        "grafana": "http://localhost:3000/grafana",
        "prometheus": "http://localhost:9090",
        "alertmanager": "http://localhost:9093",
    }


def test_links_lead_through_the_gateway_where_it_has_an_address(load: Load) -> None:
    """One variable changes them all."""
    assert links(load(BASE, MGEO_PUBLIC_URL="https://box.example")) == {
        "service": "https://box.example",
        "grafana": "https://box.example/grafana",
        "prometheus": "https://box.example/prometheus",
        "alertmanager": "https://box.example/alertmanager",
    }


def test_the_overlay_adds_a_gpu_and_changes_nothing_else(load: Load) -> None:
    """Merged over the base file, as its first lines say."""
    base, merged = load(BASE), load(BASE, OVERLAY)
    service, with_gpu = base["services"].pop("service"), merged["services"].pop("service")

    assert merged == base
    assert {key for key in with_gpu if with_gpu[key] != service.get(key)} == {"environment", "mem_limit", "deploy"}
    assert with_gpu["environment"] == {**service["environment"], "MGEO_DEVICE": "cuda:0", "MGEO_GPU": "nvml"}
    assert (int(service["mem_limit"]), int(with_gpu["mem_limit"])) == (2 * 1024**3, 12 * 1024**3)
    assert with_gpu["deploy"]["resources"]["reservations"]["devices"] == [
        {"capabilities": ["gpu", "compute", "utility"], "driver": "nvidia", "count": 1}
    ]


def test_a_key_of_the_api_reaches_the_service_and_opens_the_gateway_for_its_callers(load: Load) -> None:
    """Without one the gateway asks everybody to log in."""
    without, with_keys = load(BASE)["services"], load(BASE, MGEO_API_KEYS="k1,k2")["services"]

    assert (without["service"]["environment"]["MGEO_API_KEYS"], without["gateway"]["environment"]["MGEO_GATEWAY_KEYS"]) == ("", "")
    assert with_keys["service"]["environment"]["MGEO_API_KEYS"] == "k1,k2"
    assert with_keys["gateway"]["environment"]["MGEO_GATEWAY_KEYS"] == "with-keys.caddy"


def notifying(project: dict[str, Any]) -> tuple[str, dict[str, str], int]:
    """The folder of the notifier's configuration, the addresses of its links, and how many simulators there are."""
    notifier = project["services"]["notifier"]
    (folder,) = [volume["source"] for volume in notifier["volumes"] if volume["target"] == "/etc/notifier"]
    urls = dict(flag.removeprefix("--").split("=", 1) for flag in notifier["command"] if flag.startswith(("--public", "--grafana")))
    return folder, urls, project["services"]["simulator"]["scale"]


def test_alerts_are_told_to_the_simulator_without_links(load: Load) -> None:
    """Until something else is said: a phone reaches no port of this machine."""
    assert notifying(load(BASE)) == (str(ROOT / "dingtalk/simulated"), {"public-url": "", "grafana-url": ""}, 1)


def test_the_notifier_takes_a_folder_with_robots_and_an_address_for_its_links(load: Load) -> None:
    """A path without a dot before it is a folder all the same, and not the name of a volume."""
    project = load(BASE, NOTIFIER_FOLDER="secrets/notifier", SIMULATORS="0", MGEO_PUBLIC_URL="https://box.example")

    assert notifying(project) == (
        str(ROOT / "secrets/notifier"),
        {"public-url": "https://box.example", "grafana-url": "https://box.example/grafana"},
        0,
    )


def test_the_notifiers_token_is_where_each_looks_for_it(load: Load) -> None:
    """Alertmanager's configuration names it relative to its folder."""
    services = load(BASE)["services"]

    assert {
        name: secret["target"]
        for name, service in services.items()
        for secret in service.get("secrets", [])
        if secret["source"] == "notifier_token"
    } == {
        "alertmanager": "/etc/alertmanager/targets/token",
        "gateway": services["gateway"]["environment"]["MGEO_NOTIFIER_TOKEN_FILE"],
        "notifier": "/run/secrets/notifier_token",
    }


def test_a_wrong_file_is_refused(load: Load, tmp_path: Path) -> None:
    """So that the loading above is a check: a dependency on what is not there is valid by the schema alone."""
    (tmp_path / "compose.yml").write_text("services: {a: {image: x, depends_on: [b]}}", encoding="utf-8")

    with pytest.raises(ValueError, match='service "a" depends on undefined service "b"'):
        load(str(tmp_path / "compose.yml"))
