"""The Compose files, compared with what they must correspond to: native pins, configuration files, settings, ports."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
import yaml

from dingtalk.config import load_config
from service.instance import _NAMESPACE, instance_name
from service.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
FILES = ("docker-compose.yml", "docker-compose.gpu.yml")
TEXT = (ROOT / FILES[0]).read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, Any] = COMPOSE["services"]
PROGRAMS = ("collector", "prometheus", "alertmanager", "loki", "jaeger", "grafana", "gateway")
ONE_SHOT = "volume-owner"
NOTIFIER_TOML = "dingtalk/simulated/notifier.toml"
PROBES = {"collector-probe": "collector"}
AUDITOR = "auditor"
NOTIFYING = ("notifier", "simulator")
PUBLISHED_TO_ALL = {"service"}
ENV = dict(line.split("=", 1) for line in (ROOT / ".env").read_text(encoding="utf-8").splitlines() if line and not line.startswith("#"))


def environment(name: str) -> dict[str, str]:
    return {key: str(value) for key, value in SERVICES[name].get("environment", {}).items()}


def mounts(name: str) -> list[tuple[str, str, bool]]:
    """Source, place in the container and whether it is read-only; a variable has its default."""
    short = [volume.split(":") for volume in SERVICES[name].get("volumes", []) if isinstance(volume, str)]
    long = [volume for volume in SERVICES[name].get("volumes", []) if isinstance(volume, dict)]
    return [
        *((source, target, options == ["ro"]) for source, target, *options in short),
        *((re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", volume["source"]), volume["target"], volume["read_only"]) for volume in long),
    ]


def binds(name: str) -> dict[str, Path]:
    """The files and folders of the tree that a service sees, by their place in the container."""
    return {target: ROOT / source for source, target, _ in mounts(name) if source.startswith(".")}


def in_tree(name: str, path: str) -> Path:
    """The file of the tree behind a path in a container."""
    target = max((target for target in binds(name) if path == target or path.startswith(f"{target}/")), key=len)
    return binds(name)[target] / path[len(target) :].lstrip("/")


def ports_of(name: str) -> set[int]:
    """Where a program listens, by the settings that both ways to run it share."""
    if name == "service":
        return {Settings.model_fields["port"].default}
    return {info.default for field, info in Settings.model_fields.items() if field.startswith(f"{name}_") and field.endswith("_port")}


def configuration_files(name: str) -> list[Path]:
    """The files that a service's command names, and for Grafana those it finds by itself."""
    script = [*SERVICES[name].get("entrypoint", []), *SERVICES[name].get("command", [])]
    named = re.findall(r"/etc/[\w./-]+\.(?:ya?ml|json)|/etc/caddy/Caddyfile", "\n".join(script))
    if name == "grafana":
        return sorted(path for source in binds(name).values() for path in ([source] if source.is_file() else source.rglob("*.y*ml")))
    return [in_tree(name, path) for path in named]


def addresses(text: str) -> set[tuple[str, int]]:
    """Every `host:port` whose host is a plain word, as the services of a Compose file are."""
    found = re.findall(r"(?<![\w.$/{-])(?:https?://)?([a-z][a-z-]*):(\d{3,5})\b", text)
    return {(host, int(port)) for host, port in found if host != "localhost"}


@pytest.mark.parametrize("file", FILES)
def test_the_file_is_valid_by_the_compose_specification(file: str) -> None:
    """By the schema that the specification publishes."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", file]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, done.stdout) == (0, "ok -- validation done\n")


def test_the_schema_would_refuse_a_slip(tmp_path: Path) -> None:
    """So that the check above is one."""
    (tmp_path / "compose.yml").write_text("services: {service: {image: x, helthcheck: {}}}", encoding="utf-8")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(tmp_path / "compose.yml")]

    assert subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 1


def test_these_are_the_services() -> None:
    """The service, who audits it, what tells people, the stack, the probe of what cannot ask itself, and what runs once."""
    assert set(SERVICES) == {"service", AUDITOR, *NOTIFYING, *PROGRAMS, *PROBES, ONE_SHOT}
    assert {name for name, service in SERVICES.items() if "profiles" in service} == {"gateway"}


def pinned(program: str, module: str) -> str:
    """The version of a module in a program's go.mod."""
    text = (ROOT / "stack" / program / "go.mod").read_text(encoding="utf-8")
    found = re.search(rf"^\t?(?:require )?{re.escape(module)} (v\S+)", text, re.MULTILINE)
    assert found is not None
    return found[1]


