"""Where a difference may come from: what services themselves say they lost, and a sampler that leaves spans out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from cli.audit.backend import BackendUnread
from cli.audit.prometheus import dropped_in

if TYPE_CHECKING:
    from cli.audit.prometheus import PrometheusSamples


async def dropped_hints(samples: PrometheusSamples | None, client: httpx.AsyncClient, metrics_url: str) -> list[str]:
    """What was dropped, by Prometheus where there is one, else by the service's own `/metrics`; nothing when neither can be asked."""
    try:
        if samples is not None:
            dropped = await samples.dropped()
        else:
            response = await client.get(metrics_url)
            dropped = dict(dropped_in(response.text)) if response.status_code == 200 else {}
    except (BackendUnread, httpx.HTTPError):
        return []
    return [f"the service dropped {count} of {what.replace(' ', ': ')} (mgeo_telemetry_dropped_total)" for what, count in dropped.items()]
