"""Threat case T14 of spec/mcp.md §5.2: too much of anything."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx2
import pytest
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import ResourceUpdated
from mcp_house import HELLO, MODERN, Place, client, place
from mcp_keys import ALICE, API_KEYS, BOB, ROOMY, bearer
from mcp_wire import BOTH, HANDSHAKE, headers_of, legacy, modern, post

from dipeo_mcp import keys
from dipeo_mcp.limits import Limits


async def answer_to_half_a_body(port: int) -> bytes:
    """The status line that a client gets who begins a body and never ends it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = ["POST /mcp HTTP/1.1", "host: localhost", "content-length: 100", f"authorization: Bearer {BOB}", "", "{"]
    writer.write("\r\n".join(head).encode())
    line = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return line


async def test_threat_14_floods_are_turned_away_and_others_served(tmp_path: Path):
    limits = Limits(calls_per_min=100, body_s=0.5, anonymous_per_min=30, bad_credentials=10)
    async with (
        place(tmp_path, limits=limits, auth_enabled=True, api_keys=API_KEYS, diagrams={}) as there,
        httpx2.AsyncClient(base_url=there.origin) as http,
    ):
        flood = await asyncio.gather(*(post(http, modern(), **bearer(ALICE)) for _ in range(200)))
        assert [answer.status_code for answer in flood].count(200) == 100
        assert {answer.status_code for answer in flood} == {200, 429}
        assert (await post(http, modern(), **bearer(BOB))).status_code == 200

        assert b"408" in await answer_to_half_a_body(there.running.port)

        strangers = [(await post(http, modern(), x_forwarded_for="198.51.100.1")).status_code for _ in range(31)]
        assert strangers == [401] * 30 + [429]
        guesses = [
            (await post(http, modern(), **bearer("guess"), x_forwarded_for="198.51.100.2")).status_code
            for _ in range(11)
        ]
        assert guesses == [401] * 10 + [429]
        blocked = await post(http, modern(), **bearer("guess"), x_forwarded_for="198.51.100.2")
        assert int(blocked.headers["retry-after"]) > 200
        assert (await post(http, modern(), **bearer(BOB))).status_code == 200


async def test_threat_14_listen_streams_are_counted(guarded: Place):
    async with client(guarded.url, MODERN, headers=bearer(ALICE)) as connected:
        streams = [connected.listen(tools_list_changed=True) for _ in range(32)]
        for stream in streams:
            await stream.__aenter__()
        with pytest.raises(MCPError):
            async with connected.listen(tools_list_changed=True):
                pass
        for stream in streams:
            await stream.__aexit__(None, None, None)
        uris = [f"dipeo://diagrams/d{number}" for number in range(51)]
        with pytest.raises(MCPError):
            async with connected.listen(resource_subscriptions=uris):
                pass


async def test_threat_14_five_hundred_sessions_are_too_many(tmp_path: Path):
    async with (
        place(tmp_path, diagrams={"hello": HELLO}) as there,
        httpx2.AsyncClient(base_url=there.origin, headers={"accept": BOTH}) as http,
    ):
        opened = [(await http.post("/mcp", json=legacy("initialize", HANDSHAKE))).status_code for _ in range(500)]
        assert opened == [200] * 200 + [429] * 300
        async with client(there.url, MODERN) as other:
            assert (await other.call_tool("diagram_hello", {})).structured_content["success"]


async def test_threat_14_three_hundred_listen_streams_are_too_many(tmp_path: Path):
    secrets = [keys.new() for _ in range(10)]
    named = ",".join(f"k{number}:read:{secret}" for number, secret in enumerate(secrets))
    async with (
        place(tmp_path, limits=ROOMY, auth_enabled=True, api_keys=named, diagrams={}) as there,
        AsyncExitStack() as stack,
    ):
        refused = 0
        for secret in secrets:
            connected = await stack.enter_async_context(client(there.url, MODERN, headers=bearer(secret)))
            for _ in range(30):
                try:
                    await stack.enter_async_context(connected.listen(tools_list_changed=True))
                except MCPError as error:
                    assert error.message == "Subscription limit reached"
                    refused += 1
        assert refused == 300 - 256
        assert there.running.service.notices.streams == 256
        there.publish("fresh", HELLO)  # who is refused a stream is served as ever
        async with asyncio.timeout(5):
            while "diagram_fresh" not in there.running.service.published.by_tool:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert (await connected.call_tool("search", {"query": "fresh"})).is_error is False


async def test_threat_14_who_does_not_read_keeps_nobody_waiting(guarded: Place):
    """A listener with a tiny buffer that never reads, and thousands of notices."""
    notices, told = guarded.running.service.notices, 0
    body = modern("subscriptions/listen", {"notifications": {"resourceSubscriptions": ["dipeo://executions"]}})
    content = json.dumps(body).encode()
    sent = headers_of(body) | bearer(ALICE) | {"host": "localhost", "content-type": "application/json"}
    head = "\r\n".join([f"{name}: {value}" for name, value in sent.items()] + [f"content-length: {len(content)}"])
    with socket.socket() as lazy:
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        lazy.connect(("127.0.0.1", guarded.running.port))
        lazy.sendall(f"POST /mcp HTTP/1.1\r\n{head}\r\n\r\n".encode() + content)
        async with (
            client(guarded.url, MODERN, headers=bearer(ALICE)) as other,
            other.listen(resource_subscriptions=["dipeo://executions"]) as changes,
        ):
            async with asyncio.timeout(5):
                while notices.streams < 2:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            async with asyncio.timeout(20):
                for _ in range(3000):
                    await notices.updated("dipeo://executions")
                    told += (await anext(changes)) == ResourceUpdated("dipeo://executions")
                assert (await other.call_tool("diagram_hello", {})).structured_content["success"]
        assert told == 3000
    async with asyncio.timeout(10):
        while notices.streams:  # noqa: ASYNC110  # its place is free again when it is gone
            await asyncio.sleep(0.01)


async def test_threat_14_ten_megabytes_are_not_read(guarded: Place):
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(160):
            yield b"x" * 65536

    sent = bearer(ALICE) | {"content-type": "application/json", "accept": BOTH}
    async with httpx2.AsyncClient(base_url=guarded.origin) as http:
        declared = await http.post("/mcp", content=b"x" * 10 * 1024 * 1024, headers=sent)
        assert declared.status_code == 413
    async with httpx2.AsyncClient(base_url=guarded.origin) as http:
        chunked = await http.post("/mcp", content=endless(), headers=sent)
        assert chunked.status_code == 413
        assert (await post(http, modern(), **bearer(BOB))).status_code == 200
