"""RunResult (spec/mcp.md §3.5): what a tool says about an execution, whole or cut to what a model can read."""

import json
from collections.abc import Iterable
from datetime import UTC
from typing import Any

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from dipeo_mcp import limits
from dipeo_mcp.errors import CODES, Unserved
from dipeo_protos.store.v1 import store_pb2 as pb

Json = dict[str, Any]

EXECUTIONS = "dipeo://executions/"
STATUSES = ("pending", "running", "paused", "waiting_for_input", "completed", "failed", "aborted", "maxiter_reached")
TERMINAL = frozenset({"completed", "failed", "aborted", "maxiter_reached"})
_SUFFIXES = (".light.yaml", ".light.yml", ".readable.yaml", ".readable.yml", ".native.json", ".yaml", ".yml", ".json")
_NULLABLE_TEXT = {"type": ["string", "null"]}
_COUNT = {"type": "integer", "minimum": 0}


def schema(result: Json | None = None) -> Json:
    """JSON Schema of a RunResult; `result` is the schema of the diagram's own result."""
    prompt = {
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "node": {"type": "string"},
            "message": {"type": "string"},
            "context": {"type": "string"},
            "options": {"type": "array", "items": {"type": "string"}, "description": "what may be answered"},
            "sensitive": {"type": "boolean", "description": "a secret: not to be answered through this client"},
            "expires_at": _NULLABLE_TEXT,
        },
        "required": ["id", "node", "message"],
    }
    error = {
        "type": ["object", "null"],
        "properties": {
            "code": {"type": "string", "enum": list(CODES)},
            "message": {"type": "string"},
            "node": {"type": "string"},
        },
        "required": ["code", "message"],
    }
    return {
        "type": "object",
        "properties": {
            "execution_id": {**_NULLABLE_TEXT, "description": "null when nothing was started"},
            "session_id": {**_NULLABLE_TEXT, "description": "the same as execution_id"},
            "diagram": _NULLABLE_TEXT,
            "status": {"type": "string", "enum": list(STATUSES)},
            "success": {"type": ["boolean", "null"], "description": "null while it runs"},
            "result": {"anyOf": [result, {"type": "null"}]} if result is not None else {},
            "prompts": {"type": "array", "items": prompt, "description": "open questions: answer_prompt"},
            "progress": {
                "type": "object",
                "properties": {"done": _COUNT, "started": _COUNT, "total": _COUNT},
            },
            "llm_usage": {"type": "object"},
            "error": error,
            "started_at": _NULLABLE_TEXT,
            "ended_at": _NULLABLE_TEXT,
            "duration_ms": {"type": ["integer", "null"]},
            "outputs": {"type": "object", "description": "node label to value"},
            "truncated": {"type": "array", "items": {"type": "object"}, "description": "what was cut, and where it is"},
            "next": {"type": "string", "description": "what to call next"},
        },
        "required": ["execution_id", "session_id", "diagram", "status", "success", "result", "prompts", "error"],
    }


def of(found: pb.GetExecutionResponse, *, total: int | None = None) -> Json:
    """The RunResult without outputs."""
    it = found.execution
    status = status_of(it)
    ended = status in TERMINAL
    done, failed = it.runs_done, it.runs_failed
    running = sum(run.status == pb.NODE_RUN_STATUS_RUNNING for run in found.node_runs)
    progress = {"done": done + failed, "started": done + failed + running}
    return {
        "execution_id": it.execution_id,
        "session_id": it.execution_id,
        "diagram": diagram_of(it),
        "status": status,
        "success": status in ("completed", "maxiter_reached") if ended else None,
        "result": json.loads(it.result_json) if it.result_json else None,
        "prompts": [] if ended else [_prompt(one) for one in found.interactions if one.status == "open"],
        "progress": progress | ({"total": total} if total else {}),
        "llm_usage": {
            "input_tokens": it.usage.input,
            "output_tokens": it.usage.output,
            "total_tokens": it.usage.input + it.usage.output,
        },
        "error": _error(it, found.node_runs),
        "started_at": time_of(it, "started_at"),
        "ended_at": time_of(it, "ended_at"),
        "duration_ms": _duration_ms(it),
        "truncated": [],
    } | ({} if ended else {"next": _next(found, status)})


def verbose(result: Json, found: pb.GetExecutionResponse, messages: Iterable[pb.Message]) -> Json:
    """The same with what every node made, under the original's names and ours."""
    outputs: Json = {}
    node_outputs: Json = {}
    for run in found.node_runs:
        if run.output_json:
            node_outputs[run.node_id] = outputs[run.label or run.node_id] = json.loads(run.output_json)
    return result | {
        "diagram_id": result["diagram"],
        "outputs": outputs,
        "node_outputs": node_outputs,
        "executed_nodes": list(dict.fromkeys(run.node_id for run in found.node_runs if run.HasField("started_at"))),
        "conversation": [message_of(one) for one in messages],
    }


def unserved(error: Unserved, *, execution_id: str | None = None, diagram: str | None = None) -> Json:
    """The RunResult of a call that could not be served."""
    failure = {"code": error.code, "message": str(error)[: limits.MAX_ERROR_CHARS]}
    return {
        "execution_id": execution_id,
        "session_id": execution_id,
        "diagram": diagram,
        "status": "failed",
        "success": False,
        "result": None,
        "prompts": [],
        "error": failure | ({"node": error.node} if error.node else {}),
    }


