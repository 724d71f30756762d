"""Pure: which alerts Alertmanager keeps to itself because another one speaks for them, by the rules of its configuration.

Alertmanager says so only of what it knows at the moment; for what was missed it is worked out from what fired.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from dingtalk.missed import Episode

_CONDITION = re.compile(r'([A-Za-z_][A-Za-z0-9_]*)\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*"|[^,{}]*)')


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What a label must be; a label that is missing is empty.

    Attributes:
        operator: `=`, `!=`, `=~` or `!~`.
    """

    name: str
    operator: str
    value: str

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Whether it does. An expression that cannot be read never does."""
        is_it = labels.get(self.name, "")
        if self.operator in {"=", "!="}:
            return (is_it == self.value) is (self.operator == "=")
        try:
            return (re.fullmatch(self.value, is_it) is not None) is (self.operator == "=~")
        except re.error:
            return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Inhibition:
    """While an alert that fits `source` fires, none that fits `target` is told where the labels `equal` are the same."""

    source: tuple[Condition, ...]
    target: tuple[Condition, ...]
    equal: tuple[str, ...] = ()

    def applies(self, source: Mapping[str, str], target: Mapping[str, str]) -> bool:
        """Whether one alert speaks for the other."""
        return (
            all(condition.holds(source) for condition in self.source)
            and all(condition.holds(target) for condition in self.target)
            and all(source.get(name, "") == target.get(name, "") for name in self.equal)
        )


def inhibitions(configuration: str) -> tuple[Inhibition, ...]:
    """The rules of an Alertmanager's configuration, which is YAML; those that cannot be understood are left out, for then more is told."""
    try:
        rules = (yaml.safe_load(configuration) or {}).get("inhibit_rules") or []
        return tuple(_rules(rules))
    except (yaml.YAMLError, AttributeError, TypeError):
        return ()


def spoken_for(episode: Episode, fired: Iterable[Episode], rules: Iterable[Inhibition], *, grace: float) -> bool:
    """Whether another alert spoke for one all the time, but for `grace` seconds at either end, in which Alertmanager tells nothing yet."""
    target = dict(episode.labels)
    rules = [rule for rule in rules if all(condition.holds(target) for condition in rule.target)]
    return bool(rules) and any(
        other.labels != episode.labels
        and other.first <= episode.first + grace
        and other.last >= episode.last - grace
        and any(rule.applies(dict(other.labels), target) for rule in rules)
        for other in fired
    )


def _rules(rules: Any) -> Iterator[Inhibition]:  # YAML
    for rule in rules:
        source, target = (_conditions(rule, side) for side in ("source", "target"))
        equal = rule.get("equal") or []
        if source and target and isinstance(equal, list):
            yield Inhibition(source=source, target=target, equal=tuple(map(str, equal)))


def _conditions(rule: Mapping[str, Any], side: str) -> tuple[Condition, ...]:
    """Of one side; in the older forms too."""
    matchers = rule.get(f"{side}_matchers") or []
    texts = [matchers] if isinstance(matchers, str) else matchers
    found = [
        Condition(name=name, operator=operator, value=_text(value)) for text in texts for name, operator, value in _CONDITION.findall(text)
    ]
    found += [Condition(name=str(name), operator="=", value=str(value)) for name, value in (rule.get(f"{side}_match") or {}).items()]
    found += [Condition(name=str(name), operator="=~", value=str(value)) for name, value in (rule.get(f"{side}_match_re") or {}).items()]
    return tuple(found)


def _text(value: str) -> str:
    value = value.strip()
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') and value.endswith('"') and len(value) > 1 else value