@pytest.mark.parametrize(
    ("program", "module", "version", "variable", "tag"),
    [
        ("collector", "go.opentelemetry.io/collector/receiver/otlpreceiver", "v0.155.0", "COLLECTOR_VERSION", "0.155.0"),
        ("prometheus", "github.com/prometheus/prometheus", "v0.315.0", "PROMETHEUS_VERSION", "v3.15.0"),
        ("alertmanager", "github.com/prometheus/alertmanager", "v0.31.1", "ALERTMANAGER_VERSION", "v0.31.1"),
        ("loki", "github.com/grafana/loki/v3", "v3.7.8", "LOKI_VERSION", "3.7.8"),
        ("jaeger", "github.com/jaegertracing/jaeger", "v1.76.0", "JAEGER_VERSION", "2.13.0"),
        ("caddy", "github.com/caddyserver/caddy/v2", "v2.11.9", "CADDY_VERSION", "2.11.9"),
    ],
)
def test_a_tag_is_the_same_code_as_the_native_pin(program: str, module: str, version: str, variable: str, tag: str) -> None:
    """Prometheus 3.15 is the module v0.315, Jaeger 2.13 was released together with the module v1.76; the others are called alike."""
    assert (pinned(program, module), ENV[variable]) == (version, tag)


def test_the_services_own_tag_is_the_projects_version() -> None:
    """So that two releases are two images."""
    assert f'\nversion = "{ENV["SERVICE_VERSION"]}"\n' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_every_image_is_pinned_by_a_variable_of_env() -> None:
    """Whole versions and no other tag, so that versions are written in one place."""
    images = {name: service["image"] for name, service in SERVICES.items()}

    assert images == {
        "alertmanager": "prom/alertmanager:${ALERTMANAGER_VERSION}",
        "auditor": "mgeo/service:${SERVICE_VERSION}",
        "collector": "otel/opentelemetry-collector-contrib:${COLLECTOR_VERSION}",
        "collector-probe": "mgeo/service:${SERVICE_VERSION}",
        "gateway": "caddy:${CADDY_VERSION}",
        "grafana": "grafana/grafana:${GRAFANA_VERSION}",
        "jaeger": "jaegertracing/jaeger:${JAEGER_VERSION}",
        "loki": "grafana/loki:${LOKI_VERSION}",
        "notifier": "mgeo/notifier:${SERVICE_VERSION}",
        "prometheus": "prom/prometheus:${PROMETHEUS_VERSION}",
        "service": "mgeo/service:${SERVICE_VERSION}",
        "simulator": "mgeo/notifier:${SERVICE_VERSION}",
        "volume-owner": "mgeo/service:${SERVICE_VERSION}",
    }
    assert {name for name, value in ENV.items() if name.endswith("_VERSION") and not re.match(r"v?\d+\.\d+\.\d+", value)} == set()


def test_env_holds_versions_and_ports_and_no_secret() -> None:
    """Nothing else, and all of it used."""
    used = set(re.findall(r"\$\{([A-Z_]+)", "".join((ROOT / file).read_text(encoding="utf-8") for file in FILES)))

    assert {name for name in ENV if not name.endswith(("_VERSION", "_PORT"))} == set()
    assert {name for name, value in ENV.items() if name.endswith("_PORT") and not value.isdigit()} == set()
    assert set(ENV) - used == set()


@pytest.mark.parametrize("file", FILES)
def test_every_variable_has_a_value(file: str) -> None:
    """From .env, or a default where it stands."""
    text = re.sub(r"\$\$", "", (ROOT / file).read_text(encoding="utf-8"))
    without_default = set(re.findall(r"\$\{([A-Z_]+)\}", text)) | set(re.findall(r"\$([A-Z_]+)", text))

    assert without_default - set(ENV) == set()


@pytest.mark.parametrize("name", [name for name in SERVICES if binds(name)])
def test_every_mounted_file_is_in_the_tree(name: str) -> None:
    """And is mounted for reading alone; a folder that is missing would be made, empty, by the engine."""
    assert {str(source) for source in binds(name).values() if not source.exists()} == set()
    assert {source for source, _, read_only in mounts(name) if source.startswith(".") and not read_only} == set()


