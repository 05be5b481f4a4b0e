"""Conformance case C43 of spec/mcp.md §6: the tasks extension, by hand, since the SDK's client does not know it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from mcp_house import Place
from mcp_wire import modern, post

pytestmark = pytest.mark.asyncio(loop_scope="session")

TASKS = "io.modelcontextprotocol/tasks"
KNOWN = {"extensions": {TASKS: {}}}


@pytest_asyncio.fixture(loop_scope="session")
async def http(shared: Place) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=shared.origin, timeout=30) as connected:
        yield connected


async def call(http: httpx2.AsyncClient, tool: str, arguments: dict[str, Any], **capabilities: Any) -> Any:
    answer = await post(http, modern("tools/call", {"name": tool, "arguments": arguments}, **capabilities))
    return answer.json()["result"]


async def ask(http: httpx2.AsyncClient, method: str, task_id: str, **params: Any) -> Any:
    body = modern(f"tasks/{method}", {"taskId": task_id, **params}, **KNOWN)
    return (await post(http, body, mcp_name=task_id)).json()


async def ended(shared: Place, http: httpx2.AsyncClient, task_id: str) -> Any:
    await shared.ended(task_id)
    return (await ask(http, "get", task_id))["result"]


async def test_case_43_a_background_run_is_a_task_that_is_polled(shared: Place, http: httpx2.AsyncClient):
    told = modern("server/discover")
    found = (await post(http, told)).json()["result"]["capabilities"]
    assert found["extensions"] == {TASKS: {}} and "tasks" not in found
    task = await call(http, "dipeo_run", {"diagram": "brief", "background": True}, **KNOWN)
    assert (task["resultType"], task["status"], task["ttlMs"]) == ("task", "working", 86_400_000)
    assert 1000 <= task["pollIntervalMs"] <= 5000
    assert (await ask(http, "get", task["taskId"]))["result"]["status"] == "working"
    done = await ended(shared, http, task["taskId"])
    assert (done["resultType"], done["status"]) == ("complete", "completed")
    assert done["result"]["structuredContent"]["result"] == "rested"
    assert done["result"]["isError"] is False
    failed = await call(http, "dipeo_run", {"diagram": "fail", "background": True}, **KNOWN)
    done = await ended(shared, http, failed["taskId"])
    assert (done["status"], done["result"]["isError"]) == ("completed", True)


async def test_case_43_what_ends_soon_is_answered_at_once_and_what_takes_longer_becomes_a_task(
    shared: Place, http: httpx2.AsyncClient
):
    done = await call(http, "diagram_hello", {"name": "Bo"}, **KNOWN)
    assert (done["resultType"], done["structuredContent"]["result"]) == ("complete", "Hello, Bo!")
    task = await call(http, "diagram_slow", {}, **KNOWN)
    assert task["resultType"] == "task"
    assert (await ask(http, "cancel", task["taskId"]))["result"]["resultType"] == "complete"
    assert (await ended(shared, http, task["taskId"]))["status"] == "cancelled"
    assert (await ask(http, "cancel", task["taskId"]))["result"]["resultType"] == "complete"


async def test_case_43_questions_of_a_task_are_answered_one_by_one(shared: Place, http: httpx2.AsyncClient):
    task = await call(http, "run_backend", {"diagram": "ask_both"}, **KNOWN)
    task_id = task["taskId"]
    opened = 0
    async with asyncio.timeout(10):
        async for event in shared.house.watch(task_id):
            opened += event.HasField("interaction_opened")
            if opened == 2:
                break
    asked = (await ask(http, "get", task_id))["result"]
    assert asked["status"] == "input_required" and len(asked["inputRequests"]) == 2
    first, second = asked["inputRequests"]
    answer = {"action": "accept", "content": {"response": "tea"}}
    unknown = {"nonsense": answer, first: answer}
    assert (await ask(http, "update", task_id, inputResponses=unknown))["result"]["resultType"] == "complete"
    left = (await ask(http, "get", task_id))["result"]
    assert (left["status"], list(left["inputRequests"])) == ("input_required", [second])
    await ask(http, "update", task_id, inputResponses={second: answer})
    done = await ended(shared, http, task_id)
    assert done["result"]["structuredContent"]["result"] == "tea-tea"


async def test_case_43_who_did_not_declare_it_gets_the_synchronous_path(shared: Place, http: httpx2.AsyncClient):
    done = await call(http, "diagram_brief", {})
    assert (done["resultType"], done["structuredContent"]["result"]) == ("complete", "rested")
    execution_id = done["structuredContent"]["execution_id"]
    refused = await post(http, modern("tasks/get", {"taskId": execution_id}), mcp_name=execution_id)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, -32021)
    assert refused.json()["error"]["data"] == {"requiredCapabilities": {"extensions": {TASKS: {}}}}
    wrong = await post(http, modern("tasks/get", {"taskId": execution_id}, **KNOWN), mcp_name="exec_other")
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (400, -32020)
    for unknown in ("exec_" + "0" * 32, "nonsense"):
        assert (await ask(http, "get", unknown))["error"]["code"] == -32602
    for removed in ("tasks/list", "tasks/result"):
        gone = await post(http, modern(removed, {"taskId": execution_id}, **KNOWN), mcp_name=execution_id)
        assert gone.json()["error"]["code"] == -32601
