"""The address of a running service: taken apart once, checked once."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

DEFAULT_URL = "http://127.0.0.1:8000"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceUrl:
    """Host and port to connect to, whether by TLS, and the path all routes begin with (empty, or `/prefix`)."""

    host: str
    port: int
    tls: bool
    prefix: str

    @classmethod
    def parse(cls, text: str) -> ServiceUrl:
        """Read `http://host:port/prefix`.

        Raises:
            ValueError: it is no such URL.
        """
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError as error:
            raise ValueError(f"{text!r} is not a URL: {error}") from error
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(f"{text!r} is not the address of a service; write one such as {DEFAULT_URL}")
        tls = parts.scheme == "https"
        return cls(host=parts.hostname, port=port or (443 if tls else 80), tls=tls, prefix=parts.path.rstrip("/"))

    def __str__(self) -> str:
        """The URL again, always with its port."""
        return f"{'https' if self.tls else 'http'}://{self.authority}{self.prefix}"

    @property
    def authority(self) -> str:
        """Host and port as the `Host` header writes them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Whether it surely is this machine: `localhost`, or a loopback address. No name is looked up."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False