@pytest.mark.parametrize("name", [name for name in PROGRAMS if name != "grafana"])
def test_every_configuration_file_of_a_command_is_mounted(name: str) -> None:
    """At the place that the command names."""
    assert configuration_files(name) != []
    assert {str(path) for path in configuration_files(name) if not path.is_file()} == set()


def test_every_folder_that_prometheus_reads_is_mounted() -> None:
    """The rules too, once there are any: a glob that matches nothing is no error to Prometheus."""
    configuration = yaml.safe_load((ROOT / "prometheus/prometheus.yml").read_text(encoding="utf-8"))
    folders = {Path(pattern).parts[0] for pattern in configuration["rule_files"]}

    mounted = {target.removeprefix("/etc/prometheus/") for target in binds("prometheus")}

    assert {folder for folder in folders if (ROOT / "prometheus" / folder).exists()} - mounted == set()
    assert mounted >= {"prometheus.yml", "targets"}


def test_the_target_files_are_those_that_prometheus_looks_for() -> None:
    """All but the service's own series, which are pushed here and would exist twice."""
    text = (ROOT / "prometheus/prometheus.yml").read_text(encoding="utf-8")
    patterns = set(re.findall(r"targets/([\w*.-]+)", text))
    files = sorted((ROOT / "prometheus/targets.compose").iterdir())

    assert [file.name for file in files] == ["alertmanager.json", "service-up.json", "stack.json"]
    assert {file.name for file in files if not any(file.match(pattern) for pattern in patterns)} == set()


def target_groups(name: str) -> list[dict[str, Any]]:
    groups: list[dict[str, Any]] = json.loads((ROOT / "prometheus/targets.compose" / name).read_text(encoding="utf-8"))
    return groups


def test_the_services_target_has_the_labels_of_its_pushed_series() -> None:
    """The id is made of the container's name and the data folder in it; both are fixed, so it can be written down."""
    made_of = (SERVICES["service"]["hostname"], environment("service")["MGEO_DATA_DIR"], "serve", "0")
    (group,) = target_groups("service-up.json")

    assert made_of == ("mgeo", "/data", "serve", "0")
    assert group["labels"] == {
        "instance": str(uuid.uuid5(_NAMESPACE, "\n".join(made_of))),
        "service_name": "mgeo",
        "mgeo_instance_name": instance_name("serve", 0, host="mgeo"),
    }


def test_every_program_with_metrics_is_a_target() -> None:
    """By its name as job, at a port where it listens."""
    groups = target_groups("stack.json")

    assert {group["labels"]["job"]: group["targets"] for group in groups} == {
        "alertmanager": ["alertmanager:9093"],
        "collector": ["collector:8888"],
        "jaeger": ["jaeger:8889"],
        "loki": ["loki:3100"],
        "notifier": ["notifier:8060"],
        "prometheus": ["prometheus:9090"],
    }


def test_every_address_leads_to_a_service_that_listens_there() -> None:
    """In variables, target files, health checks and the configuration itself."""
    texts = {
        **{f"environment of {name}": "\n".join(environment(name).values()) for name in SERVICES},
        **{f"health check of {name}": " ".join(SERVICES[name].get("healthcheck", {}).get("test", [])) for name in SERVICES},
        **{f"command of {name}": " ".join(SERVICES[name].get("command", [])) for name in SERVICES},
        **{str(path): path.read_text(encoding="utf-8") for path in ROOT.glob("*/targets.compose/*")},
        NOTIFIER_TOML: (ROOT / NOTIFIER_TOML).read_text(encoding="utf-8"),
        **{str(path): path.read_text(encoding="utf-8") for name in PROGRAMS for path in configuration_files(name)},
    }
    found = {(place, *address) for place, text in texts.items() for address in addresses(text)}

    assert {(host, port) for _, host, port in found} >= {
        ("collector", 4317),
        ("loki", 3100),
        ("jaeger", 14317),
        ("grafana", 3000),
        ("notifier", 8060),
        ("simulator", 8061),
        ("alertmanager", 9093),
    }
    assert {(place, host, port) for place, host, port in found if host not in SERVICES or port not in ports_of(host)} == set()


