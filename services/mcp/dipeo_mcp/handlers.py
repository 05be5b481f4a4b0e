"""What is done for every MCP method: who may, then the module that does it; failures become answers (§3.9)."""

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import mcp_types as types
from mcp.server.context import CallNext, HandlerResult
from mcp.shared.exceptions import MCPError
from pydantic import ValidationError

from dipeo_kit import errors, ids, logs
from dipeo_mcp import limits, principals, prompts, resources, running, runs
from dipeo_mcp.arguments import check, folded
from dipeo_mcp.call import Answer, Call, Context
from dipeo_mcp.cursors import BadCursor
from dipeo_mcp.errors import Unserved, unserved
from dipeo_mcp.principals import Principal
from dipeo_mcp.service import Service
from dipeo_mcp.tools import BY_NAME, TOOLS

log = logs.get(__name__)

STDIO_SESSION = "stdio"
SESSION_HEADER = "mcp-session-id"
_NOTHING = {"diagram": "", "execution_id": ""}
Item = TypeVar("Item")


class Handlers:
    """One method per MCP method."""

    def __init__(self, service: Service) -> None:
        self._service = service

    # --- around everything -----------------------------------------------------------------------------------------

    async def guarded(self, ctx: Context, call_next: CallNext) -> HandlerResult:
        """Remembers sessions of the handshake era; failures of the house become errors of the protocol."""
        self._remember(ctx)
        try:
            return await call_next(ctx)
        except errors.Unavailable as error:
            log.warning("mcp.backend_unavailable", method=ctx.method, error=str(error))
            raise MCPError(types.INTERNAL_ERROR, "Backend unavailable, try again") from None
        except errors.DipeoError as error:
            log.warning("mcp.refused", method=ctx.method, error=str(error))
            raise MCPError(types.INVALID_PARAMS, self._service.redactor.text(str(error))) from None
        except (MCPError, ValidationError):  # the SDK words them
            raise
        except Exception:
            correlation_id = ids.new_hex()
            log.exception("mcp.crashed", method=ctx.method, correlation_id=correlation_id)
            raise MCPError(types.INTERNAL_ERROR, "Internal error", {"correlation_id": correlation_id}) from None

    def _remember(self, ctx: Context) -> None:
        session_id = STDIO_SESSION if ctx.request is None else ctx.request.headers.get(SESSION_HEADER)
        if session_id:
            self._service.notices.remember(principals.of(ctx), session_id, ctx.session)

    # --- tools -----------------------------------------------------------------------------------------------------

    def input_schema(self, name: str) -> dict[str, Any] | None:
        """Where the SDK looks for arguments that headers repeat (x-mcp-header): no tool of ours has any."""
        return None

    async def list_tools(self, ctx: Context, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        principal, service = principals.of(ctx), self._service
        found = [tool.listed() for tool in TOOLS if principal.may(tool.scope)]
        if principal.may(principals.RUN):
            runnable = {
                tool: offer
                for tool, offer in service.published.by_tool.items()
                if not service.refused_nodes(offer.node_types)
            }
            newest = sorted(runnable, key=lambda tool: runnable[tool].entry.updated_at, reverse=True)
            kept = sorted(newest[: service.settings.max_diagram_tools])
            found += [running.listed(tool, runnable[tool]) for tool in kept]
        page, cursor = self._page(ctx, found, params, lambda tool: tool.name)
        return types.ListToolsResult(tools=page, next_cursor=cursor)

    async def call_tool(self, ctx: Context, params: types.CallToolRequestParams) -> Answer:
        call = Call(self._service, ctx, params)
        began, outcome, about = time.monotonic(), "cancelled", _NOTHING
        try:
            answer = await self._served(call)
            outcome, about = _outcome(answer)
            return answer
        except MCPError:
            outcome = "refused"
            raise
        except Exception:
            outcome = "internal"
            raise
        finally:
            log.info(
                "mcp.call",
                principal=call.principal.id,
                tool=params.name[:100],
                **about,
                outcome=outcome,
                duration_ms=round((time.monotonic() - began) * 1000),
            )

    async def _served(self, call: Call) -> Answer:
        """Unknown tools are errors of the protocol; everything else that goes wrong is an answer."""
        name, service = call.params.name, self._service
        tool = BY_NAME.get(name)
        try:
            if tool is not None:
                call.need(tool.scope)
                given = folded(call.params.arguments, tool.aliases)
                check(tool.validator, given)
                return await tool.run(call, given)
            offer = await service.published.offer_of_tool(name)
            if offer is None:
                raise MCPError(types.INVALID_PARAMS, f"Unknown tool: {name[:100]}")
            return await running.diagram_tool(call, offer)
        except Unserved as refused:
            return runs.unserved(service, refused)
        except errors.DipeoError as error:
            log.warning("mcp.call_refused", tool=name[:100], error=str(error))
            return runs.unserved(service, unserved(error))

    # --- resources -------------------------------------------------------------------------------------------------

    async def list_resources(
        self, ctx: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListResourcesResult:
        self._need_read(ctx)
        found = await resources.listed(self._service, principals.of(ctx))
        page, cursor = self._page(ctx, found, params, lambda it: it.uri)
        return types.ListResourcesResult(resources=page, next_cursor=cursor)

    async def list_templates(
        self, ctx: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListResourceTemplatesResult:
        page, cursor = self._page(ctx, resources.TEMPLATES, params, lambda it: it.uri_template)
        return types.ListResourceTemplatesResult(resource_templates=page, next_cursor=cursor)

    async def read_resource(self, ctx: Context, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        self._need_read(ctx)
        return await resources.read(self._service, principals.of(ctx), params.uri)

    async def subscribe(self, ctx: Context, params: types.SubscribeRequestParams) -> types.EmptyResult:
        principal = principals.of(ctx)
        await self._may_watch(principal, [params.uri])
        uris = self._session(ctx, principal).uris
        if len(uris) >= limits.MAX_URIS_PER_STREAM:
            raise MCPError(types.INVALID_PARAMS, f"At most {limits.MAX_URIS_PER_STREAM} subscriptions")
        uris.add(params.uri)
        return types.EmptyResult()

    async def unsubscribe(self, ctx: Context, params: types.UnsubscribeRequestParams) -> types.EmptyResult:
        self._session(ctx, principals.of(ctx)).uris.discard(params.uri)
        return types.EmptyResult()

    async def listen(
        self, ctx: Context, params: types.SubscriptionsListenRequestParams
    ) -> types.SubscriptionsListenResult:
        """A stream until its client leaves. Nobody may listen to what they may not read."""
        principal, notices = principals.of(ctx), self._service.notices
        await self._may_watch(principal, params.notifications.resource_subscriptions or [])
        audience = notices.audience(principal)
        if audience.streams >= limits.MAX_STREAMS_PER_PRINCIPAL or notices.streams >= limits.MAX_STREAMS:
            raise MCPError(types.INTERNAL_ERROR, "Subscription limit reached")
        audience.streams += 1
        try:
            return await audience.listen(ctx, params)
        finally:
            audience.streams -= 1

    async def _may_watch(self, principal: Principal, uris: Sequence[str]) -> None:
        """Raises MCPError, in the same words whatever the reason; follows the executions among them from now on."""
        if len(uris) > limits.MAX_URIS_PER_STREAM or any(len(uri) > resources.MAX_URI for uri in uris):
            raise MCPError(types.INVALID_PARAMS, f"At most {limits.MAX_URIS_PER_STREAM} resources in one subscription")
        if not principal.may(principals.READ):
            raise MCPError(types.INVALID_PARAMS, f"This credential lacks the scope {principals.READ}")
        for uri in uris:
            execution_id = resources.execution_of(uri)
            if execution_id is None:
                if not resources.is_ours(uri):
                    raise resources.Missing(uri)
                continue
            try:
                found = await self._service.own_execution(principal, execution_id, details=False)
            except errors.NotFound:
                raise resources.Missing(uri) from None
            self._service.lives.of(execution_id, found.execution.principal)

    def _session(self, ctx: Context, principal: Principal) -> Any:
        session_id = STDIO_SESSION if ctx.request is None else ctx.request.headers.get(SESSION_HEADER)
        if not session_id:
            raise MCPError(types.INVALID_PARAMS, "Subscriptions need a session")
        return self._service.notices.remember(principal, session_id, ctx.session)

    # --- prompts and completion ------------------------------------------------------------------------------------

    async def list_prompts(self, ctx: Context, params: types.PaginatedRequestParams | None) -> types.ListPromptsResult:
        page, cursor = self._page(ctx, prompts.listed(), params, lambda it: it.name)
        return types.ListPromptsResult(prompts=page, next_cursor=cursor)

    async def get_prompt(self, ctx: Context, params: types.GetPromptRequestParams) -> types.GetPromptResult:
        self._need_read(ctx)
        return await prompts.get(self._service, principals.of(ctx), params.name, params.arguments or {})

    async def complete(self, ctx: Context, params: types.CompleteRequestParams) -> types.CompleteResult:
        self._need_read(ctx)
        return types.CompleteResult(completion=await prompts.complete(self._service, principals.of(ctx), params))

    def _page(
        self,
        ctx: Context,
        items: Sequence[Item],
        params: types.PaginatedRequestParams | None,
        key: Callable[[Item], str],
    ) -> tuple[list[Item], str | None]:
        cursor = params.cursor if params is not None else None
        try:
            return self._service.cursors.page(items, principals.of(ctx).id, cursor, key)
        except BadCursor:
            raise MCPError(types.INVALID_PARAMS, "Invalid cursor") from None

    def _need_read(self, ctx: Context) -> None:
        if not principals.of(ctx).may(principals.READ):
            raise MCPError(types.INVALID_PARAMS, f"This credential lacks the scope {principals.READ}")


def _outcome(answer: Answer) -> tuple[str, dict[str, str]]:
    """(a word for the audit, the diagram and the execution it is about)."""
    match answer:
        case dict():
            return "task", _NOTHING | {"execution_id": str(answer["taskId"])}
        case types.InputRequiredResult():
            return "input_required", _NOTHING
        case _:
            data = answer.structured_content or {}
            about = {name: data.get(name) or "" for name in _NOTHING}
            return "error" if answer.is_error else str(data.get("status") or "ok"), about
