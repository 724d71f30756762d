"""The user's own templates: Jinja2 in a sandbox, in which no value can forget to be escaped, and nothing grows or runs without end.

A template that fails costs no message: `render` gives None, the failure is reported, and the built-in form is used.
"""

from __future__ import annotations

import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from jinja2 import (
    ChainableUndefined,
    DictLoader,
    StrictUndefined,
    Template,
    TemplateError,
    TemplateSyntaxError,
    Undefined,
    nodes,
)
from jinja2.sandbox import SandboxedEnvironment

from dingtalk.errors import ConfigError
from dingtalk.escape import escape, link, safe_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from jinja2.runtime import Context

GROUP = "group.md.j2"
DIGEST = "digest.md.j2"
MAX_OUTPUT_CHARACTERS = 1_000_000
MAX_TURNS = 200_000
"""Turns of all loops of one rendering."""
MAX_SECONDS = 2.0
MAX_REPETITION = 10_000
"""Characters or items that `*`, `range` and the like may make."""
MAX_VALUE_CHARACTERS = 2_000

# Each makes a text as long as a number says.
_GREEDY_FILTERS = ("center", "format", "indent", "wordwrap", "batch", "slice", "tojson", "pprint", "xmlattr", "urlize")


class Markdown(str):
    """Text that is markdown already: only the notifier makes it."""

    __slots__ = ()


class TemplateFailed(Exception):
    """A template that gave nothing that can be sent. The message names the template and the line, and quotes no value."""


class _Budget:
    """What is left of the turns and the time of one rendering."""

    __slots__ = ("_deadline", "_monotonic", "_turns")

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._deadline = monotonic() + MAX_SECONDS
        self._turns = MAX_TURNS

    def spend(self) -> None:
        """One turn.

        Raises:
            TemplateFailed: nothing is left.
        """
        self._turns -= 1
        if self._turns < 0:
            raise TemplateFailed(f"more than {MAX_TURNS:,} turns of its loops")
        if self._monotonic() > self._deadline:
            raise TemplateFailed(f"more than {MAX_SECONDS:g} seconds")


# Of the rendering that runs; a variable of the template would not reach the macros of another file.
_running: ContextVar[_Budget] = ContextVar("running")


class _Environment(SandboxedEnvironment):
    """A sandbox that counts."""

    intercepted_binops = frozenset({"*", "**", "%"})

    def __init__(self, sources: Mapping[str, str], undefined: type[Undefined]) -> None:
        super().__init__(
            loader=DictLoader(dict(sources)),
            undefined=undefined,
            finalize=_finalize,
            autoescape=False,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=False,
        )
        for name in _GREEDY_FILTERS:
            del self.filters[name]
        for name in ("lipsum", "cycler"):
            del self.globals[name]
        self.globals["range"] = _bounded_range
        self.filters |= {"counted": _counted, "link": _link}

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        for loop in tree.find_all(nodes.For):
            loop.iter = nodes.Filter(loop.iter, "counted", [], [], None, None, lineno=loop.lineno)
        return tree

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:  # Any: values of a template
        """Refuse what would make a giant of two small things."""
        if operator == "**" or (operator == "%" and isinstance(left, str)):
            raise TemplateFailed(f"{operator} is not available here")
        if operator == "*":
            for many, number in ((left, right), (right, left)):
                if isinstance(many, (str, list, tuple)) and isinstance(number, int) and len(many) * number > MAX_REPETITION:
                    raise TemplateFailed(f"a repetition of more than {MAX_REPETITION:,}")
        return super().call_binop(context, operator, left, right)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:  # Any: as the sandbox has it
        """Methods of text that pad or repeat are none for templates."""
        if isinstance(obj, str) and attr in {"format", "format_map", "ljust", "rjust", "center", "zfill", "expandtabs", "translate"}:
            return False
        return super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value: Any) -> Any:  # Any: as the sandbox has it
        """`format` pads to any width, and the sandbox has a way of its own to it."""
        if super().wrap_str_format(value) is not None:
            raise TemplateFailed("format is not available here")

    def unsafe_undefined(self, _obj: Any, attribute: str) -> Undefined:  # Any: as the sandbox has it
        """An error also where what is not defined is empty."""
        raise TemplateFailed(f"{attribute} is not available here")


