"""Conformance cases C1 to C9, C28 to C30 of spec/mcp.md §6: what there is, and what may be asked of it."""

import asyncio
import json
import re
from collections.abc import Callable
from itertools import product
from pathlib import Path

import httpx2
import jsonschema_rs
import mcp_types as types
import pytest
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import ToolsListChanged
from mcp_house import BROKEN, HELLO, HTTP, LEGACY, MODERN, STDIO, Place, client, place, stdio, text_of
from mcp_seats import Seat
from mcp_wire import BOTH, HANDSHAKE, legacy, lines, modern, post, result_of

from dipeo_mcp.tools import TOOLS

pytestmark = pytest.mark.asyncio(loop_scope="session")

REVISIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")


async def test_case_1_every_client_connects_in_its_era(seat: Seat):
    assert seat.client.protocol_version == ("2026-07-28" if seat.modern else "2025-11-25")
    assert seat.client.server_info is not None
    assert seat.client.server_info.name == "dipeo-mcp-server"
    assert re.fullmatch(r"\d+\.\d+\.\d+", seat.client.server_info.version)


async def test_case_1_each_dated_revision_is_spoken_over_stdio(shared: Place):
    async with lines(shared.addresses, shared.house.base) as wire:
        for revision in REVISIONS:
            wire.send(legacy("initialize", HANDSHAKE | {"protocolVersion": revision}))
            assert (await wire.received())["result"]["protocolVersion"] == revision


@pytest.mark.parametrize("revision", REVISIONS)
async def test_case_1_each_dated_revision_is_spoken(shared: Place, revision: str):
    hello = {"protocolVersion": revision, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    body = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}
    accept = {"accept": "application/json, text/event-stream"}
    async with httpx2.AsyncClient() as http:
        answer = await http.post(shared.url, json=body, headers=accept)
        await http.delete(shared.url, headers={"mcp-session-id": answer.headers["mcp-session-id"]})
    data = next(line[6:] for line in answer.text.splitlines() if line.startswith("data: "))
    assert json.loads(data)["result"]["protocolVersion"] == revision


async def test_case_2_capabilities_say_what_is_true(seat: Seat):
    told = seat.client.server_capabilities
    assert told.tools and told.tools.list_changed
    assert told.prompts and told.prompts.list_changed
    assert told.resources and told.resources.list_changed and told.resources.subscribe
    assert told.completions is not None
    assert told.logging is None


async def test_case_3_tools_are_listed_the_same_way_twice(seat: Seat):
    first, second = await seat.client.list_tools(), await seat.client.list_tools()
    assert [tool.model_dump() for tool in first.tools] == [tool.model_dump() for tool in second.tools]
    for tool in first.tools:
        assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", tool.name)
        jsonschema_rs.Draft202012Validator(tool.input_schema)
        if tool.output_schema:
            jsonschema_rs.Draft202012Validator(tool.output_schema)
        assert tool.annotations is not None and tool.annotations.read_only_hint is not None
    if seat.modern:
        assert (first.ttl_ms, first.cache_scope) == (30_000, "private")


async def test_case_4_pages_chain_without_duplicates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    many = {f"d{number:03}": HELLO for number in range(120)}
    monkeypatch.setenv("MCP_MAX_DIAGRAM_TOOLS", "120")
    async with place(tmp_path, diagrams=many) as there:
        for transport, era in product((HTTP, STDIO), (LEGACY, MODERN)):
            async with client(there.url, era) if transport == HTTP else stdio(there, era) as connected:
                names: list[str] = []
                cursor = None
                while True:
                    page = await connected.list_tools(cursor=cursor)
                    names += [tool.name for tool in page.tools]
                    if (cursor := page.next_cursor) is None:
                        break
                assert len(names) == len(set(names)) == 130
                with pytest.raises(MCPError) as refused:
                    await connected.list_tools(cursor="bm9uc2Vuc2U=")
                assert refused.value.code == types.INVALID_PARAMS


async def listed_after(seat: Seat, change: Callable[[], None], tool: str, *, there: bool) -> None:
    """A notice comes within two seconds of the change, upon which the tool is listed, or is not."""
    if seat.modern:
        async with seat.client.listen(tools_list_changed=True) as changes:
            change()
            async with asyncio.timeout(2):
                while (tool in await seat.tools()) != there:
                    assert await anext(changes) == ToolsListChanged()
        return
    await seat.tools()
    seat.fresh()
    change()
    async with asyncio.timeout(2):
        number = 0
        while (tool in await seat.tools()) != there:
            number += 1
            await seat.hears_nth(types.ToolListChangedNotification, number)


