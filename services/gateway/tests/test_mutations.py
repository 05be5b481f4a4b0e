"""executeDiagram, controlExecution, sendInteractiveResponse, compileDiagram (spec/gateway.md §10)."""

import json

import pytest
from gateway_client import ask

from dipeo_protos.diagram.v1 import diagram_pb2
from dipeo_protos.store.v1 import events_pb2 as ev
from dipeo_protos.store.v1 import store_pb2 as pb

EXECUTE = """mutation ExecuteDiagram($input: ExecuteDiagramInput!) {
  executeDiagram(input: $input) { success message error error_type envelope data { id status origin } }
}"""
CONTROL = """mutation ControlExecution($input: ExecutionControlInput!) {
  controlExecution(input: $input) { success message error_type data { id status } }
}"""
ANSWER = """mutation SendInteractiveResponse($input: InteractiveResponseInput!) {
  sendInteractiveResponse(input: $input) { success message error_type data { id pending_interactions } }
}"""
RETRY = """mutation RetryExecution($input: RetryExecutionInput!) {
  retryExecution(input: $input) { success error error_type envelope data { id retried_from } }
}"""
COMPILE = """query CompileDiagram($source: String!, $path: String, $format: DiagramFormatGraphQL) {
  compileDiagram(source: $source, path: $path, format: $format)
}"""
ERROR = {
    "phase": "VALIDATION",
    "code": "V4",
    "severity": "error",
    "message": "no start node",
    "node_id": None,
    "label": None,
    "arrow_id": None,
    "field": None,
    "line": 3,
    "column": 5,
    "suggestion": None,
}


async def execute(house, headers=None, **fields):
    answer = await ask(house.http, EXECUTE, headers=headers, input=fields)
    assert "errors" not in answer, answer
    return answer["data"]["executeDiagram"]


async def test_a_valid_diagram_is_handed_to_the_executor_and_answered_at_once(house):
    execution_id = "exec_" + "a" * 32
    answer = await execute(
        house,
        headers={"User-Agent": "dipeo-cli/0.1.0"},
        diagram_source="nodes: []",
        diagram_format="LIGHT",
        diagram_path="tea.light.yaml",
        variables={"topic": "tea"},
        options={
            "mock_llm": True,
            "keep_going": True,
            "interactive": False,
            "answers": {"Ask": "yes"},
            "max_parallel": 2,
            "max_node_runs": 7,
            "max_cost_usd": 0.5,
            "max_tokens": 900,
            "mock_script": [{"reply": "hello"}],
            "timeout_s": None,
        },
        timeout_seconds=60,
        execution_id=execution_id,
    )
    assert answer["success"] and answer["envelope"] is None
    assert answer["data"] == {"id": execution_id, "status": "PENDING", "origin": "cli"}
    [request] = house.executor.submitted
    assert request.source == diagram_pb2.Source(
        text="nodes: []", path="tea.light.yaml", format=diagram_pb2.FORMAT_LIGHT
    )
    assert json.loads(request.variables_json) == {"topic": "tea"}
    assert (request.origin, request.principal) == ("cli", "local")
    options = request.options
    assert (options.mock_llm, options.keep_going, options.non_interactive) == (True, True, True)
    assert (options.timeout_s, options.max_parallel, options.max_node_runs) == (60, 2, 7)
    assert (options.max_cost_usd, options.max_tokens) == (0.5, 900)
    assert dict(options.answers) == {"Ask": "yes"}
    assert json.loads(options.mock_script_json) == [{"reply": "hello"}]


async def test_an_invalid_diagram_comes_back_as_its_problems_and_stores_nothing(house):
    answer = await execute(house, diagram_source="invalid and odd")
    assert (answer["success"], answer["error_type"], answer["data"]) == (False, "DIAGRAM_INVALID", None)
    assert answer["envelope"]["errors"] == [ERROR]
    assert [one["severity"] for one in answer["envelope"]["warnings"]] == ["warning"]
    assert house.store.kept == {}


async def test_warnings_of_a_valid_diagram_travel_in_the_envelope(house):
    answer = await execute(house, diagram_source="odd")
    assert answer["success"]
    [warning] = answer["envelope"]["warnings"]
    assert (warning["code"], warning["label"], warning["node_id"]) == ("L9", "A", "node_0")


