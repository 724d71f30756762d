"""Every setting of the service: one frozen table, from the environment (`MGEO_*`), a TOML file, or the command line.

The only module that reads `MGEO_*` variables; `OTEL_*` are read by the SDK and by what sets it up, as OpenTelemetry specifies.
A value on the command line wins over the environment, the environment over the file named by `MGEO_CONFIG_FILE`.
The concerns are base classes, so that a part asks for what it needs (`InferenceSettings`) and is given the whole.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import BaseModel, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from service.errors import SettingsError
from service.setting import FilePath, Secret, expanded, setting
from service.stack_settings import (
    STACK_CONCERNS,
    AuditSettings,
    DrillStackSettings,
    GatewaySettings,
    NotifierSettings,
    ProgramSettings,
    RetentionSettings,
    StackPortSettings,
    UpstreamSettings,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = "MGEO_"
CONFIG_FILE = "MGEO_CONFIG_FILE"
CLIENT_VARIABLES = frozenset({"MGEO_API_KEY", "MGEO_URL"})
"""What the commands that call a running service read; not settings of the service."""


class ServerSettings(BaseModel):
    """Where and how the service listens."""

    host: str = setting("127.0.0.1", "Address to listen on. Loopback by default: opening it to a network is a decision.")
    port: int = setting(8000, "TCP port of the HTTP API; 0 takes a free one.", ge=0, le=65535)
    body_limit: int = setting(
        1_048_576, "Largest request body. 256 pairs of 100 escaped characters need 0.6 MB.", unit="bytes", ge=1024, le=67_108_864
    )
    batch_limit: int = setting(256, "Most pairs in one batch call.", unit="pairs", ge=1, le=256)
    shutdown_grace: float = setting(
        20.0, "On SIGTERM, how long what is in flight may take to finish. Twice the deadline.", unit="seconds", gt=0, le=600
    )
    api_keys: Secret | None = setting(None, "API keys, separated by commas; without any the API is open. At most one of this and the file.")
    api_keys_file: FilePath | None = setting(None, "File with one API key a line; `#` begins a comment.")
    metrics_need_key: bool = setting(
        False, "Whether `/metrics` needs an API key too. Off, because scrapers on the same box seldom have one."
    )
    public_url: str | None = setting(None, "Address under which people reach the service, for links. None: links are relative.")


class InferenceSettings(BaseModel):
    """How requests become answers."""

    deadline: float = setting(
        10.0, "Time an inference may take; a caller's X-Request-Timeout may only shorten it.", unit="seconds", gt=0, le=600
    )
    max_address_length: int = setting(
        100, "Characters of an address the model sees; real ones have 16 to 19.", unit="characters", ge=1, le=100
    )
    strict_length: bool = setting(False, "Refuse longer addresses instead of cutting them and saying so in `truncated`.")
    queue_size: int = setting(
        1024, "Inferences that may wait; one more is refused with 503. Four full batch calls.", unit="inferences", ge=1, le=1_000_000
    )
    max_batch_size: int = setting(
        32, "Inferences in one run of the model. More rarely helps on a CPU or one consumer GPU.", unit="inferences", ge=1, le=4096
    )
    max_queue_delay: float = setting(
        0.0,
        "How long a free worker waits for a fuller batch. 0: never, since batches form by themselves under load.",
        unit="seconds",
        ge=0,
        le=1,
    )
    stuck_after: float = setting(
        30.0,
        "A run of the model that takes longer is abandoned and its worker replaced. Above any honest run.",
        unit="seconds",
        gt=0,
        le=3600,
    )
    breaker_failures: int = setting(5, "Failed runs of the model in a row that open the circuit breaker.", unit="runs", ge=1, le=1000)
    breaker_cooldown: float = setting(
        5.0, "How long an open breaker refuses before it lets one probe through.", unit="seconds", gt=0, le=3600
    )


class ModelSettings(BaseModel):
    """Which model answers, and where it runs."""

    model: str = setting(
        "embedded", "`embedded`, `fake` (deterministic, no weights), or a folder with a Hugging Face style MGeo checkpoint."
    )
    device: str = setting("auto", "`auto`, `cpu`, or a torch device such as `cuda:0`. `auto` takes the first GPU there is.")
    threads: int = setting(
        0, "CPU threads of the model; 0 takes one a core, and leaves one core of several free.", unit="threads", ge=0, le=1024
    )


class DataSettings(BaseModel):
    """What is kept on disk, where, and for how long."""

    data_dir: FilePath = setting(Path("var"), "Folder of the log, the embedded store and the hash key.")
    log_stdout: bool = setting(False, "Write the log lines to standard output too, for collectors that read it.")
    log_days: int = setting(7, "Rotated log files that are kept, one a day.", unit="days", ge=1, le=3650)
    log_max_bytes: int = setting(1_073_741_824, "All log files together; the oldest go first.", unit="bytes", ge=1_048_576)
    log_queue_size: int = setting(10_000, "Log lines that may wait for the disk; more are dropped and counted.", unit="lines", ge=100)
    store_days: float = setting(7.0, "How long the embedded store keeps a request.", unit="days", gt=0, le=3650)
    store_max_bytes: int = setting(
        2_147_483_648, "Size of the embedded store on disk; the oldest rows go first.", unit="bytes", ge=4_194_304
    )
    store_queue_size: int = setting(20_000, "Rows that may wait for the disk; more are dropped and counted.", unit="rows", ge=100)
    capture_text: Literal["off", "failed", "all"] = setting(
        "off", "Keep the addresses' text in the embedded store: never, of failed inferences, or always. Addresses are personal data."
    )
    hash_key_file: FilePath | None = setting(
        None, "File with the key of the address hashes, at least 32 bytes. None: made once in the data folder, mode 0600."
    )


class TelemetrySettings(BaseModel):
    """What this process calls itself, and what it samples."""

    instance_name: str | None = setting(
        None, "Name of this instance in messages, dashboards and logs of people. None: host, command and slot."
    )
    traffic: Literal["steady", "sporadic"] = setting(
        "steady",
        "Whether requests come steadily, so that fewer of them, or none, mean that something is broken; `sporadic` keeps the alerts on "
        "missing traffic silent.",
    )
    gpu: Literal["auto", "nvml", "off"] = setting("auto", "Read the GPU by NVML: if there is one, always (else the start fails), or never.")
    gpu_interval: float = setting(1.0, "Time between two GPU samples.", unit="seconds", ge=0.1, le=60)
    spool_max_bytes: int = setting(
        1_073_741_824,
        "Telemetry kept on disk while the OTLP endpoint is away; the oldest goes first, counted. About an hour at 100 requests a second.",
        unit="bytes",
        ge=1_048_576,
    )
    spool_max_age: float = setting(
        43_200.0,
        "How old such telemetry may become. Loki and Prometheus, as configured here, take nothing older.",
        unit="seconds",
        gt=0,
        le=31_536_000,
    )
    freeze_gc: bool = setting(True, "Freeze the garbage collector's view of start-up objects after warm-up; shortens its longest pause.")


class DrillSettings(BaseModel):
    """Whether fire drills may disturb this box."""

    drills: Literal["off", "on", "weekly"] = setting(
        "off",
        "`on`: `mgeo drill` may break this service and its stack, to see that the alerts come; alerts must go to the simulator then. "
        "`weekly`: `mgeo up` has a stack of its own drilled once a week beside this one, which nothing disturbs.",
    )


class LookupSettings(BaseModel):
    """The stores of the stack in which the story of a request is looked up, beside the embedded one; `mgeo up` sets them."""

    jaeger_url: str | None = setting(None, "Jaeger's API. None: no traces but those of the embedded store.")
    loki_url: str | None = setting(None, "Loki's API. None: no log lines but those of the embedded store.")
    prometheus_url: str | None = setting(None, "Prometheus' API. None: a story says nothing of alerts and of metrics at its moment.")
    grafana_url: str | None = setting(None, "Grafana, as people reach it. None: links lead to our own pages.")
    gateway_links: bool = setting(
        False, "Whether the gateway stands at `MGEO_PUBLIC_URL`, so that links to Jaeger and Prometheus go through its paths."
    )
    lookup_timeout: float = setting(
        5.0, "How long one of these stores may take; then the story says what is missing.", unit="seconds", gt=0, le=60
    )


class Settings(
    ServerSettings,
    InferenceSettings,
    ModelSettings,
    DataSettings,
    TelemetrySettings,
    DrillSettings,
    LookupSettings,
    StackPortSettings,
    RetentionSettings,
    AuditSettings,
    NotifierSettings,
    DrillStackSettings,
    ProgramSettings,
    GatewaySettings,
    UpstreamSettings,
    BaseSettings,
):
    """All settings. Frozen; checked together by `load`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="forbid", validate_default=True, hide_input_in_errors=True
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 -- the signature is the library's
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Command line, then environment, then the file."""
        file = os.environ.get(CONFIG_FILE)
        file_settings = (TomlConfigSettingsSource(settings_cls, toml_file=_readable(Path(file))),) if file else ()
        return (init_settings, env_settings, *file_settings)

    @model_validator(mode="after")
    def _together(self) -> Self:
        problems = [
            f"{PREFIX}{name.upper()} and {PREFIX}{name.upper()}_FILE are both set; keep one of them"
            for name in SECRETS
            if getattr(self, name) is not None and getattr(self, f"{name}_file") is not None
        ]
        if self.queue_size < self.max_batch_size:
            problems.append(
                f"MGEO_QUEUE_SIZE = {self.queue_size} is smaller than MGEO_MAX_BATCH_SIZE = {self.max_batch_size}: "
                "no batch could ever fill; raise the first or lower the second",
            )
        if self.stuck_after <= self.max_queue_delay:
            problems.append(
                f"MGEO_STUCK_AFTER = {self.stuck_after} s is not longer than MGEO_MAX_QUEUE_DELAY = {self.max_queue_delay} s: "
                "every worker that waits would be taken for stuck; raise the first",
            )
        if problems:
            raise ValueError("\n".join(problems))
        return self

    @classmethod
    def load(cls, **overrides: Any) -> Self:
        """Read, check and freeze all settings.

        Args:
            overrides: values from the command line by setting name; None means not given.

        Raises:
            SettingsError: a line for each setting that is wrong, with its value, and how to mend it.
        """
        try:
            return cls(**{name: value for name, value in overrides.items() if value is not None})
        except ValidationError as error:
            problems = [line for detail in error.errors(include_url=False) for line in _problem(detail)]
            raise SettingsError("\n".join(["the settings are wrong:", *(f"  - {problem}" for problem in problems)])) from error

    def redacted(self) -> dict[str, str]:
        """Every setting of the service as text by name, secrets as asterisks; what the start prints."""
        return {name: str(getattr(self, name)) for concern in CONCERNS for name in concern.model_fields if concern not in STACK_CONCERNS}


CONCERNS: tuple[type[BaseModel], ...] = (
    ServerSettings,
    InferenceSettings,
    ModelSettings,
    DataSettings,
    TelemetrySettings,
    DrillSettings,
    LookupSettings,
    *STACK_CONCERNS,
)
SECRETS = ("api_keys", "gateway_password", "ingest_token", "upstream_token")
"""The settings with a twin that names a file; at most one of the two is set."""


def misspelt_variables() -> Iterator[str]:
    """A warning for each `MGEO_` variable of the environment that is no setting but looks like one."""
    known = [PREFIX + name.upper() for name in Settings.model_fields]
    for variable in sorted(os.environ):
        if variable.startswith(PREFIX) and variable not in {CONFIG_FILE, *CLIENT_VARIABLES, *known}:
            close = difflib.get_close_matches(variable, known, n=1, cutoff=0.85)
            if close:
                yield f"{variable} is not a setting; did you mean {close[0]}?"


def _readable(path: Path) -> Path:
    try:
        path = expanded(path)
        tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        message = f"{CONFIG_FILE} = {path}: cannot be read ({error.strerror}); name a readable TOML file or unset it"
        raise SettingsError(message) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        message = f"{CONFIG_FILE} = {path}: is not TOML ({error}); write lines such as: port = 8000"
        raise SettingsError(message) from error
    except ValueError as error:
        message = f"{CONFIG_FILE} = {path}: {error}; name a readable TOML file or unset it"
        raise SettingsError(message) from error
    return path


def _problem(detail: Any) -> Iterator[str]:
    if not detail["loc"]:
        yield from str(detail["msg"]).removeprefix("Value error, ").splitlines()
        return
    given = str(detail["loc"][0])
    name = given.lower().removeprefix(PREFIX.lower())
    info = Settings.model_fields.get(name)
    if info is None or detail["type"] == "extra_forbidden":
        close = difflib.get_close_matches(name, Settings.model_fields, n=1, cutoff=0.6)
        yield f"{given}: there is no such setting" + (f"; did you mean {close[0]}?" if close else "")
        return
    shown = "a secret" if "SecretStr" in str(info.annotation) else repr(detail["input"])
    extra = info.json_schema_extra
    unit = f" {extra['unit']}" if isinstance(extra, dict) and extra.get("unit") else ""
    yield f"{PREFIX}{name.upper()} = {shown}: {detail['msg']}; the default is {info.default}{unit}. {info.description}"
