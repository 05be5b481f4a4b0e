from typing import Any

import pytest

from dipeo_cli import report, results

BASE: dict[str, Any] = {
    "id": "exec_1",
    "status": "COMPLETED",
    "diagram_id": "a.light.yaml",
    "started_at": "2026-01-02T03:04:05+00:00",
    "ended_at": "2026-01-02T03:04:06+00:00",
    "duration_ms": 1000,
    "executed_nodes": ["n1", "n2"],
    "llm_usage": {"input": 3.0, "output": 4.0, "cached": None, "total": 7.0},
    "outputs": {"Done": None},
    "result": None,
    "node_outputs": {"n2": {"envelope_format": True, "body": [1]}},
    "node_runs": [{"node_id": "n2", "label": "Done", "type": "endpoint", "status": "completed"}],
    "conversation": [{"role": "", "content": "hi", "node_id": "n1", "timestamp": "2026-01-02T03:04:05+00:00"}],
}


def test_the_summary_has_the_keys_scripts_know() -> None:
    found = results.summary(BASE)
    assert list(found)[:3] == ["session_id", "status", "diagram_id"]
    assert found["status"] == "completed"
    assert found["executed_nodes_count"] == 2
    assert found["messages_count"] == 1
    assert found["llm_usage"] == {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
    assert "error" not in found


def test_a_null_result_is_shown_and_an_absent_one_is_not() -> None:
    assert results.summary(BASE)["final_output"] is None
    assert "final_output" not in results.summary(BASE | {"outputs": {}})
    assert "final_output" not in results.summary(BASE | {"status": "FAILED"})


def test_the_verbose_view_unwraps_outputs_and_counts_runs() -> None:
    found = results.verbose(BASE)
    assert found["node_outputs"] == {"n2": [1]}
    assert found["node_count"] == 1
    assert found["started_at"] == "2026-01-02T03:04:05Z"
    assert found["conversation"][0]["role"] == "unknown"
    assert found["outputs"] == {"Done": None}


@pytest.mark.parametrize(
    ("fields", "keep_going", "code"),
    [
        ({}, False, 0),
        ({"status": "FAILED"}, False, 1),
        ({"status": "ABORTED"}, False, 1),
        ({"status": "MAXITER_REACHED"}, False, 1),
        ({"result_is_error": True}, False, 1),
        ({"result_is_error": True}, True, 0),
    ],
)
def test_exit_codes_follow_the_outcome(fields: dict[str, Any], keep_going: bool, code: int) -> None:
    assert report.exit_code(BASE | fields, keep_going=keep_going) == code


def test_a_failed_node_is_named_with_its_error() -> None:
    node = {"id": "n", "label": "Boom", "type": "code_job", "error_type": "RuntimeError", "message": "kaboom"}
    sentence = 'node "Boom" (code_job): RuntimeError: kaboom'
    assert report.failed_node(node) == sentence
    assert report.failed_node(node | {"message": "RuntimeError: kaboom"}) == sentence


def test_a_timeout_has_its_own_verdict() -> None:
    timed_out = BASE | {"status": "FAILED", "error_code": "timeout", "error": "Execution timed out after 4 seconds"}
    assert report.verdict(timed_out, 1, 4.0) == "❌ Execution timed out after 4 seconds"
