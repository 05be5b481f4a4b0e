"""tasks/get, tasks/update, tasks/cancel: what a client of the tasks extension may ask (spec/mcp.md §3.6.7)."""

from typing import Any

import mcp_types as types
from mcp.shared.exceptions import MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ConfigDict, Field, ValidationError

from dipeo_kit import errors, ids
from dipeo_mcp import human, principals, result, runs, signals, tasks
from dipeo_mcp.call import Context
from dipeo_mcp.service import Service
from dipeo_protos.store.v1 import store_pb2 as pb

CANCEL_REASON = "the client cancelled the task"


class TaskParams(types.RequestParams):
    model_config = ConfigDict(populate_by_name=True, extra="allow")

    task_id: str = Field(alias="taskId")


class UpdateParams(TaskParams):
    input_responses: dict[str, Any] = Field(default_factory=dict, alias="inputResponses")


class Tasks:
    """tasks/get, tasks/update, tasks/cancel."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def get(self, ctx: Context, params: TaskParams) -> dict[str, Any]:
        found = await self._own(ctx, params)
        task = tasks.task(found)
        if task["status"] == "input_required":
            task["inputRequests"] = {
                it.interaction_id: _wire(types.ElicitRequest(params=human.form_of(it)))
                for it in found.interactions
                if it.status == "open" and not it.sensitive
            }
        if task["status"] in ("completed", "cancelled"):
            told = await runs.described(self._service, params.task_id)
            task |= {"result": _wire(runs.shown(self._service, told))} if task["status"] == "completed" else {}
        return {"resultType": "complete", **task}

    async def update(self, ctx: Context, params: UpdateParams) -> dict[str, Any]:
        """Some answers or all; unknown keys are ignored, and what is no answer leaves its question open."""
        found = await self._own(ctx, params)
        principal, live = principals.of(ctx), self._service.lives.of(params.task_id, found.execution.principal)
        still_open = {it.interaction_id for it in found.interactions if it.status == "open"}
        for prompt_id, given in params.input_responses.items():
            if prompt_id not in still_open:
                continue
            try:
                response = types.ElicitResult.model_validate(given, by_name=False)
            except ValidationError:
                continue
            if await human.settle(self._service, principal, params.task_id, prompt_id, response):
                await human.seen_closed(live, found.execution.head_seq, [prompt_id])
        return {"resultType": "complete"}

    async def cancel(self, ctx: Context, params: TaskParams) -> dict[str, Any]:
        """Of a task that has ended: nothing."""
        found = await self._own(ctx, params)
        if result.status_of(found.execution) not in result.TERMINAL:
            await signals.abort(self._service.backend, params.task_id, principals.of(ctx).id, CANCEL_REASON)
        return {"resultType": "complete"}

    async def _own(self, ctx: Context, params: TaskParams) -> pb.GetExecutionResponse:
        """Raises MCPError: not negotiated, a header that says something else, unknown or somebody else's."""
        if ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            raise MCPError(types.METHOD_NOT_FOUND, "Method not found", ctx.method)
        if not tasks.declared(ctx):
            raise missing()
        if ctx.request is not None and ctx.request.headers.get("mcp-name") != params.task_id:
            raise MCPError(types.HEADER_MISMATCH, "Mcp-Name has to be the taskId")
        unknown = MCPError(types.INVALID_PARAMS, "Unknown task")
        if not ids.is_execution_id(params.task_id):
            raise unknown
        try:
            return await self._service.own_execution(principals.of(ctx), params.task_id)
        except errors.NotFound:
            raise unknown from None


def missing() -> MCPError:
    needed: dict[str, Any] = {"requiredCapabilities": {"extensions": {tasks.EXTENSION: {}}}}
    return MCPError(types.MISSING_REQUIRED_CLIENT_CAPABILITY, f"The extension {tasks.EXTENSION} is needed", needed)


def _wire(model: Any) -> Any:
    return model.model_dump(by_alias=True, mode="json", exclude_none=True)
