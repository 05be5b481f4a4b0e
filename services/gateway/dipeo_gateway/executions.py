"""An execution of the store in the shape of v1 (spec/store.md §15.7, decision 34)."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import strawberry

from dipeo_gateway import wire
from dipeo_gateway.backend import Backend
from dipeo_gateway.types import ExecutionStateType, LLMUsageType, Status
from dipeo_kit import errors, rpc
from dipeo_protos.store.v1 import content_pb2
from dipeo_protos.store.v1 import store_pb2 as pb

# Fields that cost more than the execution's own row.
FROM_RUNS = frozenset(
    {"executed_nodes", "node_states", "node_outputs", "exec_counts", "node_runs", "outputs", "failed_nodes"}
)
FROM_INTERACTIONS = frozenset({"pending_interactions"})
FROM_MESSAGES = frozenset({"conversation"})

MAX_ENVELOPE_BYTES = 256 * 1024
MAX_OUTPUTS_BYTES = 16 * 1024 * 1024  # of values that are too large for an envelope, in `outputs`
PAGE = 1000
NOTHING: Mapping[str, Any] = {}
MAX_SEARCHED = 10_000  # rows read to find those that fit
MAX_LISTED_IN_DETAIL = 8  # executions read at a time when a list asks for costly fields


async def fetch(backend: Backend, execution_id: str, wanted: AbstractSet[str]) -> ExecutionStateType:
    """One execution, with the costly fields among `wanted` only. Raises NotFound."""
    request = pb.GetExecutionRequest(
        execution_id=execution_id,
        include_node_runs=bool(wanted & FROM_RUNS),
        include_interactions=bool(wanted & FROM_INTERACTIONS),
    )
    response = await backend.store.read(backend.store.rpc.GetExecution, request)
    state = summary(response.execution)
    if wanted & FROM_RUNS:
        large = await large_outputs(backend, response.node_runs) if "outputs" in wanted else {}
        add_runs(state, response.node_runs, large)
    if wanted & FROM_INTERACTIONS:
        state.pending_interactions = [interaction(one) for one in response.interactions if one.status == "open"]
    if wanted & FROM_MESSAGES:
        state.conversation = await conversation(backend, execution_id)
    return state


async def fetch_many(
    backend: Backend, executions: Sequence[pb.Execution], wanted: AbstractSet[str]
) -> list[ExecutionStateType]:
    """The same for a list, which already has the rows themselves."""
    if not wanted & (FROM_RUNS | FROM_INTERACTIONS | FROM_MESSAGES):
        return [summary(execution) for execution in executions]
    few = asyncio.Semaphore(MAX_LISTED_IN_DETAIL)

    async def detailed(execution: pb.Execution) -> ExecutionStateType:
        async with few:
            return await fetch(backend, execution.execution_id, wanted)

    return await asyncio.gather(*map(detailed, executions))


async def find(
    backend: Backend, request: pb.ListExecutionsRequest, *, limit: int, offset: int, marks: "Marks | None" = None
) -> list[pb.Execution]:
    """Newest first. The store pages by token and knows no marks, so what does not count is read and thrown away."""
    found: list[pb.Execution] = []
    seen = 0
    while len(found) < offset + limit and (marks is None or seen < MAX_SEARCHED):
        request.page_size = PAGE if marks else min(PAGE, offset + limit - len(found))
        page = await backend.store.read(backend.store.rpc.ListExecutions, request)
        seen += len(page.executions)
        found += [each for each in page.executions if marks is None or marks.fit(each)]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    return found[offset : offset + limit]


@dataclass(frozen=True, slots=True)
class Marks:
    """The name and labels executions are looked for by; "" and {} = any."""

    name: str
    labels: Mapping[str, Any]

    def fit(self, execution: pb.Execution) -> bool:
        options = wire.json_of(execution.options_json) or {}
        marked = options.get("labels") or {}
        return self.name in ("", options.get("name")) and all(marked.get(key) == it for key, it in self.labels.items())


async def conversation(backend: Backend, execution_id: str) -> list[dict[str, Any]]:
    request = pb.ListMessagesRequest(execution_id=execution_id, page_size=PAGE)
    messages: list[dict[str, Any]] = []
    while True:
        page = await backend.store.read(backend.store.rpc.ListMessages, request)
        messages += [
            {
                "role": message.role or "unknown",
                "content": message.content,
                "node_id": message.node_id,
                "timestamp": wire.time_of(message, "created_at"),
                "from": message.from_id,
                "to": message.to_id,
            }
            for message in page.messages
        ]
        if not page.next_page_token:
            return messages
        request.page_token = page.next_page_token


def summary(execution: pb.Execution) -> ExecutionStateType:
    """What the execution's own row says."""
    status = wire.status_word(execution.status)
    options = wire.json_of(execution.options_json) or {}
    return ExecutionStateType(
        id=strawberry.ID(execution.execution_id),
        status=Status(status),
        diagram_id=strawberry.ID(execution.diagram_id) if execution.diagram_id else None,
        diagram_name=execution.diagram_name or None,
        created_at=wire.time_of(execution, "created_at"),
        started_at=wire.time_of(execution, "started_at"),
        ended_at=wire.time_of(execution, "ended_at"),
        duration_ms=wire.milliseconds(execution, "started_at", "ended_at"),
        error=error_text(execution) or None,
        error_code=execution.error.code or None,
        llm_usage=LLMUsageType(**usage(execution.usage)),
        is_active=status not in wire.TERMINAL,
        variables=wire.json_of(execution.variables_json) or {},
        result=wire.json_of(execution.result_json),
        result_is_error=execution.result_is_error,
        warnings=list(execution.warnings),
        waiting=execution.waiting,
        head_seq=execution.head_seq,
        origin=execution.origin or None,
        retried_from=execution.retried_from or None,
        name=options.get("name") or None,
        labels=options.get("labels") or None,
    )


