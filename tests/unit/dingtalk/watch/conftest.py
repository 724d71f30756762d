"""A box and its watcher."""

from __future__ import annotations

import pytest_asyncio

from tests.unit.dingtalk.watch.world import world as a_world


@pytest_asyncio.fixture
async def world(tmp_path):
    async with a_world(tmp_path) as one:
        yield one
