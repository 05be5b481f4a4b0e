"""One house for most of these tests, and a client of each kind that stays connected."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from mcp_house import HTTP, LEGACY, MODERN, STDIO, Place, client, place, stdio
from mcp_keys import API_KEYS, ROOMY
from mcp_seats import Held, Seat

from dipeo_mcp.limits import Limits

KINDS = [(transport, era) for transport in (HTTP, STDIO) for era in (LEGACY, MODERN)]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    """Without authentication, and with room for many runs."""
    held = Held()
    base = tmp_path_factory.mktemp("mcp")
    yield await held.open(place(base, limits=Limits(runs_total=200), max_concurrent_runs=100))
    await held.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def seats(shared: Place) -> AsyncIterator[dict[tuple[str, str], Seat]]:
    """Filled as they are needed."""
    found: dict[tuple[str, str], Seat] = {}
    yield found
    for seat in found.values():
        await seat.held.close()  # type: ignore[attr-defined]


async def _seated(shared: Place, seats: dict[tuple[str, str], Seat], transport: str, era: str) -> Seat:
    if (transport, era) not in seats:
        seat = Seat(shared, transport, era)
        seat.held = Held()  # type: ignore[attr-defined]
        seat.fresh()
        context = stdio(shared, era, **seat.how) if transport == STDIO else client(shared.url, era, **seat.how)
        seat.client = await seat.held.open(context)  # type: ignore[attr-defined]
        seats[transport, era] = seat
    seats[transport, era].fresh()
    return seats[transport, era]


@pytest_asyncio.fixture(loop_scope="session", params=KINDS, ids=lambda kind: "-".join(kind))
async def seat(request: Any, shared: Place, seats: dict[tuple[str, str], Seat]) -> Seat:
    return await _seated(shared, seats, *request.param)


@pytest_asyncio.fixture(loop_scope="session", params=KINDS[:2], ids=lambda kind: "-".join(kind))
async def http_seat(request: Any, shared: Place, seats: dict[tuple[str, str], Seat]) -> Seat:
    return await _seated(shared, seats, *request.param)


@pytest_asyncio.fixture(loop_scope="session", params=[KINDS[1], KINDS[3]], ids=lambda kind: "-".join(kind))
async def modern_seat(request: Any, shared: Place, seats: dict[tuple[str, str], Seat]) -> Seat:
    return await _seated(shared, seats, *request.param)


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[Place]:
    """With three keys."""
    held = Held()
    yield await held.open(place(tmp_path, limits=ROOMY, auth_enabled=True, api_keys=API_KEYS))
    await held.close()


@pytest.fixture
async def http(guarded: Place) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=guarded.origin) as connected:
        yield connected
