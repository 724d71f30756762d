"""The settings of the simulator: its robots and groups, and every rule that DingTalk leaves open."""

from __future__ import annotations

import tomllib
from collections import Counter
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path  # noqa: TC003 -- pydantic reads annotations when it runs
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from dingtalk.errors import ConfigError
from dingtalk.simulator.answer import Punishment
from dingtalk.simulator.errcode import Wording
from dingtalk.simulator.window import WindowKind

Name = Annotated[str, Field(min_length=1, max_length=100)]
Seconds = Annotated[float, Field(gt=0, le=31_622_400)]


class SettingsError(ConfigError):
    """The simulator cannot start; the message has a line for each wrong setting."""

    exit_code = 78  # EX_CONFIG of sysexits.h


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Member(_Table):
    """A person of a group; who has neither mobile nor user id cannot be @ed."""

    name: Name
    mobile: str = ""
    user_id: str = ""


class Group(_Table):
    """A group that is more than a name. Without members, everyone counts as one."""

    name: Name
    members: tuple[Member, ...] = ()


class Robot(_Table):
    """One custom robot of a group."""

    name: Name
    token: SecretStr = Field(min_length=1, description="The access_token that is its address and its password.")
    group: Name
    secret: SecretStr | None = Field(default=None, min_length=1, description="Calls must be signed with it (加签).")
    keywords: tuple[Name, ...] = Field(default=(), max_length=10, description="One of them must stand in every message.")
    allow_ips: tuple[IPv4Network, ...] = Field(default=(), description="Only these networks may call; DingTalk knows no IPv6 here.")
    organisation: Name = Field(default="default", description="Whose monthly quota it uses.")
    disabled: bool = False
    dissolved: bool = Field(default=False, description="Its group exists no more.")


class Blocklist(_Table):
    """Pieces of text that DingTalk's content check would refuse."""

    links: tuple[Name, ...] = Field(default=(), description="Refused in an address: 430101.")
    texts: tuple[Name, ...] = Field(default=(), description="Refused in title and text: 430102.")
    images: tuple[Name, ...] = Field(default=(), description="Refused in a picture's address: 430103.")
    contents: tuple[Name, ...] = Field(default=(), description="Refused anywhere in the body: 430104.")


_DEFAULT_ROBOTS = (
    Robot(name="critical", token=SecretStr("simulator-critical"), secret=SecretStr("SECsimulator"), group="MGeo 紧急告警"),
    Robot(name="warning", token=SecretStr("simulator-warning"), secret=SecretStr("SECsimulator"), group="MGeo 告警"),
    Robot(name="info", token=SecretStr("simulator-info"), secret=SecretStr("SECsimulator"), group="MGeo 通知"),
)


class Settings(_Table):
    """All settings. Where DingTalk's documentation is silent, the default is the rule that is harder on the sender."""

    robots: tuple[Robot, ...] = Field(default=_DEFAULT_ROBOTS, min_length=1)
    groups: tuple[Group, ...] = ()
    blocklist: Blocklist = Blocklist()

    scale: float = Field(default=1.0, gt=0, le=1000, description="Factor of window, ban, block and msgUuid memory, for drills.")

    limit: int = Field(default=20, ge=1, le=10_000, description="Calls of one robot in a window.")
    window_seconds: Seconds = 60.0
    window_kind: WindowKind = WindowKind.SLIDING
    ban_seconds: Seconds = 600.0
    ban_prolonged: bool = Field(default=True, description="Whether a call during the ban starts it anew; not documented.")
    ban_answer: Punishment = Field(default=Punishment.REDIRECT, description="What calls during the ban get.")
    throttle_code: int = Field(default=130101, description="130101 is what logs show, 410100 what the documentation says.")

    ip_limit: int = Field(default=10_000, ge=1, le=100_000, description="Calls of one network address in its window.")
    ip_window_seconds: Seconds = 20.0
    ip_block_seconds: Seconds = 300.0
    ip_answer: Punishment = Punishment.PUNISH

    quota: int = Field(default=3000, ge=0, description="Calls of an organisation in a calendar month (standard edition).")
    quotas: dict[str, Annotated[int, Field(ge=0)]] = Field(default_factory=dict, description="By organisation, where it is another.")
    counts_refused: bool = Field(default=True, description="Whether refused calls use window and quota too; not documented.")

    uuid_memory_seconds: float = Field(default=600.0, ge=0, le=31_622_400, description="0: msgUuid is ignored. Not documented.")
    signature_tolerance_seconds: Seconds = 3600.0
    body_limit: int = Field(default=20_000, ge=1, le=1_000_000, description="Bytes of the encoded body.")
    max_mentions: int = Field(default=50, ge=0, description="People one message can @; those after are not.")
    wording: Wording = Field(default=Wording.NEW, description="Texts and codes of today, or those of older logs.")

    keep: int = Field(default=10_000, ge=1, le=1_000_000, description="Messages, and calls, kept; the newest stay.")
    journal: Path | None = Field(default=None, description="A JSONL file that lets all of it survive a restart.")
    control_from: tuple[IPv4Network | IPv6Network, ...] = Field(
        default=(IPv4Network("127.0.0.0/8"), IPv6Network("::1/128")), description="Networks that may use /control/."
    )

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        for what, names in (
            ("robots: name", [robot.name for robot in self.robots]),
            ("robots: token", [robot.token.get_secret_value() for robot in self.robots]),
            ("groups: name", [group.name for group in self.groups]),
        ):
            twice = [str(names.index(name) + 1) for name, count in Counter(names).items() if count > 1]
            if twice:
                message = f"{what} of entry {', '.join(twice)} is used twice"
                raise ValueError(message)
        return self

    def quota_of(self, organisation: str) -> int:
        """Calls of this organisation in a month."""
        return self.quotas.get(organisation, self.quota)

    def members_of(self, group: str) -> tuple[Member, ...]:
        """The people of a group; none when they are not told."""
        return next((each.members for each in self.groups if each.name == group), ())

    @classmethod
    def of(cls, members: dict[str, Any]) -> Settings:
        """Validate.

        Raises:
            SettingsError: names every wrong setting, but never its value, which may be a secret.
        """
        try:
            return cls.model_validate(members)
        except ValidationError as error:
            lines = [f"{'.'.join(str(part) for part in each['loc']) or 'settings'}: {each['msg']}" for each in error.errors()]
            raise SettingsError("\n".join(lines)) from None

    @classmethod
    def load(cls, path: Path | None, **given: Any) -> Settings:
        """Read a TOML file; what is given beside it and is not None wins.

        Raises:
            SettingsError: the file cannot be read, is not TOML, or has a wrong setting.
        """
        members: dict[str, Any] = {}
        if path is not None:
            try:
                members = tomllib.loads(path.read_text(encoding="utf-8"))
            except OSError as error:
                message = f"{path}: cannot be read ({error.strerror})"
                raise SettingsError(message) from error
            except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
                message = f"{path}: is not TOML ({error})"
                raise SettingsError(message) from None
        return cls.of(members | {name: value for name, value in given.items() if value is not None})
