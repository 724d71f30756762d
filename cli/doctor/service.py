"""Checks of what the service is made of: its settings, its model, its port."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

from cli.doctor.finding import fail, ok, warn
from cli.duration import duration_text
from service.errors import ModelLoadError, SettingsError
from service.model.base import AddressPair

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from cli.doctor.finding import Finding
    from service.model.base import Model
    from service.settings import Settings

_PAIR = AddressPair(address1="北京市海淀区中关村大街27号", address2="海淀区中关村大街27号中关村大厦")


def check_settings(load: Callable[[], Settings]) -> tuple[Finding, Settings | None]:
    """Whether the settings are right; with them when they are."""
    try:
        settings = load()
    except SettingsError as error:
        return fail("settings", str(error), "correct the lines above; docs/configuration.md lists every setting"), None
    return ok("settings", f"all {len(type(settings).model_fields)} are valid"), settings


def check_spelling(warnings: Iterable[str]) -> Finding:
    """Whether the environment has variables that look like settings, but are none."""
    found = list(warnings)
    if found:
        return warn("spelling", "\n".join(found), "rename or unset them: they have no effect")
    return ok("spelling", "no MGEO_ variable looks misspelt")


def check_model(name: str, load: Callable[[], Model], *, monotonic: Callable[[], float] = time.monotonic) -> Finding:
    """Whether the model can be loaded and gives an answer."""
    begun = monotonic()
    try:
        model = load()
        loaded = monotonic()
        model.warmup()
        warm = monotonic()
        model.predict([_PAIR])
        answered = monotonic()
    except ModelLoadError as error:
        return fail("model", str(error), "see above; `--model embedded` takes the one that comes with mgeo")
    except Exception as error:  # noqa: BLE001 -- a model may fail in any way
        fix = "try --model embedded; if that works, the checkpoint is at fault"
        return fail("model", f"{name} failed: {type(error).__name__}: {error}", fix)
    info = model.info
    times = f"loaded in {duration_text(loaded - begun)}, answers a pair in {duration_text(answered - warm)}"
    return ok("model", f"{info.name} {info.version} on {info.device}, {times}")


def check_port(host: str, port: int, *, alive: Callable[[], bool], owner: Callable[[int], str | None]) -> Finding:
    """Whether the port is free, or mgeo itself has it.

    Args:
        host: where the service would listen.
        port: the same.
        alive: whether an mgeo answers on the port.
        owner: names the process that listens on a port.
    """
    if port == 0:
        return ok("port", "0: any free port is taken at the start")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as error:
            reason = error
        else:
            return ok("port", f"{host}:{port} is free")
    who = owner(port)
    if who is None:
        fix = "set another --host or --port; below 1024 needs privileges"
        return fail("port", f"{host}:{port} cannot be used ({reason.strerror})", fix)
    if alive():
        return ok("port", f"mgeo is already running on {host}:{port} ({who})")
    return fail("port", f"{host}:{port} is taken by {who}", "stop it, or choose another port with --port or MGEO_PORT")