async def test_case_5_and_6_a_published_diagram_becomes_a_tool_and_goes_again(seat: Seat):
    name = f"fresh_{seat.transport}_{seat.era[:4]}"
    tool = f"diagram_{name}"
    await listed_after(seat, lambda: seat.place.publish(name, HELLO), tool, there=True)
    assert (await seat.tools())[tool].input_schema["properties"]["name"] == {"type": "string", "default": "world"}
    assert (await seat.data(tool, {"name": "you"}))["result"] == "Hello, you!"
    await listed_after(seat, lambda: seat.place.unpublish(name), tool, there=False)
    with pytest.raises(MCPError) as refused:
        await seat.call(tool)
    assert refused.value.code == types.INVALID_PARAMS


async def test_case_7_a_missing_input_is_named_and_nothing_starts(seat: Seat):
    before = len(await seat.place.executions())
    answer = await seat.call("diagram_typed", {"count": 3})
    assert answer.is_error
    assert '"topic" is required' in text_of(answer)
    assert answer.structured_content["error"]["code"] == "invalid_input"
    assert len(await seat.place.executions()) == before


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("diagram_typed", {"topic": "t", "colour": 1}, '"colour" is not known here'),
        ("diagram_typed", {"topic": 5}, "topic: must be string"),
        ("dipeo_run", {"diagram": "hello", "timeout": 5, "timeout_s": 6}, '"timeout" and "timeout_s"'),
        ("dipeo_run", {"diagram": "hello", "nonsense": 1}, '"nonsense" is not known here'),
        ("dipeo_run", {"diagram": "hello", "timeout_s": 0}, "timeout_s: must be greater than 0"),
        ("see_result", {"session_id": "exec_" + "0" * 32, "wait_s": 60}, "wait_s: must be at most 25"),
        ("diagram_hello", {"name": "x", "input_data": {"name": "y"}}, '"name" stands in input_data'),
    ],
)
async def test_case_8_unknown_wrong_and_contradicting_arguments_start_nothing(seat: Seat, tool, arguments, said):
    before = len(await seat.place.executions())
    answer = await seat.call(tool, arguments)
    assert answer.is_error
    assert said in text_of(answer)
    assert len(await seat.place.executions()) == before


async def test_case_9_a_foreground_run_answers_with_its_result(seat: Seat):
    schema = (await seat.tools())["diagram_typed"].output_schema
    assert schema is not None
    answer = await seat.call("diagram_typed", {"topic": "tea"})
    assert not answer.is_error
    data = answer.structured_content
    jsonschema_rs.Draft202012Validator(schema).validate(data)
    assert (data["status"], data["success"], data["result"], data["diagram"]) == ("completed", True, "tea!", "typed")
    assert "tea!" in text_of(answer) and "typed completed" in text_of(answer)
    link = answer.content[1]
    assert isinstance(link, types.ResourceLink)
    assert str(link.uri) == f"dipeo://executions/{data['execution_id']}"
    read = await seat.client.read_resource(str(link.uri))
    assert json.loads(read.contents[0].text)["result"] == "tea!"


async def test_case_9_the_result_is_what_the_model_said(seat: Seat):
    answer = await seat.call("diagram_hello", {"name": "Bo"})
    assert answer.structured_content["result"] == "Hello, Bo!"
    assert "Hello, Bo!" in text_of(answer)
    read = await seat.client.read_resource(f"dipeo://executions/{answer.structured_content['execution_id']}")
    assert json.loads(read.contents[0].text)["conversation"][-1]["content"] == "Hello, Bo!"


async def test_case_9_the_original_way_to_call_works(seat: Seat):
    assert (await seat.data("diagram_hello", {"input_data": {"name": "Eve"}, "timeout": 30}))["result"] == "Hello, Eve!"
    by_name = await seat.data("dipeo_run", {"diagram": "dipeo://diagrams/hello", "input_data": {"name": "Bo"}})
    assert by_name["result"] == "Hello, Bo!"
    started = await seat.data("run_backend", {"diagram": "hello"})
    assert started["session_id"].startswith("exec_") and started["message"]
    seen = await seat.data("see_result", {"session_id": started["session_id"], "wait_s": 10})
    assert seen["result"] == "Hello, world!"
    assert seen["node_outputs"] and seen["executed_nodes"] and seen["conversation"]


async def test_what_is_too_large_is_cut_and_says_where_it_is_whole(seat: Seat):
    answer = await seat.call("diagram_large")
    data = answer.structured_content
    (cut,) = data["truncated"]
    assert cut == {"path": "result", "uri": f"dipeo://executions/{data['execution_id']}", "size_bytes": 300_000}
    assert len(json.dumps(data)) < 64 * 1024
    assert f"result is cut here; read it whole at {cut['uri']}" in text_of(answer)
    whole = json.loads((await seat.client.read_resource(cut["uri"])).contents[0].text)
    assert whole["result"] == "x" * 300_000


