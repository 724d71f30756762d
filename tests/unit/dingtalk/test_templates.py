"""The user's own templates."""

from __future__ import annotations

import itertools

import pytest

from dingtalk.errors import ConfigError
from dingtalk.templates import GROUP, TemplateFailed, Templates

HOSTILE = "@所有人 [x](https://evil.example) **b**"
SAFE = "＠所有人 ［x］(https：//evil.example) ＊＊b＊＊"


@pytest.fixture
def failures():
    return []


@pytest.fixture
def rendered(failures):
    def rendered(text: str, **variables: object) -> str | None:
        templates = Templates({GROUP: text}, on_failure=lambda name, reason: failures.append((name, reason)))
        return templates.render(GROUP, variables)

    return rendered


@pytest.mark.parametrize(
    "expression",
    [
        "{{ value }}",
        "{{ value | safe }}",
        "{{ value | string }}",
        "{{ value ~ '' }}",
        "{{ [value] | join }}",
        "{{ [value] | first }}",
        "{% set other = value %}{{ other }}",
        "{% for one in [value] %}{{ one }}{% endfor %}",
        "{% macro show(text) %}{{ text }}{% endmacro %}{{ show(value) }}",
        "{% filter trim %}{{ value }}{% endfilter %}",
        "{{ labels.value }}",
        "{{ labels['value'] }}",
        "{{ value | escape | replace('&amp;', '&') }}",
    ],
)
def test_no_value_can_forget_to_be_escaped(rendered, expression):
    """Whatever the template does with it; its own markdown stays."""
    assert rendered("**own** " + expression, value=HOSTILE, labels={"value": HOSTILE}) == "**own** " + SAFE


def test_a_whole_mapping_is_escaped_too(rendered):
    """As Python writes it."""
    assert rendered("{{ labels }}", labels={"a": "[x](y)"}) == "{'a': '［x］(y)'}"


def test_links_are_made_by_a_filter(rendered):
    """It takes web addresses, and nothing else becomes a link."""
    assert rendered("{{ url | link('手册') }}", url="https://a.example/(x)") == "[手册](https://a.example/%28x%29)"
    assert rendered("{{ url | link('手册') }}", url="javascript:alert(1)") == "手册"
    assert rendered("{{ url | link(title) }}", url="https://a.example/", title=HOSTILE) == f"[{SAFE}](https://a.example/)"


def test_what_is_not_defined_is_empty_when_it_runs(rendered, failures):
    """A label that one alert lacks costs no message."""
    assert rendered("a{{ labels.team.name }}", labels={}) == "a"
    assert failures == []


def test_what_is_not_defined_is_an_error_in_a_check():
    """Before it runs, with the line."""
    templates = Templates({GROUP: "one\n{{ colour }}"})
    with pytest.raises(TemplateFailed, match=r"group\.md\.j2, line 2: 'colour' is undefined"):
        templates.check(GROUP, {})
    assert Templates({GROUP: "{{ summary }}"}).check(GROUP, {"summary": "x"}) == "x"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{% if false %}x{% endif %}", "group.md.j2: gives an empty text"),
        ("{{ '\u200b' }}  \n", "group.md.j2: gives an empty text"),
        ("a\n{{ 1 // 0 }}", "group.md.j2, line 2: ZeroDivisionError"),
        ("{{ secret + 1 }}", "group.md.j2, line 1: TypeError"),
        ("{{ secret.__class__.__mro__ }}", "group.md.j2: __class__ is not available here"),
        ("{% include 'absent.j2' %}", "group.md.j2, line 1: absent.j2"),
        ("{% for i in range(10**9) %}{% endfor %}", "group.md.j2: ** is not available here"),
        ("{% for i in range(1000000000) %}{% endfor %}", "group.md.j2: a range of more than 10,000"),
        (
            "{% for i in range(9999) %}{% for j in range(9999) %}{% set x = i %}{% endfor %}{% endfor %}",
            "group.md.j2: more than 200,000 turns of its loops",
        ),
        ("{{ 'x' * 1000000000 }}", "group.md.j2: a repetition of more than 10,000"),
        ("{{ 1000000000 * [1] }}", "group.md.j2: a repetition of more than 10,000"),
        ("{{ '%1000000000d' % 1 }}", "group.md.j2: % is not available here"),
        ("{{ '{:>1000000000}'.format(1) }}", "group.md.j2: format is not available here"),
        ("{{ '{:>1000000000}'['format'](1) }}", "group.md.j2: format is not available here"),
        ("{{ 'x'.ljust(1000000000) }}", "group.md.j2: ljust is not available here"),
        ("{% macro again() %}{{ again() }}{% endmacro %}{{ again() }}", "group.md.j2, line 1: RecursionError"),
        ("{% for i in range(9000) %}" + "x" * 200 + "{% endfor %}", "group.md.j2: more than 1,000,000 characters"),
    ],
)
def test_a_template_that_fails_is_reported_and_gives_nothing(rendered, failures, text, reason):
    """With the place, without a value."""
    assert rendered(text, secret="杭州市余杭区") is None
    assert failures == [(GROUP, reason)]