def test_every_published_port_is_one_where_the_program_listens() -> None:
    """As natively, so that nothing but the host's side can be set."""
    inside = {(name, int(port.rsplit(":", 1)[1])) for name, service in SERVICES.items() for port in service.get("ports", [])}

    assert {(name, port) for name, port in inside if port not in ports_of(name)} == set()
    assert {name for name, _ in inside} == {"service", *NOTIFYING, *PROGRAMS}


def test_only_the_services_port_is_open_beyond_this_machine() -> None:
    """None of the others asks for a password, but Grafana and the gateway, which is opened by a decision."""
    published = {port: name for name, service in SERVICES.items() for port in service.get("ports", [])}

    assert {name for port, name in published.items() if not re.match(r"127\.0\.0\.1:|\$\{GATEWAY_ADDRESS:-127\.0\.0\.1\}:", port)} == (
        PUBLISHED_TO_ALL
    )
    assert {port.rsplit(":", 2)[1] for port in published} == {f"${{{name}}}" for name in ENV if name.endswith("_PORT")}
    assert {name for name, service in SERVICES.items() if service.get("network_mode") not in {None, "none"}} == set()


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_has_a_bound_on_memory_and_logs_and_starts_again(name: str) -> None:
    """All but what runs once, which must not."""
    service = SERVICES[name]

    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert service["logging"] == {"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}}
    assert service["restart"] == ("no" if name == ONE_SHOT else "unless-stopped")
    assert re.fullmatch(r"\d+s", service["stop_grace_period"])


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_has_no_more_rights_than_it_needs(name: str) -> None:
    """A root that is read-only, no capability but one with a reason beside it, and a user that is not root."""
    service = SERVICES[name]
    user = service.get("user", "the image's")

    assert service["read_only"] is True
    assert service["tmpfs"] == ["/tmp:mode=1777,size=64m"]
    assert service["cap_drop"] == ["ALL"]
    assert service.get("cap_add", []) == {"gateway": ["NET_BIND_SERVICE"], ONE_SHOT: ["CHOWN"]}.get(name, [])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.get("privileged", False)
    assert user.startswith("0:") == (name == ONE_SHOT)
    assert (user == "the image's") == (name in {"service", AUDITOR, *NOTIFYING, *PROBES})


def test_whoever_changes_owners_has_no_network_and_runs_once() -> None:
    """The only root among them; what it owns are the volumes of the programs that wait for it."""
    volumes = {volume.split(":")[0] for volume in SERVICES[ONE_SHOT]["volumes"]}
    waiting = {name for name, service in SERVICES.items() if ONE_SHOT in service.get("depends_on", {})}

    assert SERVICES[ONE_SHOT]["network_mode"] == "none"
    assert SERVICES[ONE_SHOT]["entrypoint"] == ["chown", "10001:10001", "/volumes/collector", "/volumes/jaeger"]
    assert (
        waiting == {"collector", "jaeger"} == {name for name in PROGRAMS for v in SERVICES[name]["volumes"] if v.split(":")[0] in volumes}
    )
    assert {SERVICES[name]["depends_on"][ONE_SHOT]["condition"] for name in waiting} == {"service_completed_successfully"}
    assert {SERVICES[name]["user"] for name in waiting} == {"10001:10001"}


@pytest.mark.parametrize("name", sorted(set(SERVICES) - {ONE_SHOT, AUDITOR}))
def test_every_service_is_asked_whether_it_is_well(name: str) -> None:
    """By itself; by a probe where its image could not; what the images of this tree ask by themselves is not asked again."""
    asker = {program: probe for probe, program in PROBES.items()}.get(name, name)
    check = SERVICES[asker].get("healthcheck")

    if name in {"service", "notifier"}:
        (asked_by_image,) = re.findall(
            r'^HEALTHCHECK .*\n +CMD \["python", "-m", "service.probe", "http://127\.0\.0\.1:(\d+)/readyz"\]$',
            (ROOT / SERVICES[name]["build"]["dockerfile"]).read_text(encoding="utf-8"),
            re.MULTILINE,
        )
        assert check is None
        assert {int(asked_by_image)} == ports_of(name)
        return
    assert {key: value for key, value in check.items() if key != "test"} == {
        "interval": "15s",
        "timeout": "5s",
        "retries": 3,
        "start_period": "120s",
        "start_interval": "1s",
    }
    asked = re.findall(r"http://([\w.]+):(\d+)/", " ".join(check["test"]))
    assert [(host, int(port) in ports_of(PROBES.get(name, name))) for host, port in asked] == [
        (PROBES.get(asker, "127.0.0.1"), True),
    ]


def test_who_answers_nobody_is_not_asked() -> None:
    """The image's own check is the service's, and would find the auditor sick."""
    assert SERVICES[AUDITOR]["healthcheck"] == {"disable": True}


def test_who_depends_on_a_probed_program_waits_for_its_probe() -> None:
    """A container that runs is not yet one that answers; only the probe itself waits for no more."""
    conditions = {
        (name, on): condition["condition"] for name, service in SERVICES.items() for on, condition in service.get("depends_on", {}).items()
    }

    assert conditions == {
        ("collector", "volume-owner"): "service_completed_successfully",
        ("collector-probe", "collector"): "service_started",
        ("gateway", "service"): "service_healthy",
        ("jaeger", "volume-owner"): "service_completed_successfully",
        ("service", "collector-probe"): "service_healthy",
    }


def test_every_variable_of_the_service_is_a_setting() -> None:
    """Or one of OpenTelemetry's; also of those that the overlay adds."""
    overlay = yaml.safe_load((ROOT / FILES[1]).read_text(encoding="utf-8"))["services"]["service"]["environment"]
    variables = {*environment("service"), *overlay}

    assert {name for name in variables if not name.startswith((PREFIX, "OTEL_"))} == set()
    assert {
        name for name in variables if name.startswith(PREFIX) and name.removeprefix(PREFIX).lower() not in Settings.model_fields
    } == set()


def variables_read(path: Path) -> dict[str, str]:
    """The MGEO_ variables of a configuration file with their defaults, empty when there is none."""
    text = re.sub(r"^\s*[#;].*$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    found = re.findall(r"\{\$(MGEO_\w+)(?::([^}]*))?\}|\$(?:__env)?\{(?:env:)?(MGEO_\w+)(?::-([^}]*))?\}|(?<!\$)\$(MGEO_\w+)", text)
    return {caddy or braced or bare: default or other for caddy, default, braced, other, bare in found}


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_differs_from_native_is_set(name: str) -> None:
    """A folder, a neighbour, and whatever has no default: each by a variable that a configuration file of the program reads."""
    read = {variable: default for path in configuration_files(name) for variable, default in variables_read(path).items()}
    script = "\n".join(SERVICES[name].get("command", []))
    given = {variable for variable in environment(name) if variable.startswith(PREFIX)} | set(re.findall(r"export (MGEO_\w+)=", script))
    here = re.compile(r"|var/.*|(http://)?127\.0\.0\.1.*")

    assert {variable for variable, default in read.items() if here.fullmatch(default)} - given == set()
    # Those of the stores go to every program that asks one of them.
    assert given - set(read) - set(COMPOSE["x-stores"]) == set()


