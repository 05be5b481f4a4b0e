"""One trace from the command line to the model call, over the death of an executor, at a real OTLP receiver."""

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from cluster import TOKEN, Cluster, Service, cluster
from command import wait_for
from otlp import Received, Span, receiver

DIAGRAM = """version: light
persons:
  Poet: {service: mock, model: small}
nodes:
  - {label: Start, type: start}
  - {label: Quick, type: code_job, code: "result = 1"}
  - {label: Verse, type: person_job, person: Poet, default_prompt: A line about tea}
  - {label: Wait, type: code_job, language: bash, code: "while ! test -e go; do sleep 0.05; done; echo went"}
  - {label: Done, type: endpoint}
connections:
  - {from: Start, to: Quick}
  - {from: Quick, to: Verse}
  - {from: Verse, to: Wait}
  - {from: Wait, to: Done}
"""


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
    awaited = {f"node {label}" for label in ("Start", "Quick", "Verse", "Wait", "Done")} | {
        "mutation ExecuteDiagram",
        "dipeo.executor.v1.ExecutorService/Submit",
        "dipeo.store.v1.StoreService/CreateExecution",
        "store.append",
        "chat small",
    }
    wait_for(lambda: awaited <= {it.name for it in received.trace(root.trace_id)}, "every span of the run")
    trace = {it.name: it for it in received.trace(root.trace_id)}

    assert [it.trace_id for it in list(received.spans) if it.service == "dipeo-cli"] == [root.trace_id]
    assert trace["mutation ExecuteDiagram"].parent_id == root.id
    assert trace["mutation ExecuteDiagram"].service == "dipeo-gateway"
    submit = trace["dipeo.executor.v1.ExecutorService/Submit"]
    assert submit.parent_id == trace["mutation ExecuteDiagram"].id
    create = trace["dipeo.store.v1.StoreService/CreateExecution"]
    assert (create.service, create.parent_id) == ("dipeo-store", submit.id)
    assert (run.trace_id, run.parent_id) == (root.trace_id, submit.id)
    assert run.attributes["dipeo.outcome"] == "completed"
    assert trace["node Verse"].parent_id == run.id
    assert trace["node Verse"].attributes["dipeo.node.type"] == "person_job"
    chat = next(it for it in trace.values() if it.attributes.get("gen_ai.operation.name") == "chat")
    assert chat.parent_id == trace["node Verse"].id
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
    nodes = [it for it in received.trace("c" * 32) if it.name.startswith("node ")]
    assert [it.name for it in nodes] == ["node Start", "node Quick", "node Verse", "node Wait", "node Done"]
    assert [it.attributes["dipeo.attempt"] for it in nodes] == [1, 1, 1, 2, 1]
    assert {it.service for it in received.trace("c" * 32)} == {
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
    wait_for(lambda: {service for service, _, _ in received.logs} >= {"dipeo-gateway", "dipeo-store"}, "logs")

    url = house.project.environment["DIPEO_API_URL"] + "/metrics"
    assert httpx2.get(url).status_code == 401
    shown = httpx2.get(url, headers={"authorization": f"Bearer {TOKEN}"})
    assert shown.headers["content-type"].startswith("text/plain")
    httpx2.get(url, headers={"authorization": f"Bearer {TOKEN}"})
    shown = httpx2.get(url, headers={"authorization": f"Bearer {TOKEN}"})
    assert "http_server_request_duration_seconds_count" in shown.text
