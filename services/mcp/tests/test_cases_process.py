"""Conformance cases C38, C39 and C44 of spec/mcp.md §6: the process itself, what is behind it, and many at once."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import mcp_types as types
import pytest
from house import House
from mcp_house import DIAGRAMS, HELLO, LEGACY, MODERN, client, place, publish, serving, stdio_of, text_of
from mcp_seats import Held
from mcp_wire import HANDSHAKE, legacy, lines, modern

from dipeo_executor import main as executor_main
from dipeo_executor.settings import Settings as ExecutorSettings
from dipeo_mcp.limits import Limits
from dipeo_store import main as store_main
from dipeo_store.settings import Settings as StoreSettings


async def test_case_38_what_is_printed_and_what_crashes_never_reaches_the_client(tmp_path: Path):
    """The child warns at import, prints in its handlers and crashes in one: every line is a message, to the last."""
    async with place(tmp_path) as there, lines(there.addresses, tmp_path) as wire:

        async def call(number: int, tool: str, arguments: dict[str, Any]) -> Any:
            wire.send(modern("tools/call", {"name": tool, "arguments": arguments}) | {"id": number})
            answer = await wire.received()
            assert answer["id"] == number
            return answer

        refused = await call(1, "no_such_tool", {})
        assert refused["error"]["code"] == types.INVALID_PARAMS
        crashed = await call(2, "dipeo_run", {"diagram": "crash"})
        assert (crashed["error"]["code"], crashed["error"]["message"]) == (types.INTERNAL_ERROR, "Internal error")
        done = await call(3, "diagram_hello", {"name": "Bo"})
        assert done["result"]["structuredContent"]["result"] == "Hello, Bo!"
        assert await wire.ended() == []


@pytest.mark.parametrize("era", [LEGACY, MODERN])
async def test_case_38_the_end_of_input_ends_the_process_and_its_run(tmp_path: Path, era: str):
    async with place(tmp_path) as there, lines(there.addresses, tmp_path) as wire:
        call = {"name": "diagram_slow", "arguments": {}}
        if era == LEGACY:
            wire.send(legacy("initialize", HANDSHAKE))
            await wire.received()
            wire.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
            body = legacy("tools/call", call | {"_meta": {"progressToken": 1}}, id=2)
        else:
            body = modern("tools/call", call)
            body["params"]["_meta"]["progressToken"] = 1
        wire.send(body)
        assert (await wire.received())["method"] == "notifications/progress"
        execution_id = (await there.executions())[0].execution_id
        await wire.ended()
        assert await there.ended(execution_id, within_s=3) == "aborted"


@pytest.fixture
def sockets() -> Iterator[str]:
    """A folder whose name is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="dipeo") as folder:
        yield folder


@asynccontextmanager
async def behind_it(base: Path, sockets: str) -> AsyncIterator[House]:
    """A store and an executor at addresses that a later pair can have again."""
    store, executor = f"unix:{sockets}/store.sock", f"unix:{sockets}/executor.sock"
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(
            store_main.running(StoreSettings(url=f"sqlite:///{base}/state.db", listen=store))
        )
        await stack.enter_async_context(
            executor_main.running(ExecutorSettings(listen=executor, store=store, base_dir=base))
        )
        yield House(base, None, None, store)  # type: ignore[arg-type]  # nobody asks these stubs


async def test_case_39_a_backend_that_is_down_is_told_and_comes_back(tmp_path: Path, sockets: str):
    for name, text in DIAGRAMS.items():
        publish(tmp_path, name, text)
    behind = Held()
    home = await behind.open(behind_it(tmp_path, sockets))
    async with (
        serving(home, admin_port=0) as there,
        AsyncExitStack() as stack,
        httpx2.AsyncClient(base_url=f"http://127.0.0.1:{there.running.admin_port}") as admin,
    ):
        addresses = {"store": f"unix:{sockets}/store.sock", "executor": f"unix:{sockets}/executor.sock"}
        clients = [await stack.enter_async_context(client(there.url, era)) for era in (LEGACY, MODERN)]
        clients += [await stack.enter_async_context(stdio_of(addresses, tmp_path, era)) for era in (LEGACY, MODERN)]
        assert (await admin.get("/ready")).status_code == 200
        before = [[tool.name for tool in (await connected.list_tools()).tools] for connected in clients]
        await behind.close()
        for connected, listed in zip(clients, before, strict=True):
            answer = await connected.call_tool("diagram_hello", {})
            assert answer.is_error
            assert answer.structured_content["error"]["code"] == "backend_unavailable"
            assert "unix:" not in text_of(answer) and str(tmp_path) not in text_of(answer)
            assert [tool.name for tool in (await connected.list_tools()).tools] == listed
        assert (await admin.get("/ready")).status_code == 503
        assert (await admin.get("/metrics")).status_code == 200
        again = Held()
        await again.open(behind_it(tmp_path, sockets))
        async with asyncio.timeout(10):
            while (await admin.get("/ready")).status_code != 200:  # noqa: ASYNC110  # channels look again by themselves
                await asyncio.sleep(0.05)
        for connected in clients:
            async with asyncio.timeout(10):
                while (await connected.call_tool("diagram_hello", {})).is_error:  # noqa: ASYNC110  # of its process, too
                    await asyncio.sleep(0.1)
        await again.close()


async def test_case_44_fifty_runs_at_once(tmp_path: Path):
    """Without an error, each with its own result. What the service adds to a run is measured by benchmarks/mcp.py."""
    limits = Limits(runs_total=1000, starts_per_min=10_000)
    diagrams = {"hello": HELLO}
    async with (
        place(tmp_path, limits=limits, max_concurrent_runs=1000, diagrams=diagrams) as there,
        client(there.url, MODERN) as connected,
    ):

        async def one(number: int) -> types.CallToolResult:
            return await connected.call_tool("diagram_hello", {"name": str(number)})

        await one(0)
        answers = await asyncio.gather(*(one(number) for number in range(50)))
    results = [answer.structured_content["result"] for answer in answers]
    assert results == [f"Hello, {number}!" for number in range(50)]
