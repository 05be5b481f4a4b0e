"""One trace from the command line to the model call, over the death of an executor, at a real OTLP receiver."""

from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx2
import pytest
from cluster import SECRET, TOKEN, Cluster, Service, cluster, free_port
from command import wait_for
from mcp_wire import headers_of, modern, result_of
from otlp import Received, Span, receiver

from dipeo_protos.store.v1 import content_pb2, store_pb2_grpc

DIAGRAM = """version: light
persons:
  Poet: {service: mock, model: small}
nodes:
  - {label: Start, type: start}
  - {label: Quick, type: code_job, code: "result = 1"}
  - {label: Verse, type: person_job, person: Poet, default_prompt: A line about tea}
  - {label: Wait, type: code_job, language: bash, code: "while ! test -e go; do sleep 0.05; done; echo went"}
  - {label: Coda, type: person_job, person: Poet, default_prompt: And the last line}
  - {label: Done, type: endpoint}
connections:
  - {from: Start, to: Quick}
  - {from: Quick, to: Verse}
  - {from: Verse, to: Wait}
  - {from: Wait, to: Coda}
  - {from: Coda, to: Done}
"""
KEY = "a-key-of-the-test-with-many-characters"
LABELS = ("Start", "Quick", "Verse", "Wait", "Coda", "Done")
SUBMIT = "dipeo.executor.v1.ExecutorService/Submit"
CREATE = "dipeo.store.v1.StoreService/CreateExecution"


@pytest.fixture
def received() -> Iterator[Received]:
    with receiver() as started:
        yield started


@pytest.fixture
def house(tmp_path: Path, received: Received) -> Iterator[Cluster]:
    telemetry = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": received.endpoint,
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "OTEL_BLRP_SCHEDULE_DELAY": "100",
        "OTEL_METRIC_EXPORT_INTERVAL": "300",
    }
    with cluster(tmp_path, environment=telemetry) as running:
        running.project.environment |= telemetry
        running.project.write("poem.light.yaml", DIAGRAM)
        yield running


def spans(received: Received, service: str, name: str) -> list[Span]:
    return [span for span in list(received.spans) if span.service == service and span.name == name]


def only(received: Received, service: str, name: str) -> Span:
    found: list[Span] = wait_for(lambda: spans(received, service, name), f"span {name} of {service}")
    assert len(found) == 1, found
    return found[0]


def holder_of(house: Cluster, execution_id: str) -> Service:
    """The executor that began the run: on a busy machine not the one it was submitted to."""
    started = next(it for it in house.project.events(execution_id) if it["type"] == "EXECUTION_STARTED")
    pid = int(started["data"]["executor"].rpartition("/")[2])
    return next(it for it in house.executors if it.process and it.process.pid == pid)


def test_one_trace_runs_from_the_command_line_to_the_model_call(house: Cluster, received: Received):
    (house.project.base / "go").touch()
    house.project("run", "poem.light.yaml", "--mock-llm", check=0)

    root = only(received, "dipeo-cli", "dipeo run")
    assert root.parent_id == ""
    run = only(received, "dipeo-executor", "run")
    awaited = {("dipeo-executor", f"node {label}") for label in LABELS} | {
        ("dipeo-gateway", "mutation ExecuteDiagram"),
        *((service, SUBMIT) for service in ("dipeo-gateway", "dipeo-executor")),
        *((service, CREATE) for service in ("dipeo-executor", "dipeo-store")),
        ("dipeo-store", "store.append"),
        ("dipeo-executor", "chat small"),
    }
    wait_for(lambda: awaited <= {it[:2] for it in received.trace(root.trace_id)}, "every span of the run")
    trace = {it[:2]: it for it in received.trace(root.trace_id)}

    assert [it.trace_id for it in list(received.spans) if it.service == "dipeo-cli"] == [root.trace_id]
    way = [
        root,
        trace["dipeo-gateway", "mutation ExecuteDiagram"],
        trace["dipeo-gateway", SUBMIT],  # the call, and then its answer
        trace["dipeo-executor", SUBMIT],
    ]
    assert [it.parent_id for it in way[1:]] == [it.id for it in way[:-1]]
    create = trace["dipeo-executor", CREATE]
    assert (create.parent_id, create.attributes["rpc.response.status_code"]) == (way[-1].id, "OK")
    assert trace["dipeo-store", CREATE].parent_id == create.id
    assert (run.trace_id, run.parent_id) == (root.trace_id, way[-1].id)
    assert run.attributes["dipeo.outcome"] == "completed"
    verse = trace["dipeo-executor", "node Verse"]
    assert (verse.parent_id, verse.attributes["dipeo.node.type"]) == (run.id, "person_job")
    chats = [it for it in received.trace(root.trace_id) if it.attributes.get("gen_ai.operation.name") == "chat"]
    assert [it.parent_id for it in chats] == [verse.id, trace["dipeo-executor", "node Coda"].id]
    appends = [it for it in received.trace(root.trace_id) if it.name == "store.append"]
    assert appends and all(it.parent_id == run.id and it.service == "dipeo-store" for it in appends)


