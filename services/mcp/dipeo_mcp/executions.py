"""see_result, list_executions, cancel_execution, answer_prompt."""

from typing import Any

import anyio
import mcp_types as types

from dipeo_kit import errors, ids
from dipeo_mcp import result, runs, signals
from dipeo_mcp.arguments import Json
from dipeo_mcp.call import Call
from dipeo_mcp.errors import Unserved
from dipeo_mcp.principals import Principal
from dipeo_mcp.service import Service
from dipeo_protos.store.v1 import store_pb2 as pb

MAX_WAIT_S = 25
ABORT_WAIT_S = 2.0
SCANNED_PAGES = 20  # of the store, looking for one diagram's executions
SCANNED = 200
_STATUSES = {name.removeprefix("EXECUTION_STATUS_").lower(): name for name, _ in pb.ExecutionStatus.items()}


async def see_result(call: Call, given: Json) -> types.CallToolResult:
    service, execution_id = call.service, given["session_id"]
    found = await owned(call, execution_id)
    wait_s = given.get("wait_s", 0)
    if wait_s and result.status_of(found.execution) not in result.TERMINAL:
        owner = found.execution.principal
        await runs.poll(service, execution_id, owner, wait_s=wait_s, after_seq=given.get("after_seq", 0))
    return await runs.answer(call, execution_id, verbose=given.get("verbose", True))


async def list_executions(call: Call, given: Json) -> types.CallToolResult:
    found, cursor = await page(
        call.service,
        call.principal,
        limit=given.get("limit", 20),
        cursor=given.get("cursor", ""),
        status=given.get("status", ""),
        diagram=given.get("diagram", ""),
    )
    listed = [summary(it) for it in found]
    lines = [f"{it['execution_id']} {it['diagram']} {it['status']} {it['started_at'] or ''}".rstrip() for it in listed]
    more = [f"more: cursor {cursor}"] if cursor else []
    text = "\n".join([*(lines or ["no executions"]), *more])
    return data(call, {"executions": listed, "next_cursor": cursor or None}, text)


async def cancel_execution(call: Call, given: Json) -> types.CallToolResult:
    execution_id = given["session_id"]
    found = await owned(call, execution_id)
    if result.status_of(found.execution) not in result.TERMINAL:
        reason = given.get("reason") or "cancelled over MCP"
        await signals.abort(call.service.backend, execution_id, call.principal.id, reason)
        live = call.service.lives.of(execution_id, found.execution.principal)
        with anyio.move_on_after(ABORT_WAIT_S):
            while not live.ended:
                await live.changed(live.version)
        found = await owned(call, execution_id)
    status = result.status_of(found.execution)
    return data(call, {"execution_id": execution_id, "status": status}, f"{execution_id} is {status}")


async def answer_prompt(call: Call, given: Json) -> types.CallToolResult:
    execution_id, prompt_id = given["session_id"], given["prompt_id"]
    declined = given.get("decline", False)
    if declined == ("response" in given):
        raise Unserved("invalid_input", "give either response or decline: true")
    found = await owned(call, execution_id)
    if any(it.sensitive for it in found.interactions if it.interaction_id == prompt_id):
        raise Unserved("invalid_input", f"prompt_id: it asks for a secret; `dipeo answer {execution_id}` takes it")
    live = call.service.lives.of(execution_id, found.execution.principal)
    try:
        await signals.answer(
            call.service.backend,
            execution_id,
            prompt_id,
            given.get("response", ""),
            call.principal.id,
            declined=declined,
        )
    except errors.Conflict:
        raise Unserved("invalid_input", "prompt_id: this question is not open any more") from None
    except errors.NotFound:
        raise Unserved("not_found", "prompt_id: nothing is asked under this id") from None
    with anyio.move_on_after(ABORT_WAIT_S):
        await live.reached(found.execution.head_seq)
        await live.closed(prompt_id)
    return await runs.answer(call, execution_id)


async def owned(call: Call, execution_id: str) -> pb.GetExecutionResponse:
    """Raises Unserved; somebody else's looks like none."""
    if not ids.is_execution_id(execution_id):
        raise Unserved("invalid_input", "session_id: exec_ and 32 hex digits are needed")
    return await call.service.own_execution(call.principal, execution_id)


async def page(
    service: Service, principal: Principal, *, limit: int, cursor: str = "", status: str = "", diagram: str = ""
) -> tuple[list[pb.Execution], str]:
    """(newest first, cursor of the next page or ""). Raises Unserved for a cursor that is none."""
    waiting = status == "waiting_for_input"
    statuses: list[pb.ExecutionStatus | str] = [_STATUSES["running" if waiting else status]] if status else []
    found: list[pb.Execution] = []
    token, skip = _place(service, principal, cursor)
    for _ in range(SCANNED_PAGES):
        request = pb.ListExecutionsRequest(
            statuses=statuses, page_size=SCANNED, page_token=token, principal=principal.owner_filter
        )
        response = await service.backend.store.read(service.backend.store.rpc.ListExecutions, request)
        for index, it in enumerate(response.executions):
            if index < skip or not _wanted(it, waiting=waiting if status else None, diagram=diagram):
                continue
            if len(found) == limit:
                return found, _cursor(service, principal, token, index)
            found.append(it)
        token, skip = response.next_page_token, 0
        if not token:
            return found, ""
    return found, _cursor(service, principal, token, 0)


def summary(it: pb.Execution) -> Json:
    return {
        "execution_id": it.execution_id,
        "diagram": result.diagram_of(it),
        "status": result.status_of(it),
        "started_at": result.time_of(it, "started_at"),
        "ended_at": result.time_of(it, "ended_at"),
        "uri": f"{result.EXECUTIONS}{it.execution_id}",
    }


def data(call: Call, value: Json, text: str) -> types.CallToolResult:
    """A result that is data, with a line for people."""
    shown: Any = call.service.redactor.value(value)
    return types.CallToolResult(
        content=[types.TextContent(type="text", text=call.service.redactor.text(text))], structured_content=shown
    )


def _wanted(it: pb.Execution, *, waiting: bool | None, diagram: str) -> bool:
    return (waiting is None or it.waiting is waiting or it.status != pb.EXECUTION_STATUS_RUNNING) and (
        not diagram or result.diagram_of(it) == diagram
    )


def _cursor(service: Service, principal: Principal, token: str, index: int) -> str:
    return service.cursors.seal(principal.id, f"{index}:{token}")


def _place(service: Service, principal: Principal, cursor: str) -> tuple[str, int]:
    if not cursor:
        return "", 0
    try:
        index, _, token = service.cursors.place(principal.id, cursor).partition(":")
        return token, int(index)
    except ValueError:
        raise Unserved("invalid_input", "cursor: not one of ours; give next_cursor of the page before") from None
