"""The generated page of the notifier."""

from __future__ import annotations

from pathlib import Path

from dingtalk import reference
from dingtalk.config import load_config

ROOT = Path(__file__).parents[3]


def test_the_page_is_up_to_date():
    """`make docs` writes it."""
    assert reference.main(["--check"], ROOT) == 0


def test_every_entry_has_its_line_with_words_and_secrets_are_marked():
    """Nobody has to read the code."""
    lines = [line.split(" | ") for line in reference.page().splitlines() if line.startswith("| `")]
    assert len(lines) > 45
    assert [line[0] for line in lines if len(line) != 3 or not line[2].rstrip(" |")] == []
    assert {line[0].removesuffix(" (secret)") for line in lines if "(secret)" in line[0]} == {
        "| `token`",
        "| `secret`",
        "| `password`",
        "| `link_key`",
        "| `fallbacks`",
        "| `phone`",
        "| `key`",
    }


def test_a_stale_page_is_told_and_a_missing_one_written(tmp_path, capsys):
    """As the other generated pages."""
    (tmp_path / "docs").mkdir()
    assert reference.main(["--check"], tmp_path) == 1
    assert "docs/notifier-configuration.md is out of date; run `make docs` and commit it" in capsys.readouterr().err
    assert reference.main([], tmp_path) == 0
    assert (tmp_path / "docs/notifier-configuration.md").read_text() == reference.page()


def test_the_example_of_the_docs_is_a_configuration(tmp_path):
    """Word for word."""
    example = (ROOT / "docs/notifier.md").read_text().partition("```toml\n")[2].partition("   ```")[0]
    (tmp_path / "notifier.toml").write_text("\n".join(line.removeprefix("   ") for line in example.splitlines()))
    (tmp_path / "ops.token").write_text("0123")
    (tmp_path / "ops.secret").write_text("SEC0")
    assert [receiver.name for receiver in load_config(tmp_path / "notifier.toml").receivers] == ["critical", "warning"]


def test_the_examples_of_watching_are_configurations(tmp_path):
    """Of both machines; the box's entry is added to a notifier's configuration."""
    watch, box = (part.partition("   ```")[0] for part in (ROOT / "docs/notifier-watch.md").read_text().split("```toml\n")[1:])
    for name in ("ops.token", "ops.secret", "watch.token", "gpu-1.key"):
        (tmp_path / name).write_text("0123456789abcdef")
    path = tmp_path / "notifier.toml"
    path.write_text("\n".join(line.removeprefix("   ") for line in (watch + box).splitlines()))
    config = load_config(path)
    assert [one.name for one in config.boxes] == [one.box for one in config.watchers] == ["gpu-1"]
