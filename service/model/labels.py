"""Which output of a classification head means which label, read from the files beside the weights.

A ModelScope folder names its labels in ``label_mapping.json``, ``configuration.json`` or ``config.json``, the first that
speaks winning; a plain transformers folder only in ``config.json``. Without names the order of MGeo's training holds.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from service.errors import ModelLoadError
from service.model.base import Label

if TYPE_CHECKING:
    from pathlib import Path

_PLACEHOLDER = re.compile(r"label_\d+")

JsonObject = dict[str, object]


def read_json_object(path: Path) -> JsonObject:
    """Read a JSON file that must hold an object.

    Raises:
        ModelLoadError: it cannot be read, is not JSON, or holds something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelLoadError(f"{path}: cannot be read ({error.strerror}); check that the file exists and its permissions") from error
    except ValueError as error:
        raise ModelLoadError(f"{path}: is not valid JSON; download the file again") from error
    if not isinstance(content, dict):
        raise ModelLoadError(f"{path}: holds no JSON object; download the file again")
    return content


def label_order(directory: Path, config: JsonObject) -> tuple[Label, Label, Label]:
    """The meaning of output 0, 1 and 2.

    Args:
        directory: the model folder.
        config: its `config.json`, already read.

    Raises:
        ModelLoadError: the names are not the three labels, each once.
    """
    for path, candidate in _candidates(directory, config):
        names = _names_by_index(candidate)
        if names is not None and not all(_PLACEHOLDER.fullmatch(name) for name in names):
            return _three_labels(path, names)
    return (Label.NOT_MATCH, Label.PARTIAL_MATCH, Label.EXACT_MATCH)


def _candidates(directory: Path, config: JsonObject) -> list[tuple[Path, object]]:
    """Every place that may hold a mapping, the strongest first."""
    candidates: list[tuple[Path, object]] = []
    mapping = directory / "label_mapping.json"
    if mapping.exists():
        candidates.append((mapping, read_json_object(mapping)))
    configuration = directory / "configuration.json"
    if configuration.exists():
        content = read_json_object(configuration)
        for section in ("model", "preprocessor"):
            values = content.get(section)
            if isinstance(values, dict):
                candidates += [(configuration, values.get(key)) for key in ("label2id", "id2label")]
    candidates += [(directory / "config.json", config.get(key)) for key in ("label2id", "id2label")]
    return candidates


def _names_by_index(mapping: object) -> list[str] | None:
    """Turn `label2id` or `id2label` into names in index order; None when it is neither."""
    if not isinstance(mapping, dict) or not mapping:
        return None
    pairs = []
    for key, value in mapping.items():
        if isinstance(value, int):
            pairs.append((value, str(key)))
        elif isinstance(value, str) and str(key).isdecimal():
            pairs.append((int(key), value))
        else:
            return None
    return [name.strip().lower().replace("-", "_") for _, name in sorted(pairs)]


def _three_labels(path: Path, names: list[str]) -> tuple[Label, Label, Label]:
    wanted = [str(label) for label in Label]
    if sorted(names) != sorted(wanted):
        raise ModelLoadError(
            f"{path}: the labels are {', '.join(names)}, but this service needs {', '.join(wanted)}; "
            "use a checkpoint of the entity alignment task (for MGeo: mgeo_geographic_entity_alignment_chinese_base)"
        )
    first, second, third = (Label(name) for name in names)
    return first, second, third
