"""Who may ask: the middleware that wants an API key, and the key form's session cookie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from starlette.datastructures import Headers
from starlette.responses import RedirectResponse, Response

from service.api.accept import prefers_html
from service.api.body import read_body
from service.api.middleware import request_context
from service.api.problem import problem_of
from service.errors import Unauthorized

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp, Receive, Scope, Send

    from service.api.keys import KeyRing

COOKIE = "mgeo_session"
PROBES = frozenset({"/livez", "/readyz"})
METRICS = "/metrics"
_KEY_FORM_PATHS = frozenset({"/login", "/logout"})
_FORM_LIMIT = 8192  # bytes: a key and a path


class KeyForm(Protocol):
    """Renders the page that asks for a key; with status 401 and `WWW-Authenticate`."""

    def __call__(self, *, next_path: str, wrong: bool) -> Response:
        """Ask for a key and lead to `next_path` then; `wrong`: the last one was not accepted."""
        ...


class AuthMiddleware:
    """Refuses every request without a valid key or session, but for the probes and the key form.

    Install it inside the OpenTelemetry and problem middleware, so that refusals are traced and have their ids.

    Args:
        app: what is guarded.
        keys: an empty ring lets everything through.
        metrics_need_key: whether `/metrics` is guarded too.
        key_form: what a browser is shown instead of a problem document.
    """

    def __init__(self, app: ASGIApp, *, keys: KeyRing, metrics_need_key: bool, key_form: KeyForm) -> None:
        self._app = app
        self._keys = keys
        self._open = PROBES | _KEY_FORM_PATHS | (frozenset() if metrics_need_key else frozenset({METRICS}))
        self._key_form = key_form

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass an allowed HTTP request on; answer any other with 401."""
        if scope["type"] != "http" or not self._keys or scope["path"] in self._open or self._allowed(scope):
            await self._app(scope, receive, send)
            return
        if prefers_html(Headers(scope=scope).get("accept", "")):
            response = self._key_form(next_path=_own_path(scope), wrong=False)
        else:
            response = problem_of(Unauthorized()).response(request_context(scope))
        await response(scope, receive, send)

    def _allowed(self, scope: Scope) -> bool:
        allowed = False
        for name, value in scope["headers"]:
            if name == b"authorization" and value[:7].lower() == b"bearer ":
                allowed |= self._keys.accepts(value[7:].strip())
            elif name == b"x-api-key":
                allowed |= self._keys.accepts(value.strip())
            elif name == b"cookie":
                allowed |= any(self._keys.accepts_session(token) for token in _sessions(value))
        return allowed


def session_router(*, keys: KeyRing, key_form: KeyForm, public_url: str | None = None) -> APIRouter:
    """`/login`, which exchanges a key for a session cookie, and `/logout`.

    Args:
        keys: the keys that are accepted.
        key_form: shown again after a wrong key.
        public_url: where people reach the service; with `https` the cookie is `Secure` even behind a proxy that hides it.
    """
    router = APIRouter(include_in_schema=False)

    @router.get("/login")
    async def ask(request: Request) -> Response:
        return key_form(next_path=safe_next(request.query_params.get("next", "/")), wrong=False)

    @router.post("/login")
    async def login(request: Request) -> Response:
        form = parse_qs((await read_body(request.receive, request.headers, limit=_FORM_LIMIT)).decode("utf-8", "replace"))
        next_path = safe_next(form.get("next", ["/"])[0])
        token = keys.session(form.get("key", [""])[0].strip().encode("utf-8", "replace"))
        if token is None and keys:
            return key_form(next_path=next_path, wrong=True)
        response = RedirectResponse(next_path, status_code=303)
        if token is not None:
            secure = request.url.scheme == "https" or (public_url or "").startswith("https:")
            response.set_cookie(COOKIE, token, httponly=True, samesite="strict", secure=secure)
        return response

    @router.post("/logout")
    async def logout() -> Response:
        response = RedirectResponse("/", status_code=303)
        response.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return response

    return router


def safe_next(path: str) -> str:
    """`path` when it stays on this host, else `/`. Browsers read `//` and a backslash as the start of another host."""
    local = path.startswith("/") and not path.startswith("//") and path.isprintable() and path.isascii() and "\\" not in path
    return path if local else "/"


def _own_path(scope: Scope) -> str:
    if scope["method"] not in {"GET", "HEAD"}:
        return "/"
    raw = scope.get("raw_path") or scope["path"].encode("utf-8", "replace")
    query = scope.get("query_string", b"")
    return safe_next((raw.partition(b"?")[0] + (b"?" + query if query else b"")).decode("latin-1"))


def _sessions(cookies: bytes) -> Iterator[str]:
    for pair in cookies.decode("latin-1").split(";"):
        name, _, value = pair.partition("=")
        if name.strip() == COOKIE:
            yield value.strip()
