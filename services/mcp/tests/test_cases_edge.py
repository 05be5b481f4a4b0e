"""Conformance cases C31 to C37 of spec/mcp.md §6: what arrives over HTTP and is not quite what it should be."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import mcp_types as types
import pytest
from mcp.shared.exceptions import MCPError
from mcp_house import LEGACY, MODERN, Place, client, place, text_of
from mcp_keys import ALICE, API_KEYS, BOB, READER, ROOMY, bearer
from mcp_seats import Held
from mcp_wire import BOTH, HANDSHAKE, headers_of, legacy, modern, post, result_of

from dipeo_mcp.limits import Limits
from dipeo_mcp.principals import READ, RUN

PAGE = "https://app.example"


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[Place]:
    """With three keys, and one foreign page that may come in."""
    how = {"auth_enabled": True, "api_keys": API_KEYS, "client_origins": (PAGE,)}
    held = Held()
    yield await held.open(place(tmp_path, limits=ROOMY, **how))
    await held.close()


def caller(there: Place) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=there.origin)


@pytest.fixture
async def http(guarded: Place) -> AsyncIterator[httpx2.AsyncClient]:
    async with caller(guarded) as connected:
        yield connected


async def test_case_31_malformed_requests_are_refused_and_harm_nobody(guarded: Place, http: httpx2.AsyncClient):
    sent = bearer(ALICE) | {"accept": BOTH, "content-type": "application/json"}
    for status, content, headers in (
        (400, b"{nonsense", {}),
        (400, json.dumps([legacy(), legacy(id=2)]).encode(), {}),
        (400, json.dumps({"id": 1, "method": "tools/list"}).encode(), {}),
        (400, json.dumps(legacy()).encode(), {"content-type": "text/plain"}),
        (406, json.dumps(legacy()).encode(), {"accept": "text/html"}),
    ):
        answer = await http.post("/mcp", content=content, headers=sent | headers)
        assert answer.status_code == status, content
        told = answer.json()
        assert told["jsonrpc"] == "2.0" and told["error"]["code"] < 0 and told["error"]["message"], content
    async with client(guarded.url, MODERN, headers=bearer(ALICE)) as connected:
        assert (await connected.call_tool("diagram_hello", {})).structured_content["success"]


async def test_a_client_of_the_transport_of_2024_is_told_what_to_do(http: httpx2.AsyncClient):
    accept = {"accept": "text/event-stream"}
    assert (await http.get("/mcp", headers=accept)).status_code == 401
    told = await http.get("/mcp", headers=accept | bearer(ALICE))
    assert told.status_code == 400
    assert "POST initialize" in told.json()["error"]["message"] and "stdio" in told.json()["error"]["message"]


async def test_case_32_routing_headers_have_to_say_what_the_body_says(http: httpx2.AsyncClient):
    call = modern("tools/call", {"name": "search", "arguments": {"query": ""}})
    good = await post(http, call, **bearer(ALICE))
    assert good.status_code == 200
    for wrong in ({"mcp_method": "tools/list"}, {"mcp_name": "fetch"}, {"mcp_method": ""}):
        answer = await post(http, call, **bearer(ALICE), **wrong)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32020), wrong
    for missing in ("mcp-method", "mcp-name"):
        sent = {name: value for name, value in headers_of(call).items() if name != missing} | bearer(ALICE)
        answer = await http.post("/mcp", json=call, headers=sent)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32020), missing
    call["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = "2031-01-01"
    unknown = await post(http, call, **bearer(ALICE), mcp_protocol_version="2031-01-01")
    assert unknown.json()["error"]["code"] == -32022
    assert "2026-07-28" in unknown.json()["error"]["data"]["supported"]


async def test_case_33_the_originals_bodies_work_as_they_were_documented(guarded: Place, http: httpx2.AsyncClient):
    """No handshake, no Accept."""
    http.headers = {**bearer(ALICE), "content-type": "application/json"}

    async def ask(body: dict[str, object]) -> dict[str, object]:
        answer = await http.post("/mcp/messages", content=json.dumps(body), headers={"accept": "application/json"})
        assert answer.status_code == 200
        found: dict[str, object] = answer.json()["result"]
        return found

    tools = (await ask(legacy("tools/list")))["tools"]
    assert "dipeo_run" in [tool["name"] for tool in tools]
    resource = await ask(legacy("resources/read", {"uri": "dipeo://diagrams"}))
    assert "hello" in resource["contents"][0]["text"]
    arguments = {"diagram": "hello", "input_data": {"name": "Bo"}, "format_type": "light", "timeout": 30}
    run = await ask(legacy("tools/call", {"name": "dipeo_run", "arguments": arguments}))
    assert run["structuredContent"]["result"] == "Hello, Bo!"
    waiting = await ask(legacy("tools/call", {"name": "diagram_ask", "arguments": {}}))
    assert waiting["structuredContent"]["status"] == "waiting_for_input"
    without = await http.post("/mcp/messages", content=json.dumps({"id": 1, "method": "tools/list"}))
    assert without.status_code == 400
    info = (await http.get("/mcp/info")).json()
    assert {"server", "protocol", "endpoints", "authentication", "capabilities", "tools", "resources"} == info.keys()
    assert len(info["protocol"]["versions"]) == 5
    async with httpx2.AsyncClient(base_url=guarded.origin) as stranger:
        told = (await stranger.get("/mcp/info")).json()
    assert {"server", "protocol", "endpoints", "authentication"} == told.keys()


async def test_case_34_without_the_scope_nothing_happens(guarded: Place):
    before = len(await guarded.executions())
    for era in (LEGACY, MODERN):
        async with client(guarded.url, era, headers=bearer(READER)) as reader:
            listed = [tool.name for tool in (await reader.list_tools()).tools]
            assert "search" in listed and "dipeo_run" not in listed and "compile_diagram" not in listed
            for tool, arguments in (("dipeo_run", {"diagram": "hello"}), ("diagram_hello", {})):
                answer = await reader.call_tool(tool, arguments)
                assert answer.is_error and RUN in text_of(answer)
            assert json.loads(text_of(await reader.call_tool("search", {"query": "hello"})))["count"] == 1
    assert len(await guarded.executions()) == before
    assert READ != RUN


async def test_case_35_only_the_pages_we_know_may_come_in(guarded: Place, http: httpx2.AsyncClient):
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type"}
    granted = await http.options("/mcp", headers={"origin": PAGE, **asked})
    assert granted.status_code == 200
    assert granted.headers["access-control-allow-origin"] == PAGE
    refused = await http.options("/mcp", headers={"origin": "https://evil.example", **asked})
    assert "access-control-allow-origin" not in refused.headers and refused.status_code == 400
    for origin, status in ((PAGE, 200), (guarded.origin, 200), ("https://evil.example", 403), ("null", 403)):
        answer = await post(http, modern(), **bearer(ALICE), origin=origin)
        assert answer.status_code == status, origin


async def test_case_36_the_fifth_run_is_told_to_wait(guarded: Place):
    async with client(guarded.url, MODERN, headers=bearer(ALICE)) as alice:
        started = [(await alice.call_tool("run_backend", {"diagram": "slow"})).structured_content for _ in range(4)]
        fifth = await alice.call_tool("diagram_hello", {})
        assert fifth.is_error and fifth.structured_content["error"]["code"] == "busy"
        async with client(guarded.url, MODERN, headers=bearer(BOB)) as bob:
            assert (await bob.call_tool("diagram_hello", {})).structured_content["success"]
        for it in started:
            await alice.call_tool("cancel_execution", {"session_id": it["session_id"]})
        assert (await alice.call_tool("diagram_hello", {})).structured_content["success"]


async def test_case_36_too_many_calls_and_too_large_ones(tmp_path: Path):
    limits = Limits(calls_per_min=5)
    async with place(tmp_path, limits=limits, auth_enabled=True, api_keys=API_KEYS) as there, caller(there) as http:
        codes = [(await post(http, modern(), **bearer(ALICE))).status_code for _ in range(6)]
        assert codes == [200] * 5 + [429]
        refused = await post(http, modern(), **bearer(ALICE))
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert (await post(http, modern(), **bearer(BOB))).status_code == 200
        large = await http.post("/mcp", content=b"x" * (1024 * 1024 + 1), headers=bearer(BOB))
        assert large.status_code == 413


async def test_case_37_what_is_somebody_elses_does_not_exist(guarded: Place):
    async with (
        client(guarded.url, MODERN, headers=bearer(ALICE)) as alice,
        client(guarded.url, MODERN, headers=bearer(BOB)) as bob,
    ):
        run = (await alice.call_tool("run_backend", {"diagram": "ask"})).structured_content
        execution_id, uri = run["session_id"], f"dipeo://executions/{run['session_id']}"
        unknown = "exec_00000000000000000000000000000000"
        own = (await alice.call_tool("list_executions", {})).structured_content["executions"]
        assert [it["execution_id"] for it in own] == [execution_id]
        assert (await bob.call_tool("list_executions", {})).structured_content["executions"] == []
        assert uri not in [str(it.uri) for it in (await bob.list_resources()).resources]
        for tool, more in (
            ("see_result", {}),
            ("cancel_execution", {}),
            ("answer_prompt", {"prompt_id": "x", "response": "y"}),
        ):
            foreign = await bob.call_tool(tool, {"session_id": execution_id, **more})
            missing = await bob.call_tool(tool, {"session_id": unknown, **more})
            assert foreign.is_error
            assert foreign.structured_content == missing.structured_content
        for part in ("", "/events", "/conversation"):
            with pytest.raises(MCPError) as refused:
                await bob.read_resource(uri + part)
            assert refused.value.code == types.INVALID_PARAMS
        with pytest.raises(MCPError):
            async with bob.listen(resource_subscriptions=[uri]):
                pass
        assert await guarded.status_of(execution_id) == "running"
        heard = asyncio.Event()
        async with bob.listen(resource_subscriptions=["dipeo://executions"]) as changes:

            async def hear() -> None:
                async for _ in changes:
                    heard.set()

            listening = asyncio.create_task(hear())
            await alice.call_tool("cancel_execution", {"session_id": execution_id})
            await guarded.ended(execution_id)
            own_run = (await bob.call_tool("run_backend", {"diagram": "hello"})).structured_content
            await heard.wait()  # of the own run; the other's notice would have come before
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
        assert own_run["status"] in ("pending", "running", "completed")


@pytest.mark.filterwarnings("ignore:resources/.*subscribe is removed")  # in the older era it is the way
async def test_case_37_in_the_older_era_too(guarded: Place):
    heard: list[str] = []
    bell = asyncio.Event()

    async def hear(message: object) -> None:
        if isinstance(message, types.ResourceUpdatedNotification):
            heard.append(str(message.params.uri))
            bell.set()

    async with (
        client(guarded.url, LEGACY, headers=bearer(ALICE)) as alice,
        client(guarded.url, LEGACY, headers=bearer(BOB), message_handler=hear) as bob,
    ):
        run = (await alice.call_tool("run_backend", {"diagram": "ask"})).structured_content
        uri = f"dipeo://executions/{run['session_id']}"
        assert (await bob.call_tool("list_executions", {})).structured_content["executions"] == []
        for refused_call in (bob.read_resource(uri), bob.subscribe_resource(uri)):
            with pytest.raises(MCPError) as refused:
                await refused_call
            assert (refused.value.code, refused.value.data) == (types.INVALID_PARAMS, {"uri": uri})
        await bob.subscribe_resource("dipeo://executions")
        await alice.call_tool("cancel_execution", {"session_id": run["session_id"]})
        await guarded.ended(run["session_id"])
        assert heard == []
        own = (await bob.call_tool("run_backend", {"diagram": "hello"})).structured_content
        async with asyncio.timeout(5):
            await bell.wait()
        listed = (await bob.call_tool("list_executions", {})).structured_content["executions"]
        assert [it["execution_id"] for it in listed] == [own["session_id"]]


async def test_the_compatibility_path_serves_real_clients_too(guarded: Place):
    async with client(f"{guarded.origin}/mcp/messages", LEGACY, headers=bearer(ALICE)) as connected:
        assert (await connected.call_tool("diagram_hello", {"name": "Bo"})).structured_content["result"] == "Hello, Bo!"


async def test_sessions_of_a_principal_are_counted(tmp_path: Path):
    limits = Limits(sessions=2)
    async with place(tmp_path, limits=limits, auth_enabled=True, api_keys=API_KEYS) as there, caller(there) as http:

        async def opened(key: str) -> httpx2.Response:
            return await http.post("/mcp", json=legacy("initialize", HANDSHAKE), headers=bearer(key) | {"accept": BOTH})

        first, second, third = [await opened(ALICE) for _ in range(3)]
        assert (first.status_code, second.status_code, third.status_code) == (200, 200, 429)
        assert result_of(first)["result"]["serverInfo"]["name"] == "dipeo-mcp-server"
        assert (await opened(BOB)).status_code == 200
        session = {"mcp-session-id": first.headers["mcp-session-id"]}
        await http.delete("/mcp", headers=bearer(ALICE) | session)
        assert (await opened(ALICE)).status_code == 200
