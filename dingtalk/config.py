"""The configuration of the notifier: one TOML file, read once, refused as a whole with every fault named.

Every secret may stand in a file of its own (`token_file` and the like), whose path may be relative to the configuration.
"""

from __future__ import annotations

import ipaddress
import tomllib
from datetime import time  # noqa: TC003 -- pydantic reads the annotations when it runs
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self, get_origin
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, ValidationInfo, model_validator

from dingtalk.alert import Severity
from dingtalk.errors import ConfigError
from dingtalk.watch.silence import REMIND_EVERY, SILENT_AFTER

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

DINGTALK_URL = "https://oapi.dingtalk.com/robot/send"
DINGTALK_HOSTS = frozenset({"oapi.dingtalk.com"})
MIN_KEY = 16
"""Characters of a key that signs heartbeats."""
RATE_LIMIT = 20
"""Messages a robot may send a minute; one more, and it is silenced for ten."""


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"{name!r} is no time zone; give one such as Asia/Shanghai") from None
    return name


def _long_enough(key: SecretStr) -> SecretStr:
    if len(key.get_secret_value()) < MIN_KEY:
        raise ValueError(f"a key has at least {MIN_KEY} characters; `openssl rand -hex 32` makes one")
    return key


class _SecretMark:
    """Marks a field that may stand in a file."""


_SECRET = _SecretMark()
Secret = Annotated[SecretStr, _SECRET]
Key = Annotated[SecretStr, AfterValidator(_long_enough), _SECRET]


def is_secret(field: FieldInfo) -> bool:
    """Whether an entry never prints, and may stand in a file."""
    return _SECRET in field.metadata


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _read_secret_files(cls, values: Any, info: ValidationInfo) -> Any:  # Any: TOML
        """Put the content of each `<name>_file` where the secret `<name>` belongs."""
        if not isinstance(values, dict):
            return values
        folder = (info.context or {}).get("folder", Path())
        values = dict(values)
        for name, field in cls.model_fields.items():
            if not is_secret(field) or f"{name}_file" not in values:
                continue
            path = folder / str(values.pop(f"{name}_file"))
            if name in values:
                raise ValueError(f"{name} and {name}_file are both given; keep one")
            try:
                text = path.read_text().strip()
            except (OSError, UnicodeDecodeError) as error:
                raise ValueError(f"{name}_file {path} cannot be read: {getattr(error, 'strerror', None) or 'it is no text'}") from None
            if not text:
                raise ValueError(f"{name}_file {path} is empty")
            values[name] = text.split() if get_origin(field.annotation) is list else text
        return values


class Robot(_Section):
    """One custom robot of a group. Its token is a secret: whoever has it writes into the group."""

    name: str = Field(min_length=1, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="In logs, metrics and the status.")
    token: Secret = Field(description="`access_token` of its webhook address.")
    secret: Annotated[SecretStr | None, _SECRET] = Field(default=None, description="`SEC…` of the security mode 加签.")
    keyword: str = Field(default="", description="One of its keywords; added to each message that lacks it.")
    organisation: str = Field(default="default", description="Whose monthly quota it uses.")
    url: str = Field(default=DINGTALK_URL, description="Another address needs its host in `allowed_hosts`.")
    per_minute: int = Field(default=18, ge=1, le=RATE_LIMIT, description="Messages in any 60 s; the margin is for clocks that differ.")
    reserve: int = Field(default=3, ge=0, description="How many of those are kept for critical alerts.")

    @model_validator(mode="after")
    def _has_room(self) -> Self:
        if self.reserve >= self.per_minute:
            raise ValueError(f"reserve = {self.reserve} leaves nothing of per_minute = {self.per_minute} for what is not critical")
        return self


class Organisation(_Section):
    """A DingTalk organisation, whose robots share a monthly quota."""

    name: str = Field(min_length=1, description="As robots name it.")
    monthly_quota: int = Field(default=3000, ge=1, description="Calls a calendar month; the standard edition has 3,000 since 2025-11-19.")


class Person(_Section):
    """Somebody who can be called by an @."""

    name: str = Field(min_length=1, description="As owners and the rota name them.")
    mobile: str = Field(default="", pattern=r"^(\+\d{1,4}-)?\d{0,20}$", description="As DingTalk knows it; overseas `+CC-number`.")
    user_id: str = Field(default="", pattern=r"^[\w.@-]*$", description="Of the organisation's directory; works on cards too.")

    @model_validator(mode="after")
    def _can_be_called(self) -> Self:
        if not (self.mobile or self.user_id):
            raise ValueError(f"{self.name} has neither mobile nor user_id")
        return self


class Owner(_Section):
    """Who is called for alerts with certain labels; the first that matches counts."""

    match: dict[str, str] = Field(default_factory=dict, description="Labels and their values; all must be there. Empty: every alert.")
    people: list[str] = Field(default_factory=list, description="Names of [[people]].")
    everyone: bool = Field(default=False, description="@ everybody, for critical alerts only.")
    on_resolved: bool = Field(default=False, description="Also call them when it is over.")
    quiet_from: time | None = Field(default=None, description="From then on nobody is called for `quiet_severities`.")
    quiet_until: time | None = Field(default=None, description="Until then; it may be the next morning.")
    quiet_severities: list[Severity] = Field(default=[Severity.WARNING, Severity.INFO], description="What waits for the morning to call.")

    @model_validator(mode="after")
    def _quiet_has_two_ends(self) -> Self:
        if (self.quiet_from is None) != (self.quiet_until is None):
            raise ValueError("quiet_from and quiet_until belong together")
        return self


