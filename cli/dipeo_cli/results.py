"""What a run produced, in the shape `results` and `--json` print (spec/cli.md §4). Pure."""

from typing import Any

Json = dict[str, Any]
TERMINAL = ("completed", "failed", "aborted", "maxiter_reached")


def status_of(execution: Json) -> str:
    return str(execution["status"]).lower()


def summary(execution: Json) -> Json:
    """The view of `results` and `ps --json`."""
    found = _head(execution)
    executed = execution.get("executed_nodes") or []
    if executed:
        found["executed_nodes_count"] = len(executed)
    _add_final(found, execution)
    messages = conversation(execution)
    if messages:
        found |= {"messages_count": len(messages), "last_message": messages[-1]}
    return found | _tail(execution)


def verbose(execution: Json) -> Json:
    """The view of `results --verbose` and `run --json`."""
    found = _head(execution)
    if execution.get("executed_nodes"):
        found["executed_nodes"] = execution["executed_nodes"]
    _add_final(found, execution)
    outputs = {node: body(envelope) for node, envelope in (execution.get("node_outputs") or {}).items()}
    if outputs:
        found["node_outputs"] = outputs
    found |= {"started_at": utc(execution.get("started_at")), "ended_at": utc(execution.get("ended_at"))}
    messages = conversation(execution)
    if messages:
        found["conversation"] = messages
    found |= _tail(execution)
    runs = execution.get("node_runs") or []
    return found | {
        "outputs": execution.get("outputs") or {},
        "node_count": len(runs),
        "node_runs": runs,
        "node_states": execution.get("node_states") or {},
    }


def _head(execution: Json) -> Json:
    head: Json = {"session_id": execution["id"], "status": status_of(execution)}
    if execution.get("diagram_id"):
        head["diagram_id"] = execution["diagram_id"]
    if execution.get("error"):
        head["error"] = execution["error"]
    return head


def _tail(execution: Json) -> Json:
    """`llm_usage`, then what we add to the original's keys."""
    usage = execution.get("llm_usage") or {}
    tokens = {"input_tokens": int(usage.get("input") or 0), "output_tokens": int(usage.get("output") or 0)}
    tokens["total_tokens"] = tokens["input_tokens"] + tokens["output_tokens"]
    if usage.get("cached") is not None:
        tokens["cached_tokens"] = int(usage["cached"])
    tail: Json = {"llm_usage": tokens | ({"cost_usd": usage["cost_usd"]} if "cost_usd" in usage else {})}
    for key in ("duration_ms", "error_code"):
        if execution.get(key) is not None:
            tail[key] = execution[key]
    if execution.get("waiting"):
        tail["waiting"] = True
    for key, source in (
        ("name", "name"),
        ("labels", "labels"),
        ("failed_nodes", "failed_nodes"),
        ("warnings", "warnings"),
        ("pending_prompts", "pending_interactions"),
    ):
        if execution.get(source):
            tail[key] = execution[source]
    if execution.get("result_is_error"):
        tail["result_is_error"] = True
    return tail


def _add_final(found: Json, execution: Json) -> None:
    if has_result(execution):
        found["final_output"] = execution.get("result")


def has_result(execution: Json) -> bool:
    """A run that ended well has a result, which may be null, unless no node finished."""
    if execution.get("result") is not None:
        return True
    return status_of(execution) in ("completed", "maxiter_reached") and bool(execution.get("outputs"))


def body(envelope: Any) -> Any:
    """The value inside a stored envelope."""
    if isinstance(envelope, dict) and envelope.get("envelope_format"):
        return envelope.get("body")
    return envelope


def conversation(execution: Json) -> list[Json]:
    """`{role, content, node_id, timestamp}` each."""
    return [
        {
            "role": message.get("role") or "unknown",
            "content": message.get("content"),
            "node_id": message.get("node_id"),
            "timestamp": utc(message.get("timestamp")),
        }
        for message in execution.get("conversation") or ()
    ]


def utc(text: Any) -> Any:
    """RFC 3339 with a Z."""
    return text.replace("+00:00", "Z") if isinstance(text, str) else text
