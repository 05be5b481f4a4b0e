"""Starting a diagram and going along with it (spec/mcp.md §3.6)."""

import asyncio
import json
import time
from dataclasses import dataclass

import anyio
import mcp_types as types

from dipeo_kit import errors
from dipeo_mcp import arguments, human, result, signals, tasks
from dipeo_mcp.arguments import Json, RunOptions
from dipeo_mcp.call import Answer, Call
from dipeo_mcp.errors import Unserved
from dipeo_mcp.live import Live
from dipeo_mcp.published import Offer, source_of
from dipeo_mcp.service import Service
from dipeo_protos.executor.v1 import executor_pb2

WAIT_S = 50.0  # below the time limit of common clients
HEARTBEAT_S = 15.0
HEARTBEAT = 0.01
STEPS_PER_S = 10
ABORT_S = 2.0


async def run(call: Call, offer: Offer, inputs: Json, options: RunOptions) -> Answer:
    """Start it, or go on with what an answer belongs to, and answer as soon as there is something to say."""
    told = 0  # steps that an earlier round has told
    if call.params.request_state is not None:
        live, told = await human.resumed(call)
    else:
        live = await start(call, offer, inputs, options)
    total = offer.node_count if offer.straight else None
    if options.background:
        return await _later(call, live, total)
    try:
        return await _go_along(call, live, options, total, told)
    except asyncio.CancelledError:
        if options.on_disconnect == "abort":
            with anyio.CancelScope(shield=True), anyio.move_on_after(ABORT_S):
                await signals.abort(
                    call.service.backend, live.execution_id, call.principal.id, "the caller cancelled the request"
                )
        raise


async def start(call: Call, offer: Offer, inputs: Json, options: RunOptions) -> Live:
    """A new execution, or the one that the same idempotency key began. Raises Unserved, DipeoError."""
    service, principal = call.service, call.principal
    arguments.check_inputs(inputs)
    if not offer.valid:
        raise Unserved("invalid_input", f'the diagram "{offer.name}" does not compile; compile_diagram tells why')
    if refused := service.refused_nodes(offer.node_types):
        raise Unserved(
            "invalid_input", f"this server does not run diagrams with {', '.join(refused)} nodes (MCP_ALLOW_NODES)"
        )
    settings = service.settings
    timeout_s = arguments.timeout_of(options, default_s=settings.default_timeout, longest_s=settings.max_timeout)
    key = (principal.id, options.idempotency_key)
    joined = service.joined.get(key) if options.idempotency_key else None
    if joined is None or service.lives.known(joined) is None:
        service.admit(principal)
    request = executor_pb2.SubmitRequest(
        source=source_of(offer.entry),
        variables_json=json.dumps(inputs, ensure_ascii=False).encode(),
        options=executor_pb2.RunOptions(timeout_s=timeout_s),
        origin="mcp",
        principal=principal.id,
        idempotency_key=options.idempotency_key,
    )
    try:
        response = await service.backend.executor.write(service.backend.executor.rpc.Submit, request)
    except errors.AlreadyExists:
        raise Unserved("invalid_input", "idempotency_key: it belongs to a call with other inputs") from None
    if not response.execution_id:
        first = response.diagnostics[0].message if response.diagnostics else "it does not compile"
        raise Unserved("invalid_input", f'the diagram "{offer.name}" is invalid: {first}')
    if options.idempotency_key:
        service.joined[key] = response.execution_id
    return service.lives.of(response.execution_id, principal.id)


async def answer(
    call: Call, live: Live | str, *, total: int | None = None, verbose: bool = False
) -> types.CallToolResult:
    """The execution as it stands, as the result of a tool."""
    execution_id = live if isinstance(live, str) else live.execution_id
    return shown(call.service, await described(call.service, execution_id, total=total, verbose=verbose))


async def described(service: Service, execution_id: str, *, total: int | None = None, verbose: bool = False) -> Json:
    """The RunResult, redacted and not cut."""
    found = await service.backend.execution(execution_id)
    told = result.of(found, total=total)
    if verbose:
        told = result.verbose(told, found, await service.messages(execution_id))
    redacted: Json = service.redactor.value(told)
    return redacted


def shown(service: Service, told: Json) -> types.CallToolResult:
    """Text for people and models, the same as data, and where to read more."""
    data = result.cut(told) if told["execution_id"] else service.redactor.value(told)
    content: list[types.ContentBlock] = [types.TextContent(type="text", text=summary(data))]
    if data["execution_id"]:
        uri = f"{result.EXECUTIONS}{data['execution_id']}"
        links = [(uri, "execution"), *((cut["uri"], cut["path"]) for cut in data["truncated"])]
        content += [
            types.ResourceLink(type="resource_link", uri=link, name=name, mime_type="application/json")
            for link, name in dict(links).items()
        ]
    return types.CallToolResult(content=content, structured_content=data, is_error=result.is_error(data))


