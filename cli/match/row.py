"""One row of a file of pairs, and its answer as the columns that are added to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from service.errors import ErrorType
    from service.telemetry.event import Answer

ADDRESS_COLUMNS = ("address1", "address2")
ADDED_COLUMNS = ("label", "similarity", "p_not_match", "p_partial_match", "p_exact_match", "error_type")


@dataclass(frozen=True, slots=True, kw_only=True)
class PairRow:
    """A row after the header.

    Attributes:
        index: its number from 0; blank lines do not count.
        line: the line of the file it ended on, from 1.
        fields: its columns, as many as the header has.
        surplus: what stood past the last column.
        addresses: the two addresses; None when the row does not fit the header and nobody can tell what is what.
    """

    index: int
    line: int
    fields: tuple[str, ...]
    surplus: tuple[str, ...] = ()
    addresses: tuple[str, str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RowResult:
    """A row with its answer, or with the reason why there is none."""

    row: PairRow
    answer: Answer | None = None
    error_type: ErrorType | None = None

    def columns(self) -> tuple[str, ...]:
        """The whole row of the output: the columns it came with, the added ones, and its surplus last."""
        return (*self.row.fields, *self._added(), *self.row.surplus)

    def _added(self) -> tuple[str, ...]:
        if self.answer is None:
            return ("", "", "", "", "", "" if self.error_type is None else self.error_type.value)
        numbers = (self.answer.similarity, self.answer.not_match, self.answer.partial_match, self.answer.exact_match)
        return (self.answer.label, *(f"{number:.6f}" for number in numbers), "")
