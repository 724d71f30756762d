"""The settings: where they come from, what they refuse, and what they never print."""

from __future__ import annotations

import os
import traceback
from pathlib import Path

import pydantic
import pytest

from service.errors import SettingsError
from service.settings import Settings, misspelt_variables
from service.stack_settings import STACK_CONCERNS, StackPortSettings

SECRET = "hunter2-hunter2-hunter2"


def refused(**overrides: object) -> list[str]:
    """The lines of the refusal, without its heading."""
    with pytest.raises(SettingsError) as caught:
        Settings.load(**overrides)
    heading, *problems = str(caught.value).splitlines()
    assert heading == "the settings are wrong:"
    return [problem.removeprefix("  - ") for problem in problems]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that the environment names; the test writes it."""
    path = tmp_path / "mgeo.toml"
    monkeypatch.setenv("MGEO_CONFIG_FILE", str(path))
    return path


# --- sources ----------------------------------------------------------------------------------------------------------


def test_without_anything_the_defaults_stand() -> None:
    """A service on loopback with its data beside it, which keeps no text."""
    settings = Settings.load()

    assert (settings.host, settings.port, settings.model, settings.data_dir) == ("127.0.0.1", 8000, "embedded", Path("var"))
    assert (settings.deadline, settings.queue_size, settings.max_batch_size) == (10.0, 1024, 32)
    assert (settings.capture_text, settings.api_keys, settings.gpu) == ("off", None, "auto")


def test_the_environment_wins_over_the_file_and_the_command_line_over_both(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Setting by setting, not source by source."""
    file.write_text('port = 1\ndeadline = 1.5\nhost = "0.0.0.0"\n')
    monkeypatch.setenv("MGEO_PORT", "2")
    monkeypatch.setenv("MGEO_DEADLINE", "2.5")

    settings = Settings.load(port=3)

    assert (settings.port, settings.deadline, settings.host) == (3, 2.5, "0.0.0.0")


