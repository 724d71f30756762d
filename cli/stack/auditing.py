"""The plan of what audits the running stack. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.stack.drilling import audit_interval
from cli.stack.process import Process
from cli.stack.senders import store_urls
from service import __version__

if TYPE_CHECKING:
    from cli.stack.site import Site

FIRST_AFTER = 300.0
"""Seconds before the first audit at the latest: what came with the start is stored by then."""
WINDOWS = 2
"""Intervals that each audit looks back: an inference is looked for twice, so what arrives late is a difference only once."""
SETTLE = (30.0, 300.0)
"""Seconds that an audit waits at most for telemetry on its way: three collections at least, and long, since nobody waits for it."""


def auditor(site: Site) -> Process:
    """`mgeo audit --record` at an interval; it says nothing to anybody, the service shows what it wrote."""
    every = audit_interval(site.settings)
    settle = max(SETTLE[0], min(SETTLE[1], every / 4))
    mgeo = (site.python, "-P", "-m", "cli.main")
    audit = (
        "audit",
        "--record",
        f"--data-dir={site.layout.data_dir}",
        f"--since={every * WINDOWS:g}s",
        f"--settle={settle:g}s",
    )
    return Process(
        name="auditor",
        argv=(site.python, "-P", "-m", "cli.audit.loop", f"{every:g}", f"{min(FIRST_AFTER, every):g}", *mgeo, *audit),
        environment={"PYTHONPATH": site.python_path, **store_urls(site)},
        drops=(),
        listed=False,
        version=str(__version__),
        origin="this checkout",
        address="",
        listeners=(),
        probes=(),
        advice="try `mgeo audit` by hand",
    )
