"""The notifier as a process of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dingtalk.app import run

if TYPE_CHECKING:
    from dingtalk.config import Config


def run_notifier(config: Config) -> None:
    """Run it until a signal.

    Raises:
        NotifierError: it cannot start, or not go on.
    """
    run(config)