def test_a_template_that_is_too_slow_fails(failures):
    """By the clock that only goes forward."""
    ticks = itertools.count()
    templates = Templates(
        {GROUP: "{% for one in items %}x{% endfor %}"},
        on_failure=lambda *failure: failures.append(failure),
        monotonic=lambda: float(next(ticks)),
    )
    assert templates.render(GROUP, {"items": list(range(100))}) is None
    assert failures == [(GROUP, "group.md.j2: more than 2 seconds")]


def test_nothing_is_written_for_none_and_macros_of_another_file_count_their_loops(failures):
    """Though they see no variables."""
    loops = "{% macro show(n) %}{% for i in range(n) %}{% for j in range(n) %}{% endfor %}{% endfor %}done{% endmacro %}"
    sources = {"loops.j2": loops, GROUP: "{% from 'loops.j2' import show %}{{ none }}{{ show(n) }}"}
    templates = Templates(sources, on_failure=lambda *failure: failures.append(failure))
    assert templates.render(GROUP, {"n": 3}) == "done"
    assert templates.render(GROUP, {"n": 9_999}) is None
    assert failures == [(GROUP, "group.md.j2: more than 200,000 turns of its loops")]


def test_a_loop_knows_its_place(rendered):
    """Counting does not take that away."""
    text = "{% for one in items %}{{ loop.index }}/{{ loop.length }}{{ ', ' if not loop.last }}{% endfor %}"
    assert rendered(text, items=["a", "b"]) == "1/2, 2/2"
    assert rendered("{% for one in items if one != 'a' %}{{ one }}{% else %}none{% endfor %}", items=["a", "b"]) == "b"
    assert rendered("{% for name, value in labels.items() %}{{ name }}={{ value }}{% endfor %}", labels={"a": "1"}) == "a=1"


def test_a_folder_has_one_of_the_two(tmp_path):
    """And what they include."""
    (tmp_path / "group.md.j2").write_text("{% include 'foot.j2' %}")
    (tmp_path / "foot.j2").write_text("foot")
    templates = Templates.load(tmp_path)
    assert templates.has(GROUP)
    assert not templates.has("digest.md.j2")
    assert templates.render(GROUP, {}) == "foot"
    assert templates.render("digest.md.j2", {}) is None
    assert not Templates.load(None).has(GROUP)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("group.md.j2", b"a\n{{ b", r"template group\.md\.j2, line 2: "),
        ("group.md.j2", b"a\n{% nonsense %}", r"template group\.md\.j2, line 2: Encountered unknown tag 'nonsense'"),
        ("group.md.j2", b"{{ 1 | center(80) }}", r"template group\.md\.j2, line 1: No filter named 'center'"),
        ("group.md.j2", b"\xff", "cannot be read: it is not UTF-8"),
        ("grupo.md.j2", b"x", "has neither group.md.j2 nor digest.md.j2"),
    ],
)
def test_what_is_no_template_is_named(tmp_path, name, content, said):
    """When the notifier starts, not when it has something to say."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=said):
        Templates.load(tmp_path)
