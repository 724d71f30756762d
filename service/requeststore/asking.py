"""What went wrong while one story was put together: who did not answer, why, and what the story lacks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ParamSpec, TypeVar

from service.errors import BackendFailed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

P = ParamSpec("P")
R = TypeVar("R")


class Asking:
    """The questions of one story. A store that failed once is not asked again, so that it costs its time once.

    Attributes:
        failures: by the name of a store, in words, how it failed.
    """

    def __init__(self) -> None:
        self.failures: dict[str, str] = {}
        self._notes: list[str] = []

    async def ask(self, name: str, question: Callable[P, Awaitable[R]], *args: P.args, **kwargs: P.kwargs) -> R | None:
        """The answer of a store; None when it fails now, or has failed before."""
        if name in self.failures:
            return None
        try:
            return await question(*args, **kwargs)
        except BackendFailed as error:
            self.failures.setdefault(name, str(error))
            return None

    def note(self, text: str) -> None:
        """Say what else the story lacks; once, however often it comes up."""
        if text not in self._notes:
            self._notes.append(text)

    def gaps(self, lacking: Mapping[str, str]) -> tuple[str, ...]:
        """In words: each failure with what it leaves out, and the notes."""
        return (*(f"{failure}: {lacking[name]}" for name, failure in self.failures.items()), *self._notes)
