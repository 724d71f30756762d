"""What the pages say of the tree: the example, the links and the make targets are there and do what is said."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "examples/plain_script.py"
READMES = sorted(ROOT.glob("README*.md"))
PAGES = [*READMES, ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/*.md"))]


def links(page: Path) -> set[str]:
    """The relative links of a page, without their anchors."""
    found = re.findall(r"\]\(([^()\s]+)\)", page.read_text(encoding="utf-8"))
    return {link.partition("#")[0] for link in found if not re.match(r"[a-z]+:|#", link)}


def make_targets_named(page: Path) -> set[str]:
    """What stands after `make` in the code of a page."""
    return set(re.findall(r"(?:^|`)make ([a-z][a-z-]*)", page.read_text(encoding="utf-8"), re.MULTILINE))


def make_targets() -> set[str]:
    """The phony targets of the Makefile."""
    return set(re.findall(r"^\.PHONY: ([a-z-]+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def test_there_are_two_readmes() -> None:
    """One in each language, so that the tests below look at something."""
    assert [page.name for page in READMES] == ["README.md", "README.zh-CN.md"]
    assert make_targets() >= {"run", "test", "check", "bench"}


@pytest.mark.parametrize("readme", READMES, ids=lambda page: page.name)
def test_the_only_python_of_a_readme_is_the_example(readme: Path) -> None:
    """Line by line, so that what is read is what was tested."""
    assert re.findall(r"^```python\n(.*?)^```$", readme.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL) == [
        SCRIPT.read_text(encoding="utf-8")
    ]


def run(script: Path, folder: Path) -> str:
    """What a script prints that is run in a folder."""
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", "MGEO_GPU": "off"}
    command = [sys.executable, "-W", "error", str(script)]
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr.decode()) == (0, "")
    return done.stdout.decode()


@pytest.mark.slow
def test_the_example_leaves_one_line_and_one_row_for_each_call(tmp_path: Path) -> None:
    """Two calls; the lines know the lengths, and what is printed is what the script prints without the decorator."""
    source = SCRIPT.read_text(encoding="utf-8")
    added = ("from service import monitor_performance\n", "@monitor_performance\n")
    assert [source.count(line) for line in added] == [1, 1]
    plain = tmp_path / "plain.py"
    plain.write_text(source.replace(added[0], "").replace(added[1], ""), encoding="utf-8")

    printed = run(SCRIPT, tmp_path)

    lines = [json.loads(line) for line in (tmp_path / "var/logs/inference.log").read_text(encoding="utf-8").splitlines()]
    assert [(line["function"], line["status"], line["address1_length"], line["address2_length"]) for line in lines] == [
        ("infer_similarity", "success", 24, 19),
        ("infer_similarity", "success", 15, 12),
    ]
    with closing(sqlite3.connect(tmp_path / "var/telemetry.db")) as connection:
        assert connection.execute("SELECT count(*) FROM inference").fetchone() == (2,)
    assert printed == run(plain, tmp_path)
    assert [line[:4] for line in printed.splitlines()] == ["0.88", "0.22"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_points_to_a_file(page: Path) -> None:
    """From where the page stands."""
    assert sorted(link for link in links(page) if not (page.parent / link).exists()) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_make_command_on_a_page_is_a_target(page: Path) -> None:
    """So that a reader can type it."""
    assert sorted(make_targets_named(page) - make_targets()) == []
