"""Who is told, how soon, and who speaks for whom: by amtool, and by a real Alertmanager."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
import yaml

from prometheus.alerting.file import alerts
from prometheus.alerting.inhibition import INHIBITIONS, Inhibition
from tests.deadline import until
from tests.rules.alertmanager import TOKEN, Alertmanager, running

CONFIG = Path(__file__).parents[2] / "alertmanager/alertmanager.yml"
KNOWN = alerts()

# Labels of an alert, the receiver it goes to.
ROUTES = (
    ({"alertname": "HighErrorRate", "severity": "critical", "area": "inference"}, "critical"),
    ({"alertname": "NotifierGone", "severity": "critical", "area": "alerting"}, "critical"),
    ({"alertname": "HighLatency", "severity": "warning", "area": "inference"}, "warning"),
    ({"alertname": "RobotBanned", "severity": "warning", "area": "alerting"}, "warning"),
    ({"alertname": "BatchSaturated", "severity": "info", "area": "inference"}, "info"),
    ({"alertname": "Watchdog", "severity": "none", "area": "alerting"}, "watchdog"),
    ({"alertname": "SomebodyElses", "severity": "none"}, "watchdog"),
    ({"alertname": "SomebodyElses", "severity": "page"}, "warning"),
    ({"alertname": "SomebodyElses"}, "warning"),
)


@pytest.mark.stack
@pytest.mark.parametrize(("labels", "receiver"), ROUTES, ids=lambda value: value if isinstance(value, str) else value["alertname"])
def test_every_alert_has_one_receiver(labels: dict[str, str], receiver: str, program: Callable[[str], Path]) -> None:
    """By severity; the Watchdog apart; what has none of ours is a warning, and nothing is dropped."""
    given = [f"{name}={value}" for name, value in labels.items()]
    argv = [program("amtool"), "config", "routes", "test", f"--config.file={CONFIG}", f"--verify.receivers={receiver}", *given]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, done.stdout.strip()) == (0, receiver), done.stderr


@pytest.mark.stack
@pytest.mark.parametrize("wrong", ["critical", "info", "watchdog"])
def test_a_wrong_receiver_is_noticed(wrong: str, program: Callable[[str], Path]) -> None:
    """The check is not one that passes everything."""
    argv = [program("amtool"), "config", "routes", "test", f"--config.file={CONFIG}", f"--verify.receivers={wrong}", "severity=warning"]

    assert subprocess.run(argv, capture_output=True, timeout=60, check=False).returncode != 0


@pytest.mark.stack
def test_amtool_finds_nothing_wrong(program: Callable[[str], Path]) -> None:
    """With the tool of the version we run."""
    done = subprocess.run([program("amtool"), "check-config", CONFIG], capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 receivers" in done.stdout


def test_the_times_of_the_routes() -> None:
    """Critical within seconds, and again each hour; others within half a minute, and once or twice a day; the Watchdog each minute."""
    route = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["route"]
    times = {
        each["receiver"]: (each["group_wait"], each["group_interval"], each["repeat_interval"]) for each in [*route["routes"][2:], route]
    }

    assert times == {"critical": ("5s", "30s", "1h"), "info": ("30s", "1m", "1d"), "warning": ("30s", "1m", "12h")}
    assert (route["routes"][0]["receiver"], route["routes"][0]["group_wait"], route["routes"][0]["repeat_interval"]) == (
        "watchdog",
        "0s",
        "30s",
    )
    assert route["group_by"] == ["alertname"]


def test_every_receiver_is_the_notifier_and_is_told_all_of_it() -> None:
    """Resolved too, uncut, in ten seconds, with the token, and never by a redirect."""
    receivers = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["receivers"]

    assert {receiver["name"]: receiver["webhook_configs"] for receiver in receivers} == {
        name: [
            {
                "url_file": f"targets/{name}.url",
                "send_resolved": True,
                "max_alerts": 0,
                "timeout": "10s",
                "http_config": {
                    "authorization": {"type": "Bearer", "credentials_file": "targets/token"},
                    "follow_redirects": False,
                },
            }
        ]
        for name in ("critical", "warning", "info", "watchdog")
    }


def test_nobody_speaks_for_each_other_or_for_himself() -> None:
    """Two that silence each other would say nothing at all; so would a ring of them."""
    before: dict[str, set[str]] = {}
    for rule in INHIBITIONS:
        assert rule.source not in rule.targets
        before.setdefault(rule.source, set()).update(rule.targets)

    assert list(TopologicalSorter(before).static_order())


def test_only_alerts_that_exist_speak_or_are_spoken_for() -> None:
    """A misspelt name would silence nobody."""
    named = {name for rule in INHIBITIONS for name in (rule.source, *rule.targets)}

    assert named <= set(KNOWN)


def test_what_is_critical_is_only_silenced_by_what_is_critical() -> None:
    """But for one: a warning that a store is away says more than what follows."""
    order = {"critical": 0, "warning": 1, "info": 2, "none": 3}
    weaker = {
        (rule.source, target)
        for rule in INHIBITIONS
        for target in rule.targets
        if order[KNOWN[rule.source].severity] > order[KNOWN[target].severity]
    }

    assert weaker == {("MetricsMissing", "NoTraffic"), ("RobotBanned", "NotifierQueueOld")}


def test_nothing_speaks_for_the_watchdog() -> None:
    """Its silence is the message."""
    assert all("Watchdog" not in (rule.source, *rule.targets) for rule in INHIBITIONS)


@pytest.fixture(scope="module")
def alertmanager(program: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alertmanager]:
    """A real one, whose minutes are three seconds."""
    with running(program("alertmanager"), tmp_path_factory.mktemp("alertmanager"), scale=0.05) as manager:
        yield manager


def labelled(name: str, place: str) -> dict[str, str]:
    """Labels of one of our alerts, of a place that shares no instance, store or folder with another."""
    alert = KNOWN[name]
    about = {"severity": alert.severity.value, "area": alert.area.value}
    return {"alertname": name, **about, "instance": place, "store": place, "mgeo_folder": place}


@pytest.mark.stack
@pytest.mark.parametrize("rule", INHIBITIONS, ids=lambda rule: f"{rule.source}-{'-'.join(rule.equal) or 'everywhere'}")
def test_one_cause_sends_one_message(rule: Inhibition, alertmanager: Alertmanager) -> None:
    """What a cause brings about is not told beside it; the same elsewhere is, and so is the cause.

    A place for each target, since targets may speak for each other.
    """
    name = f"{rule.source}-{INHIBITIONS.index(rule)}"
    here = {target: f"{name}-{target}-here" for target in rule.targets}
    there = {target: f"{name}-{target}-there" for target in rule.targets}
    posted = [labelled(rule.source, place) for place in here.values()]
    posted += [labelled(target, place[target]) for place in (here, there) for target in rule.targets]
    alertmanager.post(*posted)
    try:
        until(lambda: all(alertmanager.inhibited().get((target, here[target])) for target in rule.targets))
        known = alertmanager.inhibited()

        assert {known[rule.source, place] for place in here.values()} == {False}
        assert {target: known[target, there[target]] for target in rule.targets} == dict.fromkeys(rule.targets, not rule.equal)
    finally:
        alertmanager.post(*posted, resolved=True)
        until(lambda: not any(instance.startswith(f"{name}-") for _, instance in alertmanager.inhibited()))


@pytest.mark.stack
def test_what_is_told_late_speaks_for_what_is_told_late(alertmanager: Alertmanager) -> None:
    """It may be over, so it silences nothing that fires now."""
    late = [{**labelled(name, "late-place"), "late": "true"} for name in ("WorkerStuck", "QueueBacklog")]
    now = labelled("QueueBacklog", "late-place")
    alertmanager.post(*late, now)
    try:
        until(lambda: alertmanager.inhibited(late="true").get(("QueueBacklog", "late-place")))

        assert alertmanager.inhibited(late="true")["WorkerStuck", "late-place"] is False
        assert alertmanager.inhibited(late="")["QueueBacklog", "late-place"] is False
    finally:
        alertmanager.post(*late, now, resolved=True)


@pytest.mark.stack
def test_the_notifier_is_called_at_its_address_with_the_token(alertmanager: Alertmanager) -> None:
    """Firing, then resolved; the address and the token come from the files beside the configuration."""
    one = labelled("HighLatency", "a-place")
    alertmanager.post(one)
    until(lambda: ("HighLatency", "a-place", "firing") in alertmanager.receiver.told("warning"))
    alertmanager.post(one, resolved=True)
    until(lambda: ("HighLatency", "a-place", "resolved") in alertmanager.receiver.told("warning"))

    assert {
        (path, token) for path, token, payload in alertmanager.receiver.calls if payload["groupLabels"] == {"alertname": "HighLatency"}
    } == {("/v1/alertmanager/warning", f"Bearer {TOKEN}")}


@pytest.mark.stack
def test_the_watchdog_is_heard_again_and_again(alertmanager: Alertmanager) -> None:
    """A heartbeat, not a message: three of them within ten of these short minutes, at a receiver of its own."""
    beat = {"alertname": "Watchdog", "severity": "none", "area": "alerting"}
    alertmanager.post(beat)

    until(lambda: len(alertmanager.receiver.told("watchdog")) >= 3, deadline=30)
    assert {name for receiver in ("critical", "warning", "info") for name, _, _ in alertmanager.receiver.told(receiver)} & {
        "Watchdog"
    } == set()
