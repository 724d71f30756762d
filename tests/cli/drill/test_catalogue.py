"""The drills against the rules: who causes what, and that nobody's name is misspelt."""

from __future__ import annotations

import re

import pytest

from cli.drill.catalogue import BEYOND, DRILLS, LEAST_RATE, drill_of, usual_rate
from cli.stack.drilling import ON_CALL
from cli.stack.profile import Profile, process_names
from dingtalk.notice import Notice
from prometheus.alerting import limits
from prometheus.alerting.file import alerts
from prometheus.alerting.inhibition import INHIBITIONS
from tests.rules import alerting_cases, inference_cases, process_cases, telemetry_cases

KNOWN = alerts()
NOTICES = {notice.english for notice in Notice}
# Its fault is another drill's; what it is about is that nobody hears of Prometheus' restart.
WITHOUT_AN_ALERT_OF_ITS_OWN = {"prometheus-restarted"}
CASES = (*inference_cases.CASES, *process_cases.CASES, *telemetry_cases.CASES, *alerting_cases.CASES)
HOURS = re.compile(r"\[(\d+)([hd])\]|offset (\d+)([hd])")


def test_names_are_unique_and_as_people_type_them() -> None:
    """And none is what asks for all of them."""
    names = [drill.name for drill in DRILLS]

    assert len(set(names)) == len(names)
    assert [name for name in names if not re.fullmatch(r"[a-z]+(-[a-z]+)*", name)] == []
    assert "all" not in names


def test_every_fault_that_was_promised_is_a_drill() -> None:
    """A slow and a failing model, traffic that stops and falls, and so on; there may be more."""
    asked = {
        "slow-model", "failing-model", "traffic-stops", "traffic-falls", "error-logs", "queue-backlog", "worker-stuck", "collector-killed",
        "loki-away", "disk-nearly-full", "dingtalk-banning", "notifier-killed", "prometheus-restarted", "box-gone",
    }  # fmt: skip

    assert asked - {drill.name for drill in DRILLS} == set()


def test_a_drill_is_found_by_its_name() -> None:
    """The very one; and none by another."""
    assert [drill_of(drill.name) for drill in DRILLS] == list(DRILLS)
    assert drill_of("slow model") is None
    assert drill_of("") is None


def test_every_alert_that_names_a_drill_is_expected_by_it() -> None:
    """The Watchdog is what goes away when the box does; that is told by the second machine, in its own words."""
    by_name = {drill.name: drill for drill in DRILLS}
    unexpected = {name for name, alert in KNOWN.items() if alert.drill and name not in by_name[alert.drill].expects}

    assert unexpected == {"Watchdog"}
    assert KNOWN["Watchdog"].drill == "box-gone"
    assert by_name["box-gone"].expects == (Notice.BOX_SILENT.english,)


def test_every_drill_is_the_drill_of_an_alert_that_it_expects() -> None:
    """The other way round: none is left over, and each alert that a drill expects has some drill."""
    named = {alert.drill for alert in KNOWN.values() if alert.drill}

    assert {drill.name for drill in DRILLS} - named == WITHOUT_AN_ALERT_OF_ITS_OWN
    assert {name for drill in DRILLS for name in drill.expects if name in KNOWN and KNOWN[name].drill is None} == set()


@pytest.mark.parametrize("drill", DRILLS, ids=lambda drill: drill.name)
def test_every_alert_that_a_drill_speaks_of_exists(drill) -> None:
    """Expected or permitted, by the rules or by the notifier; nothing is both, and nothing twice."""
    assert drill.expects
    assert len(set(drill.expects)) == len(drill.expects)
    assert {*drill.expects} - {*KNOWN} - NOTICES == set()
    assert {*drill.permits} - {*KNOWN} == set()
    assert {*drill.expects} & ({*drill.permits} | BEYOND) == set()


@pytest.mark.parametrize("drill", DRILLS, ids=lambda drill: drill.name)
def test_every_expected_alert_is_told_in_a_group_that_calls_somebody_or_nobody_on_purpose(drill) -> None:
    """Each has a severity that has a group; that of what happens to people at night is called."""
    urgent = {str(KNOWN[name].severity) for name in drill.expects if name in KNOWN}

    assert urgent <= {"critical", "warning", "info"}
    assert set(ON_CALL) == {"critical", "warning"}


