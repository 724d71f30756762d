"""What came of the drills, for people and for programs. The texts are whole: this is what they look like."""

from __future__ import annotations

import json

from cli.drill.report import AIMS, document, page, table
from prometheus.alerting.rule import Severity
from tests.cli.drill.results import START, drill, result, timing, verdict

BANNED = drill("dingtalk-banning", says="DingTalk refuses the robot", expects=("BreakerOpen", "RobotBanned"))
TWO = result(
    BANNED,
    verdict("RobotBanned was not told", delivered=("BreakerOpen",)),
    {
        "BreakerOpen": timing(true=1, firing=2.5, told=33, cleared=40, over=41, ended=60.25),
        "RobotBanned": timing(true=2, firing=5, cleared=40),
    },
)
GONE = drill(
    "box-gone", says="everything is killed", expects=("BoxSilent",), permits={"ServiceRestarted": "it is chance", "ErrorLogs": "no"}
)
SILENT = result(
    GONE, verdict(delivered=("BoxSilent", "ServiceRestarted")), {"BoxSilent": timing(told=20, cleared=20.5, ended=60)}, scale=0.05
)


def test_a_terminal_shows_an_alert_in_a_line_then_what_is_wrong_then_how_many_passed():
    """What is not known is a dash."""
    assert table([result(), TWO, SILENT]) == (
        """\
DRILL             ALERT        FAULT → TRUE  TRUE → FIRING  FIRING → DELIVERED  CLEARED → RESOLVED
slow-model        HighLatency  15.5          15.0           2.5                 17.5                as it must be
dingtalk-banning  BreakerOpen  1.0           1.5            30.5                20.2                WRONG
dingtalk-banning  RobotBanned  2.0           3.0            –                   –                   WRONG
box-gone          BoxSilent    –             –              –                   39.5                as it must be

dingtalk-banning: RobotBanned was not told
2 of 3 as they must be
"""
    )
    assert table([]).endswith("0 of 0 as they must be\n")


def test_a_page_says_when_and_where_and_how_long_a_minute_was():
    """A picture, a table, what each drill does, what came though it need not, what is wrong."""
    assert page([result(), TWO, SILENT], when="2026-11-28", machine="2 cores, Linux x86_64", picture="drills.svg") == (
        """\
# What the drills showed

`mgeo drill`, 2026-11-28, 2 cores, Linux x86_64: 2 of 3 as they must be. One minute of the rules was 3 s long \
(`MGEO_DRILL_SCALE = 0.05`). All figures are real seconds.

![What happened when, a drill in a line](drills.svg)

| drill | alert | fault → true, s | true → firing, s | firing → delivered, s | cleared → resolved, s | |
| --- | --- | ---: | ---: | ---: | ---: | --- |
| slow-model | HighLatency | 15.5 | 15.0 | 2.5 | 17.5 | as it must be |
| dingtalk-banning | BreakerOpen | 1.0 | 1.5 | 30.5 | 20.2 | WRONG |
| dingtalk-banning | RobotBanned | 2.0 | 3.0 | – | – | WRONG |
| box-gone | BoxSilent | – | – | – | 39.5 | as it must be |

- slow-model: each run of the model takes longer.
- dingtalk-banning: DingTalk refuses the robot.
- box-gone: everything is killed.

Also told, as it may be:

- box-gone: ServiceRestarted (it is chance).

Wrong:

- dingtalk-banning: RobotBanned was not told.
"""
    )


def test_a_page_of_drills_that_all_passed_has_nothing_wrong():
    """Nor of none."""
    whole = page([result(scale=1.0)], when="2026-11-28", machine="here", picture="x.svg")
    assert "Wrong" not in whole
    assert "Also told" not in whole
    assert "One minute of the rules was 60 s long (`MGEO_DRILL_SCALE = 1`)" in whole
    assert "0 of 0 as they must be" in page([], when="2026-11-28", machine="here", picture="x.svg")


def test_for_json_a_drill_is_what_the_contract_names_and_each_alert_apart():
    """Durations are of the alert that took longest; it can be written as JSON."""
    assert document(TWO) == {
        "name": "dingtalk-banning",
        "passed": False,
        "expected": ["BreakerOpen", "RobotBanned"],
        "delivered": ["BreakerOpen"],
        "unexpected": [],
        "faults": ["RobotBanned was not told"],
        "seconds_to_message": 33.0,
        "seconds_to_resolved": 20.25,
        "scale": 0.05,
        "alerts": {
            "BreakerOpen": {
                "fault_at": START,
                "true_at": START + 1,
                "firing_at": START + 2.5,
                "told_at": START + 33,
                "cleared_at": START + 40,
                "over_at": START + 41,
                "ended_at": START + 60.25,
                "fault_to_true": 1.0,
                "true_to_firing": 1.5,
                "firing_to_delivered": 30.5,
                "fault_to_delivered": 33.0,
                "cleared_to_resolved": 20.25,
            },
            "RobotBanned": {
                "fault_at": START,
                "true_at": START + 2,
                "firing_at": START + 5,
                "told_at": None,
                "cleared_at": START + 40,
                "over_at": None,
                "ended_at": None,
                "fault_to_true": 2.0,
                "true_to_firing": 3.0,
                "firing_to_delivered": None,
                "fault_to_delivered": None,
                "cleared_to_resolved": None,
            },
        },
    }
    assert json.loads(json.dumps(document(TWO))) == document(TWO)


def test_of_two_alerts_the_slower_one_counts():
    """Both must have come."""
    both = result(
        BANNED, verdict(), {"BreakerOpen": timing(told=10, cleared=20, ended=50), "RobotBanned": timing(told=30, cleared=20, ended=40)}
    )
    assert (document(both)["seconds_to_message"], document(both)["seconds_to_resolved"]) == (30.0, 30.0)


def test_of_nothing_that_came_there_is_no_duration():
    """Null, and not nought."""
    nothing = document(result(said=verdict("HighLatency was not told", delivered=()), timings={"HighLatency": timing(cleared=100)}))
    assert (nothing["seconds_to_message"], nothing["seconds_to_resolved"], nothing["delivered"]) == (None, None, [])


def test_there_is_an_aim_for_whatever_somebody_is_told_of():
    """15 s for critical, 45 s for the others, as promised; what has no severity is told to nobody."""
    assert AIMS == {"critical": 15.0, "warning": 45.0, "info": 45.0}
    assert set(AIMS) == {str(severity) for severity in Severity} - {"none"}
