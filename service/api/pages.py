"""The pages for people: rendered on the server, without scripts and without anything from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse

from service.api.query import PARAMETERS
from service.errors import Outcome
from service.model.base import Label

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.responses import Response

    from service.api.assets import Asset
    from service.api.middleware import RequestContext
    from service.api.problem import Problem

STYLESHEET = "style.css"

_POLICY = "default-src 'none'; style-src {styles}; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "Vary": "Accept",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_SURROGATE = re.compile("[\ud800-\udfff]")
_CURL_BODY = '{"address1": "杭州市余杭区文一西路969号", "address2": "浙江省杭州市余杭区文一西路969号"}'


class Pages:
    """Renders every page.

    Args:
        assets: the static files, among them the stylesheet.
        version: of the service; shown at the foot.
        needs_key: whether there are API keys, so that there is something to log out from.
        searches_everywhere: whether the forms offer to search all boxes.
    """

    def __init__(self, *, assets: Mapping[str, Asset], version: str, needs_key: bool, searches_everywhere: bool = False) -> None:
        style = assets[STYLESHEET]
        self._templates = Environment(
            loader=PackageLoader("service.api"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        self._templates.filters.update(ms=in_ms, moment=in_utc, percent=in_percent, pretty=pretty)
        self._templates.globals.update(
            version=version,
            needs_key=needs_key,
            searches_everywhere=searches_everywhere,
            stylesheet=style.path,
            statuses=[outcome.value for outcome in Outcome],
            labels=[label.value for label in Label],
        )
        self._policy = _POLICY.format(styles="'self'")
        # The key form is all that may be seen without a key, so it brings its own stylesheet, allowed by its hash.
        self._inline_style = Markup(style.content.decode())  # noqa: S704 -- our own file, not a caller's text
        digest = base64.b64encode(hashlib.sha256(style.content).digest()).decode()
        self._key_policy = _POLICY.format(styles=f"'sha256-{digest}'")

    def overview(self, facts: Mapping[str, Any]) -> Response:
        """The overview; `facts` are those of `OverviewApi`."""
        return self._page("overview.html", curl_body=_CURL_BODY, **facts)

    def story(self, story: Mapping[str, Any]) -> Response:
        """The story of a request, from the members of `StoryRenderer.story`."""
        return self._page("story.html", story=story)

    def search(self, page: Mapping[str, Any], query: Mapping[str, str]) -> Response:
        """The results of a search, with the form to change it; `query` as the browser sent it."""
        return self._page("search.html", page=page, query={name: query.get(name, "") for name in PARAMETERS}, by_address=False)

    def address_search(self, page: Mapping[str, Any], *, everywhere: bool) -> Response:
        """The results of a search by address, on all boxes or this one; the address itself is not shown again."""
        query = dict.fromkeys(PARAMETERS, "") | ({"everywhere": "true"} if everywhere else {})
        return self._page("search.html", page=page, query=query, by_address=True)

    def docs(self, operations: Sequence[Mapping[str, Any]], problems: Sequence[Mapping[str, Any]]) -> Response:
        """The page of the API, from its operations and its error types."""
        return self._page("docs.html", operations=operations, problems=problems)

    def problem(self, problem: Problem, context: RequestContext) -> Response:
        """A problem, for a browser."""
        document = problem.document(request_id=context.request_id, trace_id=context.trace_id)
        headers = dict(problem.headers)
        if problem.retry_seconds is not None:
            headers["Retry-After"] = str(problem.retry_seconds)
        return self._page("problem.html", status=problem.status, headers=headers, problem=document)

    def key_form(self, *, next_path: str, wrong: bool) -> Response:
        """The form that asks for an API key."""
        return self._page(
            "key.html",
            status=401,
            headers={"WWW-Authenticate": 'Bearer realm="mgeo"', "Content-Security-Policy": self._key_policy},
            style=self._inline_style,
            next_path=next_path,
            wrong=wrong,
        )

    def _page(self, template: str, *, status: int = 200, headers: Mapping[str, str] | None = None, **facts: object) -> Response:
        # A lone surrogate, which captured text can hold, has no place in UTF-8.
        html = _SURROGATE.sub("\ufffd", self._templates.get_template(template).render(facts))
        return HTMLResponse(html, status, {**_HEADERS, "Content-Security-Policy": self._policy, **(headers or {})})


def in_ms(milliseconds: float | None) -> str:
    """A duration with three digits that matter: `0.42 ms`, `12.3 ms`, `1.25 s`; a dash without one."""
    if milliseconds is None:
        return "–"
    if milliseconds >= 1000:
        return f"{milliseconds / 1000:,.2f} s"
    return f"{milliseconds:.2f} ms" if milliseconds < 10 else f"{milliseconds:.1f} ms"


def in_utc(timestamp: str) -> str:
    """An RFC 3339 moment as people read it, to the millisecond, or to the second when it is a whole one."""
    day, _, time = timestamp.partition("T")
    return f"{day} {time[:12].removesuffix('.000')} UTC"


def in_percent(share: float) -> str:
    """A probability: `95.0 %`."""
    return f"{share * 100:.1f} %"


def pretty(value: object) -> str:
    """JSON over several lines."""
    return json.dumps(value, ensure_ascii=False, indent=2)