def is_error(result: Json) -> bool:
    code = (result.get("error") or {}).get("code")
    return result["status"] == "failed" or (result["status"] == "aborted" and code == "timeout")


def diagram_of(it: pb.Execution) -> str:
    """The name, never a path."""
    name = it.diagram_id.rpartition("/")[2]
    known = next((suffix for suffix in _SUFFIXES if name.endswith(suffix)), "")
    return name.removesuffix(known) or it.diagram_name or "diagram"


def status_of(it: pb.Execution) -> str:
    word = pb.ExecutionStatus.Name(it.status).removeprefix("EXECUTION_STATUS_").lower()
    return "waiting_for_input" if it.waiting and word in ("running", "pending") else word


def message_of(it: pb.Message) -> Json:
    return {
        "role": it.role,
        "content": it.content,
        "node_id": it.node_id,
        "person": it.person_id,
        "timestamp": time_of(it, "created_at"),
    }


def time_of(message: Message, field: str) -> str | None:
    """RFC 3339 in UTC; None when the field is absent."""
    return rfc3339(getattr(message, field)) if message.HasField(field) else None


def rfc3339(stamp: Timestamp) -> str:
    return stamp.ToDatetime(tzinfo=UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _duration_ms(it: pb.Execution) -> int | None:
    if not (it.HasField("started_at") and it.HasField("ended_at")):
        return None
    return max(0, it.ended_at.ToMilliseconds() - it.started_at.ToMilliseconds())


def _prompt(it: pb.Interaction) -> Json:
    told = {"context": it.context[:1000], "options": list(it.options), "sensitive": it.sensitive}
    shown = {"id": it.interaction_id, "node": it.label or it.node_id, "message": it.prompt}
    return shown | {name: value for name, value in told.items() if value} | {"expires_at": time_of(it, "expires_at")}


def _error(it: pb.Execution, runs: Iterable[pb.NodeRun]) -> Json | None:
    status = status_of(it)
    if status == "aborted":
        return {"code": "cancelled", "message": it.error.message[: limits.MAX_ERROR_CHARS] or "it was cancelled"}
    if status != "failed":
        return None
    code = "timeout" if it.error.code == "timeout" else "node_failed" if it.error.node_id else "internal"
    failure = {"code": code, "message": (it.error.message or "the run failed")[: limits.MAX_ERROR_CHARS]}
    labels = {run.node_id: run.label for run in runs}
    node = it.error.node_id
    return failure | ({"node": labels.get(node) or node} if node else {})


def _next(found: pb.GetExecutionResponse, status: str) -> str:
    execution_id = found.execution.execution_id
    asked = [it.sensitive for it in found.interactions if it.status == "open"]
    if asked and all(asked):
        return (
            "A human is asked for a secret, which does not belong into this conversation: "
            f"`dipeo answer {execution_id}` or the monitor page takes it. Then call see_result with this session_id."
        )
    if status == "waiting_for_input":
        return f'A human is asked: call answer_prompt with session_id "{execution_id}" and the prompt\'s id.'
    return f'It is still running: call see_result with session_id "{execution_id}", e.g. with wait_s 25.'


# --- cutting ---------------------------------------------------------------------------------------------------------


def cut(result: Json) -> Json:
    """No value above 8 KiB, the whole below 64 KiB; what was cut is named, with where to read it in full."""
    uri = f"{EXECUTIONS}{result['execution_id']}"
    truncated: list[Json] = list(result.get("truncated", ()))
    shown = dict(result)
    shown["result"] = _cut_value(result["result"], "result", uri, truncated)
    for key in ("outputs", "node_outputs"):
        if key in result:
            shown[key] = {
                name: _cut_value(
                    value, f"{key}.{name}", f"{uri}/nodes/{name}" if key == "node_outputs" else uri, truncated
                )
                for name, value in result[key].items()
            }
    if "conversation" in result and _size(result["conversation"]) > limits.MAX_VALUE_BYTES:
        shown["conversation"] = _last_that_fit(result["conversation"])
        truncated.append({"path": "conversation", "uri": f"{uri}/conversation"})
    for key in ("outputs", "node_outputs", "conversation"):
        if key in shown and _size(shown) > limits.MAX_RESULT_BYTES:
            shown[key] = type(shown[key])()
            truncated.append({"path": key, "uri": uri})
    return shown | {"truncated": truncated}


def _cut_value(value: Any, path: str, uri: str, truncated: list[Json]) -> Any:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    size = len(text.encode())
    if size <= limits.MAX_VALUE_BYTES:
        return value
    truncated.append({"path": path, "uri": uri, "size_bytes": size})
    return text.encode()[: limits.MAX_VALUE_BYTES // 2].decode(errors="ignore") + " …"


def _last_that_fit(messages: list[Json]) -> list[Json]:
    kept: list[Json] = []
    for message in reversed(messages):
        if _size([message, *kept]) > limits.MAX_VALUE_BYTES:
            break
        kept.insert(0, message)
    return kept


def _size(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False).encode())
