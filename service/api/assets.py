"""The static files of the pages, kept in memory and named by their content, so that browsers may keep them for ever."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

_TYPES = {"css": "text/css; charset=utf-8", "svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One file: its content, its type, and the tag that is in its path too."""

    path: str
    tag: str
    content: bytes
    media_type: str


def load_assets() -> Mapping[str, Asset]:
    """Read the package's static files, by their plain names."""
    assets = {}
    for file in resources.files(__package__).joinpath("static").iterdir():
        stem, _, suffix = file.name.rpartition(".")
        content = file.read_bytes()
        tag = hashlib.sha256(content).hexdigest()[:16]
        assets[file.name] = Asset(path=f"/static/{stem}-{tag}.{suffix}", tag=tag, content=content, media_type=_TYPES[suffix])
    return assets


def assets_router(assets: Mapping[str, Asset]) -> APIRouter:
    """One route for each file, so that any other name is an unknown path."""
    router = APIRouter(include_in_schema=False)
    for asset in assets.values():
        router.add_api_route(asset.path, _serve(asset), methods=["GET", "HEAD"], name=asset.path)
    return router


def _serve(asset: Asset) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        headers = {"ETag": f'"{asset.tag}"', "Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
        if asset.tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(asset.content, headers=headers, media_type=asset.media_type)

    return serve
