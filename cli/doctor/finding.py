"""What a check of `mgeo doctor` found, and how to mend it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class Verdict(StrEnum):
    """How bad it is: nothing; worth knowing; the service will not work."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The result of one check: `found` says what is, `fix` what mends it and is empty when nothing needs mending."""

    check: str
    verdict: Verdict
    found: str
    fix: str = ""

    def text(self) -> str:
        """For a reader: one line, and one more for the fix."""
        first, *more = self.found.splitlines() or [""]
        lines = [f"{self.verdict.value:<5} {self.check:<12} {first}", *(f"{'':<19}{line}" for line in more)]
        return "\n".join([*lines, *([f"{'':<19}to mend it: {self.fix}"] if self.fix else [])])


def ok(check: str, found: str) -> Finding:
    """All is well."""
    return Finding(check=check, verdict=Verdict.OK, found=found)


def warn(check: str, found: str, fix: str) -> Finding:
    """It works, but someone should know."""
    return Finding(check=check, verdict=Verdict.WARN, found=found, fix=fix)


def fail(check: str, found: str, fix: str) -> Finding:
    """It will not work."""
    return Finding(check=check, verdict=Verdict.FAIL, found=found, fix=fix)


def worst(findings: Sequence[Finding]) -> Verdict:
    """The worst verdict there is; ok without any finding."""
    return max((finding.verdict for finding in findings), key=list(Verdict).index, default=Verdict.OK)


def findings_json(findings: Sequence[Finding]) -> dict[str, object]:
    """All findings as JSON values, with the worst verdict first."""
    return {"verdict": worst(findings).value, "checks": [asdict(finding) for finding in findings]}
