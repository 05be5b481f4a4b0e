"""`dipeo show`: one run for people (spec/cli.md §14.1). Pure but for `show`."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from dipeo_cli import output, refs, report, stack
from dipeo_cli import results as shapes
from dipeo_cli.config import Config
from dipeo_cli.tables import columns, span

Json = dict[str, Any]
RESULT_LINES = 20


def show(config: Config, reference: str, *, as_json: bool) -> int:
    with stack.connect(config) as gateway:
        execution = gateway.get_execution(refs.resolve(reference, gateway))
    output.document(shapes.verbose(execution)) if as_json else output.answer(text(execution, datetime.now(UTC)))
    return 0


def text(execution: Json, now: datetime) -> str:
    """Facts, nodes, what failed, what is asked, the result, and what to do next."""
    parts = [_facts(execution, now), _nodes(execution, now)]
    parts += ["\n".join(f"failed: {report.failed_node(node)}" for node in execution.get("failed_nodes") or ())]
    parts += ["\n".join(_questions(execution)), _result(execution)]
    return "\n\n".join(filter(None, parts))


def _facts(execution: Json, now: datetime) -> str:
    usage = execution.get("llm_usage") or {}
    status = shapes.status_of(execution) + (" (waiting for an answer)" if execution.get("waiting") else "")
    begun, took = execution.get("started_at"), execution.get("duration_ms")
    since = span((now - datetime.fromisoformat(begun)).total_seconds()) if begun else ""
    facts = {
        "id": execution["id"],
        "status": status,
        "diagram": execution.get("diagram_id") or execution.get("diagram_name"),
        "name": execution.get("name"),
        "labels": ", ".join(f"{key}={value}" for key, value in (execution.get("labels") or {}).items()),
        "started": f"{_local(begun)} ({since} ago)" if begun else None,
        "took": span(took / 1000) if took is not None else None,
        "tokens": f"{int(usage.get('total') or 0):,}" if usage.get("total") else None,
        "error": execution.get("error"),
    }
    return "\n".join(f"{name + ':':<9} {value}" for name, value in facts.items() if value)


def _nodes(execution: Json, now: datetime) -> str:
    """One line per node, its runs counted and their times added."""
    rows: dict[str, list[Json]] = {}
    for run in execution.get("node_runs") or ():
        rows.setdefault(run["node_id"], []).append(run)
    if not rows:
        return ""
    table = [("NODE", "TYPE", "RUNS", "STATUS", "TIME")]
    for node_id, runs in rows.items():
        spent = sum(_seconds(run, now) for run in runs)
        table.append(
            (runs[-1].get("label") or node_id, runs[-1]["type"], str(len(runs)), runs[-1]["status"], span(spent))
        )
    return columns(table, right=(2, 4))


def _seconds(run: Json, now: datetime) -> float:
    if not run.get("started_at"):
        return 0.0
    end = datetime.fromisoformat(run["ended_at"]) if run.get("ended_at") else now
    return (end - datetime.fromisoformat(run["started_at"])).total_seconds()


def _questions(execution: Json) -> Iterator[str]:
    for asked in execution.get("pending_interactions") or ():
        label = asked.get("node_name") or asked["node_id"]
        yield f"{label} asks: {asked.get('prompt')}\n  dipeo answer {execution['id']} TEXT"


def _result(execution: Json) -> str:
    if not shapes.has_result(execution):
        return ""
    lines = output.value_text(execution.get("result")).splitlines()
    more = [f"… {len(lines) - RESULT_LINES} more lines: `dipeo results {execution['id']} --output-only`"]
    return "\n".join(["result:", *lines[:RESULT_LINES], *(more if len(lines) > RESULT_LINES else [])])


def _local(text: str) -> str:
    return f"{datetime.fromisoformat(text).astimezone():%Y-%m-%d %H:%M:%S}"
