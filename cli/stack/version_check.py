"""Asks an executable that somebody else installed which version it is, and whether it has what our configuration uses."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

from cli.stack.pin import components
from cli.stack.program import PassedOver, Version

if TYPE_CHECKING:
    from pathlib import Path

    from cli.stack.program import Binary

TIMEOUT = 20.0
_SAID = re.compile(r'(?:version"?[ :="]+|^)v?(\d+\.\d+(?:\.\d+)?)', re.IGNORECASE | re.MULTILINE)


def ask_version(path: Path, binary: Binary, *, timeout: float = TIMEOUT) -> Version | None:
    """The version that an executable tells; None when it tells none, as builds without one do.

    Raises:
        PassedOver: it cannot be run, or does not end.
    """
    found = _SAID.search(_output(path, binary.version_command, timeout))
    return Version.parse(found[1]) if found else None


def lacking_components(path: Path, manifest: Path, *, timeout: float = TIMEOUT) -> list[str]:
    """The components of the manifest that a Collector does not have, by the last part of their modules.

    Raises:
        PassedOver: it cannot be run, or does not end.
    """
    present = set(re.findall(r"module: (\S+)", _output(path, "components", timeout)))
    # How configuration files are read is compiled in and not listed.
    wanted = [module for module in components(manifest) if "/confmap/provider/" not in module]
    return [module.rpartition("/")[2] for module in wanted if module not in present]


def _output(path: Path, argument: str, timeout: float) -> str:
    try:
        done = subprocess.run(  # noqa: S603 -- the program that is to be started next, asked for its version
            [path, argument], capture_output=True, check=False, timeout=timeout, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired as error:
        raise PassedOver(f"{path} {argument} does not end within {timeout:.0f} s") from error
    except OSError as error:
        raise PassedOver(f"{path} cannot be run ({error.strerror})") from error
    return (done.stdout + b"\n" + done.stderr).decode(errors="replace")
