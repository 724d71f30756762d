"""What Prometheus scrapes in each profile."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from cli.stack.layout import Layout
from cli.stack.profile import Profile
from cli.stack.targets import prepare_alertmanager, prepare_prometheus, target_files, write_running_instance
from dingtalk.config import load_config
from dingtalk.simulator.settings import Settings
from service.errors import StartupError
from service.instance import claim
from tests.cli.stack.sites import site


def test_lite_scrapes_the_service_with_the_labels_of_pushed_series(tmp_path):
    """The id is the one that the first `mgeo serve` of the data folder takes."""
    slot = claim(tmp_path, "serve", host="box")
    slot.release()
    files = target_files(site(data_dir=tmp_path), "box")
    assert sorted(files) == ["alertmanager.json", "service.json", "stack.json"]
    assert files["service.json"] == [
        {
            "targets": ["127.0.0.1:8000"],
            "labels": {"instance": slot.instance_id, "service_name": "mgeo", "mgeo_instance_name": slot.name},
        }
    ]
    assert [group["labels"]["job"] for group in files["stack.json"]] == ["prometheus", "alertmanager", "notifier"]
    assert files["alertmanager.json"] == [{"targets": ["127.0.0.1:9093"]}]


def test_full_scrapes_the_stack_and_the_service_only_for_up():
    """Each program with its name as job."""
    files = target_files(site(Profile.FULL, instance_name="west"), "box")
    assert sorted(files) == ["alertmanager.json", "service-up.json", "stack.json"]
    assert files["service-up.json"][0]["labels"]["mgeo_instance_name"] == "west"
    assert {group["labels"]["job"]: group["targets"] for group in files["stack.json"]} == {
        "collector": ["127.0.0.1:8888"],
        "prometheus": ["127.0.0.1:9090"],
        "loki": ["127.0.0.1:3100"],
        "jaeger": ["127.0.0.1:8889"],
        "alertmanager": ["127.0.0.1:9093"],
        "notifier": ["127.0.0.1:8060"],
    }


def test_the_run_folder_links_the_checkout_and_forgets_the_profile_before(tmp_path):
    """What the checkout lacks is not linked."""
    root = tmp_path / "checkout"
    (root / "prometheus/alerts").mkdir(parents=True)
    (root / "prometheus/prometheus.yml").write_text("global: {}")
    layout = Layout(tmp_path)
    layout.prepare()
    for profile in (Profile.LITE, Profile.FULL, Profile.LITE):
        prepare_prometheus(site(profile, data_dir=tmp_path, root=root), host="box")
    assert (layout.prometheus / "prometheus.yml").read_text() == "global: {}"
    assert (layout.prometheus / "alerts").resolve() == root / "prometheus/alerts"
    assert not (layout.prometheus / "rules").is_symlink()
    assert sorted(path.name for path in (layout.prometheus / "targets").iterdir()) == ["alertmanager.json", "service.json", "stack.json"]


def test_a_run_folder_that_cannot_be_written_is_named(tmp_path):
    """With the fix."""
    with pytest.raises(StartupError, match=r"MGEO_DATA_DIR: .*missing.* cannot be used"):
        prepare_prometheus(site(data_dir=tmp_path / "missing", root=Path("/nowhere")))


def test_alertmanager_finds_its_configuration_and_where_it_posts(tmp_path):
    """With a token that is new at every start and that only its owner reads; the notifier is told to read the same file."""
    layout = Layout(tmp_path)
    layout.prepare()
    box = site(data_dir=tmp_path)
    prepare_alertmanager(box)
    first = layout.notifier_token.read_text()
    prepare_alertmanager(box)

    assert (layout.alertmanager / "alertmanager.yml").readlink() == Path("/checkout/alertmanager/alertmanager.yml")
    assert {path.name: path.read_text() for path in (layout.alertmanager / "targets").glob("*.url")} == {
        f"{name}.url": f"http://127.0.0.1:8060/v1/alertmanager/{name}\n" for name in ("critical", "warning", "info", "watchdog")
    }
    assert len(first) >= 32
    assert layout.notifier_token.read_text() != first
    assert layout.notifier_token.stat().st_mode & 0o777 == 0o600


def test_without_robots_of_ones_own_the_notifier_tells_the_simulator(tmp_path):
    """Its own robots, by a configuration that the notifier takes; nothing is written where there is one."""
    layout = Layout(tmp_path)
    layout.prepare()
    prepare_alertmanager(site(data_dir=tmp_path, notifier_config=tmp_path / "mine.toml"))
    assert not layout.notifier_config.exists()
    prepare_alertmanager(site(data_dir=tmp_path, simulator_port=9061))

    config = load_config(layout.notifier_config)
    simulated = {robot.name: (robot.token, robot.secret) for robot in Settings.load(None).robots}
    assert {robot.name: (robot.token, robot.secret) for robot in config.robots} == simulated
    assert {robot.url for robot in config.robots} == {"http://127.0.0.1:9061/robot/send"}
    assert {receiver.name: receiver.robots for receiver in config.receivers} == {name: [name] for name in ("critical", "warning", "info")}
    assert config.default_receiver == "warning"


def answering(text):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": text.encode()})

    return app


@pytest.mark.parametrize(
    ("metrics", "changed"),
    [
        ('# TYPE target_info gauge\ntarget_info{service_instance_id="other",service_name="mgeo"} 1.0\n', True),
        ("nothing_of_it 1\n", False),
    ],
)
def test_the_id_of_the_service_that_runs_wins(tmp_path, serve_app, metrics, changed):
    """It is another when a service outside the stack was first."""
    port = int(serve_app(answering(metrics)).rpartition(":")[2])
    layout = Layout(tmp_path)
    layout.prepare()
    box = site(data_dir=tmp_path, port=port)
    prepare_prometheus(box)
    foreseen = target_files(box, socket.gethostname())["service.json"][0]["labels"]["instance"]
    assert write_running_instance(box) is changed
    assert json.loads((layout.prometheus / "targets/service.json").read_text())[0]["labels"]["instance"] == (
        "other" if changed else foreseen
    )
    assert write_running_instance(box) is False
