"""A person's browser: a page, and what must not have happened on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page

QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


class Visit:
    """A page, and what must not have happened on it."""

    def __init__(self, page: Page, url: str, shots: Path) -> None:
        self.page, self._url, self._shots = page, url, shots
        self._complaints: list[str] = []
        # A page with an error status is itself a failed resource to the console.
        page.on("console", lambda message: self._complaints.append(message.text) if self._is_complaint(message) else None)
        page.on("pageerror", lambda error: self._complaints.append(str(error)))
        page.on("requestfailed", lambda request: self._complaints.append(f"failed: {request.url}"))
        page.on("request", lambda request: self._outside(request.url))

    def open(self, path: str) -> Page:
        """Go to a path of the server."""
        self.page.goto(self._url + path)
        return self.page

    def shot(self, name: str) -> None:
        """Keep a picture of the whole page."""
        self.page.screenshot(path=self._shots / f"{name}.png", full_page=True)

    def ended_well(self) -> None:
        """No errors in the console, no breach of the content policy, nothing asked from elsewhere."""
        assert self._complaints == []

    @staticmethod
    def _is_complaint(message) -> bool:
        return message.type in {"error", "warning"} and not message.text.startswith(
            "Failed to load resource: the server responded with a status"
        )

    def _outside(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "data" and f"{parts.scheme}://{parts.netloc}" != self._url:
            self._complaints.append(f"asked from elsewhere: {url}")


def visiting(browser: Browser, url: str, shots: Path, **options) -> Iterator[Visit]:
    """A fresh session on a server, which must have ended well."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, **options)
    context.set_default_timeout(15_000)
    visit = Visit(context.new_page(), url, shots)
    yield visit
    context.close()
    visit.ended_well()
