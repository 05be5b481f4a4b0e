"""Looking back at runs: metrics of one, its order of node runs, the runs of a diagram (spec/gateway.md §3.1)."""

from typing import Any

from dipeo_gateway import executions, metrics, wire
from dipeo_gateway.backend import Backend
from dipeo_gateway.types import ExecutionStateType
from dipeo_kit import errors
from dipeo_protos.store.v1 import events_pb2
from dipeo_protos.store.v1 import store_pb2 as pb

Json = dict[str, Any]
PAGE = 1000


async def journal(backend: Backend, execution_id: str) -> list[events_pb2.Event]:
    """All of it so far. Raises NotFound."""
    events: list[events_pb2.Event] = []
    request = pb.ReadJournalRequest(execution_id=execution_id, limit=PAGE)
    while True:
        page = await backend.store.read(backend.store.rpc.ReadJournal, request)
        events += page.events
        if not page.events or page.events[-1].seq >= page.head_seq:
            return events
        request.after_seq = page.events[-1].seq


async def metrics_of(backend: Backend, execution_id: str, threshold_ms: float | None = None) -> Json:
    """{} when there is no such execution, as v1 has it."""
    threshold = metrics.BOTTLENECK_MS if threshold_ms is None else threshold_ms
    try:
        return metrics.of(execution_id, await journal(backend, execution_id), threshold_ms=threshold)
    except errors.NotFound:
        return {}


async def order(backend: Backend, execution_id: str) -> Json:
    """One entry per node run, in start order."""
    request = pb.GetExecutionRequest(execution_id=execution_id, include_node_runs=True)
    try:
        response = await backend.store.read(backend.store.rpc.GetExecution, request)
    except errors.NotFound as error:
        unknown = {"executionId": execution_id, "status": "NOT_FOUND", "error": str(error)}
        return {**unknown, "startedAt": None, "endedAt": None, "totalNodes": 0, "nodes": []}
    nodes = [_node(run) for run in response.node_runs if run.status != pb.NODE_RUN_STATUS_SKIPPED]
    return {
        "executionId": execution_id,
        "status": wire.status_word(response.execution.status).upper(),
        "startedAt": wire.time_of(response.execution, "started_at"),
        "endedAt": wire.time_of(response.execution, "ended_at"),
        "totalNodes": len(nodes),
        "nodes": nodes,
    }


def _node(run: pb.NodeRun) -> Json:
    shown: Json = {
        "nodeId": run.node_id,
        "nodeName": run.label or run.node_id,
        "status": wire.run_status_word(run.status).upper(),
        "startedAt": wire.time_of(run, "started_at"),
        "endedAt": wire.time_of(run, "ended_at"),
        "duration": wire.milliseconds(run, "started_at", "ended_at"),
        "iteration": run.iteration,
        "attempt": run.attempt,
    }
    if run.HasField("error"):
        shown["error"] = executions.error_text(run)
    if run.HasField("usage"):
        shown["tokenUsage"] = executions.usage(run.usage)
    return shown


async def runs_of(backend: Backend, diagram_id: str, limit: int, *, include_metrics: bool) -> list[Json]:
    """Newest first, with the keys of ExecutionStateType; `metrics` null unless asked for. "" = of every diagram."""
    request = pb.ListExecutionsRequest(diagram_id=diagram_id)
    found = await executions.find(backend, request, limit=limit, offset=0)
    states = [_plain(executions.summary(execution)) for execution in found]
    if include_metrics:
        for state in states:  # one journal at a time: each may be large
            state["metrics"] = await metrics_of(backend, state["id"])
    return states


def _plain(state: ExecutionStateType) -> Json:
    shown = dict(vars(state))
    shown["id"], shown["status"] = str(state.id), state.status.name
    shown["llm_usage"] = dict(vars(state.llm_usage)) if state.llm_usage else None
    return shown
