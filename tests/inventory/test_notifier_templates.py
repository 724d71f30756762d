"""The page on templates names what a template gets."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from dingtalk.links import FakeLinks
from dingtalk.message import Renderer
from dingtalk.samples import samples
from dingtalk.templates import DIGEST, GROUP, Templates
from dingtalk.view import AlertView
from tests.alerts import NOW, config

PAGE = (Path(__file__).parents[2] / "docs" / "notifier-templates.md").read_text(encoding="utf-8")


class _Spy(Templates):
    """Keeps the names of what it is asked to render with."""

    def __init__(self):
        super().__init__({GROUP: "x", DIGEST: "x"})
        self.names = {}

    def render(self, name, variables):
        self.names[name] = set(variables)
        return super().render(name, variables)


def rows(heading: str) -> dict[str, str]:
    """The names of a table's first column, each with the rest of its row."""
    table = PAGE.split(heading, 1)[1].split("\n\n", 2)[1]
    return {
        name: rest
        for line in table.splitlines()[2:]
        for first, rest in [line[2:].split(" | ", 1)]
        for name in re.findall(r"`(\w+)`", first)
    }


def test_every_variable_is_on_the_page():
    """And nothing else is."""
    spy = _Spy()
    renderer = Renderer(config(), spy, links=FakeLinks())
    renderer.group(samples(NOW)["firing"], NOW)
    renderer.digest([samples(NOW)["firing"]], NOW)
    named = rows("## Variables")
    assert spy.names[GROUP] == {name for name, rest in named.items() if not rest.startswith("digest")}
    assert spy.names[DIGEST] == {name for name, rest in named.items() if not rest.startswith("group")}


def test_every_member_of_an_alert_is_on_the_page():
    """And nothing else is."""
    assert {field.name for field in dataclasses.fields(AlertView)} == set(rows("Each alert has:"))


def test_the_example_of_the_page_is_a_template():
    """It renders strictly with every sample."""
    example = PAGE.split("```jinja\n", 1)[1].split("```", 1)[0]
    assert Renderer(config(), Templates({GROUP: example})).faults(samples(NOW), NOW) == []
    (part,) = Renderer(config(), Templates({GROUP: example})).group(samples(NOW)["firing"], NOW)
    assert part.text.startswith("### 🟠 警告：推理延迟过高 · gpu-01\n\n02:51:10 起，已 12 分钟，当前 1.24 s 手册\n\n")
