"""The pinned version of a program, read from the Go module that builds it: there is no second place for it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cli.stack.program import Version
from service.errors import ProgramUnavailable

if TYPE_CHECKING:
    from cli.stack.program import Program

STACK = Path(__file__).parents[2] / "stack"
MANIFEST = "manifest.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """A program at its pinned version.

    Attributes:
        folder: the Go module that builds it.
        module_version: the version as the module has it.
        version: the version as it was released, and as the program tells it.
        go: the oldest Go that the module asks for.
    """

    program: Program
    folder: Path
    module_version: Version
    version: Version
    go: Version

    @property
    def manifest(self) -> Path | None:
        """What the program's sources are made from, where they are made."""
        manifest = self.folder / MANIFEST
        return manifest if manifest.is_file() else None


def read_pin(program: Program, stack: Path = STACK) -> Pin:
    """Read the pin of a program.

    Raises:
        ProgramUnavailable: the module is not there or has no such version.
    """
    folder = stack / program.name
    try:
        module = (folder / "go.mod").read_text(encoding="utf-8")
        pinned = _required(module, program.module) if program.module else _first(_MANIFEST_VERSION, folder / MANIFEST)
        go = _first(_GO_LINE, folder / "go.mod")
    except OSError as error:
        raise ProgramUnavailable(
            f"{program.name}: {error.filename} cannot be read ({error.strerror}); run mgeo from a whole checkout of its repository"
        ) from error
    except ValueError as error:
        raise ProgramUnavailable(f"{program.name}: {folder} pins no version ({error}); restore the folder from the repository") from error
    module_version = Version.parse(pinned)
    return Pin(
        program=program,
        folder=folder,
        module_version=module_version,
        version=program.release_version(module_version),
        go=Version.parse(go),
    )


def components(manifest: Path) -> list[str]:
    """The Go modules of the components that a manifest lists."""
    return re.findall(r"^ *- gomod: (\S+) v", manifest.read_text(encoding="utf-8"), re.MULTILINE)


_MANIFEST_VERSION = re.compile(r"^  version: (\d+\.\d+\.\d+)$", re.MULTILINE)
_GO_LINE = re.compile(r"^go (\d+\.\d+(?:\.\d+)?)$", re.MULTILINE)


def _first(pattern: re.Pattern[str], file: Path) -> str:
    found = pattern.search(file.read_text(encoding="utf-8"))
    if found is None:
        raise ValueError(f"{file.name} has no version")
    return found[1]


def _required(go_mod: str, module: str) -> str:
    found = re.search(rf"^(?:require )?\t?{re.escape(module)} (v\d+\.\d+\.\d+)(?: |$)", go_mod, re.MULTILINE)
    if found is None:
        raise ValueError(f"go.mod does not require {module}")
    return found[1]
