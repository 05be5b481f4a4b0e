"""How each journal event looks to v1 clients (spec/gateway.md §9.2)."""

import json

import pytest
from gateway_peers import event_of

from dipeo_gateway.backend import current
from dipeo_gateway.updates import Mapper, as_json
from dipeo_protos.store.v1 import events_pb2 as ev
from dipeo_protos.store.v1 import store_pb2 as pb

STARTED = ev.NodeStarted(node_id="n", label="Brew", type="code_job", iteration=2, attempt=1)
RUN = {"node_id": "n", "node_name": "Brew", "node_type": "code_job", "iteration": 2, "attempt": 1}


def mapped(*bodies):
    """The last of these events as a client sees it."""
    mapper = Mapper("exec_1")
    return [as_json(mapper.update(event_of(body, seq))) for seq, body in enumerate(bodies, start=1)][-1]


@pytest.mark.parametrize(
    ("body", "type_", "status", "data"),
    [
        (ev.ExecutionCreated(diagram_id="d", origin="cli"), "EXECUTION_LOG", "PENDING", {"event": "execution.created"}),
        (ev.ExecutionStarted(executor="x"), "EXECUTION_STARTED", "RUNNING", {"executor": "x"}),
        (
            ev.ExecutionPaused(reason="lunch"),
            "EXECUTION_LOG",
            "PAUSED",
            {"event": "execution.paused", "reason": "lunch"},
        ),
        (ev.ExecutionResumed(), "EXECUTION_LOG", "RUNNING", {"event": "execution.resumed"}),
        (ev.ExecutionRecovered(attempt=2), "EXECUTION_LOG", None, {"event": "execution.recovered", "attempt": 2}),
        (
            ev.ExecutionCompleted(result_json=b"[1]", result_is_error=True, warnings=["w"]),
            "EXECUTION_COMPLETED",
            "COMPLETED",
            {"is_final": True, "status": "completed", "result": [1], "result_is_error": True, "warnings": ["w"]},
        ),
        (
            ev.ExecutionMaxiterReached(result_json=b'"x"'),
            "EXECUTION_COMPLETED",
            "MAXITER_REACHED",
            {"is_final": True, "status": "maxiter_reached", "result": "x"},
        ),
        (
            ev.ExecutionFailed(error=ev.Error(type="ValueError", message="no", code="node_failed", node_id="n")),
            "EXECUTION_ERROR",
            "FAILED",
            {"is_final": True, "status": "failed", "error": "no", "error_code": "node_failed", "failed_node_id": "n"},
        ),
        (
            ev.ExecutionAborted(reason="enough"),
            "EXECUTION_ERROR",
            "ABORTED",
            {"is_final": True, "status": "aborted", "error": "enough"},
        ),
        (
            ev.ExecutionLog(level="warning", message="m", fields_json=b'{"a": 1}'),
            "EXECUTION_LOG",
            None,
            {"event": "execution.log", "level": "warning", "message": "m", "fields": {"a": 1}},
        ),
        (STARTED, "NODE_STARTED", "RUNNING", RUN | {"status": "RUNNING"}),
        (ev.NodeSkipped(node_id="s", label="S", type="db"), "NODE_COMPLETED", "SKIPPED", {"node_name": "S"}),
        (ev.SignalConsumed(signal_id="1"), "EXECUTION_LOG", None, {"event": "signal.consumed"}),
        (
            ev.MessageAppended(node_id="n", role="user", content="hi", from_id="system", to_id="p"),
            "EXECUTION_LOG",
            None,
            {"event": "message.appended", "content": "hi", "from": "system", "to": "p", "node_id": "n"},
        ),
        (
            ev.InteractionOpened(
                interaction_id="i", node_id="n", label="Ask", prompt="?", default_value="d", iteration=1
            ),
            "INTERACTIVE_PROMPT",
            None,
            {
                "prompt_id": "i",
                "node_id": "n",
                "node_name": "Ask",
                "prompt": "?",
                "context": "",
                "default": "d",
                "expires_at": None,
                "iteration": 1,
            },
        ),
        (
            ev.InteractionClosed(interaction_id="i", node_id="n", outcome="answered", response="yes"),
            "INTERACTIVE_RESPONSE",
            None,
            {"prompt_id": "i", "outcome": "answered", "response": "yes"},
        ),
    ],
    ids=lambda value: type(value).__name__ if hasattr(value, "DESCRIPTOR") else "",
)
def test_event_becomes_its_v1_update(body, type_, status, data):
    update = mapped(body)
    assert (update["type"], update["status"], update["seq"]) == (type_, status, 1)
    assert update["data"] | data == update["data"]
    assert update["timestamp"].endswith("Z")


