"""The notifier that a command speaks to: that of the stack beside it, or the one at an address."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.notifier.client import NotifierClient
from cli.notifier.token_file import read_token

if TYPE_CHECKING:
    from pathlib import Path

    from cli.stack.layout import Layout

DEFAULT_URL = "http://127.0.0.1:8060"
TIMEOUT = 60.0
"""Seconds for an answer: for a maintenance, Alertmanager and the watchers have their ten each."""


def notifier_beside(data_dir: Path | None = None) -> NotifierClient:
    """The notifier of the stack of a data folder, that of the settings unless another is named.

    Raises:
        ValueError: the file of its token cannot be read.
        StartupError: a setting is wrong.
    """
    try:
        from cli.stack.layout import Layout
        from service.settings import Settings
    except ModuleNotFoundError:
        # In the notifier's own image, which has nothing of the service and no stack beside it.
        return NotifierClient(DEFAULT_URL, timeout=TIMEOUT)
    return notifier_of(Layout(Settings.load(data_dir=data_dir).data_dir.resolve()))


def notifier_of(layout: Layout) -> NotifierClient:
    """The notifier of a stack: where it listens and its token, as `mgeo up` left them.

    Raises:
        ValueError: the file of the token cannot be read.
    """
    from cli.stack.state import read_state

    state = read_state(layout)
    addresses = {process.name: process.address for process in state.processes} if state is not None else {}
    return notifier_at(addresses.get("notifier") or DEFAULT_URL, layout.notifier_token if layout.notifier_token.exists() else None)


def notifier_at(url: str, token_file: Path | None) -> NotifierClient:
    """The notifier at an address.

    Raises:
        ValueError: the URL is none, or the file of the token cannot be read.
    """
    return NotifierClient(url, token=None if token_file is None else read_token(token_file), timeout=TIMEOUT)
