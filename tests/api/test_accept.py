"""Who gets a page and who gets JSON."""

from __future__ import annotations

import pytest

from service.api.accept import prefers_html


@pytest.mark.parametrize(
    "accept",
    [
        "text/html",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        "TEXT/HTML; charset=utf-8",
        "text/*, application/json;q=0.5",
        "application/json;q=0.2, text/html;q=0.3",
        "text/html, application/json;q=0",
        "text/html;q=5",
    ],
)
def test_browsers_prefer_html(accept):
    """HTML ranks above JSON."""
    assert prefers_html(accept)


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "*/*",
        "application/json",
        "application/json, text/html",
        "text/html, application/json",
        "text/html;q=0.5, */*",
        "text/html;q=0",
        "text/html;q=x",
        "text/html;q=-1",
        "image/png",
        ";;;,,q=1",
    ],
)
def test_everyone_else_gets_json(accept):
    """Also when both rank alike."""
    assert not prefers_html(accept)
