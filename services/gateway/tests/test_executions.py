"""getExecution, listExecutions, executionEvents: the store's rows in the shape of v1 (spec/store.md §15.7)."""

import pytest
from gateway_client import ask

from dipeo_protos.store.v1 import events_pb2 as ev
from dipeo_protos.store.v1 import store_pb2 as pb

GET = "query GetExecution($id: String!) { getExecution(execution_id: $id) { %s } }"
LIST = """query ListExecutions($filter: ExecutionFilterInput, $limit: Float, $offset: Float) {
  listExecutions(filter: $filter, limit: $limit, offset: $offset) { %s }
}"""
EVENTS = """query ExecutionEvents($id: String!, $after: Int, $limit: Int) {
  executionEvents(execution_id: $id, after_seq: $after, limit: $limit)
}"""
FRAGMENT = """query GetExecution($id: String!) { getExecution(execution_id: $id) { ...Outputs } }
fragment Outputs on ExecutionStateType { outputs }"""


async def get(house, execution_id, fields):
    answer = await ask(house.http, GET % fields, id=execution_id)
    assert "errors" not in answer, answer
    return answer["data"]["getExecution"]


def run(node_id, label, status="COMPLETED", *, iteration=0, attempt=1, output=b"", **more):
    made = pb.NodeRun(
        node_id=node_id,
        label=label,
        type="code_job",
        iteration=iteration,
        attempt=attempt,
        status=f"NODE_RUN_STATUS_{status}",
        output_json=output,
        **more,
    )
    made.started_at.FromMilliseconds(1_700_000_000_000)
    return made


@pytest.fixture
async def finished(house):
    """A run with a loop, a handled failure, a sub-diagram and a skipped node."""
    execution_id = await house.store.add(
        ev.ExecutionCreated(),
        ev.ExecutionCompleted(),
        diagram_id="tea.light.yaml",
        diagram_name="tea",
        variables_json=b'{"topic": "tea"}',
        result_json=b"0",
        usage=ev.TokenUsage(input=5, output=2, cached=1),
        warnings=["1 node failed"],
        origin="cli",
    )
    kept = house.store.kept[execution_id]
    kept.execution.started_at.FromMilliseconds(1_700_000_000_000)
    kept.execution.ended_at.FromMilliseconds(1_700_000_001_500)
    kept.node_runs += [
        run("node_0", "Count", output=b"1", iteration=0),
        run("node_1", "Sub"),
        run("node_1/node_0", "Child", output=b'{"a": [1, 2]}'),
        run("node_0", "Count", output=b"2", iteration=1),
        run("node_2", "Boom", "FAILED", error=ev.Error(type="ValueError", message="kaboom"), handled=True),
        run("node_3", "Never", "SKIPPED"),
    ]
    kept.messages += [
        pb.Message(node_id="p", role="assistant", content=text, from_id="p", to_id="system") for text in ("a", "b", "c")
    ]
    kept.interactions += [
        pb.Interaction(interaction_id="i1", node_id="q", label="Ask", prompt="?", status="answered"),
        pb.Interaction(interaction_id="i2", node_id="q", label="Ask", prompt="and?", status="open", iteration=1),
    ]
    return execution_id


async def test_the_row_itself(house, finished):
    fields = "id status diagram_id diagram_name is_active variables result result_is_error warnings origin duration_ms "
    shown = await get(house, finished, fields + "started_at ended_at head_seq llm_usage { input output cached total }")
    assert shown == {
        "id": finished,
        "status": "COMPLETED",
        "diagram_id": "tea.light.yaml",
        "diagram_name": "tea",
        "is_active": False,
        "variables": {"topic": "tea"},
        "result": 0,
        "result_is_error": False,
        "warnings": ["1 node failed"],
        "origin": "cli",
        "duration_ms": 1500,
        "started_at": "2023-11-14T22:13:20.000000Z",
        "ended_at": "2023-11-14T22:13:21.500000Z",
        "head_seq": 2,
        "llm_usage": {"input": 5.0, "output": 2.0, "cached": 1.0, "total": 7.0},
    }
    assert not house.store.requests[-1].include_node_runs


