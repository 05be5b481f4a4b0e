from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import gateway_peers as peers
import httpx2
import pytest

from dipeo_gateway.main import Running, running
from dipeo_gateway.settings import Settings


@dataclass
class House:
    """A running gateway and what stands behind it."""

    store: peers.Store
    executor: peers.Executor
    gateway: Running
    http: httpx2.AsyncClient
    settings: Settings


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    store = peers.Store()
    executor = peers.Executor(store)
    async with (
        peers.serve_store(store, tmp_path) as store_at,
        peers.serve_executor(executor, tmp_path) as executor_at,
    ):
        settings = Settings(listen="127.0.0.1:0", store=store_at, executor=executor_at, base=str(tmp_path))
        async with running(settings) as gateway, httpx2.AsyncClient(base_url=gateway.url) as http:
            yield House(store, executor, gateway, http, settings)