async def test_inline_data_is_sent_as_text_in_the_format_it_declares(house):
    await execute(house, diagram_data={"version": "light", "nodes": [{"label": "Ä"}]})
    await execute(house, diagram_data={"nodes": {}})
    light, native = house.executor.submitted
    assert json.loads(light.source.text) == {"version": "light", "nodes": [{"label": "Ä"}]}
    assert light.source.format == diagram_pb2.FORMAT_LIGHT
    assert native.source.format == diagram_pb2.FORMAT_UNSPECIFIED


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({}, "diagram_source"),
        ({"diagram_source": "x", "diagram_data": {}}, "diagram_source"),
        ({"diagram_id": "x"}, "diagram_source"),
        ({"diagram_data": "text"}, "diagram_data"),
        ({"diagram_source": "x", "variables": [1]}, "variables"),
        ({"diagram_source": "x", "execution_id": "exec_1"}, "execution_id"),
        ({"diagram_source": "x", "options": {"mock": True}}, '"mock"'),
        ({"diagram_source": "x", "options": []}, "options"),
        ({"diagram_source": "x", "options": {"mock_llm": "yes"}}, "options.mock_llm"),
        ({"diagram_source": "x", "options": {"max_cost_usd": 0}}, "options.max_cost_usd"),
        ({"diagram_source": "x", "options": {"max_tokens": 1.5}}, "options.max_tokens"),
        ({"diagram_source": "x", "options": {"answers": {"A": 1}}}, "options.answers"),
        ({"diagram_source": "x", "options": {"mock_script": {"reply": "x"}}}, "options.mock_script"),
        ({"diagram_source": "x", "options": {"timeout_s": -1}}, "options.timeout_s"),
        ({"diagram_source": "x", "options": {"max_parallel": 0}}, "options.max_parallel"),
        ({"diagram_source": "x", "timeout_seconds": -5}, "timeout_seconds"),
    ],
)
async def test_bad_input_is_named(house, fields, named):
    answer = await execute(house, **fields)
    assert (answer["success"], answer["error_type"]) == (False, "BAD_INPUT")
    assert named in answer["error"]
    assert house.executor.submitted == []


async def test_case_22_an_idempotency_key_gives_the_same_execution_or_a_conflict(house):
    key = {"Idempotency-Key": "k1"}
    first = await execute(house, headers=key, diagram_source="x")
    again = await execute(house, headers=key, diagram_source="x")
    other = await execute(house, headers=key, diagram_source="y")
    assert first["data"]["id"] == again["data"]["id"]
    assert (other["success"], other["error_type"]) == (False, "CONFLICT")


async def control(house, execution_id, action="abort", **fields):
    answer = await ask(house.http, CONTROL, input={"execution_id": execution_id, "action": action, **fields})
    assert "errors" not in answer, answer
    return answer["data"]["controlExecution"]


async def test_case_9_abort_is_answered_when_the_execution_has_ended_and_may_be_repeated(house):
    execution_id = await house.store.add(ev.ExecutionCreated(), ev.ExecutionStarted())

    ended = (ev.NodeAborted(node_id="n"), ev.ExecutionAborted(reason="enough"))
    house.store.on_signal = lambda: house.store.happen(execution_id, *ended)

    done = await control(house, execution_id, reason="enough")
    assert (done["success"], done["message"], done["data"]["status"]) == (True, "done", "ABORTED")
    assert house.store.signals[0].abort.reason == "enough"
    again = await control(house, execution_id)
    assert (again["success"], again["data"]["status"]) == (True, "ABORTED")


async def test_abort_of_an_execution_that_takes_its_time_is_accepted(house, monkeypatch):
    monkeypatch.setattr("dipeo_gateway.mutations.WAIT_S", 0.05)
    execution_id = await house.store.add(ev.ExecutionCreated())
    accepted = await control(house, execution_id)
    assert (accepted["success"], accepted["message"], accepted["data"]["status"]) == (True, "accepted", "RUNNING")
    await house.store.watched_by(0)


async def test_abort_of_a_completed_execution_is_a_conflict(house):
    execution_id = await house.store.add(ev.ExecutionCreated(), ev.ExecutionCompleted())
    assert (await control(house, execution_id))["error_type"] == "CONFLICT"


async def test_pause_and_resume_are_answered_when_they_took_effect(house):
    execution_id = await house.store.add(ev.ExecutionCreated(), ev.ExecutionStarted())
    house.store.on_signal = lambda: house.store.happen(execution_id, ev.ExecutionPaused(reason="lunch"))
    paused = await control(house, execution_id, "pause", reason="lunch")
    assert (paused["success"], paused["message"], paused["data"]["status"]) == (True, "done", "PAUSED")
    house.store.on_signal = lambda: house.store.happen(execution_id, ev.ExecutionResumed())
    resumed = await control(house, execution_id, "resume")
    assert (resumed["success"], resumed["message"], resumed["data"]["status"]) == (True, "done", "RUNNING")
    pause, resume = house.store.signals
    assert pause.pause.reason == "lunch" and pause.pause.principal and resume.resume.principal
    assert pause.signal_id != resume.signal_id