def test_a_days_retention_is_the_same_as_natively() -> None:
    """Seven days, unless set."""
    days = {store: Settings.model_fields[f"{store}_retention_days"].default for store in ("prometheus", "loki", "jaeger")}

    assert days == {"prometheus": 7, "loki": 7, "jaeger": 7}
    assert {store: re.search(rf"\${{MGEO_{store.upper()}_RETENTION:-(\d+)h}}", TEXT)[1] for store in days} == dict.fromkeys(days, "168")  # type: ignore[index]


def test_grafana_asks_for_a_password_that_only_a_file_knows() -> None:
    """Nobody looks in without a login, and `docker inspect` does not show the password."""
    ini = (ROOT / "grafana/grafana.ini").read_text(encoding="utf-8")
    variables = environment("grafana")

    assert re.search(r"^\[auth\.anonymous\]\nenabled = false$", ini, re.MULTILINE)
    assert variables["GF_SECURITY_ADMIN_PASSWORD__FILE"] == "/run/secrets/grafana_admin_password"
    assert {name for name in variables if "ANONYMOUS" in name or name == "GF_SECURITY_ADMIN_PASSWORD"} == set()


def test_the_service_has_the_time_to_end() -> None:
    """What is in flight may take its grace, and then the last telemetry is flushed."""
    assert int(SERVICES["service"]["stop_grace_period"].removesuffix("s")) >= Settings.model_fields["shutdown_grace"].default + 10


