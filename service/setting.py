"""How a setting is declared: its default, what it does and why so, its unit, its bounds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, SecretStr

Secret = SecretStr


def setting(default: Any, description: str, *, unit: str = "", **bounds: Any) -> Any:
    """Declare one setting: its default, what it does and why so, its unit, its bounds."""
    return Field(default=default, description=description, json_schema_extra={"unit": unit}, **bounds)


def expanded(path: Path) -> Path:
    """The path with `~` replaced.

    Raises:
        ValueError: it has a NUL character, or the home folder is not known.
    """
    if "\0" in str(path):
        raise ValueError("a path has no NUL character")
    try:
        return path.expanduser()
    except RuntimeError as error:
        message = f"the home folder of {path.parts[0]} is not known"
        raise ValueError(message) from error


FilePath = Annotated[Path, AfterValidator(expanded)]
