"""The tasks extension (spec/mcp.md §3.6.7), its shapes: a run that outlives its call, polled by who asked for it.

A task is an execution and has its id. The SDK knows nothing of the extension, so results are plain mappings. What
clients may ask of a task: task_methods.py. Only the modern era has it.
"""

from typing import Any

from mcp.server.context import ServerRequestContext
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from dipeo_mcp import result
from dipeo_protos.store.v1 import store_pb2 as pb

EXTENSION = "io.modelcontextprotocol/tasks"
TTL_MS = 24 * 3600 * 1000
POLL_MS = (1000, 5000)
GRACE_S = 2.0  # a run that ends within it is answered at once
_STATUSES = {
    "completed": "completed",
    "maxiter_reached": "completed",
    "failed": "completed",  # with isError: "failed" is for errors of the protocol
    "aborted": "cancelled",
    "waiting_for_input": "input_required",
}


def declared(ctx: ServerRequestContext[Any, Any]) -> bool:
    """Whether this request's client knows tasks."""
    known = ctx.session.client_capabilities
    return ctx.protocol_version in MODERN_PROTOCOL_VERSIONS and EXTENSION in ((known and known.extensions) or {})


def created(found: pb.GetExecutionResponse) -> dict[str, Any]:
    """What tools/call answers instead of a result."""
    return {"resultType": "task", **task(found)}


def task(found: pb.GetExecutionResponse) -> dict[str, Any]:
    """Status and times, as every answer about a task carries them."""
    it = found.execution
    changed = [stamp for run in found.node_runs for stamp in (run.started_at, run.ended_at) if stamp.seconds]
    latest = max([it.created_at, *changed, it.ended_at], key=lambda stamp: stamp.ToNanoseconds())
    age_ms = latest.ToMilliseconds() - it.created_at.ToMilliseconds()
    return {
        "taskId": it.execution_id,
        "status": _STATUSES.get(result.status_of(it), "working"),
        "createdAt": result.time_of(it, "created_at"),
        "lastUpdatedAt": result.rfc3339(latest),
        "ttlMs": TTL_MS,
        "pollIntervalMs": min(POLL_MS[1], POLL_MS[0] + age_ms // 10),
    }
