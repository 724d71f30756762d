"""The models: the Protocol, a deterministic fake, and the torch backend."""

from __future__ import annotations

from pathlib import Path


def embedded_model_directory() -> Path:
    """The folder of the model that ships with the package (`config.json`, `model.safetensors`, `vocab.txt`, its card)."""
    return Path(__file__).parent / "embedded"