def test_names_are_the_same_in_capitals_and_not(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the file as in the environment."""
    file.write_text("PORT = 1")
    monkeypatch.setenv("mgeo_deadline", "2.5")

    settings = Settings.load()

    assert (settings.port, settings.deadline) == (1, 2.5)


def test_an_option_that_was_not_given_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """None stands for not given."""
    monkeypatch.setenv("MGEO_PORT", "2")

    assert Settings.load(port=None, host=None).port == 2


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a compose file writes it for a value that is not there."""
    monkeypatch.setenv("MGEO_PORT", "")
    monkeypatch.setenv("MGEO_API_KEYS", "")
    monkeypatch.setenv("MGEO_CONFIG_FILE", "")

    settings = Settings.load()

    assert (settings.port, settings.api_keys) == (8000, None)


def test_a_tilde_is_the_home_folder_wherever_it_is_written(file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No shell expands it in a file, nor in a systemd unit."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MGEO_CONFIG_FILE", "~/mgeo.toml")
    file.write_text('data_dir = "~/data"\n')

    assert Settings.load().data_dir == tmp_path / "data"


def test_settings_cannot_be_changed() -> None:
    """What was checked stands."""
    with pytest.raises(pydantic.ValidationError):
        Settings.load().port = 1


# --- refusals ---------------------------------------------------------------------------------------------------------

TOO_LOW_TOO_HIGH = {
    "PORT": ("-1", "65536"),
    "BODY_LIMIT": ("1023", "67108865"),
    "BATCH_LIMIT": ("0", "257"),
    "SHUTDOWN_GRACE": ("0", "600.1"),
    "DEADLINE": ("0", "600.1"),
    "MAX_ADDRESS_LENGTH": ("0", "101"),
    "QUEUE_SIZE": ("0", "1000001"),
    "MAX_BATCH_SIZE": ("0", "4097"),
    "MAX_QUEUE_DELAY": ("-0.1", "1.1"),
    "STUCK_AFTER": ("0", "3600.1"),
    "BREAKER_FAILURES": ("0", "1001"),
    "BREAKER_COOLDOWN": ("0", "3600.1"),
    "THREADS": ("-1", "1025"),
    "LOG_DAYS": ("0", "3651"),
    "LOG_MAX_BYTES": ("1048575", None),
    "LOG_QUEUE_SIZE": ("99", None),
    "STORE_DAYS": ("0", "3650.1"),
    "STORE_MAX_BYTES": ("4194303", None),
    "STORE_QUEUE_SIZE": ("99", None),
    "GPU_INTERVAL": ("0.09", "60.1"),
    "SPOOL_MAX_BYTES": ("1048575", None),
    "SPOOL_MAX_AGE": ("0", "31536000.1"),
    "LOOKUP_TIMEOUT": ("0", "60.1"),
    "AUDIT_INTERVAL": ("59.9", "86400.1"),
    "DRILL_SCALE": ("0.009", "1.1"),
    "DRILL_DAY": ("0", "8"),
    "DRILL_HOUR": ("-0.1", "24"),
    "PROMETHEUS_RETENTION_DAYS": ("0", "3651"),
    "LOKI_RETENTION_DAYS": ("0", "3651"),
    "JAEGER_RETENTION_DAYS": ("0", "3651"),
    "COLLECTOR_QUEUE_BYTES": ("1048575", None),
    "COLLECTOR_MEMORY_BYTES": ("67108863", None),
    **{name.upper(): ("0", "65536") for name in StackPortSettings.model_fields if name.endswith("_port")},
}
BEYOND = [(name, value) for name, values in TOO_LOW_TOO_HIGH.items() for value in values if value is not None]


@pytest.mark.parametrize(("name", "value"), BEYOND)
def test_a_value_beyond_its_bound_is_refused_with_name_value_and_default(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """One line, from which the operator can mend it without the documentation."""
    monkeypatch.setenv(f"MGEO_{name}", value)
    default = Settings.model_fields[name.lower()].default

    (problem,) = refused()

    assert problem.startswith(f"MGEO_{name} = '{value}': Input should be ")
    assert f"; the default is {default}" in problem
    assert problem.endswith(str(Settings.model_fields[name.lower()].description))


def test_every_bound_is_tried_above() -> None:
    """A setting that gains a bound must be added to the table."""
    bounds = {
        name.upper(): {type(bound).__name__ for bound in info.metadata} & {"Ge", "Gt", "Le", "Lt"}
        for name, info in Settings.model_fields.items()
    }

    assert {name: len(kinds) for name, kinds in bounds.items() if kinds} == {
        name: sum(value is not None for value in values) for name, values in TOO_LOW_TOO_HIGH.items()
    }


def test_a_refusal_reads_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole line of one setting with a unit."""
    monkeypatch.setenv("MGEO_DEADLINE", "0")

    (problem,) = refused()

    assert problem == (
        "MGEO_DEADLINE = '0': Input should be greater than 0; the default is 10.0 seconds. "
        "Time an inference may take; a caller's X-Request-Timeout may only shorten it."
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "eight"),
        ("PORT", "8000.5"),
        ("DEADLINE", "nan"),
        ("DEADLINE", "inf"),
        ("MAX_QUEUE_DELAY", "nan"),
        ("STORE_DAYS", "nan"),
        ("METRICS_NEED_KEY", "maybe"),
        ("CAPTURE_TEXT", "ALL"),
        ("GPU", "cuda"),
        ("DATA_DIR", "~no-such-user/var"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """With its name and itself."""
    monkeypatch.setenv(f"MGEO_{name}", value)

    (problem,) = refused()

    assert problem.startswith(f"MGEO_{name} = '{value}': ")


def test_all_that_is_wrong_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever mends one need not start again to learn of the next."""
    monkeypatch.setenv("MGEO_PORT", "x")
    monkeypatch.setenv("MGEO_DEADLINE", "x")

    assert sorted(problem.partition(" ")[0] for problem in refused(threads=-1)) == ["MGEO_DEADLINE", "MGEO_PORT", "MGEO_THREADS"]


@pytest.mark.parametrize(
    ("overrides", "problem"),
    [
        (
            {"api_keys": SECRET, "api_keys_file": "keys"},
            "MGEO_API_KEYS and MGEO_API_KEYS_FILE are both set; keep one of them",
        ),
        (
            {"queue_size": 8},
            ("MGEO_QUEUE_SIZE = 8 is smaller than MGEO_MAX_BATCH_SIZE = 32: no batch could ever fill; raise the first or lower the second"),
        ),
        (
            {"stuck_after": 0.5, "max_queue_delay": 1},
            (
                "MGEO_STUCK_AFTER = 0.5 s is not longer than MGEO_MAX_QUEUE_DELAY = 1.0 s: "
                "every worker that waits would be taken for stuck; raise the first"
            ),
        ),
    ],
)
def test_settings_that_contradict_one_another_are_refused(overrides: dict[str, object], problem: str) -> None:
    """Both are named."""
    assert refused(**overrides) == [problem]


def test_contradictions_are_all_said_too() -> None:
    """One line each."""
    assert len(refused(queue_size=8, api_keys=SECRET, api_keys_file="keys")) == 2


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("prot = 1", "prot: there is no such setting; did you mean port?"),
        ("MGEO_PORT = 1", "MGEO_PORT: there is no such setting; did you mean port?"),
        ("[server]\nport = 1", "server: there is no such setting"),
        ("colour = 'red'", "colour: there is no such setting"),
    ],
)
def test_an_unknown_name_in_the_file_is_refused_with_the_likely_one(file: Path, line: str, problem: str) -> None:
    """A misspelt setting that is silently ignored costs an evening."""
    file.write_text(line)

    assert refused() == [problem]