def test_every_secret_is_a_file_outside_of_git_that_only_those_see_who_need_it() -> None:
    """`make secrets` makes it. The notifier's token is shown to it by Alertmanager, and by the gateway for whoever has logged in."""
    secrets = {name: definition["file"] for name, definition in COMPOSE["secrets"].items()}
    seen = {
        name: [secret if isinstance(secret, str) else secret["source"] for secret in service["secrets"]]
        for name, service in SERVICES.items()
        if "secrets" in service
    }

    assert secrets == {
        name: f"./secrets/{name}" for name in ("grafana_admin_password", "gateway_password", "ingest_token", "notifier_token")
    }
    assert seen == {
        "alertmanager": ["notifier_token"],
        "collector": ["ingest_token"],
        "gateway": ["gateway_password", "notifier_token"],
        "grafana": ["grafana_admin_password"],
        "notifier": ["notifier_token"],
    }
    assert "/secrets/" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert f"SECRETS := {' '.join(secrets)}\n" in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_make_secrets_makes_those_that_are_missing(tmp_path: Path) -> None:
    """Different ones, in a folder that is only its owner's, readable to whoever the program in the container is; never over one that is there."""
    make = ["make", "--no-print-directory", "--file", str(ROOT / "Makefile"), f"PYTHON={sys.executable}", "secrets"]
    names = set(COMPOSE["secrets"])
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/ingest_token").write_text("mine", encoding="utf-8")

    printed = subprocess.run(make, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True).stdout

    folder = tmp_path / "secrets"
    made = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}
    assert set(made) == names
    assert made["ingest_token"] == "mine"
    assert {name for name in names - {"ingest_token"} if not re.fullmatch(r"[\w-]{32}", made[name])} == set()
    assert len(set(made.values())) == 4
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir() if path.name != "ingest_token"} == {0o444}
    assert printed == "made secrets/grafana_admin_password\nmade secrets/gateway_password\nmade secrets/notifier_token\n"


def test_alertmanager_finds_where_it_posts_beside_its_configuration() -> None:
    """It takes the names relative to its working directory; the token is the secret, readable to whoever it runs as."""
    text = (ROOT / "alertmanager/alertmanager.yml").read_text(encoding="utf-8")
    named = set(re.findall(r"\btargets/[\w.]+", re.sub(r"^#.*$", "", text, flags=re.MULTILINE)))
    folder = SERVICES["alertmanager"]["working_dir"]
    (token,) = SERVICES["alertmanager"]["secrets"]

    assert named == {"targets/critical.url", "targets/warning.url", "targets/info.url", "targets/watchdog.url", "targets/token"}
    assert {f"{folder}/{name}" for name in named} == {place for place in binds("alertmanager") if "/targets/" in place} | {token["target"]}
    assert sorted(binds("alertmanager").values())[1:] == sorted((ROOT / "alertmanager/targets.compose").iterdir())


def test_the_notifier_reads_a_configuration_that_tells_the_simulator_until_there_is_another() -> None:
    """What its command names is in the folder that is mounted; a folder that is not there is an error and not an empty one."""
    config = next(flag for flag in SERVICES["notifier"]["command"] if flag.startswith("--config=")).partition("=")[2]
    (folder,) = [volume for volume in SERVICES["notifier"]["volumes"] if isinstance(volume, dict)]

    assert in_tree("notifier", config) == ROOT / NOTIFIER_TOML
    assert folder["source"] == f"${{NOTIFIER_FOLDER:-./{Path(NOTIFIER_TOML).parent}}}"
    assert folder["bind"] == {"create_host_path": False}
    assert load_config(ROOT / NOTIFIER_TOML).robot("critical").url == "http://simulator:8061/robot/send"
    assert in_tree("notifier", "/etc/runbooks/HighLatency.md").is_file()


def test_the_notifiers_data_outlives_its_container() -> None:
    """What it has accepted is in a volume; the simulated groups too keep what they were told."""
    data = {name: next(flag for flag in SERVICES[name]["command"] if re.match(r"--(data-dir|journal)=/data", flag)) for name in NOTIFYING}

    assert data == {"notifier": "--data-dir=/data", "simulator": "--journal=/data/messages.jsonl"}
    assert {source for name in NOTIFYING for source, target, _ in mounts(name) if target == "/data"} == {"notifier-data", "simulator-data"}