class Templates:
    """The templates of a folder.

    Args:
        sources: each `.j2` file's text by its name.
        on_failure: told the template's name and the reason, each time one fails; for a counter and a log line.
        monotonic: for the limit of time.

    Raises:
        ConfigError: one is no template; names the file and the line.
    """

    def __init__(
        self,
        sources: Mapping[str, str],
        *,
        on_failure: Callable[[str, str], None] = lambda _name, _reason: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._on_failure = on_failure
        self._monotonic = monotonic
        self._lenient = _compiled(sources, ChainableUndefined)
        self._strict = _compiled(sources, StrictUndefined)

    @classmethod
    def load(cls, folder: Path | None, *, on_failure: Callable[[str, str], None] = lambda _name, _reason: None) -> Templates:
        """Read the templates of a folder; none at all without a folder.

        Raises:
            ConfigError: the folder or a file cannot be read, has neither of the two templates, or one is no template.
        """
        if folder is None:
            return cls({}, on_failure=on_failure)
        try:
            sources = {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.j2"))}
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"templates {folder} cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8'}") from error
        if not {GROUP, DIGEST} & set(sources):
            raise ConfigError(f"templates {folder} has neither {GROUP} nor {DIGEST}")
        return cls(sources, on_failure=on_failure)

    def has(self, name: str) -> bool:
        """Whether the user has one of this name."""
        return name in self._lenient

    def render(self, name: str, variables: Mapping[str, Any]) -> str | None:  # Any: whatever a template may show
        """The text, or None when there is no such template or it failed, which is reported. What is not defined is empty."""
        if not self.has(name):
            return None
        try:
            return self._render(self._lenient[name], variables)
        except TemplateFailed as error:
            self._on_failure(name, str(error))
            return None

    def check(self, name: str, variables: Mapping[str, Any]) -> str:  # Any: as above
        """The text, with every name that is not defined an error.

        Raises:
            TemplateFailed: says what is wrong, and in which line.
        """
        return self._render(self._strict[name], variables)

    def _render(self, template: Template, variables: Mapping[str, Any]) -> str:  # Any: as above
        budget = _Budget(self._monotonic)
        before = _running.set(budget)
        try:
            text = "".join(_bounded(template.generate(variables), budget)).strip()
        except TemplateFailed as error:
            raise TemplateFailed(f"{template.name}: {error}") from None
        except TemplateError as error:
            raise TemplateFailed(f"{template.name}, line {_line(error, template)}: {error.message}") from error
        except Exception as error:
            # Its text may quote a value.
            raise TemplateFailed(f"{template.name}, line {_line(error, template)}: {type(error).__name__}") from error
        finally:
            _running.reset(before)
        if not text:
            raise TemplateFailed(f"{template.name}: gives an empty text")
        return text


def _compiled(sources: Mapping[str, str], undefined: type[Undefined]) -> dict[str, Template]:
    environment = _Environment(sources, undefined)
    try:
        return {name: environment.get_template(name) for name in sources}
    except TemplateSyntaxError as error:
        raise ConfigError(f"template {error.name}, line {error.lineno}: {error.message}") from error


def _bounded(pieces: Iterable[str], budget: _Budget) -> Iterator[str]:
    length = 0
    for piece in pieces:
        budget.spend()
        length += len(piece)
        if length > MAX_OUTPUT_CHARACTERS:
            raise TemplateFailed(f"more than {MAX_OUTPUT_CHARACTERS:,} characters")
        yield piece


def _finalize(value: Any) -> str:  # Any: what an expression gives
    if isinstance(value, Markdown):
        return str(value)
    if value is None:
        return ""
    # A list or a mapping is shown as Python writes it, and has values inside.
    text = str(value)
    escaped = escape(text, MAX_VALUE_CHARACTERS)
    # What joins others, such as a comma and a blank, keeps its blanks; one of them means nothing to markdown.
    return " " * text.startswith(" ") + escaped + " " * (text.endswith(" ") and bool(escaped))


def _counted(items: Iterable[Any]) -> Iterator[Any]:  # Any: as above
    budget = _running.get()
    for item in items:
        budget.spend()
        yield item


def _bounded_range(*bounds: int) -> range:
    numbers = range(*bounds)
    if len(numbers) > MAX_REPETITION:
        raise TemplateFailed(f"a range of more than {MAX_REPETITION:,}")
    return numbers


def _link(url: str, title: str) -> Markdown:
    return Markdown(link(str(title), safe_url(str(url))))


def _line(error: BaseException, template: Template) -> int | str:
    if isinstance(error, TemplateSyntaxError):
        return error.lineno
    trace, line = error.__traceback__, 0
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == (template.filename or "<template>"):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line or "?"
