"""Connections to model services, against a local server."""

import asyncio

import httpx2
from modelservers import Answer, Server, serving

from dipeo_executor.llm.connections import Connections


async def ask(client: httpx2.AsyncClient, server: Server, times: int) -> None:
    await asyncio.gather(*(client.post(server.url, json={}) for _ in range(times)))


async def test_connections_that_are_idle_serve_the_requests_that_follow():
    async with (
        serving(Answer({}, delay_s=0.02)) as server,
        httpx2.AsyncClient(transport=Connections(kept=8, kept_s=60)) as client,
    ):
        await ask(client, server, 5)
        await ask(client, server, 5)
        assert len(server.connections) == 5


async def test_more_than_are_to_be_kept_are_closed_and_so_are_those_that_rest_for_too_long():
    async with (
        serving(Answer({}, delay_s=0.02)) as server,
        httpx2.AsyncClient(transport=Connections(kept=2, kept_s=60)) as client,
        httpx2.AsyncClient(transport=Connections(kept=8, kept_s=0)) as hasty,
    ):
        await ask(client, server, 5)
        await ask(client, server, 5)
        assert len(server.connections) == 5 + 3
        await ask(hasty, server, 2)
        await ask(hasty, server, 2)
        assert len(server.connections) == 5 + 3 + 4


async def test_a_connection_the_server_has_closed_is_opened_anew():
    async with serving(Answer({})) as server, httpx2.AsyncClient(transport=Connections(kept=8, kept_s=60)) as client:
        await ask(client, server, 1)
        (connection,) = server.connections
        connection.close()
        await connection.wait_closed()
        await ask(client, server, 1)
        assert len(server.seen) == 2


async def test_an_answer_that_is_left_half_read_gives_its_connection_back_closed():
    async with (
        serving(Answer({"a": "b" * 1_000_000})) as server,
        httpx2.AsyncClient(transport=Connections(kept=8, kept_s=60)) as client,
    ):
        async with client.stream("POST", server.url, json={}) as response:
            assert response.status_code == 200
        await ask(client, server, 1)
        assert len(server.seen) == 2 and len(server.connections) == 2