def add_runs(state: ExecutionStateType, runs: Iterable[pb.NodeRun], large: Mapping[str, Any] = NOTHING) -> None:
    """Fill what is derived from node runs, which come in start order; skipped nodes were never run.

    `large`: see large_outputs.
    """
    ran = [run for run in runs if run.status != pb.NODE_RUN_STATUS_SKIPPED]
    paths = label_paths(ran)
    state.executed_nodes = list(dict.fromkeys(run.node_id for run in ran))
    state.node_runs = [node_run(run) for run in ran]
    state.node_states = {run.node_id: node_state(run) for run in ran}  # the last run of a node wins
    state.failed_nodes = [failed_node(run) for run in ran if run.status == pb.NODE_RUN_STATUS_FAILED]
    completed = [run for run in ran if run.status == pb.NODE_RUN_STATUS_COMPLETED]
    state.node_outputs = {run.node_id: envelope(state.id, run) for run in completed}
    state.exec_counts = dict(Counter(run.node_id for run in completed))
    last = {run.node_id: run for run in ran if run.output_bytes or run.output_json}
    state.outputs = {paths[node_id]: large.get(node_id, output(run)) for node_id, run in last.items()}


def label_paths(runs: Iterable[pb.NodeRun]) -> dict[str, str]:
    """Node id → label, of a child of a sub-diagram "Parent/Child". A label used twice is the first node's alone."""
    labels = {run.node_id: run.label or run.node_id for run in runs}
    paths: dict[str, str] = {}
    taken: set[str] = set()
    for node_id in labels:
        steps = node_id.split("/")
        ids = ("/".join(steps[: depth + 1]) for depth in range(len(steps)))
        path = "/".join(labels.get(id_, step) for id_, step in zip(ids, steps, strict=True))
        paths[node_id] = node_id if path in taken else path
        taken.add(paths[node_id])
    return paths


