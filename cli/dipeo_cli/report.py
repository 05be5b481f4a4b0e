"""How a run ended: verdict, failures, result, exit code (spec/cli.md §3.3, decisions 1, 10, 33)."""

import json
from typing import Any

from dipeo_cli import output, results
from dipeo_cli.errors import EXIT_NEGATIVE

Json = dict[str, Any]
SIMPLE_WIDTH = 100


def exit_code(execution: Json, *, keep_going: bool = False, strict: bool = False) -> int:
    """0 only for a run that ended well with an answer that is no error; `strict`: and in which no node failed."""
    if results.status_of(execution) != "completed" or (strict and execution.get("failed_nodes")):
        return EXIT_NEGATIVE
    return EXIT_NEGATIVE if execution.get("result_is_error") and not keep_going else 0


def verdict(execution: Json, code: int, timeout_s: float | None) -> str:
    """One of the sentences scripts look for, verbatim."""
    failed = output.symbol("❌", "FAILED:")
    if execution.get("error_code") == "timeout":
        error = str(execution.get("error") or "")
        return f"{failed} {error}" if error.startswith("Execution timed out") else timed_out(timeout_s)
    return f"{failed} Execution Failed" if code else f"{output.symbol('✅', 'OK:')} Execution Successful"


def timed_out(timeout_s: float | None) -> str:
    return f"{output.symbol('❌', 'FAILED:')} Execution timed out after {timeout_s or 0:g} seconds"


def failures(execution: Json, code: int) -> None:
    """Name every failed node, and why the run ended badly, on stderr."""
    failed = execution.get("failed_nodes") or []
    for node in failed:
        output.error(failed_node(node))
    if code == 0 and failed:
        output.warning(f"{len(failed)} node{'s' if len(failed) > 1 else ''} failed")
    if code == 0:
        return
    status = results.status_of(execution)
    if status == "maxiter_reached":
        output.error("the run stopped at an iteration limit before it reached an endpoint")
    elif status == "completed":
        output.error("the result is the error of a failed node")
    elif not failed or execution.get("error_code") not in (None, "node_failed"):
        output.error(str(execution.get("error") or f"the run is {status}"))


def failed_node(node: Json) -> str:
    """`node "Boom" (code_job): RuntimeError: kaboom`."""
    message, kind = str(node.get("message") or "failed"), str(node.get("error_type") or "")
    reason = message if not kind or message.startswith(f"{kind}:") or message == kind else f"{kind}: {message}"
    return f'node "{node.get("label") or node["id"]}" ({node.get("type")}): {reason}'


def result(execution: Json) -> None:
    """The bare result on stdout; nothing when the run has none."""
    if results.has_result(execution):
        output.answer(output.value_text(execution.get("result")))


def simple(execution: Json) -> None:
    """`Outputs:` with one line per endpoint reached, else the last node that ended well."""
    runs = [run for run in execution.get("node_runs") or () if run["status"] == "completed"]
    shown = [run for run in runs if run["type"] == "endpoint"] or runs[-1:]
    outputs = execution.get("node_outputs") or {}
    output.answer("\nOutputs:")
    for node_id, label in {run["node_id"]: run.get("label") or run["node_id"] for run in shown}.items():
        value = results.body(outputs.get(node_id))
        if isinstance(value, dict) and value.keys() == {"default"}:  # an endpoint's one value, as the result has it
            value = value["default"]
        text = value.replace("\n", " ") if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        output.answer(f"  {label}: {text[:SIMPLE_WIDTH]}")
