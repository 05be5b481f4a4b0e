"""Conformance cases C10 to C17 and C24 of spec/mcp.md §6: runs that take their time, fail, and are called off."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import mcp_types as types
import pytest
from mcp_house import LEGACY, MANY, MODERN, Place, client, text_of
from mcp_seats import Seat
from mcp_wire import BOTH, HANDSHAKE, legacy, lines, modern, post

from dipeo_mcp import runs

pytestmark = pytest.mark.asyncio(loop_scope="session")


class Progress:
    def __init__(self) -> None:
        self.told: list[tuple[float, float | None, str]] = []
        self.bell = asyncio.Event()

    async def __call__(self, progress: float, total: float | None, message: str | None) -> None:
        self.told.append((progress, total, message or ""))
        self.bell.set()

    @property
    def values(self) -> list[float]:
        return [value for value, _, _ in self.told]

    async def first(self) -> None:
        async with asyncio.timeout(5):
            await self.bell.wait()

    async def reached(self, value: float) -> None:
        """The SDK's client runs callbacks as tasks: some may come after the result they went before."""
        async with asyncio.timeout(5):
            while value not in self.values:
                self.bell.clear()
                await self.bell.wait()


async def cancelled(seat: Seat, tool: str, arguments: dict[str, Any]) -> str:
    """Call, give up once it runs, and say which execution it was."""
    known = {it.execution_id for it in await seat.place.executions()}
    progress = Progress()
    call = asyncio.create_task(seat.call(tool, arguments, progress_callback=progress))
    await progress.first()
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    fresh = [it.execution_id for it in await seat.place.executions() if it.execution_id not in known]
    assert len(fresh) == 1
    return fresh[0]


async def test_case_10_progress_rises_by_node_and_ends_before_the_result(seat: Seat):
    progress = Progress()
    answer = await seat.call("diagram_hello", {"name": "Bo"}, progress_callback=progress)
    assert not answer.is_error
    await progress.reached(3.0)
    assert progress.values == [0.5, 1.0, 1.5, 2.0, 2.5, 3.0]
    assert {total for _, total, _ in progress.told} == {3.0}
    assert progress.told[2][2].startswith("Greet — started")


async def test_case_10_without_a_token_there_is_none(seat: Seat):
    await seat.call("diagram_hello", {"name": "Bo"})
    await seat.call("search", {"query": ""})  # what came before its answer has been heard
    assert not [it for it in seat.heard if isinstance(it, types.ProgressNotification)]


async def test_case_10_a_burst_is_told_in_part_and_to_its_end(seat: Seat):
    """At most ten a second; never backwards; the last one always."""
    progress, began = Progress(), time.monotonic()
    answer = await seat.call("diagram_many", {}, progress_callback=progress)
    assert not answer.is_error
    await progress.reached(MANY + 2.0)
    assert progress.values == sorted(set(progress.values))
    assert len(progress.values) <= runs.STEPS_PER_S * (time.monotonic() - began + 1) + 1


async def test_case_10_progress_comes_before_the_result_and_nothing_after_it(http_seat: Seat):
    """As it is on the wire: clients may run their callbacks later."""
    call = modern("tools/call", {"name": "diagram_many", "arguments": {}})
    call["params"]["_meta"]["progressToken"] = "p"
    async with httpx2.AsyncClient(base_url=http_seat.place.origin, timeout=30) as http:
        answer = await post(http, call)
    messages = [json.loads(line.removeprefix("data: ")) for line in answer.text.splitlines() if "data: {" in line]
    assert [it.get("method", "result") for it in messages] == ["notifications/progress"] * (len(messages) - 1) + [
        "result"
    ]
    assert messages[-2]["params"]["progress"] == MANY + 2
    assert {it["params"]["progressToken"] for it in messages[:-1]} == {"p"}


