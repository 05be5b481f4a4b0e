"""Conformance cases C25 to C27 of spec/mcp.md §6: resources, subscriptions, prompts and completion."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import mcp_types as types
import pytest
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import ResourceUpdated
from mcp_house import HELLO, json_of
from mcp_seats import Seat

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.filterwarnings("ignore:resources/.*subscribe is removed"),  # in the older era it is the way
]


async def text(seat: Seat, uri: str) -> tuple[str, str]:
    contents = (await seat.client.read_resource(uri)).contents[0]
    assert isinstance(contents, types.TextResourceContents)
    return contents.text, contents.mime_type or ""


async def test_case_25_every_resource_can_be_read(seat: Seat):
    done = await seat.data("dipeo_run", {"diagram": "hello", "inputs": {"name": "Bo"}})
    listed = {str(it.uri) for it in (await seat.client.list_resources()).resources}
    run = f"dipeo://executions/{done['execution_id']}"
    assert {"dipeo://diagrams", "dipeo://executions", "dipeo://guides/light-format", run} <= listed
    templates = {it.uri_template for it in (await seat.client.list_resource_templates()).resource_templates}
    assert "dipeo://executions/{id}/nodes/{node_id}" in templates

    diagrams = json_of(await seat.client.read_resource("dipeo://diagrams"))["diagrams"]
    hello = next(it for it in diagrams if it["name"] == "hello")
    assert (hello["tool"], hello["uri"], hello["format"]) == ("diagram_hello", "dipeo://diagrams/hello", "light")
    assert await text(seat, hello["uri"]) == (HELLO, "application/yaml")
    schema, mime = await text(seat, "dipeo://diagrams/hello/schema")
    assert mime == "application/json"
    assert json.loads(schema)["input"]["properties"]["name"] == {"type": "string", "default": "world"}
    graph, mime = await text(seat, "dipeo://diagrams/hello/graph")
    assert mime == "text/vnd.mermaid" and "Greet" in graph
    guide, mime = await text(seat, "dipeo://guides/light-format")
    assert mime == "text/markdown" and "version: light" in guide

    runs = json_of(await seat.client.read_resource("dipeo://executions"))["executions"]
    assert runs[0]["execution_id"] == done["execution_id"]
    whole = json_of(await seat.client.read_resource(run))
    assert (whole["result"], whole["outputs"]["Greet"]) == ("Hello, Bo!", "Hello, Bo!")
    lines, mime = await text(seat, f"{run}/events")
    events = [json.loads(line) for line in lines.splitlines()]
    assert mime == "application/x-ndjson"
    assert [it["seq"] for it in events] == list(range(1, len(events) + 1))
    rest, _ = await text(seat, f"{run}/events?after_seq={len(events) - 1}")
    assert [json.loads(line)["seq"] for line in rest.splitlines()] == [len(events)]
    node = whole["executed_nodes"][1]
    assert json_of(await seat.client.read_resource(f"{run}/nodes/{node}")) == "Hello, Bo!"
    said = json_of(await seat.client.read_resource(f"{run}/conversation"))["messages"]
    assert said[-1]["content"] == "Hello, Bo!"


@pytest.mark.parametrize(
    "uri",
    [
        "dipeo://diagrams/nowhere",
        "dipeo://diagrams/../../etc/passwd",
        "dipeo://diagrams/..%2f..%2fetc%2fpasswd",
        "dipeo://diagrams/%2e%2e",
        "dipeo://executions/exec_00000000000000000000000000000000",
        "dipeo://executions/exec_1/nodes/../../x",
        "file:///etc/passwd",
        "dipeo://guides/other",
    ],
)
async def test_case_25_what_is_not_there_is_told_with_its_uri(seat: Seat, uri: str):
    with pytest.raises(MCPError) as missing:
        await seat.client.read_resource(uri)
    assert missing.value.code == types.INVALID_PARAMS
    assert missing.value.data == {"uri": uri}


@asynccontextmanager
async def subscribed(seat: Seat, uri: str) -> AsyncIterator[Callable[[], Awaitable[str]]]:
    """A call that waits for the next update and says of which URI it is."""
    if seat.modern:
        async with seat.client.listen(resource_subscriptions=[uri]) as changes:

            async def next_event() -> str:
                async with asyncio.timeout(5):
                    event = await anext(changes)
                assert isinstance(event, ResourceUpdated)
                return event.uri

            yield next_event
        return
    seat.fresh()
    await seat.client.subscribe_resource(uri)
    told = 0

    async def next_notice() -> str:
        nonlocal told
        told += 1
        found = await seat.hears_nth(types.ResourceUpdatedNotification, told, within_s=5)
        return str(found.params.uri)

    yield next_notice
    await seat.client.unsubscribe_resource(uri)


async def test_case_26_a_subscription_tells_of_its_run_to_its_end_and_of_no_other(seat: Seat):
    started = await seat.data("run_backend", {"diagram": "brief"})
    other = await seat.data("run_backend", {"diagram": "brief"})
    uri, began = f"dipeo://executions/{started['execution_id']}", time.monotonic()
    told: list[str] = []
    async with subscribed(seat, uri) as next_update:
        while True:  # what was told last was told when it had ended
            told.append(await next_update())
            if json_of(await seat.client.read_resource(uri))["status"] == "completed":
                break
    assert set(told) == {uri}
    assert len(told) <= 2 * (time.monotonic() - began) + 2  # at most two a second
    assert await seat.place.ended(other["execution_id"]) == "completed"


async def test_case_26_who_does_not_listen_any_more_hears_nothing(seat: Seat):
    started = await seat.data("run_backend", {"diagram": "slow"})
    uri = f"dipeo://executions/{started['execution_id']}"
    async with subscribed(seat, uri):
        pass
    async with subscribed(seat, "dipeo://executions") as next_update:
        await seat.data("cancel_execution", {"session_id": started["execution_id"]})
        assert await next_update() == "dipeo://executions"  # it comes after what is told of the run itself
    heard = {str(it.params.uri) for it in seat.heard if isinstance(it, types.ResourceUpdatedNotification)}
    assert heard <= {"dipeo://executions"}


async def test_case_26_what_cannot_be_read_cannot_be_watched(seat: Seat):
    uri = "dipeo://executions/exec_00000000000000000000000000000000"
    with pytest.raises(MCPError) as refused:
        if seat.modern:
            async with seat.client.listen(resource_subscriptions=[uri]):
                pass
        else:
            await seat.client.subscribe_resource(uri)
    assert refused.value.code == types.INVALID_PARAMS


async def test_case_26_a_changed_body_updates_its_resource_and_no_list(seat: Seat):
    name = f"body_{seat.transport}_{seat.era}"
    seat.place.publish(name, HELLO)
    await seat.data(f"diagram_{name}")  # whoever asks for a fresh name makes the service look at once
    uri = f"dipeo://diagrams/{name}"
    seat.fresh()
    if seat.modern:
        async with seat.client.listen(resource_subscriptions=[uri], tools_list_changed=True) as changes:
            seat.place.publish(name, HELLO.replace("Hello", "Hi"))
            async with asyncio.timeout(4):
                assert await anext(changes) == ResourceUpdated(uri)
    else:
        await seat.client.subscribe_resource(uri)
        seat.place.publish(name, HELLO.replace("Hello", "Hi"))
        await seat.hears(types.ResourceUpdatedNotification, uri=uri)
        assert not [it for it in seat.heard if isinstance(it, types.ToolListChangedNotification)]
        await seat.client.unsubscribe_resource(uri)
    seat.place.unpublish(name)


async def completion(seat: Seat, ref: Any, argument: str, typed: str) -> types.Completion:
    return (await seat.client.complete(ref, {"name": argument, "value": typed})).completion


async def test_case_27_prompts_render_and_names_are_completed(seat: Seat):
    done = await seat.data("diagram_fail")
    names = [it.name for it in (await seat.client.list_prompts()).prompts]
    assert names == ["run_workflow", "explain_workflow", "create_workflow", "debug_execution"]
    for name, arguments, within in (
        ("run_workflow", {"diagram": "hello"}, "diagram_hello"),
        ("explain_workflow", {"diagram": "hello"}, "[[reply Hello"),
        ("create_workflow", {"goal": "tea"}, "version: light"),
        ("debug_execution", {"execution_id": done["execution_id"]}, "kaboom"),
    ):
        rendered = await seat.client.get_prompt(name, arguments)
        assert within in "".join(message.content.model_dump_json() for message in rendered.messages)
    run = types.PromptReference(type="ref/prompt", name="run_workflow")
    assert (await completion(seat, run, "diagram", "he")).values == ["hello"]
    assert "ask_twice" in (await completion(seat, run, "diagram", "twice")).values
    debug = types.PromptReference(type="ref/prompt", name="debug_execution")
    ids = (await completion(seat, debug, "execution_id", "exec_")).values
    assert ids[0] == done["execution_id"]
    for name, arguments in (("nonsense", {}), ("run_workflow", {"diagram": "nowhere"}), ("run_workflow", {})):
        with pytest.raises(MCPError) as refused:
            await seat.client.get_prompt(name, arguments)
        assert refused.value.code == types.INVALID_PARAMS