async def test_case_12_what_is_derived_from_node_runs(house, finished):
    shown = await get(
        house, finished, "executed_nodes exec_counts outputs failed_nodes node_runs node_states node_outputs"
    )
    assert shown["executed_nodes"] == ["node_0", "node_1", "node_1/node_0", "node_2"]
    assert shown["exec_counts"] == {"node_0": 2, "node_1": 1, "node_1/node_0": 1}
    assert shown["outputs"] == {"Count": 2, "Sub/Child": {"a": [1, 2]}}
    assert shown["failed_nodes"] == [
        {
            "id": "node_2",
            "label": "Boom",
            "type": "code_job",
            "error_type": "ValueError",
            "message": "kaboom",
            "handled": True,
        }
    ]
    assert [(one["label"], one["iteration"], one["status"]) for one in shown["node_runs"]] == [
        ("Count", 0, "completed"),
        ("Sub", 0, "completed"),
        ("Child", 0, "completed"),
        ("Count", 1, "completed"),
        ("Boom", 0, "failed"),
    ]
    assert shown["node_runs"][4]["error"] == "kaboom" and "error" not in shown["node_runs"][0]
    assert shown["node_states"]["node_2"] | {"status": "failed", "error": "kaboom"} == shown["node_states"]["node_2"]
    assert shown["node_outputs"]["node_0"]["body"] == 2
    assert shown["node_outputs"]["node_0"]["envelope_format"] is True


async def test_two_nodes_of_one_label_both_show_their_output(house):
    execution_id = await house.store.add(ev.ExecutionCreated())
    house.store.kept[execution_id].node_runs += [run("a", "Same", output=b"1"), run("b", "Same", output=b"2")]
    assert (await get(house, execution_id, "outputs"))["outputs"] == {"Same": 1, "b": 2}


async def test_the_conversation_comes_from_all_pages(house, finished):
    conversation = (await get(house, finished, "conversation"))["conversation"]
    assert [one["content"] for one in conversation] == ["a", "b", "c"]
    assert set(conversation[0]) == {"role", "content", "node_id", "timestamp", "from", "to"}


async def test_only_open_questions_are_pending(house, finished):
    [question] = (await get(house, finished, "pending_interactions"))["pending_interactions"]
    assert (
        question | {"prompt_id": "i2", "node_id": "q", "node_name": "Ask", "prompt": "and?", "iteration": 1} == question
    )


async def test_costly_fields_are_seen_through_fragments(house, finished):
    answer = await ask(house.http, FRAGMENT, id=finished)
    assert answer["data"]["getExecution"]["outputs"]["Count"] == 2


async def test_an_unknown_execution_is_null(house):
    assert await get(house, "exec_" + "0" * 32, "id") is None


async def listed(house, fields="id", **variables):
    return await ask(house.http, LIST % fields, **variables)


async def test_case_13_limits_of_a_list(house):
    ids = [await house.store.add(ev.ExecutionCreated()) for _ in range(5)][::-1]

    async def some(**variables):
        return [one["id"] for one in (await listed(house, **variables))["data"]["listExecutions"]]

    assert await some() == ids
    assert await some(limit=0) == []
    assert await some(limit=2.9) == ids[:2]
    assert await some(limit=1000) == ids
    assert await some(limit=2, offset=1) == ids[1:3]
    assert await some(limit=2, offset=9) == []
    assert await some(filter={"statuses": ["FAILED", "ABORTED"]}) == []
    assert await some(filter={"status": "RUNNING"}) == ids
    assert await some(filter={"status": "SKIPPED"}) == []
    assert await some(filter={"id_prefix": ids[0][:30]}) == [one for one in ids if one.startswith(ids[0][:30])]
    refused = await listed(house, limit=-1)
    assert refused["errors"][0]["extensions"]["code"] == "BAD_INPUT"


async def test_a_list_reads_rows_only_until_it_is_asked_for_more(house, finished):
    await listed(house, "id status result")
    assert [type(request).__name__ for request in house.store.requests] == ["ListExecutionsRequest"]
    answer = await listed(house, "id outputs")
    assert answer["data"]["listExecutions"][0]["outputs"]["Count"] == 2


async def test_dates_reach_the_store_in_utc(house):
    await listed(house, filter={"started_after": "2026-01-02T03:04:05+02:00"})
    assert house.store.requests[-1].started_after.ToJsonString() == "2026-01-02T01:04:05Z"


async def test_execution_events_are_the_updates_of_the_stream(house):
    execution_id = await house.store.add(
        ev.ExecutionCreated(),
        ev.NodeStarted(node_id="n", label="N", type="db"),
        ev.ExecutionCompleted(result_json=b"1"),
    )
    page = (await ask(house.http, EVENTS, id=execution_id, after=1, limit=1))["data"]["executionEvents"]
    assert (page["head_seq"], page["terminal"]) == (3, True)
    assert [(one["seq"], one["type"], one["node_name"]) for one in page["events"]] == [(2, "NODE_STARTED", "N")]
    assert (await ask(house.http, EVENTS, id="exec_0"))["errors"][0]["extensions"]["code"] == "NOT_FOUND"
    assert (await ask(house.http, EVENTS, id=execution_id, limit=0))["errors"][0]["extensions"]["code"] == "BAD_INPUT"