async def test_a_pause_that_waits_for_running_nodes_is_accepted(house, monkeypatch):
    monkeypatch.setattr("dipeo_gateway.mutations.WAIT_S", 0.05)
    execution_id = await house.store.add(ev.ExecutionCreated(), ev.ExecutionStarted())
    accepted = await control(house, execution_id, "pause")
    assert (accepted["success"], accepted["message"], accepted["data"]["status"]) == (True, "accepted", "RUNNING")


async def test_pausing_what_has_ended_is_a_conflict(house):
    execution_id = await house.store.add(ev.ExecutionCreated(), ev.ExecutionCompleted())
    for action in ("pause", "resume"):
        assert (await control(house, execution_id, action))["error_type"] == "CONFLICT"


async def test_a_retry_is_a_new_execution_that_says_from_where_it_goes_on(house):
    old = await house.store.add(ev.ExecutionCreated(), ev.ExecutionFailed())
    fields = {"execution_id": old, "from_node": "B", "new_execution_id": "exec_" + "a" * 32}
    done = (await ask(house.http, RETRY, input=fields))["data"]["retryExecution"]
    assert (done["success"], done["envelope"], done["data"]["retried_from"]) == (True, {"from": "B", "kept": 3}, old)
    asked = house.executor.retried[0]
    assert (asked.from_node, asked.new_execution_id, bool(asked.principal)) == ("B", "exec_" + "a" * 32, True)
    refused = await ask(house.http, RETRY, input={"execution_id": old, "from_node": "nowhere"})
    assert refused["data"]["retryExecution"]["error_type"] == "BAD_INPUT"


@pytest.mark.parametrize(("action", "code"), [("complete", "BAD_INPUT"), ("skip", "BAD_INPUT")])
async def test_other_actions_are_refused(house, action, code):
    execution_id = await house.store.add(ev.ExecutionCreated())
    refused = await control(house, execution_id, action)
    assert (refused["success"], refused["error_type"]) == (False, code)
    assert house.store.signals == []


async def answer(house, **fields):
    result = await ask(house.http, ANSWER, input=fields)
    assert "errors" not in result, result
    return result["data"]["sendInteractiveResponse"]


@pytest.fixture
async def asking(house):
    """Two open questions of one node."""
    execution_id = await house.store.add(ev.ExecutionCreated())
    house.store.kept[execution_id].interactions += [
        pb.Interaction(interaction_id=name, node_id="q", status="open") for name in ("i1", "i2")
    ]
    return execution_id


async def test_the_prompt_id_says_which_question_is_answered(house, asking):
    done = await answer(house, execution_id=asking, node_id="q", response="yes", metadata={"prompt_id": "i2"})
    assert done["success"]
    assert [one["prompt_id"] for one in done["data"]["pending_interactions"]] == ["i1"]
    assert house.store.kept[asking].interactions[1].response == "yes"


async def test_case_10_a_second_answer_is_a_conflict_and_an_unknown_question_not_found(house, asking):
    fields = {"execution_id": asking, "node_id": "q", "response": "yes", "metadata": {"prompt_id": "i1"}}
    assert (await answer(house, **fields))["success"]
    assert (await answer(house, **fields))["error_type"] == "CONFLICT"
    assert (await answer(house, execution_id=asking, node_id="other", response=""))["error_type"] == "NOT_FOUND"


async def test_an_answer_is_bounded_and_its_metadata_an_object(house, asking):
    large = await answer(house, execution_id=asking, node_id="q", response="ä" * 131_073)
    odd = await answer(house, execution_id=asking, node_id="q", response="", metadata={"prompt_id": 7})
    assert (large["error_type"], odd["error_type"]) == ("BAD_INPUT", "BAD_INPUT")


async def test_compiling_tells_size_and_format_or_the_problems(house):
    async def compiled(text, **more):
        return (await ask(house.http, COMPILE, source=text, **more))["data"]["compileDiagram"]

    assert await compiled("nodes: []", path="tea.yaml") == {
        "valid": True,
        "errors": [],
        "warnings": [],
        "node_count": 3,
        "edge_count": 2,
        "format": "light",
        "name": "tea",
    }
    invalid = await compiled("invalid", format="NATIVE")
    assert (invalid["valid"], invalid["errors"], invalid["format"]) == (False, [ERROR], "native")
    assert "node_count" not in invalid