def node_run(run: pb.NodeRun) -> dict[str, Any]:
    shown = {
        "node_id": run.node_id,
        "label": run.label,
        "type": run.type,
        "iteration": run.iteration,
        "attempt": run.attempt,
        "status": wire.run_status_word(run.status),
        "started_at": wire.time_of(run, "started_at"),
        "ended_at": wire.time_of(run, "ended_at"),
    }
    return shown | ({"error": error_text(run)} if run.HasField("error") else {})


def node_state(run: pb.NodeRun) -> dict[str, Any]:
    return {
        "status": wire.run_status_word(run.status),
        "started_at": wire.time_of(run, "started_at"),
        "ended_at": wire.time_of(run, "ended_at"),
        "error": error_text(run) or None,
        "llm_usage": usage(run.usage) if run.HasField("usage") else None,
        "output": output(run),
        "waiting": run.waiting,
    }


def failed_node(run: pb.NodeRun) -> dict[str, Any]:
    return {
        "id": run.node_id,
        "label": run.label,
        "type": run.type,
        "error_type": run.error.type,
        "message": error_text(run),
        "handled": run.handled,
    }


def output(run: pb.NodeRun) -> Any:
    """The value; of what is too large only the size (the store then leaves it out)."""
    size = run.output_bytes or len(run.output_json)
    return wire.json_of(run.output_json) if size <= MAX_ENVELOPE_BYTES else {"truncated": True, "size": size}


async def large_outputs(backend: Backend, runs: Iterable[pb.NodeRun]) -> dict[str, Any]:
    """Node id → whole value, of the last outputs that are kept as blobs, as long as they fit one answer."""
    last = {run.node_id: run for run in runs if run.output_bytes}
    found: dict[str, Any] = {}
    room = MAX_OUTPUTS_BYTES
    for node_id, run in last.items():
        if run.output_bytes <= MAX_ENVELOPE_BYTES or not run.output_blob or run.output_bytes > room:
            continue
        with suppress(errors.DataLoss, errors.NotFound):  # its size is told all the same
            found[node_id] = wire.json_of(await _blob(backend, run.output_blob))
            room -= run.output_bytes
    return found


async def _blob(backend: Backend, hash_: str) -> bytes:
    request = content_pb2.GetBlobRequest(hash=hash_)
    pieces = backend.store.stream(backend.store.rpc.GetBlob(request, metadata=rpc.metadata()))
    return b"".join([piece.data async for piece in pieces])


def envelope(execution_id: str, run: pb.NodeRun) -> dict[str, Any]:
    """The original's envelope around an output (spec/gateway.md §2.1); what is too large is named, not sent."""
    body = output(run)
    text = isinstance(body, str)
    return {
        "envelope_format": True,
        "id": f"{execution_id}:{run.node_id}:{run.iteration}",
        "trace_id": execution_id,
        "produced_by": run.node_id,
        "content_type": "raw_text" if text else "object",
        "schema_id": None,
        "serialization_format": None if text else "json",
        "body": body,
        "meta": wire.json_of(run.meta_json) or {},
        "representations": None,
    }


def interaction(it: pb.Interaction) -> dict[str, Any]:
    return {
        "prompt_id": it.interaction_id,
        "node_id": it.node_id,
        "node_name": it.label,
        "prompt": it.prompt,
        "context": it.context,
        "default": it.default_value,
        "options": list(it.options),
        "sensitive": it.sensitive,
        "iteration": it.iteration,
        "opened_at": wire.time_of(it, "opened_at"),
        "expires_at": wire.time_of(it, "expires_at"),
    }


def usage(tokens: Any) -> dict[str, Any]:
    """A TokenUsage as {input, output, cached, total, cost_usd}: a cost that is not wholly known is null."""
    return {
        "input": tokens.input,
        "output": tokens.output,
        "cached": tokens.cached,
        "total": tokens.input + tokens.output,
        "cost_usd": None if tokens.unpriced else round(tokens.cost_usd, 10),
    }


def error_text(subject: pb.Execution | pb.NodeRun) -> str:
    """Never empty for something that failed, whatever its error says."""
    if not subject.HasField("error"):
        return ""
    return subject.error.message or subject.error.type or subject.error.code or "failed"