def summary(data: Json) -> str:
    """One line, then the result, or what went wrong, or what to do next."""
    took = f" in {data['duration_ms'] / 1000:.1f} s" if data.get("duration_ms") is not None else ""
    where = f" (execution {data['execution_id']})" if data["execution_id"] else ""
    lines = [f"{data['diagram'] or 'call'} {data['status']}{took}{where}"]
    if data["error"]:
        node = f" at node {data['error']['node']}" if data["error"].get("node") else ""
        lines.append(f"{data['error']['code']}{node}: {data['error']['message']}")
    lines += [
        f"asked at {prompt['node']}: {prompt['message']} (prompt_id {prompt['id']})" for prompt in data["prompts"]
    ]
    if data["result"] is not None:
        value = data["result"]
        lines.append(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    lines += [f"{cut['path']} is cut here; read it whole at {cut['uri']}" for cut in data.get("truncated", ())]
    if data.get("next"):
        lines.append(data["next"])
    return "\n".join(lines)


# --- going along -----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Reporter:
    """Sends the steps of a run as progress: at most ten a second, then the latest one only; never backwards."""

    call: Call
    total: float | None
    told: int = 0  # steps
    value: float = 0.0
    room: float = STEPS_PER_S
    refilled_at: float = 0.0

    async def catch_up(self, live: Live, *, last: bool = False) -> None:
        if not self.call.wants_progress:
            self.told = live.step_count
            return
        first = live.step_count - len(live.steps)
        fresh = [live.steps[i - first] for i in range(max(self.told, first), live.step_count)]
        self.told = live.step_count
        now = time.monotonic()
        self.room = min(STEPS_PER_S, self.room + (now - self.refilled_at) * STEPS_PER_S)
        self.refilled_at = now
        room = int(self.room)
        kept = fresh if len(fresh) <= room else [*fresh[: max(0, room - 1)], fresh[-1]] if room or last else []
        if not kept and fresh:
            self.told -= 1  # the latest is told later
        for step in kept:
            self.room -= 1
            await self._send(step.value, step.text)

    async def heartbeat(self, live: Live) -> None:
        nodes = ", ".join(live.labels.get(node, node) for node in list(live.running)[:5])
        # below the next half step, however long it takes
        value = min(self.value + HEARTBEAT, int(self.value * 2) / 2 + 0.49)
        if value > self.value:
            await self._send(value, f"{nodes or 'waiting'} — still going")

    async def _send(self, value: float, text: str) -> None:
        if value <= self.value:
            return
        self.value = value
        await self.call.ctx.session.report_progress(value, self.total, self.call.service.redactor.text(text))


async def _later(call: Call, live: Live, total: int | None) -> Answer:
    """It goes on without this call: a task for clients that know tasks, else how it stands."""
    if tasks.declared(call.ctx):
        return tasks.created(await call.service.backend.execution(live.execution_id))
    return await answer(call, live, total=total)


async def _go_along(call: Call, live: Live, options: RunOptions, total: int | None, told: int) -> Answer:
    """Until it ends, a human is needed whom this call cannot ask, or the time to wait is over."""
    reporter = _Reporter(call, float(total) if total else None, told=told, refilled_at=time.monotonic())
    wait_s = options.wait_s
    if wait_s is None:
        settings = call.service.settings
        wait_s = (options.timeout_s or settings.default_timeout) if call.wants_progress else WAIT_S
    if tasks.declared(call.ctx):
        wait_s = min(wait_s, tasks.GRACE_S)
    deadline = time.monotonic() + wait_s
    async with human.Asking(call, live) as asking:
        while True:
            seen, ended = live.version, live.ended  # both may change while steps are sent
            await reporter.catch_up(live, last=ended)
            if ended:
                return await answer(call, live, total=total)
            if live.prompts and (not asking.possible or (not live.askable and live.waits_for_human)):
                return await _later(call, live, total)
            if live.askable and call.is_modern:
                return human.input_required(live)
            asking.ask_what_is_new()
            left_s = deadline - time.monotonic()
            if left_s <= 0 and not live.prompts:  # a human may take longer
                return await _later(call, live, total)
            pending = reporter.told < live.step_count
            pause_s = min(HEARTBEAT_S, 1 / STEPS_PER_S if pending else HEARTBEAT_S, max(left_s, 0.05))
            try:
                async with asyncio.timeout(pause_s):
                    await live.changed(seen)
            except TimeoutError:
                if pause_s == HEARTBEAT_S:
                    await reporter.heartbeat(live)


async def poll(service: Service, execution_id: str, owner: str, *, wait_s: float, after_seq: int) -> None:
    """Return when it has ended, when a human is asked, when it is past `after_seq` (0: whatever), or after `wait_s`."""
    live = service.lives.of(execution_id, owner)
    with anyio.move_on_after(wait_s):
        while not live.ended and not live.prompts and not 0 < after_seq < live.seq:
            await live.changed(live.version)


def unserved(service: Service, error: Unserved, diagram: str | None = None) -> types.CallToolResult:
    return shown(service, result.unserved(error, diagram=diagram))
