"""A message as its group sees it, with the people who are called by their names instead of their numbers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from dingtalk.markdown import render, target
from dingtalk.mention import EVERYONE, masked
from dingtalk.part import Shape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from dingtalk.config import Person
    from dingtalk.part import Part


class Bubbles:
    """Shows messages.

    Args:
        people: whose names are known.
    """

    def __init__(self, people: Iterable[Person]) -> None:
        self._names = {key: person.name for person in people for key in (person.mobile, person.user_id) if key}

    def html(self, part: Part) -> Markup:
        """The text, as HTML in which nothing of it can become an element."""
        mark = self._marker(part)
        if part.shape is Shape.TEXT:
            return Markup("<p>{}</p>").format(mark(part.text))
        return render(part.text, mark)

    @staticmethod
    def buttons(part: Part) -> list[tuple[str, str]]:
        """Title and address of each button."""
        return [(button.title, target(button.url)) for button in part.buttons]

    def _marker(self, part: Part) -> Callable[[str], Markup]:
        called = {number: self._names.get(number) or masked(number) for number in part.mention.mobiles}
        called |= {number: self._names.get(number, number) for number in part.mention.user_ids}
        if part.mention.everyone:
            called[EVERYONE.removeprefix("@")] = EVERYONE.removeprefix("@")
        return (lambda text: _marked(text, called)) if called else escape


def _marked(text: str, called: Mapping[str, str]) -> Markup:
    # The longest first, and nothing after it that would make it a longer number.
    alternatives = "|".join(re.escape(each) for each in sorted(called, key=len, reverse=True))
    pieces, end = [], 0
    for found in re.finditer(rf"@({alternatives})(?![0-9A-Za-z_])", text):
        pieces += [escape(text[end : found.start()]), Markup('<span class="at">@{}</span>').format(called[found[1]])]
        end = found.end()
    return Markup("").join([*pieces, escape(text[end:])])
