"""Everything a plan is made from: settings, folders, the profile, and the places of programs and secrets. Pure."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from cli.stack.process import Listener

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cli.stack.layout import Layout
    from cli.stack.profile import Profile
    from service.settings import Settings

_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 -- compares, does not bind


class Found(Protocol):
    """A program that was located."""

    @property
    def path(self) -> Path:
        """The executable."""
        ...

    @property
    def version(self) -> object:
        """Its version; its text is shown."""
        ...

    @property
    def origin(self) -> str:
        """Where it came from."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """What processes need to be given, by file where they can read one."""

    gateway_hash: str | None = field(default=None, repr=False)
    ingest_token_file: Path | None = None
    upstream_token_file: Path | None = None
    grafana_password_file: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One stack on one box.

    Attributes:
        root: the checkout with the configuration files.
        python: the interpreter that runs the service.
        python_path: PYTHONPATH with which it finds this very package.
        programs: the located programs, `caddy` and `grafana` among them, by name.
    """

    profile: Profile
    gateway: bool
    settings: Settings
    layout: Layout
    root: Path
    python: str
    python_path: str
    programs: Mapping[str, Found]
    secrets: Secrets

    @property
    def grafana(self) -> bool:
        """Whether a Grafana is started too."""
        return "grafana" in self.programs

    @property
    def simulator(self) -> bool:
        """Whether the simulator of DingTalk is told, since no robots are configured."""
        return self.settings.notifier_config is None

    @property
    def public_url(self) -> str | None:
        """Where people reach the stack: the setting, else the gateway."""
        return self.settings.public_url or (self.gateway_url if self.gateway else None)

    @property
    def gateway_url(self) -> str:
        """The gateway, as this box reaches it."""
        scheme = "https" if self.settings.gateway_certificate_file else "http"
        return f"{scheme}://{authority(self.settings.gateway_host, self.settings.gateway_port)}"

    def below(self, prefix: str) -> str:
        """The public address of one program behind the gateway."""
        return f"{(self.public_url or '').rstrip('/')}/{prefix}/"

    def address(self, port_setting: str) -> str:
        """`host:port` at which a program of the stack is reached from this box."""
        return authority(self.settings.stack_host, self.port(port_setting))

    def url(self, port_setting: str) -> str:
        """The same as a URL."""
        return f"http://{self.address(port_setting)}"

    def port(self, setting: str) -> int:
        """The value of a setting that is a port."""
        port: int = getattr(self.settings, setting)
        return port

    def listen(self, *port_settings: str, host: str | None = None) -> tuple[Listener, ...]:
        """The ports that a process takes, by setting."""
        return tuple(
            Listener(setting=f"MGEO_{name.upper()}", host=host or self.settings.stack_host, port=self.port(name)) for name in port_settings
        )

    def configuration(self, *parts: str) -> str:
        """The path of a configuration file of the checkout."""
        return str(self.root.joinpath(*parts))


def authority(host: str, port: int) -> str:
    """`host:port` for a client on this box; brackets around IPv6."""
    host = _ANY.get(host, host)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_loopback(host: str) -> bool:
    """Whether who listens there is reached from this box alone. No name is looked up."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
