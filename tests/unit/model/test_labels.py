"""Which output means which label."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from service.errors import ModelLoadError
from service.model.base import Label
from service.model.labels import label_order, read_json_object

NOT, PARTIAL, EXACT = Label.NOT_MATCH, Label.PARTIAL_MATCH, Label.EXACT_MATCH


def test_without_names_the_order_of_mgeo_holds(tmp_path: Path) -> None:
    """not, partial, exact."""
    assert label_order(tmp_path, {}) == (NOT, PARTIAL, EXACT)


def test_placeholder_names_count_as_none(tmp_path: Path) -> None:
    """LABEL_0 and so on is what transformers writes when nobody named the labels, and not always as many as there are."""
    assert label_order(tmp_path, {"id2label": {"0": "LABEL_0", "1": "LABEL_1"}}) == (NOT, PARTIAL, EXACT)


def test_config_json_names_the_labels(tmp_path: Path) -> None:
    """In id2label, whatever the order of its keys, upper case and hyphens allowed."""
    config = {"id2label": {"2": "not_match", "0": "EXACT-MATCH", "1": "partial_match"}}
    assert label_order(tmp_path, config) == (EXACT, PARTIAL, NOT)


def test_configuration_json_wins_over_config_json(tmp_path: Path) -> None:
    """ModelScope keeps the real names there."""
    content = {"model": {"id2label": {"0": "partial_match", "1": "not_match", "2": "exact_match"}}}
    (tmp_path / "configuration.json").write_text(json.dumps(content))
    assert label_order(tmp_path, {"id2label": {"0": "exact_match", "1": "not_match", "2": "partial_match"}}) == (PARTIAL, NOT, EXACT)


def test_configuration_json_may_name_them_for_the_preprocessor(tmp_path: Path) -> None:
    """Its model section comes first, then its preprocessor section."""
    content = {"model": {"type": "mgeo"}, "preprocessor": {"label2id": {"exact_match": 0, "not_match": 1, "partial_match": 2}}}
    (tmp_path / "configuration.json").write_text(json.dumps(content))
    assert label_order(tmp_path, {}) == (EXACT, NOT, PARTIAL)


def test_configuration_json_without_sections_says_nothing(tmp_path: Path) -> None:
    """Then the next file speaks."""
    (tmp_path / "configuration.json").write_text(json.dumps({"model": "mgeo", "task": "sentence-similarity"}))
    assert label_order(tmp_path, {}) == (NOT, PARTIAL, EXACT)


def test_label_mapping_json_wins_over_all(tmp_path: Path) -> None:
    """As in ModelScope."""
    (tmp_path / "label_mapping.json").write_text(json.dumps({"exact_match": 0, "partial_match": 1, "not_match": 2}))
    (tmp_path / "configuration.json").write_text(
        json.dumps({"model": {"label2id": {"not_match": 0, "partial_match": 1, "exact_match": 2}}})
    )
    assert label_order(tmp_path, {}) == (EXACT, PARTIAL, NOT)


def test_a_mapping_that_is_neither_way_round_says_nothing(tmp_path: Path) -> None:
    """Names to names are no order."""
    assert label_order(tmp_path, {"id2label": {"exact_match": "not_match"}}) == (NOT, PARTIAL, EXACT)


@pytest.mark.parametrize(
    "names",
    [["no", "yes"], ["not_match", "exact_match"], ["not_match", "not_match", "exact_match"], ["a", "b", "c", "d"]],
)
def test_other_labels_are_refused_by_name(tmp_path: Path, names: list[str]) -> None:
    """The message names the file, what it says and what is needed."""
    with pytest.raises(
        ModelLoadError, match=rf"config\.json: the labels are {', '.join(names)}, but .*use a checkpoint of the entity alignment task"
    ):
        label_order(tmp_path, {"id2label": {str(index): name for index, name in enumerate(names)}})


@pytest.mark.parametrize(
    ("content", "complaint"), [("{", "is not valid JSON"), ("[]", "holds no JSON object"), ("\udcff", "is not valid JSON")]
)
def test_a_broken_json_file_is_named(tmp_path: Path, content: str, complaint: str) -> None:
    """With what to do about it."""
    (tmp_path / "config.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(ModelLoadError, match=rf"config\.json: {complaint}.*; download the file again"):
        read_json_object(tmp_path / "config.json")


def test_a_missing_json_file_is_named(tmp_path: Path) -> None:
    """With the system's reason."""
    with pytest.raises(ModelLoadError, match=r"config\.json: cannot be read \(No such file or directory\)"):
        read_json_object(tmp_path / "config.json")
