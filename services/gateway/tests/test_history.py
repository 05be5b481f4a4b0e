"""getExecutionMetrics, getExecutionOrder, getExecutionHistory over GraphQL (spec/gateway.md §3.1)."""

from typing import Any

from gateway_client import ask

from dipeo_protos.store.v1 import events_pb2, store_pb2

NOBODY = "exec_" + "0" * 32


async def ran(house: Any) -> str:
    started = events_pb2.NodeStarted(node_id="a", label="A", type="code_job", attempt=1)
    execution_id = await house.store.add(
        events_pb2.ExecutionStarted(),
        started,
        events_pb2.NodeCompleted(node_id="a", attempt=1, output_json=b"1"),
        events_pb2.ExecutionCompleted(result_json=b"1"),
    )
    run = store_pb2.NodeRun(node_id="a", label="A", type="code_job", attempt=1, status=store_pb2.NODE_RUN_STATUS_FAILED)
    run.started_at.FromMilliseconds(1000)
    run.ended_at.FromMilliseconds(1250)
    run.error.message = "kaboom"
    house.store.kept[execution_id].node_runs.append(run)
    return str(execution_id)


async def test_metrics_come_alone_or_with_the_execution(house: Any) -> None:
    execution_id = await ran(house)
    alone = await ask(house.http, "query Q($id: String!) { getExecutionMetrics(execution_id: $id) }", id=execution_id)
    found = alone["data"]["getExecutionMetrics"]
    assert (found["execution_id"], found["node_count"], found["critical_path_length"]) == (execution_id, 1, 1)
    within = await ask(
        house.http, "query Q($id: String!) { getExecution(execution_id: $id) { metrics } }", id=execution_id
    )
    assert within["data"]["getExecution"]["metrics"] == found
    unknown = await ask(house.http, "query Q($id: String!) { getExecutionMetrics(execution_id: $id) }", id=NOBODY)
    assert unknown["data"]["getExecutionMetrics"] == {}


async def test_the_order_has_one_entry_per_node_run(house: Any) -> None:
    execution_id = await ran(house)
    query = "query Q($id: String!) { getExecutionOrder(execution_id: $id) }"
    found = (await ask(house.http, query, id=execution_id))["data"]["getExecutionOrder"]
    assert (found["executionId"], found["status"], found["totalNodes"]) == (execution_id, "COMPLETED", 1)
    node = found["nodes"][0]
    assert (node["nodeId"], node["nodeName"], node["status"], node["duration"]) == ("a", "A", "FAILED", 250)
    assert node["error"] == "kaboom"
    unknown = (await ask(house.http, query, id=NOBODY))["data"]["getExecutionOrder"]
    assert (unknown["status"], unknown["nodes"], unknown["totalNodes"]) == ("NOT_FOUND", [], 0)


async def test_history_is_plain_objects_with_metrics_only_when_asked(house: Any) -> None:
    first, second = await ran(house), await ran(house)
    query = "query Q($with: Boolean) { getExecutionHistory(limit: 5, include_metrics: $with) }"
    plain = (await ask(house.http, query))["data"]["getExecutionHistory"]
    assert [(each["id"], each["status"], each["metrics"]) for each in plain] == [
        (second, "COMPLETED", None),
        (first, "COMPLETED", None),
    ]
    measured = (await ask(house.http, query, **{"with": True}))["data"]["getExecutionHistory"]
    assert [each["metrics"]["node_count"] for each in measured] == [1, 1]