@asynccontextmanager
async def impatient_proxy(port: int, idle_s: float) -> AsyncIterator[int]:
    """Its port. It hangs up where a connection says nothing for `idle_s`."""

    async def handed_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", port)
        heard = asyncio.Event()

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while data := await source.read(65536):
                heard.set()
                sink.write(data)
                await sink.drain()

        async def watch() -> None:
            while True:
                try:
                    async with asyncio.timeout(idle_s):
                        await heard.wait()
                    heard.clear()
                except TimeoutError:
                    return

        tasks = [
            asyncio.create_task(it) for it in (pump(reader, upstream_writer), pump(upstream_reader, writer), watch())
        ]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        writer.close()
        upstream_writer.close()

    async with await asyncio.start_server(handed_on, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize("era", [LEGACY, MODERN])
async def test_case_11_a_silent_run_is_heard_of_through_a_proxy_that_hangs_up_on_silence(
    shared: Place, monkeypatch: pytest.MonkeyPatch, era: str
):
    """A fiftieth of the times of spec and product: 15 s between beats, a proxy that waits 20 s, a node of 40 s."""
    monkeypatch.setattr(runs, "HEARTBEAT_S", 0.3)
    await heard_through_a_proxy(shared, era, tool="diagram_brief", idle_s=1.2)


@pytest.mark.nightly
@pytest.mark.parametrize("era", [LEGACY, MODERN])
async def test_case_11_as_it_stands_in_the_contract(shared: Place, era: str):
    await heard_through_a_proxy(shared, era, tool="diagram_forty", idle_s=20)


async def heard_through_a_proxy(place: Place, era: str, *, tool: str, idle_s: float) -> None:
    progress = Progress()
    async with impatient_proxy(place.running.port, idle_s) as port:
        async with client(f"http://127.0.0.1:{port}/mcp", era) as connected:
            answer = await connected.call_tool(tool, {}, progress_callback=progress)
            assert answer.structured_content["result"] == "rested"
        await progress.reached(3.0)
        beats = [message for _, _, message in progress.told if message.endswith("still going")]
        assert len(beats) >= 2
        assert progress.values == sorted(set(progress.values))


async def test_case_12_a_failing_node_is_named_without_its_traceback(seat: Seat):
    answer = await seat.call("diagram_fail")
    assert answer.is_error
    assert answer.structured_content["status"] == "failed"
    assert answer.structured_content["error"] == {"code": "node_failed", "message": "kaboom", "node": "Boom"}
    assert "Traceback" not in json.dumps(answer.structured_content)


async def test_case_13_a_run_that_takes_too_long_fails_alone(seat: Seat):
    async with asyncio.timeout(3):
        answer = await seat.call("diagram_slow", {"run_options": {"timeout_s": 1}})
    assert answer.is_error
    assert answer.structured_content["error"]["code"] == "timeout"
    assert (await seat.data("diagram_hello"))["success"] is True


async def test_case_14_when_waiting_is_over_the_run_goes_on(seat: Seat):
    data = await seat.data("diagram_brief", {"run_options": {"wait_s": 0.3}})
    assert (data["status"], data["success"]) == ("running", None)
    assert data["execution_id"] in data["next"]
    later = await seat.data("see_result", {"session_id": data["session_id"], "wait_s": 10, "verbose": False})
    assert (later["status"], later["result"]) == ("completed", "rested")


async def test_case_15_background_runs_are_there_at_once_and_can_be_waited_for(seat: Seat):
    started = await seat.data("dipeo_run", {"diagram": "brief", "background": True})
    assert started["status"] in ("pending", "running")
    seen = await seat.data("see_result", {"session_id": started["session_id"]})
    assert seen["execution_id"] == started["execution_id"]
    async with asyncio.timeout(10):
        ended = await seat.data("see_result", {"execution_id": started["session_id"], "wait_s": 25})
    assert ended["status"] == "completed"
    listed = await seat.data("list_executions", {"diagram": "brief", "limit": 100})
    assert started["execution_id"] in [it["execution_id"] for it in listed["executions"]]


async def test_case_16_giving_up_the_call_aborts_the_run(seat: Seat):
    execution_id = await cancelled(seat, "diagram_slow", {})
    assert await seat.place.ended(execution_id, within_s=2) == "aborted"
    assert (await seat.data("diagram_hello"))["success"] is True


async def test_case_16_a_detached_run_stays_alive(seat: Seat):
    execution_id = await cancelled(seat, "diagram_brief", {"run_options": {"on_disconnect": "detach"}})
    assert await seat.place.ended(execution_id) == "completed"


async def test_case_16_a_cancelled_request_is_never_answered(shared: Place, tmp_path: Path):
    """Over stdio, as it is on the wire: what comes next belongs to the next request."""
    async with lines(shared.addresses, shared.house.base) as wire:
        meta = {"_meta": modern()["params"]["_meta"]}
        call = {"name": "diagram_slow", "arguments": {}, "_meta": meta["_meta"] | {"progressToken": 1}}
        wire.send({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": call})
        assert (await wire.received())["method"] == "notifications/progress"
        wire.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7, **meta}})
        wire.send({"jsonrpc": "2.0", "id": 8, "method": "tools/list", "params": meta})
        ids = []
        while 8 not in ids:
            ids.append((await wire.received()).get("id"))
        assert 7 not in ids
        execution_id = (await shared.executions())[0].execution_id
        assert await shared.ended(execution_id, within_s=2) == "aborted"
        wire.send({"jsonrpc": "2.0", "id": 9, "method": "tools/list", "params": meta})
        assert (await wire.received())["id"] == 9


async def test_case_16_dropping_the_stream_is_no_cancel_in_the_older_era(shared: Place):
    async with httpx2.AsyncClient(base_url=shared.origin, headers={"accept": BOTH}) as http:
        opened = await http.post("/mcp", json=legacy("initialize", HANDSHAKE))
        session = {"mcp-session-id": opened.headers["mcp-session-id"]}
        await http.post("/mcp", json={"jsonrpc": "2.0", "method": "notifications/initialized"}, headers=session)
        call = legacy("tools/call", {"name": "diagram_brief", "arguments": {}, "_meta": {"progressToken": 1}}, id=2)
        async with http.stream("POST", "/mcp", json=call, headers=session) as response:
            async for line in response.aiter_lines():
                if "notifications/progress" in line:
                    break
        execution_id = (await shared.executions())[0].execution_id
        assert await shared.ended(execution_id) == "completed"
        await http.delete("/mcp", headers=session)


async def test_case_17_cancelling_twice_is_cancelling_once(seat: Seat):
    started = await seat.data("run_backend", {"diagram": "slow"})
    execution_id = started["session_id"]
    first = await seat.data("cancel_execution", {"session_id": execution_id, "reason": "enough"})
    assert first == {"execution_id": execution_id, "status": "aborted"}
    assert await seat.data("cancel_execution", {"session_id": execution_id}) == first
    done = await seat.data("diagram_hello")
    kept = await seat.data("cancel_execution", {"session_id": done["execution_id"]})
    assert kept["status"] == "completed"


async def test_case_24_the_same_key_joins_the_same_run(seat: Seat):
    key = f"once-{seat.transport}-{seat.era}"
    given = {"diagram": "hello", "inputs": {"name": "Bo"}, "idempotency_key": key}
    first, second = await seat.data("dipeo_run", given), await seat.data("dipeo_run", given)
    assert first["execution_id"] == second["execution_id"]
    other = await seat.call("dipeo_run", given | {"inputs": {"name": "Eve"}})
    assert other.is_error and "idempotency_key" in text_of(other)
