"""Which alert speaks for which, by Alertmanager's own configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from dingtalk.inhibition import Condition, Inhibition, inhibitions, spoken_for
from dingtalk.missed import Episode

ROOT = Path(__file__).parents[3]


def alert(name, first, last, **labels):
    return Episode(labels=frozenset({"alertname": name, **labels}.items()), first=first, last=last, over=True)


RULE = Inhibition(
    source=(Condition(name="alertname", operator="=", value="Cause"),),
    target=(Condition(name="alertname", operator="=~", value="Effect|Other"),),
    equal=("instance", "late"),
)


def test_a_rule_is_read_as_alertmanager_writes_it():
    """Matchers as texts, with and without quotes, several in one text; and the older forms."""
    found = inhibitions(
        """
        inhibit_rules:
          - source_matchers: ['alertname="Cause"']
            target_matchers: ['alertname=~"Effect|Other"']
            equal: [instance, late]
          - source_matchers: ['severity = critical', 'team != "a,b"']
            target_matchers: '{severity=~"warning|info", quoted="a \\"word\\""}'
          - source_match: {alertname: Cause}
            target_match_re: {alertname: E.*}
        """
    )
    assert found == (
        RULE,
        Inhibition(
            source=(Condition(name="severity", operator="=", value="critical"), Condition(name="team", operator="!=", value="a,b")),
            target=(
                Condition(name="severity", operator="=~", value="warning|info"),
                Condition(name="quoted", operator="=", value='a "word"'),
            ),
        ),
        Inhibition(
            source=(Condition(name="alertname", operator="=", value="Cause"),),
            target=(Condition(name="alertname", operator="=~", value="E.*"),),
        ),
    )


@pytest.mark.parametrize("text", ["", "[]", "{", "inhibit_rules: 3", "inhibit_rules: [3]", "inhibit_rules: [{equal: [a]}]", "route: {}"])
def test_what_cannot_be_understood_is_no_rule(text):
    """Then more is told, not less."""
    assert inhibitions(text) == ()


def test_every_rule_of_ours_is_understood():
    """With one source, some targets, and the label of what is told late."""
    ours = inhibitions((ROOT / "alertmanager/alertmanager.yml").read_text(encoding="utf-8"))
    assert len(ours) > 20
    assert all(len(rule.source) == len(rule.target) == 1 and "late" in rule.equal for rule in ours)
    assert any(rule.applies({"alertname": "BreakerOpen", "instance": "a"}, {"alertname": "ErrorLogs", "instance": "a"}) for rule in ours)
    assert not any(
        rule.applies({"alertname": "BreakerOpen", "instance": "a"}, {"alertname": "ErrorLogs", "instance": "b"}) for rule in ours
    )


@pytest.mark.parametrize(
    ("operator", "value", "holds"),
    [
        ("=", "a", True),
        ("=", "", False),
        ("!=", "b", True),
        ("!=", "a", False),
        ("=~", "a|b", True),
        ("=~", "ab?", True),
        ("=~", "", False),
        ("=~", "(", False),
        ("!~", "b.*", True),
        ("!~", "a", False),
        ("!~", "(", False),
    ],
)
def test_a_condition_is_about_the_whole_value(operator, value, holds):
    """An expression that cannot be read never holds."""
    assert Condition(name="x", operator=operator, value=value).holds({"x": "a"}) is holds


def test_a_missing_label_is_an_empty_one():
    """As in Alertmanager."""
    assert Condition(name="x", operator="=", value="").holds({})
    assert RULE.applies({"alertname": "Cause"}, {"alertname": "Effect"})
    assert not RULE.applies({"alertname": "Cause", "instance": "a"}, {"alertname": "Effect"})


@pytest.mark.parametrize(
    ("cause", "spoken"),
    [
        (alert("Cause", 100, 400), True),
        (alert("Cause", 190, 310), True),
        (alert("Cause", 191, 400), False),
        (alert("Cause", 100, 309), False),
        (alert("Cause", 100, 400, instance="elsewhere"), False),
        (alert("Another", 100, 400), False),
    ],
)
def test_one_is_spoken_for_when_the_cause_fired_all_the_time(cause, spoken):
    """But for the grace at either end."""
    effect = alert("Effect", 100, 400)
    assert spoken_for(effect, [effect, cause], [RULE], grace=90) is spoken


def test_none_speaks_for_itself():
    """A rule whose two sides fit the same alert."""
    rule = Inhibition(source=(), target=())
    effect = alert("Effect", 100, 400)
    assert not spoken_for(effect, [effect], [rule], grace=90)
