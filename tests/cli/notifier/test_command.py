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


def test_beside_a_running_stack_its_notifier_is_asked_with_its_token(tmp_path, monkeypatch):
    """So that the commands in messages work as they stand there; an address that is named gets no token but its own."""
    from cli.notifier.command import notifier_client
    from cli.stack.layout import Layout

    monkeypatch.setenv("MGEO_DATA_DIR", str(tmp_path))
    layout = Layout(tmp_path)
    layout.notifier_token.parent.mkdir(parents=True)
    layout.notifier_token.write_text("of the stack\n")

    assert notifier_client(None, None)._client._headers["Authorization"] == "Bearer of the stack"
    assert "Authorization" not in notifier_client("http://elsewhere:8060", None)._client._headers


@pytest.mark.parametrize(
    "command", [["notifier", "run", "--config=notifier.toml"], ["notifier", "status"], ["notifier", "replay"], ["ack", "0f3c9a1b2d4e"]]
)
def test_a_token_that_cannot_be_read_is_named_alike_by_every_command(tmp_path, monkeypatch, capsys, command):
    """With why: it is not there, it is a folder, it is no text; and nothing of it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")

    for file, why in (("none", "No such file or directory"), ("folder", "Is a directory"), ("bytes", "no text")):
        assert main([*command, f"--token-file={file}"]) == 2
        assert f"the token {file} cannot be read: {why}" in " ".join(capsys.readouterr().err.replace("│", " ").split())
