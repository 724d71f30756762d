"""Every setting, by reflection: documented, bounded, with a unit where it is a quantity."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from service.reference import configuration_page
from service.settings import CONCERNS, PREFIX, SECRETS, Settings

ROOT = Path(__file__).parents[2]
NAMES = sorted(Settings.model_fields)
# A port and a count of threads or failures are bounded, but a whole disk is not for us to judge.
UNBOUNDED_ABOVE = {
    "log_max_bytes",
    "store_max_bytes",
    "log_queue_size",
    "store_queue_size",
    "spool_max_bytes",
    "collector_queue_bytes",
    "collector_memory_bytes",
}


def annotation(name: str) -> str:
    return str(Settings.model_fields[name].annotation)


def numeric(name: str) -> bool:
    return Settings.model_fields[name].annotation in (int, float)


def is_port(name: str) -> bool:
    return name == "port" or name.endswith("_port")


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_says_what_it_does(name: str) -> None:
    """One or two sentences."""
    description = Settings.model_fields[name].description

    assert description is not None
    assert description[0].isupper() or description[0] == "`"
    assert description.endswith(".")


@pytest.mark.parametrize("name", [name for name in NAMES if numeric(name)])
def test_every_number_has_bounds(name: str) -> None:
    """A lower one always, so that a slip is refused; every float has an upper one, which also refuses NaN."""
    kinds = {type(bound).__name__ for bound in Settings.model_fields[name].metadata}

    assert kinds & {"Ge", "Gt"}
    assert kinds & {"Le", "Lt"} or name in UNBOUNDED_ABOVE
    assert name not in UNBOUNDED_ABOVE or Settings.model_fields[name].annotation is int


@pytest.mark.parametrize("name", [name for name in NAMES if numeric(name) and not is_port(name)])
def test_every_quantity_has_a_unit(name: str) -> None:
    """Seconds and bytes, not milliseconds and megabytes."""
    extra = Settings.model_fields[name].json_schema_extra

    assert isinstance(extra, dict)
    unit = extra["unit"]
    assert unit in {"seconds", "bytes", "days", "pairs", "characters", "inferences", "runs", "threads", "lines", "rows", "hours", "ratio"}
    assert (unit == "bytes") == (name.endswith("_bytes") or name == "body_limit")


@pytest.mark.parametrize("name", NAMES)
def test_every_default_passes_its_own_check(name: str) -> None:
    """Given by hand, the default is accepted."""
    assert getattr(Settings.load(**{name: Settings.model_fields[name].default}), name) == getattr(Settings.load(), name)


def test_every_setting_belongs_to_one_concern() -> None:
    """So that the page and the redacted table have each once."""
    names = [name for concern in CONCERNS for name in concern.model_fields]

    assert sorted(names) == NAMES
    assert len(set(names)) == len(names)


def test_every_secret_has_a_twin_that_is_a_file() -> None:
    """A secret in the environment is visible to whoever may list processes."""
    secrets = {name for name in NAMES if SecretStr.__name__ in annotation(name)}

    assert secrets == {"api_keys", "gateway_password", "ingest_token", "upstream_token"} == set(SECRETS)
    assert {name for name in secrets if f"{name}_file" not in NAMES} == set()


def test_nothing_that_sounds_secret_is_plain_text() -> None:
    """A setting named after a key, token or password is a secret, a file or a yes or no."""
    suspicious = [name for name in NAMES if any(word in name for word in ("key", "token", "password", "secret"))]

    assert {
        name: "SecretStr" in annotation(name) or "Path" in annotation(name) or annotation(name) == "<class 'bool'>" for name in suspicious
    } == {
        "api_keys": True,
        "api_keys_file": True,
        "gateway_key_file": True,
        "gateway_password": True,
        "gateway_password_file": True,
        "hash_key_file": True,
        "ingest_token": True,
        "ingest_token_file": True,
        "metrics_need_key": True,
        "upstream_token": True,
        "upstream_token_file": True,
    }


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_stands_on_the_configuration_page(name: str) -> None:
    """By its variable, with its default."""
    info = Settings.model_fields[name]
    default = "–" if info.default is None else f"`{info.default}`"

    assert f"| `{PREFIX}{name.upper()}` | {default} | " in configuration_page()
