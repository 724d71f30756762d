"""What Prometheus scrapes in each profile."""

from __future__ import annotations

import json
import os
import socket
from difflib import unified_diff
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from cli.stack.layout import Layout
from cli.stack.profile import Profile
from cli.stack.site import authority
from cli.stack.targets import prepare_alertmanager, prepare_prometheus, target_files, write_running_instance
from dingtalk.config import load_config
from dingtalk.simulator.settings import Settings
from prometheus.alerting.file import rule_files
from prometheus.alerting.routing import alertmanager
from prometheus.alerting.scale import TimeScale
from service.errors import StartupError
from service.instance import claim
from tests.cli.stack.sites import site

ROOT = Path(__file__).parents[3]


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


def test_drills_have_a_notifier_and_a_second_machine_that_understand_each_other(tmp_path):
    """Both configurations are taken; the box, its key and the address of the one are those of the other; people are called by severity."""
    layout = Layout(tmp_path)
    layout.prepare()
    prepare_alertmanager(site(data_dir=tmp_path, drills="on", drill_scale=0.05, watcher_port=9062, simulator_port=9061))
    notifier, watcher = load_config(layout.notifier_config), load_config(layout.watcher_config)

    (told,), (watched,) = notifier.watchers, watcher.boxes
    assert (told.url, told.box) == ("http://127.0.0.1:9062", "drilled-box")
    assert watched.name == told.box
    assert watched.key.get_secret_value() == told.key.get_secret_value()
    assert len(told.key.get_secret_value()) == 64
    assert (notifier.scale, watcher.scale) == (0.05, 0.05)
    assert (watcher.alertmanager_url, watcher.prometheus_url) == ("", "")
    mobiles = {person.name: person.mobile for person in notifier.people}
    assert [(owner.match, [mobiles[name] for name in owner.people]) for owner in notifier.owners] == [
        ({"severity": "critical"}, ["13800000001"]),
        ({"severity": "warning"}, ["13800000002"]),
    ]
    assert [person.mobile for person in watcher.people] == ["13800000001"]
    # Who is silent is told where the critical ones are, by the same robot.
    by_name = {robot.name: robot for robot in notifier.robots}
    assert [by_name[robot.name] for robot in watcher.robots] == list(watcher.robots)
    assert [receiver.robots for receiver in watcher.receivers] == [["critical"]]
    for path in (layout.notifier_config, layout.watcher_config, layout.simulator_config):
        assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("host", ["::1", "192.0.2.7", "0.0.0.0", "box.lan"])
def test_the_simulator_is_told_on_whatever_address_the_stack_listens(tmp_path, host):
    """Both configurations let tokens go there without TLS, and nowhere else."""
    layout = Layout(tmp_path)
    layout.prepare()
    prepare_alertmanager(site(data_dir=tmp_path, drills="on", stack_host=host))
    notifier, watcher = load_config(layout.notifier_config), load_config(layout.watcher_config)
    assert {robot.url for robot in watcher.robots} == {robot.url for robot in notifier.robots}
    assert urlsplit(notifier.watchers[0].url).port == 8062
    assert notifier.allowed_hosts == watcher.allowed_hosts == [f"http://{authority(host, 8061)}"]


def test_the_simulator_of_drills_keeps_a_quota_that_no_drill_uses_up(tmp_path):
    """The notifier counts with the same one, so that it neither forecasts nor degrades; all other rules stay."""
    layout = Layout(tmp_path)
    layout.prepare()
    prepare_alertmanager(site(data_dir=tmp_path, drills="on", drill_scale=0.05))
    simulator, usual = Settings.load(layout.simulator_config), Settings.load(None)

    assert simulator.model_dump(exclude={"quota", "scale"}) == usual.model_dump(exclude={"quota", "scale"})
    assert (simulator.scale, simulator.quota) == (0.05, 1_000_000)
    assert [one.monthly_quota for one in load_config(layout.notifier_config).organisations] == [1_000_000]


def test_the_key_of_the_heartbeats_is_another_at_every_start(tmp_path):
    """Who knew the last one signs nothing any more."""
    layout = Layout(tmp_path)
    layout.prepare()
    keys = set()
    for _ in range(3):
        prepare_alertmanager(site(data_dir=tmp_path, drills="on"))
        keys.add(load_config(layout.watcher_config).boxes[0].key.get_secret_value())
    assert len(keys) == 3


