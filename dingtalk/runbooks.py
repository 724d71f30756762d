"""The runbooks: their first steps, which stand in messages, and their text, which is shown as a page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dingtalk.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

MAX_BYTES = 200_000
_WHAT_TO_DO = "## 怎么办"
_STEP = re.compile(r"\d+\.\s+(.+)")
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_NAME = re.compile(r"[A-Za-z0-9_]{1,80}")


class Runbooks:
    """The runbooks of a folder, read once.

    Args:
        texts: by the name of the alert, as Markdown.
    """

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = dict(texts)

    @classmethod
    def load(cls, folder: Path | None) -> Runbooks:
        """Read a folder; without one there are none.

        Raises:
            ConfigError: it cannot be read.
        """
        if folder is None:
            return cls({})
        try:
            paths = [path for path in sorted(folder.iterdir()) if path.suffix == ".md" and _NAME.fullmatch(path.stem)]
            return cls({path.stem: path.read_bytes()[:MAX_BYTES].decode(errors="replace") for path in paths})
        except OSError as error:
            raise ConfigError(f"runbooks = {folder} cannot be read: {error.strerror}") from error

    def text(self, name: str) -> str | None:
        """The runbook of an alert."""
        return self._texts.get(name)

    @property
    def titles(self) -> dict[str, str]:
        """What each is about, by its name: its heading without that name."""
        return {name: _title(name, text) for name, text in self._texts.items()}

    @property
    def first_steps(self) -> dict[str, str]:
        """What each says is to be done, a step a line, without links and code marks."""
        return {name: "\n".join(_steps(text)) for name, text in self._texts.items()}


def _title(name: str, text: str) -> str:
    heading = next((line for line in text.splitlines() if line.startswith("# ")), "")
    return heading.removeprefix("# ").strip().removeprefix(name).lstrip("：: ")


def _steps(text: str) -> Iterator[str]:
    _, _, section = text.partition(_WHAT_TO_DO)
    for line in section.partition("\n## ")[0].splitlines():
        if (found := _STEP.fullmatch(line.strip())) is not None:
            yield _LINK.sub(r"\1", found[1]).replace("`", "")
