"""The program as a whole: help, laziness, messages and exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from cli import main as program
from cli.main import COMMANDS, LazyCommands, main

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "transformers", "fastapi", "opentelemetry", "pydantic", "rich", "uvicorn", "sqlite3", "numpy", "asyncio")
SHOW_HEAVY = f"""
import json, sys
before = set(sys.modules)
from cli.main import main
code = main(sys.argv[1:])
sys.stderr.write(json.dumps([code, [name for name in {HEAVY!r} if name in sys.modules and name not in before]]))
"""


def in_a_process(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "cli.main", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_help_imports_nothing_heavy(command):
    """The help of the program and of each command comes without the libraries the commands need."""
    arguments = [] if command is None else [command]
    ran = subprocess.run(
        [sys.executable, "-c", SHOW_HEAVY, *arguments, "--help"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert json.loads(ran.stderr) == [0, []]
    assert ran.stdout.startswith(f"Usage: mgeo {'[OPTIONS] COMMAND' if command is None else command}")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_teaches_by_examples(command, capsys):
    """The help of every command shows at least two ways to call it, and each option says what it does."""
    assert main([command, "--help"]) == 0
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    examples = lines[lines.index("  Examples:") + 1 :]
    assert sum(line.startswith(f"    mgeo {command}") for line in examples) >= 2
    assert printed.err == ""


def test_the_short_help_option_works_everywhere(capsys):
    """`-h` is `--help`."""
    assert main(["-h"]) == 0
    assert main(["doctor", "-h"]) == 0
    assert capsys.readouterr().out.count("Usage: mgeo") == 2


def test_without_arguments_the_help_is_shown(capsys):
    """`mgeo` alone shows the help, and is a wrong usage."""
    assert main([]) == 2
    captured = capsys.readouterr()
    assert "Usage: mgeo" in captured.out + captured.err


def test_the_version_is_that_of_the_project(capsys):
    """`--version` prints what pyproject.toml says."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"mgeo {version}\n"


def test_a_mistyped_command_is_answered_with_the_nearest(capsys):
    """`mgeo loadd` is a wrong usage; the message knows `load`."""
    assert main(["loadd"]) == 2
    assert "Did you mean 'load'?" in capsys.readouterr().err


def test_a_wrong_setting_is_a_message_and_exit_code_78(monkeypatch, capsys):
    """A setting that is wrong ends the program with a line that names it and how to mend it, without a traceback."""
    monkeypatch.setenv("MGEO_QUEUE_SIZE", "many")
    assert main(["match", "a", "b", "--model", "fake"]) == 78
    error = capsys.readouterr().err
    assert error.startswith("mgeo: the settings are wrong:\n  - MGEO_QUEUE_SIZE = 'many'")
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("raised", "code", "shown"),
    [
        ("KeyboardInterrupt", 130, ""),
        ("StoreError('the disk is gone')", 1, "mgeo: the disk is gone\n"),
        ("ModelLoadError('no weights')", 78, "mgeo: no weights\n"),
        ("typer.Exit(7)", 7, ""),
    ],
)
def test_every_end_has_its_exit_code(monkeypatch, tmp_path, capsys, raised, code, shown):
    """Ctrl-C is 130, an expected error 1, a failed start its own code; each expected error is one message."""
    (tmp_path / "boom_command.py").write_text(
        f"import typer\nfrom service.errors import ModelLoadError, StoreError\n\n\ndef boom():\n    raise {raised}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(program.COMMANDS, "boom", "boom_command")
    assert main(["boom"]) == code
    assert capsys.readouterr().err == shown
    sys.modules.pop("boom_command", None)


def test_the_commands_are_a_mapping_that_imports_on_demand():
    """Names are known without an import; a command can be added and forgotten; an unknown one is a KeyError."""
    commands = LazyCommands({"serve": "cli.serve", "nowhere": "cli.nowhere"})
    assert (list(commands), len(commands)) == (["serve", "nowhere"], 2)
    assert commands["serve"] is commands["serve"]
    commands["other"] = commands["serve"]
    assert commands["other"].name == "serve"
    del commands["other"]
    with pytest.raises(KeyError):
        commands["other"]
    with pytest.raises(ModuleNotFoundError):
        commands["nowhere"]


def test_a_pipe_that_closes_early_is_no_traceback():
    """`mgeo --help | head` ends quietly."""
    process = subprocess.Popen(
        [sys.executable, "-m", "cli.main", "load", "--help"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    process.stdout.close()
    _, error = process.communicate(timeout=60)
    assert b"Traceback" not in error
