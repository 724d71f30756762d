"""What cannot be asked for together, and what had better not be, said before anything starts. Pure but for a look at files."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cli.stack.profile import Profile
from cli.stack.site import is_loopback
from service.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.settings import Settings


def refuse_bad_combinations(profile: Profile, settings: Settings, *, gateway: bool) -> None:
    """Check what no single setting can know.

    Raises:
        SettingsError: a line for each problem with its fix.
    """
    problems = [
        *_service_problems(profile, settings),
        *_upstream_problems(profile, settings),
        *_gateway_problems(profile, settings, gateway),
        *_drill_problems(profile, settings),
    ]
    if problems:
        raise SettingsError("\n".join(["the stack cannot come up like this:", *(f"  - {problem}" for problem in problems)]))


def exposures(settings: Settings, *, gateway: bool) -> Iterator[str]:
    """A warning for each way in which the stack is more open than it need be."""
    if not is_loopback(settings.stack_host):
        yield (
            f"MGEO_STACK_HOST = {settings.stack_host}: the programs of the stack ask nobody for a password; "
            "unset it, and use --gateway to reach them from elsewhere"
        )
    if gateway and settings.gateway_certificate_file is None and not is_loopback(settings.gateway_host):
        yield (
            f"MGEO_GATEWAY_HOST = {settings.gateway_host}: the password travels in clear, unless something before the gateway ends TLS; "
            "set MGEO_GATEWAY_CERTIFICATE_FILE and MGEO_GATEWAY_KEY_FILE"
        )


def _service_problems(profile: Profile, settings: Settings) -> Iterator[str]:
    if settings.port == 0:
        yield "MGEO_PORT = 0: the rest of the stack must know the service's port; name one"
    if settings.metrics_need_key and profile is not Profile.AGENT:
        yield "MGEO_METRICS_NEED_KEY = True: the stack's Prometheus scrapes without a key; unset it, the service is on the same box"


def _drill_problems(profile: Profile, settings: Settings) -> Iterator[str]:
    if settings.drills != "off" and profile is Profile.AGENT:
        yield f"MGEO_DRILLS = {settings.drills}: an agent alerts nobody; drill the full stack that it reports to"
    if settings.drills == "on" and settings.notifier_config is not None:
        yield (
            "MGEO_DRILLS = on with MGEO_NOTIFIER_CONFIG: drills would alarm real people; "
            "use `--drills weekly`, which has a stack of its own, or leave the configuration out"
        )
    if settings.drill_scale != 1 and settings.drills != "on":
        yield (
            f"MGEO_DRILL_SCALE = {settings.drill_scale:g}: shorter minutes make alerts of nothing; "
            "unset it, or use it with `--drills on`, on a stack that is there for drills alone"
        )


def _upstream_problems(profile: Profile, settings: Settings) -> Iterator[str]:
    upstream, token = settings.upstream, settings.upstream_token is not None or settings.upstream_token_file is not None
    if profile is not Profile.AGENT:
        if upstream is not None:
            yield f"MGEO_UPSTREAM = {upstream}: only an agent has one; use --profile agent, or leave it out"
        return
    if upstream is None:
        yield "--profile agent sends to a full stack elsewhere, and none is named; add --upstream https://HOST:6006/otlp"
        return
    try:
        parts = urlsplit(upstream)
        host = parts.hostname if parts.port != 0 else None
    except ValueError:
        host = None
    if host is None or parts.scheme not in {"http", "https"}:
        yield f"MGEO_UPSTREAM = {upstream}: is not an address; write one such as https://box.example:6006/otlp"
    elif parts.username is not None or parts.query or parts.fragment:
        yield "MGEO_UPSTREAM: has a login, a query or a fragment; the token goes into MGEO_UPSTREAM_TOKEN_FILE"
    elif parts.scheme == "http" and not is_loopback(host):
        yield f"MGEO_UPSTREAM = {upstream}: the token would travel in clear; use https"
    if not token:
        yield "MGEO_UPSTREAM_TOKEN_FILE is not set; name the file with the other stack's MGEO_INGEST_TOKEN"
    yield from _unreadable(settings, "upstream_token_file", "upstream_ca_file")


def _gateway_problems(profile: Profile, settings: Settings, gateway: bool) -> Iterator[str]:
    certificate, key = settings.gateway_certificate_file, settings.gateway_key_file
    ingest = settings.ingest_token is not None or settings.ingest_token_file is not None
    if gateway and profile is Profile.AGENT:
        yield "--gateway has no pages to guard in --profile agent; leave it out there, and use the other stack's"
    if gateway and (certificate is None) != (key is None):
        yield "MGEO_GATEWAY_CERTIFICATE_FILE and MGEO_GATEWAY_KEY_FILE go together; set both or neither"
    if gateway:
        yield from _unreadable(settings, "gateway_certificate_file", "gateway_key_file", "gateway_password_file")
    if ingest and profile is not Profile.FULL:
        yield f"MGEO_INGEST_TOKEN(_FILE) is set, but --profile {profile} has no stores for it; use --profile full, or unset it"
    if ingest:
        yield from _unreadable(settings, "ingest_token_file")


def _unreadable(settings: Settings, *names: str) -> Iterator[str]:
    for name in names:
        path = getattr(settings, name)
        if path is None:
            continue
        try:
            path.open("rb").close()
        except OSError as error:
            yield f"MGEO_{name.upper()} = {path}: cannot be read ({error.strerror}); name a readable file"
