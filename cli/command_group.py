"""A command that has commands of its own, such as `mgeo stack build`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True, slots=True)
class CommandGroup:
    """The help of the group, and the function of each of its commands by name."""

    help: str
    commands: Mapping[str, Callable[..., None]]