async def test_a_list_can_be_read_by_who_reads_text_only(seat: Seat):
    data = await seat.data("diagram_hello")
    listed = text_of(await seat.call("list_executions", {"diagram": "hello", "limit": 1}))
    assert listed.startswith(f"{data['execution_id']} hello completed ") and "more: cursor " in listed
    assert text_of(await seat.call("list_executions", {"diagram": "nowhere"})) == "no executions"


async def test_case_28_search_and_fetch_speak_the_connectors_envelope(seat: Seat):
    found = await seat.call("search", {"query": "greets"})
    assert found.structured_content is None
    envelope = json.loads(text_of(found))
    assert [it["id"] for it in envelope["results"]] == ["hello"]
    assert {"id", "title", "url", "text"} <= envelope["results"][0].keys()
    fetched = await seat.call("fetch", {"id": envelope["results"][0]["id"]})
    assert fetched.structured_content is None
    assert json.loads(text_of(fetched))["text"] == HELLO
    missing = await seat.call("fetch", {"uri": "nowhere"})
    assert missing.is_error and json.loads(text_of(missing))["success"] is False
    everything = json.loads(text_of(await seat.call("search", {"query": ""})))
    assert everything["count"] >= 8


async def test_case_29_compile_checks_publishes_and_does_not_overwrite_unasked(seat: Seat):
    name = f"made_{seat.transport}_{seat.era[:4]}"
    checked = await seat.data("compile_diagram", {"diagram_content": HELLO, "format_type": "light"})
    assert (checked["success"], checked["valid"], checked["node_count"]) == (True, True, 3)
    assert "pushed_as" not in checked

    answer = await seat.call("compile_diagram", {"diagram_content": BROKEN, "push_as": name, "format_type": "light"})
    assert not answer.is_error
    assert (answer.structured_content["success"], answer.structured_content["valid"]) == (True, False)
    assert answer.structured_content["errors"][0]["message"]
    assert f"diagram_{name}" not in await seat.tools()

    pushed = await seat.data("compile_diagram", {"diagram_content": HELLO, "push_as": name, "format_type": "light"})
    assert (pushed["pushed_as"], pushed["tool_name"]) == (name, f"diagram_{name}")
    assert f"diagram_{name}" in await seat.tools()
    again = await seat.call("compile_diagram", {"diagram_content": HELLO, "push_as": name})
    assert again.is_error and "overwrite" in text_of(again)
    changed = HELLO.replace("Hello", "Hi")
    await seat.data("compile_diagram", {"diagram_content": changed, "push_as": name, "overwrite": True})
    assert (await seat.data(f"diagram_{name}"))["result"] == "Hi, world!"
    assert await seat.data("unpublish_diagram", {"name": name}) == {"name": name, "removed": True}
    assert await seat.data("unpublish_diagram", {"name": name}) == {"name": name, "removed": False}
    assert f"diagram_{name}" not in await seat.tools()


@pytest.mark.filterwarnings("ignore:ping is removed")
async def test_case_30_unknown_tools_methods_and_ping(seat: Seat):
    with pytest.raises(MCPError) as refused:
        await seat.call("no_such_tool")
    assert refused.value.code == types.INVALID_PARAMS
    if seat.modern:
        with pytest.raises(MCPError) as no_ping:
            await seat.client.send_ping()
        assert no_ping.value.code == types.METHOD_NOT_FOUND
    else:
        await seat.client.send_ping()


async def test_case_30_an_unknown_method_is_a_404_in_the_modern_era(shared: Place):
    async with httpx2.AsyncClient(base_url=shared.origin, headers={"accept": BOTH}) as http:
        answer = await post(http, modern("no/such"))
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, types.METHOD_NOT_FOUND)
        opened = await http.post("/mcp", json=legacy("initialize", HANDSHAKE))
        session = {"mcp-session-id": opened.headers["mcp-session-id"]}
        await http.post("/mcp", json={"jsonrpc": "2.0", "method": "notifications/initialized"}, headers=session)
        older = await http.post("/mcp", json=legacy("no/such"), headers=session)
        assert result_of(older)["error"]["code"] == types.METHOD_NOT_FOUND
        await http.delete("/mcp", headers=session)


async def test_case_30_an_unknown_method_over_stdio(shared: Place):
    async with lines(shared.addresses, shared.house.base) as wire:
        wire.send(modern("no/such"))
        assert (await wire.received())["error"]["code"] == types.METHOD_NOT_FOUND
    async with lines(shared.addresses, shared.house.base) as wire:
        wire.send(legacy("initialize", HANDSHAKE))
        await wire.received()
        wire.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        wire.send(legacy("no/such", id=2))
        assert (await wire.received())["error"]["code"] == types.METHOD_NOT_FOUND


async def test_no_tool_of_ours_has_arguments_that_headers_repeat() -> None:
    """handlers.input_schema rests on it."""
    assert "x-mcp-header" not in json.dumps([tool.input_schema for tool in TOOLS])
