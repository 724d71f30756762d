"""`mgeo lookup`: the story of one request, by its id or by an address."""

from __future__ import annotations

import json
import sys
from pathlib import Path  # noqa: TC003 -- typer reads the annotations when it runs
from typing import TYPE_CHECKING, Annotated

import typer

from cli.service_url import DEFAULT_URL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cli.lookup.source import LookupSource, Members


def lookup(
    request_id: Annotated[str | None, typer.Argument(help="A request id, or ID:INDEX for one pair of a batch.", show_default=False)] = None,
    address: Annotated[list[str] | None, typer.Option(help="Find requests by an address instead; twice for both sides.")] = None,
    everywhere: Annotated[bool, typer.Option("--everywhere", help="With --address: on every box that sends to the same stack.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=500, help="Most requests to list by address.")] = 20,
    url: Annotated[str | None, typer.Option(envvar="MGEO_URL", help="Ask the service there.", show_default=DEFAULT_URL)] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Read the store in this data folder, without a service.")] = None,
    api_key_file: Annotated[Path | None, typer.Option(help="File with an API key; else MGEO_API_KEY.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the API's JSON.")] = False,
) -> None:
    """Tell the whole story of a request.

    Its outcome in words, its timeline, its log line, its batch, and what else ran at that moment.

    \b
    Examples:
      mgeo lookup 0197a2f4-6c1e-7b7e-9d53-0c5f0c7f5a11
      mgeo lookup 0197a2f4-6c1e-7b7e-9d53-0c5f0c7f5a11:3 --json
      mgeo lookup --address 杭州市余杭区文一西路969号
      mgeo lookup --address 杭州市余杭区文一西路969号 --everywhere
      mgeo lookup ID --data-dir /srv/mgeo

    Without --url and --data-dir, the service on this machine is asked first, then the store in the data folder of the
    settings and the stack they name (MGEO_JAEGER_URL, MGEO_LOKI_URL, MGEO_PROMETHEUS_URL). Addresses are kept as keyed
    hashes only: a search finds exactly the text that was sent; on another box, only when that has the same key
    (MGEO_HASH_KEY_FILE).

    Exit code 1 when nothing was found.
    """  # noqa: D301 -- the backspace character tells the help not to wrap what follows
    from cli.api_client import ApiClient
    from cli.api_key import read_api_key
    from cli.lookup.source import ApiSource
    from cli.lookup.text import list_text, story_text
    from cli.service_url import ServiceUrl
    from service.telemetry.ids import is_inference_id

    addresses = address or []
    if (request_id is None) == (not addresses) or len(addresses) > 2:
        raise typer.BadParameter("give either a request id, or --address once or twice")
    if everywhere and request_id is not None:
        raise typer.BadParameter("--everywhere goes with --address; an id is looked for everywhere anyway")
    if request_id is not None and not is_inference_id(request_id):
        raise typer.BadParameter(f"{request_id!r} is no request id: those have 1 to 128 letters, digits and . _ ~ -, and perhaps :INDEX")
    try:
        service = ServiceUrl.parse(url or DEFAULT_URL)
        api_key = read_api_key(api_key_file)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    sources = _sources(
        ApiSource(ApiClient(service, api_key=api_key), str(service)),
        data_dir,
        ask_service=url is not None or data_dir is None,
        read_store=url is None or data_dir is not None,
    )
    if request_id is not None:
        found, tried = _first(sources, lambda source: source.story(request_id))
    else:
        found, tried = _first(sources, lambda source: _if_any(source.search(addresses, limit, everywhere=everywhere)))
    if found is None:
        print(_nothing(request_id, tried, everywhere=everywhere), file=sys.stderr)
        raise typer.Exit(1)
    if as_json:
        print(json.dumps(found))
    else:
        print(story_text(found) if request_id is not None else list_text(found), end="")


def _sources(service: LookupSource, data_dir: Path | None, *, ask_service: bool, read_store: bool) -> Iterator[LookupSource]:
    """Where to look, in this order; the settings are read only when the service had nothing."""
    if ask_service:
        yield service
    if read_store:
        from cli.lookup.source import StoreSource
        from cli.stack.store_urls import with_running_stack
        from service.settings import Settings

        yield StoreSource(with_running_stack(Settings.load(data_dir=data_dir)))


def _first(sources: Iterator[LookupSource], look: Callable[[LookupSource], Members]) -> tuple[Members | None, list[str]]:
    from cli.lookup.source import SourceUnavailable
    from service.errors import RequestNotFound

    tried: list[str] = []
    for source in sources:
        try:
            return look(source), tried
        except RequestNotFound:
            tried.append(f"{source.name} does not know it")
        except SourceUnavailable as error:
            tried.append(str(error))
    return None, tried


def _if_any(page: Members) -> Members:
    from service.errors import RequestNotFound

    if not page["requests"]:
        raise RequestNotFound
    return page


def _nothing(request_id: str | None, tried: list[str], *, everywhere: bool) -> str:
    what = f"Nothing was found of {request_id}" if request_id is not None else "No request with that address was found"
    reasons = [
        "is it mistyped?" if request_id is not None else "was the text exactly the same? only its keyed hash is kept",
        "is it older than the store keeps requests (MGEO_STORE_DAYS, 7 days)?",
        "was it served with another data folder (--data-dir), or elsewhere (--url)?",
    ]
    if everywhere:
        reasons[2] = "do all boxes hash addresses with the same key (MGEO_HASH_KEY_FILE)?"
    elif request_id is None:
        reasons.append("was it served by another box that sends to the same stack (--everywhere)?")
    return "\n".join([f"{what}:", *(f"  - {line}" for line in tried), "What to check:", *(f"  - {line}" for line in reasons)])
