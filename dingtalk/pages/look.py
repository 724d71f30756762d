"""How every page is made: the templates, the one stylesheet, and the headers that keep everything else out."""

from __future__ import annotations

import base64
import hashlib
import re
from importlib import resources
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse

from dingtalk import wording
from dingtalk.notice import DEGRADATION_WORDS
from dingtalk.pages import words

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import tzinfo

    from starlette.responses import Response

    from dingtalk.clock import Clock

_POLICY = "default-src 'none'; style-src 'sha256-{digest}'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
_HEADERS = {
    "Cache-Control": "no-store",
    # Not `no-referrer`: the Origin of a form would be `null` then, as that of a foreign page may be.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_SURROGATE = re.compile("[\ud800-\udfff]")


class Look:
    """Renders pages.

    Args:
        zone: of all times.
        clock: for what is said of today.
    """

    def __init__(self, *, zone: tzinfo, clock: Clock) -> None:
        self._zone = zone
        self._clock = clock
        style = resources.files(__package__).joinpath("static", "style.css").read_bytes()
        # In the page, allowed by its hash: there is no address of it that a prefix could break, and nothing to ask a password for.
        digest = base64.b64encode(hashlib.sha256(style).digest()).decode()
        self._headers = {**_HEADERS, "Content-Security-Policy": _POLICY.format(digest=digest)}
        self._templates = Environment(
            loader=PackageLoader("dingtalk.pages"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        self._templates.filters.update(moment=self._moment, duration=wording.duration, outcome=words.outcome, robot=words.robot)
        self._templates.globals.update(
            style=Markup(style.decode()),  # noqa: S704 -- our own file, not a caller's text
            states=words.STATES,
            robot_states=words.ROBOT_STATES,
            unreachable=words.UNREACHABLE,
            lanes=words.LANES,
            forms=words.FORMS,
            receipt_states=words.RECEIPTS,
            steps=DEGRADATION_WORDS,
        )

    def page(self, template: str, path: str, *, status: int = 200, headers: Mapping[str, str] | None = None, **facts: object) -> Response:
        """A page.

        Args:
            template: its file.
            path: at which it is shown; its links are relative to it, so that they hold behind whatever prefix a gateway takes off.
            status: of the answer.
            headers: more headers.
            **facts: what the template names.
        """
        # A lone surrogate, which a label can hold, has no place in UTF-8.
        html = _SURROGATE.sub("\ufffd", self._templates.get_template(template).render({"root": root(path), **facts}))
        return HTMLResponse(html, status, {**self._headers, **(headers or {})})

    def _moment(self, at: float) -> str:
        return wording.local_time(at, self._zone, self._clock.unix())


def root(path: str) -> str:
    """The way from a path to `/`, as a relative address."""
    return "../" * (path.count("/") - 1) or "./"
