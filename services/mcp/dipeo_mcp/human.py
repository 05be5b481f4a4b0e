"""Questions to humans, asked through the client of a call: returned in the modern era, sent in the older (§3.6.6)."""

import asyncio
import json
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import anyio
import mcp_types as types
from mcp.shared.exceptions import MCPError

from dipeo_kit import errors, ids, logs
from dipeo_mcp import signals
from dipeo_mcp.call import Call
from dipeo_mcp.live import Live, Prompt
from dipeo_mcp.principals import Principal
from dipeo_mcp.service import Service
from dipeo_protos.store.v1 import store_pb2

log = logs.get(__name__)

STATE_VERSION = 1
SETTLE_S = 10.0
MAX_CONTEXT_CHARS = 2000
MAX_TIMES = 5  # one question is asked of one client


def form_of(asked: Prompt | store_pb2.Interaction) -> types.ElicitRequestFormParams:
    """The node's prompt, and one required text or choice; what the human should know beside it describes the field."""
    label = asked.label or "response"
    described = {"description": f"Context: {asked.context[:MAX_CONTEXT_CHARS]}"} if asked.context else {}
    chosen = {"enum": list(asked.options)} if asked.options else {}
    schema = {
        "type": "object",
        "properties": {"response": {"type": "string", "title": label, **described, **chosen}},
        "required": ["response"],
    }
    return types.ElicitRequestFormParams(message=asked.prompt or label, requested_schema=schema)


def input_required(live: Live) -> types.InputRequiredResult:
    """Every open question, and whose they are; the state is sealed by the SDK's boundary."""
    return types.InputRequiredResult(
        input_requests={key: types.ElicitRequest(params=form_of(prompt)) for key, prompt in live.askable.items()},
        request_state=json.dumps(
            {"v": STATE_VERSION, "e": live.execution_id, "p": sorted(live.askable), "n": live.step_count}
        ),
    )


async def resumed(call: Call) -> tuple[Live, int]:
    """(the run a retried call belongs to, its answers handed in; its steps before that).

    Raises MCPError for a state that is not ours.
    """
    refused = MCPError(types.INVALID_PARAMS, "Invalid or expired requestState")
    try:
        state: Any = json.loads(call.params.request_state or "")
        execution_id, asked, told = state["e"], state["p"], state["n"]
        if state["v"] != STATE_VERSION or not ids.is_execution_id(execution_id):
            raise refused
    except (ValueError, KeyError, TypeError):
        raise refused from None
    try:
        found = await call.service.own_execution(call.principal, execution_id)
    except errors.NotFound:
        raise refused from None
    still_open = {one.interaction_id for one in found.interactions if one.status == "open"}
    settled = [
        prompt_id
        for prompt_id, response in (call.params.input_responses or {}).items()
        if prompt_id in asked
        and prompt_id in still_open
        and isinstance(response, types.ElicitResult)
        and await settle(call.service, call.principal, execution_id, prompt_id, response)
    ]
    live = call.service.lives.of(execution_id, found.execution.principal)
    await seen_closed(live, found.execution.head_seq, settled)
    return live, told


async def seen_closed(live: Live, seq: int, prompt_ids: Sequence[str]) -> None:
    """Return once the run has taken the answers: what was answered shall not be asked again."""
    with anyio.move_on_after(SETTLE_S):
        await live.reached(seq)
        for prompt_id in prompt_ids:
            await live.closed(prompt_id)


async def settle(
    service: Service, principal: Principal, execution_id: str, prompt_id: str, response: types.ElicitResult
) -> bool:
    """accept: its value; decline: an empty answer that says so; cancel: the run ends. False: ask again."""
    backend, principal_id = service.backend, principal.id
    value = (response.content or {}).get("response")
    if response.action == "cancel":
        await signals.abort(backend, execution_id, principal_id, "the human cancelled")
        return True
    declined = response.action == "decline"
    if not declined and not isinstance(value, str | int | float | bool):
        return False
    try:
        await signals.answer(backend, execution_id, prompt_id, str(value), principal_id, declined=declined)
    except errors.Conflict:
        log.info("mcp.answer_too_late", execution_id=execution_id, prompt_id=prompt_id)
    except errors.BadInput:  # none of the options: asked again
        return False
    return True


class Asking:
    """Live questions to a client of the handshake era, each raced against its own end elsewhere."""

    def __init__(self, call: Call, live: Live) -> None:
        self._call, self._live = call, live
        self._asked: dict[str, asyncio.Task[None]] = {}
        self.possible = call.can_ask

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._asked.values():
            task.cancel()
        await asyncio.gather(*self._asked.values(), return_exceptions=True)

    def ask_what_is_new(self) -> None:
        for prompt_id, prompt in self._live.askable.items():
            if prompt_id not in self._asked:
                self._asked[prompt_id] = asyncio.create_task(self._ask(prompt), name=f"ask {prompt_id}")

    async def _ask(self, prompt: Prompt) -> None:
        live = self._live
        asked = asyncio.create_task(self._until_answered(prompt))
        closed = asyncio.create_task(live.closed(prompt.id))
        try:
            await asyncio.wait({asked, closed}, return_when=asyncio.FIRST_COMPLETED)
            if asked.done():
                asked.result()
        except MCPError as error:  # the client cannot after all: the question stays open, for answer_prompt
            log.info("mcp.cannot_ask", execution_id=live.execution_id, error=str(error))
            self.possible = False
            live.ring()
        except errors.DipeoError as error:  # the answer could not be handed in
            log.warning("mcp.answer_lost", execution_id=live.execution_id, error=str(error))
            self.possible = False
            live.ring()
        finally:
            for task in (asked, closed):
                task.cancel()
            await asyncio.gather(asked, closed, return_exceptions=True)

    async def _until_answered(self, prompt: Prompt) -> None:
        call, ctx, params = self._call, self._call.ctx, form_of(prompt)
        for _ in range(MAX_TIMES):
            response = await ctx.session.elicit_form(params.message, params.requested_schema, ctx.request_id)
            if await settle(call.service, call.principal, self._live.execution_id, prompt.id, response):
                return
        raise MCPError(types.INVALID_PARAMS, "the client accepts without an answer")
