"""What clients may do to an execution. A refusal is an answer with an error_type, not a top-level error (§1, §10)."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from collections.abc import Set as AbstractSet
from contextlib import suppress
from functools import wraps
from typing import Any, TypeVar

from dipeo_gateway import executions, faults, follow, submit, transfers, wire
from dipeo_gateway.context import Context
from dipeo_gateway.types import (
    ExecuteDiagramInput,
    ExecutionControlInput,
    ExecutionResult,
    InteractiveResponseInput,
    RetryExecutionInput,
    Status,
)
from dipeo_kit import errors, ids
from dipeo_protos.executor.v1 import executor_pb2
from dipeo_protos.store.v1 import store_pb2

Input = TypeVar("Input")

MAX_RESPONSE_BYTES = 256 * 1024
WAIT_S = 2.0


def _refusals_as_answers(
    mutation: Callable[[Context, Input, AbstractSet[str]], Awaitable[ExecutionResult]],
) -> Callable[[Context, Input, AbstractSet[str]], Awaitable[ExecutionResult]]:
    @wraps(mutation)
    async def answered(context: Context, asked: Input, wanted: AbstractSet[str]) -> ExecutionResult:
        try:
            return await mutation(context, asked, wanted)
        except errors.DipeoError as error:
            text = faults.text_of(error)
            return ExecutionResult(success=False, message=text, error=text, error_type=faults.code_of(error))

    return answered


@_refusals_as_answers
async def execute(context: Context, asked: ExecuteDiagramInput, wanted: AbstractSet[str]) -> ExecutionResult:
    """Returns once the execution is durable. An invalid diagram stores nothing; its problems are the envelope."""
    backend = context.backend
    request = submit.submit_request(
        asked, origin=context.origin, principal=context.principal, idempotency_key=context.idempotency_key
    )
    response = await backend.executor.write(backend.executor.rpc.Submit, request)
    found = submit.diagnostics(response.diagnostics)
    if response.HasField("wanted"):
        text, asks = transfers.sentence(response.wanted), {"wanted": transfers.wanted(response.wanted)}
        code = transfers.FILES_WANTED
        return ExecutionResult(success=False, message=text, error=text, error_type=code, envelope=asks)
    if not response.execution_id:
        return _invalid(found)
    return ExecutionResult(
        success=True,
        message="accepted",
        envelope={"warnings": found["warnings"]} if found["warnings"] else None,
        data=await executions.fetch(backend, response.execution_id, wanted),
    )


def _invalid(found: dict[str, list[dict[str, Any]]]) -> ExecutionResult:
    problems = found["errors"]
    first = problems[0]["message"] if problems else "it does not compile"
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    text = f"the diagram is invalid: {first}{more}"
    return ExecutionResult(
        success=False, message=text, error=text, error_type=errors.DiagramInvalid.code, envelope=found
    )


@_refusals_as_answers
async def control(context: Context, asked: ExecutionControlInput, wanted: AbstractSet[str]) -> ExecutionResult:
    match asked.action:
        case "abort":
            return await _abort(context, asked, wanted)
        case "pause" | "resume":
            return await _pause_or_resume(context, asked, wanted)
        case "complete" | "fail":
            raise errors.BadInput(f'action "{asked.action}" is only for executions that a client drives itself')
        case _:
            raise errors.BadInput(f'action "{asked.action}" is unknown; there are pause, resume and abort')


@_refusals_as_answers
async def retry(context: Context, asked: RetryExecutionInput, wanted: AbstractSet[str]) -> ExecutionResult:
    """A new execution; its envelope says from where it goes on and how many node runs were kept."""
    executor = context.backend.executor
    request = executor_pb2.RetryRequest(
        execution_id=asked.execution_id,
        from_node=asked.from_node or "",
        new_execution_id=asked.new_execution_id or "",
        origin=context.origin,
        principal=context.principal,
        idempotency_key=context.idempotency_key,
    )
    response = await executor.write(executor.rpc.Retry, request)
    return ExecutionResult(
        success=True,
        message="accepted",
        envelope={"from": response.from_label or None, "kept": response.kept},
        data=await executions.fetch(context.backend, response.execution_id, wanted),
    )


async def _pause_or_resume(context: Context, asked: ExecutionControlInput, wanted: AbstractSet[str]) -> ExecutionResult:
    """Answers after it took effect, or after two seconds: what runs is awaited before an execution is paused."""
    store, pausing = context.backend.store, asked.action == "pause"
    request = store_pb2.PostSignalRequest(execution_id=asked.execution_id, signal_id=ids.new_hex())
    if pausing:
        request.pause.CopyFrom(store_pb2.Pause(reason=asked.reason or "", principal=context.principal))
    else:
        request.resume.CopyFrom(store_pb2.Resume(principal=context.principal))
    execution = (await store.write(store.rpc.PostSignal, request)).execution
    paused = execution.status == store_pb2.EXECUTION_STATUS_PAUSED
    if paused is not pausing:
        with suppress(TimeoutError):
            async with asyncio.timeout(WAIT_S):
                kind = "execution_paused" if pausing else "execution_resumed"
                await follow.until(context.backend, asked.execution_id, execution.head_seq, kind)
    state = await executions.fetch(context.backend, asked.execution_id, wanted)
    done = (state.status is Status.PAUSED) is pausing
    return ExecutionResult(success=True, message="done" if done else "accepted", data=state)


async def _abort(context: Context, asked: ExecutionControlInput, wanted: AbstractSet[str]) -> ExecutionResult:
    """Answers after the execution ended, or after two seconds. Aborting what is already aborted succeeds."""
    store = context.backend.store
    request = store_pb2.PostSignalRequest(
        execution_id=asked.execution_id,
        # one abort per execution: asking twice is the same request
        signal_id=hashlib.sha256(f"abort {asked.execution_id}".encode()).hexdigest()[:32],
        abort=store_pb2.Abort(reason=asked.reason or "", principal=context.principal),
    )
    try:
        execution = (await store.write(store.rpc.PostSignal, request)).execution
        if wire.status_word(execution.status) not in wire.TERMINAL:
            async with asyncio.timeout(WAIT_S):
                await follow.until(context.backend, asked.execution_id, execution.head_seq)
    except TimeoutError:
        pass
    except errors.Conflict:
        state = await executions.fetch(context.backend, asked.execution_id, wanted)
        if state.status is not Status.ABORTED:
            raise
        return ExecutionResult(success=True, message="done", data=state)
    state = await executions.fetch(context.backend, asked.execution_id, wanted)
    return ExecutionResult(success=True, message="accepted" if state.is_active else "done", data=state)


@_refusals_as_answers
async def answer(context: Context, asked: InteractiveResponseInput, wanted: AbstractSet[str]) -> ExecutionResult:
    """The first answer wins; metadata.prompt_id says which question when a node asked more than once."""
    if len(asked.response.encode()) > MAX_RESPONSE_BYTES:
        raise errors.BadInput(f"response: at most {MAX_RESPONSE_BYTES} bytes")
    metadata: Any = {} if asked.metadata is None else asked.metadata
    prompt_id = metadata.get("prompt_id") or "" if isinstance(metadata, dict) else None
    if not isinstance(prompt_id, str):
        raise errors.BadInput("metadata: an object {prompt_id: text} is needed")
    store = context.backend.store
    request = store_pb2.AnswerInteractionRequest(
        execution_id=asked.execution_id,
        node_id=asked.node_id,
        interaction_id=prompt_id,
        response=asked.response,
        responder=context.principal,
    )
    await store.write(store.rpc.AnswerInteraction, request)
    data = await executions.fetch(context.backend, asked.execution_id, wanted)
    return ExecutionResult(success=True, message="answered", data=data)
