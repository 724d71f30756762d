"""What import-linter cannot say: which module may import which part of a library."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted([*ROOT.glob("service/**/*.py"), *ROOT.glob("cli/**/*.py")])


def imports(path: Path) -> set[str]:
    """Every module that a file names in an import statement."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_sdk_is_imported_by_the_module_that_sets_it_up_and_no_other(module: Path) -> None:
    """Types apart, nobody but telemetry/sdk depends on the OpenTelemetry SDK, so that an API-only user can swap it."""
    sdk = {name for name in imports(module) if name.startswith("opentelemetry.sdk")}
    typing_only = module.name == "recording.py"
    assert not sdk or module.is_relative_to(ROOT / "service/telemetry/sdk") or typing_only


def test_the_environment_is_read_by_the_settings_and_what_sets_up_opentelemetry() -> None:
    """A setting that is read anywhere else is not in the table."""
    readers = {
        str(path.relative_to(ROOT))
        for path in ROOT.glob("service/**/*.py")
        if "os.environ" in path.read_text(encoding="utf-8") or "os.getenv" in path.read_text(encoding="utf-8")
    }
    assert readers == {
        "service/__main__.py",
        "service/app.py",
        "service/settings.py",
        "service/telemetry/sdk/exporters.py",
        "service/telemetry/sdk/providers.py",
    }