def test_a_run_goes_on_in_its_own_trace_after_kill_9_of_its_executor(house: Cluster, received: Received):
    house.project.environment["TRACEPARENT"] = f"00-{'c' * 32}-{'d' * 16}-01"
    execution_id = house.project.background("poem.light.yaml")
    wait_for(lambda: spans(received, "dipeo-executor", "node Verse"), "the node before the one that waits")

    holder_of(house, execution_id).kill()
    (house.project.base / "go").touch()
    wait_for(lambda: house.project.results(execution_id)["status"] == "completed", "the run to end")

    run = only(received, "dipeo-executor", "run")  # the first one's died with it
    assert run.attributes["dipeo.recovered"] is True
    assert (run.trace_id, run.attributes["dipeo.execution.id"]) == ("c" * 32, execution_id)
    wait_for(lambda: [it for it in received.trace("c" * 32) if it.name == "node Done"], "the last node")
    trace = received.trace("c" * 32)
    nodes = [it for it in trace if it.name.startswith("node ")]
    assert [it.name for it in nodes] == [f"node {label}" for label in LABELS]
    assert [it.attributes["dipeo.attempt"] for it in nodes] == [1, 1, 1, 2, 1, 1]
    submitted = next(it for it in trace if it[:2] == ("dipeo-executor", SUBMIT))
    first = {it.parent_id for it in nodes[:3]}  # the run's span, which the killed executor never sent
    assert len(first) == 1 and run.id not in first
    assert [it.parent_id for it in nodes[3:]] == [run.id] * 3 and run.parent_id == submitted.id
    chats = [it for it in trace if it.name == "chat small"]
    assert [it.parent_id for it in chats] == [nodes[2].id, nodes[4].id]  # one before the kill, one after it
    assert {it.service for it in trace} == {
        "dipeo-cli", "dipeo-gateway", "dipeo-executor", "dipeo-store",
    }  # fmt: skip


def test_every_service_sends_metrics_and_logs_and_the_gateway_shows_them_to_prometheus(
    house: Cluster, received: Received
):
    (house.project.base / "go").touch()
    house.project("run", "poem.light.yaml", "--mock-llm", check=0)
    for measured in (
        ("dipeo-gateway", "http.server.request.duration"),
        ("dipeo-executor", "dipeo.run.duration"),
        ("dipeo-executor", "dipeo.node.duration"),
        ("dipeo-store", "dipeo.store.append.duration"),
        ("dipeo-store", "rpc.server.call.duration"),
        ("dipeo-store", "dipeo.store.sessions"),
    ):
        wait_for(lambda measured=measured: measured in received.metrics, f"{measured}")
    services = {"dipeo-gateway", "dipeo-executor", "dipeo-store"}
    wait_for(lambda: {service for service, _, _ in received.logs} >= services, "logs")

    url = house.project.environment["DIPEO_API_URL"] + "/metrics"
    assert httpx2.get(url).status_code == 401
    shown = httpx2.get(url, headers={"authorization": f"Bearer {TOKEN}"})
    assert shown.headers["content-type"].startswith("text/plain")
    httpx2.get(url, headers={"authorization": f"Bearer {TOKEN}"})
    shown = httpx2.get(url, headers={"authorization": f"Bearer {TOKEN}"})
    assert "http_server_request_duration_seconds_count" in shown.text


def test_mcp_is_part_of_the_trace_of_whoever_calls_it_and_tells_what_it_measures(
    tmp_path: Path, house: Cluster, received: Received
):
    port = free_port()
    own = {
        "MCP_PORT": str(port),
        "MCP_ADMIN_PORT": "-1",
        "MCP_STORE": house.store.environment["DIPEO_STORE_LISTEN"],
        "MCP_EXECUTOR": house.executors[0].environment["DIPEO_EXECUTOR_LISTEN"],
        "MCP_API_KEYS": KEY,
    }
    mcp = Service("dipeo_mcp.main", house.store.environment | own, tmp_path / "mcp.log").start()
    try:
        (house.project.base / "go").touch()
        published = content_pb2.PutDiagramRequest(name="poem", format="light", text=DIAGRAM, published=True)
        with grpc.insecure_channel(own["MCP_STORE"]) as channel:
            put = store_pb2_grpc.StoreServiceStub(channel).PutDiagram
            put(published, metadata=(("authorization", f"Bearer {SECRET}"),))
        call = modern("tools/call", {"name": "dipeo_run", "arguments": {"diagram": "poem"}})
        headers = {"authorization": f"Bearer {KEY}", "traceparent": f"00-{'e' * 32}-{'f' * 16}-01"}
        answer = httpx2.post(f"http://127.0.0.1:{port}/mcp", json=call, headers=headers_of(call) | headers, timeout=30)
        assert not result_of(answer)["result"].get("isError"), answer.text
        request = only(received, "dipeo-mcp", "POST /mcp")
        assert (request.trace_id, request.parent_id) == ("e" * 32, "f" * 16)
        wait_for(lambda: [it for it in received.trace("e" * 32) if it.name == "node Done"], "the run")
        [submit] = spans(received, "dipeo-mcp", SUBMIT)
        assert submit.trace_id == "e" * 32
        wait_for(lambda: ("dipeo-mcp", "http.server.request.duration") in received.metrics, "its metrics")
        wait_for(lambda: ("dipeo-mcp", "mcp.ready") in {it[:2] for it in received.logs}, "its logs")
    finally:
        mcp.stop()