@pytest.mark.parametrize("drill", DRILLS, ids=lambda drill: drill.name)
def test_what_a_drill_says_stands_in_a_sentence(drill) -> None:
    """After `name: `, and before `; expects` or a full stop; so does each reason of what may come too."""
    for words in (drill.says, *drill.permits.values()):
        assert words == words.strip()
        assert len(words) > 10
        assert words[-1] not in ".;,:"
        assert "\n" not in words
    # Reasons stand in brackets; what is done may begin with somebody's name.
    assert [reason for reason in drill.permits.values() if not reason[0].islower()] == []


@pytest.mark.parametrize("drill", [drill for drill in DRILLS if drill.needs], ids=lambda drill: drill.name)
def test_what_a_drill_needs_is_a_process_of_the_full_profile_that_the_small_one_lacks(drill) -> None:
    """Or it would be left out everywhere, or nowhere."""
    full, lite = (
        process_names(profile, gateway=False, grafana=False, simulator=True, drills="on") for profile in (Profile.FULL, Profile.LITE)
    )

    assert drill.needs in full
    assert drill.needs not in lite


def test_every_alert_says_of_which_instance_it_is() -> None:
    """By that a judgement tells it from what the notifier says of itself under the same name."""
    nowhere = {case.alert for case in CASES for fires in case.fires if not {"instance", "mgeo_instance_name"} & {*fires.labels}}

    assert nowhere - {name for name, alert in KNOWN.items() if alert.severity == "none"} == set()


def test_what_lies_beyond_a_drill_has_a_window_over_an_hour() -> None:
    """Or it could be drilled, or at least must not come."""
    assert {*KNOWN} >= BEYOND
    assert {name: max(spans(KNOWN[name].expr), default=0.0) > 3600 for name in BEYOND} == dict.fromkeys(BEYOND, True)


def spans(expression: str) -> list[float]:
    """Windows and offsets in seconds, of those in hours and days."""
    unit = {"h": 3600.0, "d": 86_400.0}
    return [float(window or offset) * unit[one or other] for window, one, offset, other in HOURS.findall(expression)]


@pytest.mark.parametrize("scale", [1.0, 0.5, 0.1, 0.05, 0.01])
def test_the_usual_rate_is_one_that_the_rules_judge_at_every_scale(scale: float) -> None:
    """Shorter windows hold fewer requests and ask for fewer, but chance does not grow smaller with them."""
    assert usual_rate(scale) >= LEAST_RATE
    assert usual_rate(scale) * limits.WINDOW.seconds * scale > limits.TRAFFIC_ENOUGH.number * scale
    assert usual_rate(scale / 2) >= usual_rate(scale)


def test_a_fall_that_is_drilled_is_one_that_the_rule_tells() -> None:
    """With room for chance; and one of all traffic leaves none."""
    falls, stops = [], []

    class Traffic:
        def __init__(self, into):
            self.flow = into.append

    for name, into in (("traffic-falls", falls), ("traffic-stops", stops)):
        one = drill_of(name)
        one.begin(None, Traffic(into), 50.0)
        one.end(None, Traffic(into), 50.0)
    assert falls[0] < 50.0 * (1 - limits.TRAFFIC_DROP)
    assert stops[0] == 0.0
    assert (falls[1], stops[1]) == (50.0, 50.0)


def test_two_alerts_of_one_drill_do_not_keep_each_other_back() -> None:
    """An inhibition between them would make one of them never heard, unless it begins before the other."""
    # ErrorLogs comes minutes before HighErrorRate, which speaks for it from then on.
    before = {("HighErrorRate", "ErrorLogs")}
    for drill in DRILLS:
        pairs = {(source, target) for source, target in kept_back() if source in drill.expects and target in drill.expects}
        assert pairs - before == set()


def kept_back() -> set[tuple[str, str]]:
    """Who speaks for whom."""
    return {(rule.source, target) for rule in INHIBITIONS for target in rule.targets}
