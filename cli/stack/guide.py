"""What a stack that came up tells its owner: where to look, how to log in, how to end it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.stack.doors import grafana_url, grafana_variables
from cli.stack.profile import Profile
from cli.stack.site import authority

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cli.stack.site import Site


def guide(site: Site, login: tuple[str, str] | None) -> Iterator[str]:
    """The lines below the table.

    Args:
        site: what came up.
        login: the gateway's user and where its password stands.
    """
    settings = site.settings
    yield ""
    yield f"overview:  {(site.public_url or f'http://{authority(settings.host, settings.port)}').rstrip('/')}/"
    if login is not None:
        user, place = login
        yield f"gateway:   {site.gateway_url}/ asks for user {user} and the password in {place}"
    if site.grafana:
        yield f"Grafana:   {grafana_url(site)} (user admin, password in {site.layout.grafana_password})"
    elif site.profile is Profile.FULL:
        yield from _point_grafana(site)
    if site.profile is not Profile.AGENT and site.simulator:
        page = site.below("simulator") if site.gateway else f"{site.url('simulator_port')}/"
        yield f"alerts:    told to a simulator of DingTalk, {page}; MGEO_NOTIFIER_CONFIG names your own robots"
    if site.profile is Profile.AGENT:
        yield f"telemetry: goes to {settings.upstream}"
    yield f"end it:    mgeo down --data-dir {site.layout.data_dir}"


def _point_grafana(site: Site) -> Iterator[str]:
    yield "Grafana:   none is installed here. To use one of yours, start it with"
    yield f"             GF_PATHS_PROVISIONING={site.configuration('grafana', 'provisioning')}"
    for name, value in grafana_variables(site).items():
        yield f"             {name}={value}"
    yield "           or set MGEO_GRAFANA_BINARY and run `mgeo up` again."