def test_an_unknown_option_is_refused_too() -> None:
    """By the same words."""
    assert refused(prot=1) == ["prot: there is no such setting; did you mean port?"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"port 1", "is not TOML (Expected '=' after a key in a key/value pair (at line 1, column 6)); write lines such as: port = 8000"),
        (b"\xff", "is not TOML ('utf-8' codec can't decode byte 0xff in position 0: invalid start byte); write lines such as: port = 8000"),
        (None, "cannot be read (No such file or directory); name a readable TOML file or unset it"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_the_reason(file: Path, content: bytes | None, message: str) -> None:
    """And what to do."""
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(SettingsError) as caught:
        Settings.load()

    assert str(caught.value) == f"MGEO_CONFIG_FILE = {file}: {message}"


def test_a_file_in_the_home_of_nobody_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """In words, not by a traceback."""
    monkeypatch.setenv("MGEO_CONFIG_FILE", "~no-such-user/mgeo.toml")

    with pytest.raises(
        SettingsError, match=r"^MGEO_CONFIG_FILE = ~no-such-user/mgeo.toml: the home folder of ~no-such-user is not known; name a"
    ):
        Settings.load()


def test_a_path_with_a_nul_is_refused(file: Path) -> None:
    """No file system can have it."""
    file.write_text('data_dir = "a\\u0000b"')

    (problem,) = refused()

    assert "a path has no NUL character" in problem


# --- secrets ----------------------------------------------------------------------------------------------------------


def test_a_secret_is_never_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by any way to turn settings into text; whoever asks for it by name gets it."""
    monkeypatch.setenv("MGEO_API_KEYS", SECRET)
    settings = Settings.load()

    printed = [
        repr(settings),
        str(settings),
        f"{settings}",
        str(settings.redacted()),
        settings.model_dump_json(),
        str(settings.model_dump()),
    ]

    assert [text for text in printed if "hunter" in text] == []
    assert settings.redacted()["api_keys"] == "**********"
    assert settings.api_keys is not None
    assert settings.api_keys.get_secret_value() == SECRET


@pytest.mark.parametrize(
    "lines",
    [
        f"api_keys = ['{SECRET}']",
        f"api_keys = '{SECRET}'\nport = 'x'",
        f"api_keys = '{SECRET}'\nqueue_size = 1",
        f"api_keys = '{SECRET}'\napi_keys_file = 'keys'",
        f"api_keys = {{ key = '{SECRET}' }}",
        f"api_keys = {SECRET}",
    ],
)
def test_no_refusal_has_a_secret_in_it(file: Path, lines: str) -> None:
    """Neither the message nor the traceback with all its causes, whatever is wrong."""
    file.write_text(lines)

    with pytest.raises(SettingsError) as caught:
        Settings.load()

    assert "hunter" not in "".join(traceback.format_exception(caught.value))


def test_a_wrong_secret_is_called_so(file: Path) -> None:
    """Its value is not shown, its name is."""
    file.write_text(f"api_keys = ['{SECRET}']")

    (problem,) = refused()

    assert problem.startswith("MGEO_API_KEYS = a secret: Input should be a valid string; ")


def test_the_redacted_table_has_every_setting_of_the_service_in_its_order(tmp_path: Path) -> None:
    """What the start prints: as text, by name, without those of the stack beside it."""
    table = Settings.load(data_dir=tmp_path, port=0).redacted()

    assert set(table) == set(Settings.model_fields) - {name for concern in STACK_CONCERNS for name in concern.model_fields}
    assert list(table)[:3] == ["host", "port", "body_limit"]
    assert (table["host"], table["port"], table["data_dir"], table["api_keys"]) == ("127.0.0.1", "0", str(tmp_path), "None")


# --- misspelt variables -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variable", "warning"),
    [
        ("MGEO_PROT", "MGEO_PROT is not a setting; did you mean MGEO_PORT?"),
        ("MGEO_DATADIR", "MGEO_DATADIR is not a setting; did you mean MGEO_DATA_DIR?"),
        ("MGEO_MAX_BATCHSIZE", "MGEO_MAX_BATCHSIZE is not a setting; did you mean MGEO_MAX_BATCH_SIZE?"),
    ],
)
def test_a_misspelt_variable_is_warned_of(monkeypatch: pytest.MonkeyPatch, variable: str, warning: str) -> None:
    """The start goes on, for the environment is not ours alone."""
    monkeypatch.setenv(variable, "1")

    assert list(misspelt_variables()) == [warning]
    Settings.load()


@pytest.mark.parametrize("variable", ["MGEO_PORT", "MGEO_CONFIG_FILE", "MGEO_NOTIFIER_ROBOTS", "PORT", "MGEO_"])
def test_a_variable_that_looks_like_no_setting_is_nobodys_mistake(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    """Neither one that is right, nor one of another program."""
    monkeypatch.setenv(variable, "1")

    assert list(misspelt_variables()) == []


def test_reading_the_settings_leaves_the_environment_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is added or taken."""
    monkeypatch.setenv("MGEO_PORT", "1")
    before = dict(os.environ)

    Settings.load()

    assert dict(os.environ) == before