class Receiver(_Section):
    """Where notifications go that Alertmanager posts to `/v1/alertmanager/<name>`."""

    name: str = Field(min_length=1, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="As the path of Alertmanager's calls has it.")
    robots: list[str] = Field(min_length=1, description="Names of [[robots]]: a pool, in the order of preference.")
    fallbacks: Annotated[list[SecretStr], _SECRET] = Field(
        default_factory=list, description="Apprise addresses, for when no robot can be reached; one a line in a file."
    )
    fallback_after: float = Field(default=600.0, gt=0, description="Seconds a message waits for the robots before it goes there.")
    card: bool = Field(default=False, description="Links as buttons of an action card, which cannot @ by mobile.")


class Rota(_Section):
    """Who is asked when nobody takes a critical alert."""

    people: list[str] = Field(default_factory=list, description="Names of [[people]], in the order of asking.")
    after: float = Field(default=300.0, gt=0, description="Seconds until the next is asked.")
    phone: Annotated[SecretStr | None, _SECRET] = Field(default=None, description="Apprise address of the phone channel, asked last.")


class Watcher(_Section):
    """A second machine with `mgeo watch`, which gets this box's heartbeats."""

    url: str = Field(description="Where it listens.")
    key: Key = Field(description="Signs the heartbeats; the watcher has the same.")
    box: str = Field(min_length=1, description="The name that this box has there.")

    @property
    def name(self) -> str:
        """Host and port of it."""
        return urlsplit(self.url).netloc.rpartition("@")[2]

    @model_validator(mode="after")
    def _has_an_address(self) -> Self:
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("url is no address of a watcher; write one such as https://watch.example:8060")
        return self


class Box(_Section):
    """A machine that is watched: when it sends no heartbeats, the groups hear of it."""

    name: str = Field(min_length=1, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="As its own [[watchers]] calls it.")
    key: Key = Field(description="Signs its heartbeats; the box has the same.")
    receiver: str = Field(default="", description="One of [[receivers]] that hears of it; every one when it is not given.")


