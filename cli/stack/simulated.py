"""What every configuration says that tells the simulator of DingTalk. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cli.stack.site import Site

_SECRET = "SECsimulator"  # noqa: S105 -- of robots that are none


def robot_table(site: Site, name: str) -> str:
    """One of the simulator's robots, as TOML."""
    url = json.dumps(f"{site.url('simulator_port')}/robot/send")
    return f'[[robots]]\nname = "{name}"\ntoken = "simulator-{name}"\nsecret = "{_SECRET}"\nurl = {url}\n'


def receiver_table(name: str) -> str:
    """A receiver of the robot of the same name, as TOML."""
    return f'[[receivers]]\nname = "{name}"\nrobots = ["{name}"]\n'


def allowed_hosts(site: Site) -> str:
    """The simulator, as TOML; with its scheme, since tokens go there without TLS: those of the simulator are in the documentation."""
    return f"allowed_hosts = [{json.dumps(site.url('simulator_port'))}]"
