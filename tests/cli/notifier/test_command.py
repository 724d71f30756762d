"""What the command line of the notifier says over its configuration."""

from __future__ import annotations

import pytest

from cli.main import main

CONFIG = """
public_url = "box.example"

[[robots]]
name = "ops"
token = "0123"

[[receivers]]
name = "critical"
robots = ["ops"]
"""


@pytest.mark.parametrize(
    ("flag", "judged"),
    [
        ([], "public_url = box.example is no address of a page"),
        (["--public-url="], "public_url = box.example is no address of a page"),
        (["--public-url=http://localhost"], "public_url = http://localhost: no phone reaches a loopback address"),
    ],
)
def test_an_empty_address_is_none_and_leaves_that_of_the_file(tmp_path, capsys, flag, judged):
    """Compose cannot leave a flag out; whichever address counts is the one that is refused here."""
    path = tmp_path / "notifier.toml"
    path.write_text(CONFIG, encoding="utf-8")

    assert main(["notifier", "run", f"--config={path}", *flag]) == 78
    assert judged in capsys.readouterr().err