class Config(_Section):
    """All of it."""

    host: str = Field(default="127.0.0.1", description="Address to listen on; loopback, as Alertmanager is beside it.")
    port: int = Field(default=8060, ge=0, le=65535, description="TCP port.")
    data_dir: Path = Field(default=Path("var/notifier"), description="Folder of the queue; of one notifier at a time.")
    public_url: str = Field(default="", description="Where people reach this stack from their phones; links need it.")
    grafana_url: str = Field(default="", description="Where people reach Grafana; links to dashboards need it.")
    runbooks: Path | None = Field(default=None, description="Folder with the runbooks: their first steps stand in messages.")
    alertmanager_url: str = Field(default="http://127.0.0.1:9093", description="Makes silences, is told what was missed; empty: neither.")
    prometheus_url: str = Field(default="http://127.0.0.1:9090", description="Knows which alerts fired; empty: misses are not found.")
    time_zone: Annotated[str, AfterValidator(_zone)] = Field(default="Asia/Shanghai", description="Of the times in messages.")
    token: Annotated[SecretStr | None, _SECRET] = Field(default=None, description="Bearer token that Alertmanager must send.")
    username: str = Field(default="", description="Name for basic authentication.")
    password: Annotated[SecretStr | None, _SECRET] = Field(default=None, description="Basic authentication instead of the token.")
    link_key: Annotated[SecretStr | None, _SECRET] = Field(
        default=None, description="Signs the links of messages; made once in the data folder when it is not given."
    )
    default_receiver: str = Field(default="", description="Gets what is for a receiver that is not here; else the first one.")
    allowed_hosts: list[str] = Field(
        default_factory=list, description="Hosts beside DingTalk's that robots may be at; `http://HOST` lets tokens go there without TLS."
    )
    templates: Path | None = Field(default=None, description="Folder with your own group.md.j2 and digest.md.j2.")
    max_queue: int = Field(default=200_000, ge=1, description="Receipts that may wait; then 503.")
    replica_window: float = Field(default=240.0, ge=0, description="Seconds in which the same content is another replica's.")
    keep_days: float = Field(default=31.0, gt=0, description="How long what was told is kept.")
    scale: float = Field(default=1.0, gt=0, le=1, description="Shortens every duration, for drills.")
    heartbeat_receiver: str = Field(
        default="watchdog", description="What comes for it is told to no group; the alert Watchdog is a sign of life."
    )
    watchers: list[Watcher] = Field(default_factory=list)
    boxes: list[Box] = Field(default_factory=list, description="Who is watched from here.")
    silent_after: float = Field(
        default=SILENT_AFTER, ge=120, description="Seconds without a heartbeat that are a silence; one comes each minute."
    )
    remind_every: float = Field(default=REMIND_EVERY, gt=0, description="Seconds until a silence that lasts is said again.")
    robots: list[Robot] = Field(min_length=1)
    organisations: list[Organisation] = Field(default_factory=list)
    receivers: list[Receiver] = Field(min_length=1)
    people: list[Person] = Field(default_factory=list)
    owners: list[Owner] = Field(default_factory=list)
    rota: Rota = Rota()

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        faults = [*self._doubles(), *self._unknown(), *self._addresses()]
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def _doubles(self) -> list[str]:
        faults = []
        for kind in ("robots", "organisations", "receivers", "people", "watchers", "boxes"):
            names = [one.name for one in getattr(self, kind)]
            faults += [f"{kind}: the name {name!r} is given twice" for name in sorted({name for name in names if names.count(name) > 1})]
        return faults

    def _unknown(self) -> list[str]:
        robots, people = {robot.name for robot in self.robots}, {person.name for person in self.people}
        faults = [
            f"receiver {receiver.name!r} names the robot {name!r}, which is none of [[robots]]"
            for receiver in self.receivers
            for name in receiver.robots
            if name not in robots
        ]
        named = [*(name for owner in self.owners for name in owner.people), *self.rota.people]
        faults += [f"{name!r} is called, but is none of [[people]]" for name in dict.fromkeys(named) if name not in people]
        if self.default_receiver and self.default_receiver not in {receiver.name for receiver in self.receivers}:
            faults.append(f"default_receiver = {self.default_receiver!r} is none of [[receivers]]")
        return faults + self._unheard()

    def _unheard(self) -> list[str]:
        receivers = {receiver.name for receiver in self.receivers}
        faults = [
            f"box {box.name!r} names the receiver {box.receiver!r}, which is none of [[receivers]]"
            for box in self.boxes
            if box.receiver and box.receiver not in receivers
        ]
        if self.heartbeat_receiver in receivers:
            faults.append(
                f"receiver {self.heartbeat_receiver!r} would hear nothing, since it is heartbeat_receiver; name one of them otherwise"
            )
        return faults

    def _addresses(self) -> list[str]:
        without_tls = {urlsplit(entry).hostname or "" for entry in self.allowed_hosts if entry.startswith("http://")} - DINGTALK_HOSTS
        allowed = DINGTALK_HOSTS | without_tls | set(self.allowed_hosts)
        faults = []
        for robot in self.robots:
            parts = urlsplit(robot.url)
            if parts.hostname not in allowed:
                faults.append(
                    f"robot {robot.name!r} is at {parts.hostname}, which is not DingTalk's; put it into allowed_hosts if you mean it"
                )
            elif parts.scheme != "https" and parts.hostname not in without_tls and not _is_loopback(parts.hostname or ""):
                faults.append(f"robot {robot.name!r}: {parts.scheme}:// would show its token to the network; use https")
        if self.public_url and _is_loopback(urlsplit(self.public_url).hostname or ""):
            faults.append(f"public_url = {self.public_url}: no phone reaches a loopback address; give the one people use, or leave it out")
        elif self.public_url and urlsplit(self.public_url).scheme not in {"http", "https"}:
            faults.append(f"public_url = {self.public_url} is no address of a page")
        return faults

    def robot(self, name: str) -> Robot:
        """The robot of a name."""
        return next(robot for robot in self.robots if robot.name == name)

    def person(self, name: str) -> Person:
        """The person of a name."""
        return next(person for person in self.people if person.name == name)

    def receiver(self, name: str) -> Receiver:
        """The receiver of a name; the default one for a name that is not known."""
        by_name = {receiver.name: receiver for receiver in self.receivers}
        return by_name.get(name) or by_name.get(self.default_receiver) or self.receivers[0]

    def organisation(self, name: str) -> Organisation:
        """The organisation of a name, with the standard quota when it is not described."""
        return next((one for one in self.organisations if one.name == name), Organisation(name=name))


def load_config(path: Path, **overrides: object) -> Config:
    """Read and judge a configuration; relative paths in it are relative to its folder.

    Args:
        path: the TOML file.
        **overrides: entries that win over those of the file, unless they are None.

    Raises:
        ConfigError: the file cannot be read or used; names every fault.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8'}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is no TOML: {error}") from error
    for name in ("templates", "data_dir", "runbooks"):
        if isinstance(values.get(name), str):
            values[name] = str(path.parent / values[name])
    given = {name: value for name, value in overrides.items() if value is not None}
    values = {name: value for name, value in values.items() if name.removesuffix("_file") not in given} | given
    try:
        return Config.model_validate(values, context={"folder": path.parent})
    except ValidationError as error:
        raise ConfigError("\n".join([f"{path} cannot be used:", *map(_in_words, error.errors())])) from None


def _in_words(fault: Any) -> str:  # Any: pydantic's own mapping
    place = ".".join(str(step) for step in fault["loc"])
    return f"  {place + ': ' if place else ''}{fault['msg'].removeprefix('Value error, ')}"


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