@pytest.mark.parametrize("drills", ["off", "weekly"])
def test_a_stack_that_is_not_drilled_knows_no_watcher_and_calls_nobody(tmp_path, drills):
    """Not one word of drills is in its notifier's configuration."""
    layout = Layout(tmp_path)
    layout.prepare()
    prepare_alertmanager(site(data_dir=tmp_path, drills=drills))
    config = load_config(layout.notifier_config)
    assert (config.watchers, config.people, config.owners, config.organisations, config.scale) == ([], [], [], [], 1.0)
    assert not layout.watcher_config.exists()
    assert not layout.simulator_config.exists()


def written(data_dir, scale):
    """All that `mgeo up` writes of a drilled stack for whatever reads files, at one length of a minute, by name below the run folder.

    The key of the heartbeats and the token, which are new at each start, are struck out.
    """
    layout = Layout(data_dir)
    layout.prepare()
    box = site(Profile.FULL, data_dir=data_dir, root=ROOT, drills="on", drill_scale=scale)
    prepare_prometheus(box, host="box")
    prepare_alertmanager(box)
    new = load_config(layout.watcher_config).boxes[0].key.get_secret_value(), layout.notifier_token.read_text()
    found = {}
    for folder, _, names in os.walk(layout.run, followlinks=True):
        for name in names:
            path = Path(folder) / name
            found[str(path.relative_to(layout.run))] = path.read_text(encoding="utf-8").replace(new[0], "KEY").replace(new[1], "TOKEN")
    return found


def test_a_run_folder_with_shorter_minutes_differs_in_durations_and_in_nothing_else(tmp_path):
    """Rules, Prometheus, Alertmanager, notifier, simulator, second machine: the same files, and each line that differs is a duration's.

    What is in the rules and in Alertmanager's configuration is compared with marks in tests/unit/prometheus.
    """
    usual, short = written(tmp_path, 1.0), written(tmp_path, 0.05)
    assert set(usual) == set(short)
    made = {f"prometheus/{name}": text for name, text in rule_files(TimeScale(0.05)).items()}
    assert {name: short[name] for name in made} == made
    assert {name for name in short if name.startswith(("prometheus/rules/", "prometheus/alerts/"))} == set(made)
    assert short["alerting/alertmanager.yml"] == alertmanager(TimeScale(0.05))

    differing = {name for name, text in usual.items() if short[name] != text}
    assert differing - set(made) == {
        "alerting/alertmanager.yml",
        "prometheus/prometheus.yml",
        "notifier.toml",
        "simulator.toml",
        "watcher.toml",
    }
    lines = {
        name: [
            line for line in unified_diff(usual[name].splitlines(), short[name].splitlines(), "", "", lineterm="", n=0) if line[0] in "+-"
        ]
        for name in ("notifier.toml", "simulator.toml", "watcher.toml", "prometheus/prometheus.yml")
    }
    assert {name: found[2:] for name, found in lines.items()} == {
        "notifier.toml": ["+scale = 0.05"],
        "simulator.toml": ["-scale = 1", "+scale = 0.05"],
        "watcher.toml": ["-scale = 1", "+scale = 0.05"],
        "prometheus/prometheus.yml": [
            "-  scrape_interval: 10s",
            "-  scrape_timeout: 5s",
            "-  evaluation_interval: 10s",
            "+  scrape_interval: 500ms",
            "+  scrape_timeout: 250ms",
            "+  evaluation_interval: 500ms",
        ],
    }


def test_a_stack_goes_back_from_short_minutes_to_those_that_are_checked_in(tmp_path):
    """Links again, and nothing is left of the files; the checkout was not written into."""
    checked_in = {path: path.read_bytes() for path in (ROOT / "prometheus").rglob("*.yml")}
    layout = Layout(tmp_path)
    layout.prepare()
    for scale in (1.0, 0.05, 0.1, 1.0):
        box = site(data_dir=tmp_path, root=ROOT, drills="on", drill_scale=scale)
        prepare_prometheus(box, host="box")
        prepare_alertmanager(box)
        linked = {name: (layout.prometheus / name).is_symlink() for name in ("prometheus.yml", "rules", "alerts")}
        assert linked == dict.fromkeys(linked, scale == 1)
        assert (layout.alertmanager / "alertmanager.yml").is_symlink() is (scale == 1)
    assert {path: path.read_bytes() for path in (ROOT / "prometheus").rglob("*.yml")} == checked_in


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
