"""How every page is made: the templates over one base page, the one stylesheet, and the headers that keep everything else out."""

from __future__ import annotations

import base64
import hashlib
import re
from importlib import resources
from typing import TYPE_CHECKING

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse

from dingtalk import wording

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
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
    """Renders the pages of a package, whose templates extend `base.html`.

    Args:
        package: has the folder `templates`.
        zone: of all times.
        clock: for what is said of today.
        headers: of each of its pages, over those that every page has.
        filters: beside `moment` and `duration`.
        names: what its templates may name in any case.
    """

    def __init__(
        self,
        package: str,
        *,
        zone: tzinfo,
        clock: Clock,
        headers: Mapping[str, str] | None = None,
        filters: Mapping[str, Callable[..., object]] | None = None,
        names: Mapping[str, object] | None = None,
    ) -> None:
        self._zone = zone
        self._clock = clock
        style = resources.files(__package__).joinpath("static", "style.css").read_bytes()
        # In the page, allowed by its hash: there is no address of it that a prefix could break, and nothing to ask a password for.
        digest = base64.b64encode(hashlib.sha256(style).digest()).decode()
        self._headers = {**_HEADERS, "Content-Security-Policy": _POLICY.format(digest=digest), **(headers or {})}
        self._templates = Environment(
            loader=ChoiceLoader([PackageLoader(package), PackageLoader(__package__)]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters.update({"moment": self._moment, "duration": wording.duration, **(filters or {})})
        self._templates.globals.update({"style": Markup(style.decode()), **(names or {})})  # noqa: S704 -- our own file, not a caller's text

    def page(self, template: str, *, status: int = 200, headers: Mapping[str, str] | None = None, **facts: object) -> Response:
        """A page.

        Args:
            template: its file.
            status: of the answer.
            headers: more headers.
            **facts: what the template names.
        """
        # A lone surrogate, which a label can hold, has no place in UTF-8.
        html = _SURROGATE.sub("\ufffd", self._templates.get_template(template).render(facts))
        return HTMLResponse(html, status, {**self._headers, **(headers or {})})

    def _moment(self, at: float) -> str:
        return wording.local_time(at, self._zone, self._clock.unix())


def root(path: str) -> str:
    """The way from a path to `/`, as a relative address: links made of it hold behind whatever prefix a gateway takes off."""
    return "../" * (path.count("/") - 1) or "./"