def test_a_completed_node_tells_its_output_time_and_tokens():
    completed = ev.NodeCompleted(
        node_id="n", iteration=2, attempt=1, port="default", output_json=b"null", usage=ev.TokenUsage(input=3, output=4)
    )
    update = mapped(STARTED, completed)
    usage = {"input": 3, "output": 4, "cached": 0, "total": 7, "cost_usd": 0.0}
    assert update["data"] == RUN | {
        "status": "COMPLETED",
        "output": None,
        "port": "default",
        "duration_ms": 10,
        "token_usage": usage,
    }
    assert (update["type"], update["node_name"], update["node_type"], update["tokens"]) == (
        "NODE_COMPLETED",
        "Brew",
        "code_job",
        7.0,
    )


def test_a_cost_that_is_not_wholly_known_is_null():
    spent = ev.TokenUsage(input=3, cost_usd=0.5, unpriced=1)
    update = mapped(STARTED, ev.NodeCompleted(node_id="n", iteration=2, attempt=1, output_json=b"1", usage=spent))
    assert update["data"]["token_usage"]["cost_usd"] is None


def test_partial_output_is_told_as_such():
    said = ev.NodeOutput(node_id="n", iteration=2, attempt=1, text="Once upon", size=9)
    update = mapped(STARTED, said)
    assert (update["type"], update["status"], update["node_name"]) == ("NODE_OUTPUT", "RUNNING", "Brew")
    assert update["data"] | {"output": "Once upon", "size": 9, "is_partial": True} == update["data"]


def test_of_partial_outputs_that_come_together_the_latest_is_told_and_none_after_the_end():
    def output(seq, node, text):
        return event_of(ev.NodeOutput(node_id=node, text=text), seq)

    events = [output(1, "a", "x"), output(2, "b", "y"), output(3, "a", "xx"), event_of(STARTED, 4)]
    assert [event.seq for event in current(events)] == [2, 3, 4]
    ended = event_of(ev.NodeCompleted(node_id="a", output_json=b"1"), 5)
    assert [event.seq for event in current([*events, ended])] == [2, 4, 5]


def test_a_failed_node_tells_its_error_and_whether_the_run_went_on():
    error = ev.Error(type="ValueError", message="bad leaf")
    failed = ev.NodeFailed(node_id="n", iteration=2, attempt=1, error=error, port="error", output_json=b'{"error": 1}')
    update = mapped(STARTED, failed)
    assert (update["type"], update["status"], update["error"]) == ("NODE_ERROR", "FAILED", "bad leaf")
    assert update["data"] | {"error": "bad leaf", "error_type": "ValueError", "handled": True} == update["data"]


def test_an_aborted_node_is_a_node_error_with_status_aborted():
    update = mapped(STARTED, ev.NodeAborted(node_id="n", iteration=2, attempt=1))
    assert (update["type"], update["status"], update["data"]["status"]) == ("NODE_ERROR", "ABORTED", "ABORTED")


def test_a_person_at_its_limit_is_completed_with_maxiter_reached():
    update = mapped(STARTED, ev.NodePassed(node_id="n"))
    assert (update["type"], update["status"], update["node_name"]) == ("NODE_COMPLETED", "MAXITER_REACHED", "Brew")


def test_a_retried_node_is_a_log_and_its_time_counts_from_the_new_attempt():
    retrying = ev.NodeRetrying(node_id="n", iteration=2, attempt=2, reason="executor_lost")
    assert mapped(STARTED, retrying)["data"] == {
        "event": "node.retrying",
        **RUN,
        "attempt": 2,
        "reason": "executor_lost",
    }
    done = mapped(STARTED, retrying, ev.NodeCompleted(node_id="n", iteration=2, attempt=2, output_json=b"1"))
    assert done["data"]["duration_ms"] == 10


def test_an_output_above_256_kib_is_named_not_sent():
    large = json.dumps("x" * 300_000).encode()
    update = mapped(STARTED, ev.NodeCompleted(node_id="n", iteration=2, attempt=1, output_json=large))
    assert update["data"]["output"] == {"truncated": True, "size": len(large)}


def test_every_kind_of_event_has_an_update():
    for kind in ev.Event.DESCRIPTOR.oneofs_by_name["body"].fields:
        event = ev.Event(seq=1)
        getattr(event, kind.name).SetInParent()
        assert as_json(Mapper("exec_1").update(event))["seq"] == 1


def test_integers_of_any_size_stay_exact():
    done = ev.NodeCompleted(node_id="n", iteration=2, attempt=1, output_json=b"123456789012345678901234567890")
    assert mapped(STARTED, done)["data"]["output"] == 123456789012345678901234567890


def test_a_mapper_knows_what_it_was_told_of_earlier_runs():
    mapper = Mapper("exec_1")
    completed = event_of(ev.NodeCompleted(node_id="n", attempt=1), 9)
    assert not mapper.knows(completed)
    mapper.learn([pb.NodeRun(node_id="n", label="Brew", type="db", attempt=1)])
    assert mapper.knows(completed)
