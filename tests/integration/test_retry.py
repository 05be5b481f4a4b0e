"""A retry takes over what completed before what failed (issue: nothing lost; dipeo.executor.v1.Retry)."""

import asyncio
from collections import Counter

import pytest
from house import Finished, House
from lightly import light

from dipeo_kit import ids, rpc
from dipeo_kit.errors import BadInput, Conflict, NotFound
from dipeo_protos.executor.v1 import executor_pb2

# S -> A -> B (fails until the file `fixed` is there) -> C -> E; every code node leaves its name in trace.txt
CHAIN = light(
    """
    - {label: S, type: start, custom_data: {tea: green}}
    - {label: A, type: code_job, code: "open('trace.txt', 'a').write('A ')\\nresult = {'x': 10**20, 'y': [1, None]}"}
    - {label: B, type: code_job, code: "import os\\nopen('trace.txt', 'a').write('B ')\\nassert os.path.exists('fixed')\\nresult = default"}
    - {label: C, type: code_job, code: "open('trace.txt', 'a').write('C ')\\nresult = default"}
    - {label: E, type: endpoint}
    """,  # noqa: E501
    """
    - {from: S, to: A}
    - {from: A, to: B}
    - {from: B, to: C}
    - {from: C, to: E}
    """,
)


async def _retry(home: House, execution_id: str, from_node: str = "", **more) -> executor_pb2.RetryResponse:
    request = executor_pb2.RetryRequest(execution_id=execution_id, from_node=from_node, **more)
    return await rpc.call(home.executor.Retry, request)


def _ran(home: House) -> dict[str, int]:
    return Counter((home.base / "trace.txt").read_text().split())


def _kinds(run: Finished) -> list[str]:
    return [str(event.WhichOneof("body")) for event in run.events]


async def test_what_completed_before_the_failure_is_not_run_again(home: House):
    failed = await home.run(CHAIN, variables={"who": "ann"})
    assert failed.status == "failed" and _ran(home) == {"A": 1, "B": 1}
    (home.base / "fixed").touch()
    answer = await _retry(home, failed.execution_id)
    assert (answer.from_label, answer.kept) == ("B", 2)
    run = await home.follow(answer.execution_id)
    assert (run.status, run.result) == ("completed", {"x": 10**20, "y": [1, None]})
    assert _ran(home) == {"A": 1, "B": 2, "C": 1}
    assert run.execution.retried_from == failed.execution_id
    assert run.execution.variables_json == b'{"who":"ann"}'
    assert run.labels == ["S", "A", "B", "C", "E"]
    assert [event.seq for event in run.events] == list(range(1, len(run.events) + 1))
    assert run.execution.started_at.ToNanoseconds() >= run.execution.created_at.ToNanoseconds()
    assert run.execution.runs_done == 5 and run.execution.runs_failed == 0
    again = await home.follow(failed.execution_id)
    assert again.status == "failed" and again.events == failed.events


async def test_a_completed_run_goes_on_from_the_named_node_or_begins_anew(home: House):
    (home.base / "fixed").touch()
    whole = await home.run(CHAIN)
    part = await home.follow((await _retry(home, whole.execution_id, "C")).execution_id)
    assert part.status == "completed" and _ran(home) == {"A": 1, "B": 1, "C": 2}
    anew = await _retry(home, whole.execution_id)
    assert (anew.from_label, anew.kept) == ("", 0)
    assert (await home.follow(anew.execution_id)).status == "completed"
    assert _ran(home) == {"A": 2, "B": 2, "C": 3}
    once_more = await home.follow((await _retry(home, part.execution_id, "C")).execution_id)  # a retry of a retry
    assert once_more.status == "completed" and _ran(home) == {"A": 2, "B": 2, "C": 4}


async def test_an_aborted_run_goes_on_with_what_was_interrupted(home: House):
    text = light(
        """
        - {label: S, type: start}
        - {label: A, type: code_job, code: "open('trace.txt', 'a').write('A ')"}
        - {label: Ask, type: user_response, prompt: "?"}
        - {label: E, type: endpoint}
        """,
        """
        - {from: S, to: A}
        - {from: A, to: Ask}
        - {from: Ask, to: E}
        """,
    )
    execution_id = (await home.submit(text)).execution_id
    async for event in home.watch(execution_id):
        if event.HasField("interaction_opened"):
            await home.abort(execution_id)
    answer = await _retry(home, execution_id)
    assert answer.from_label == "Ask"
    async for event in home.watch(answer.execution_id):
        if event.HasField("interaction_opened"):
            await home.answer(answer.execution_id, "Ask", "tea")
    run = await home.follow(answer.execution_id)
    assert run.result == "tea" and _ran(home) == {"A": 1}


async def test_a_loop_goes_on_with_the_iteration_that_failed(home: House):
    text = light(
        """
        - {label: S, type: start}
        - {label: Step, type: code_job, code: "import os\\nk = len(open('trace.txt').read().split()) + 1 if os.path.exists('trace.txt') else 1\\nopen('trace.txt', 'a').write(f'{k} ')\\nassert k != 3\\nresult = k"}
        - {label: Enough, type: condition, condition_type: custom, expression: "n >= 4"}
        - {label: E, type: endpoint}
        """,  # noqa: E501
        """
        - {from: S, to: Step}
        - {from: Step, to: Enough, label: n}
        - {from: Enough_condfalse, to: Step, label: n}
        - {from: Enough_condtrue, to: E}
        """,
    )
    failed = await home.run(text)
    assert failed.status == "failed" and failed.labels.count("Step") == 3, failed.events[-1]
    answer = await _retry(home, failed.execution_id)
    run = await home.follow(answer.execution_id)
    assert run.status == "completed", run.events[-1]
    assert answer.from_label == "Step" and _ran(home) == {"1": 1, "2": 1, "3": 1, "4": 1}


async def test_a_node_inside_a_sub_diagram_is_retried_alone(home: House):
    (home.base / "inner.light.yaml").write_text(CHAIN)
    text = light(
        """
        - {label: S, type: start}
        - {label: Sub, type: sub_diagram, diagram_name: inner}
        - {label: E, type: endpoint}
        """,
        "- {from: S, to: Sub}\n- {from: Sub, to: E}",
    )
    failed = await home.run(text)
    assert failed.status == "failed" and _ran(home) == {"A": 1, "B": 1}, failed.events[-1]
    (home.base / "fixed").touch()
    assert (await home.follow((await _retry(home, failed.execution_id)).execution_id)).status == "completed"
    assert _ran(home) == {"A": 1, "B": 2, "C": 1}
    answer = await _retry(home, failed.execution_id, "Sub/A")
    assert answer.from_label == "A"
    assert (await home.follow(answer.execution_id)).status == "completed"
    assert _ran(home) == {"A": 2, "B": 3, "C": 2}


async def test_time_spent_by_the_first_run_does_not_count_against_the_deadline_of_its_retry(home: House):
    failed = await home.run(CHAIN, timeout_s=1)
    await asyncio.sleep(1.1)  # longer than a run may take; nothing else tells that time has passed
    (home.base / "fixed").touch()
    assert (await home.follow((await _retry(home, failed.execution_id)).execution_id)).status == "completed"


async def test_what_cannot_be_retried_is_said(home: House):
    (home.base / "fixed").touch()
    whole = await home.run(CHAIN)
    with pytest.raises(BadInput, match=r'no node "D" started.*"S", "A", "B"'):
        await _retry(home, whole.execution_id, "D")
    with pytest.raises(NotFound):
        await _retry(home, ids.new_execution_id())
    with pytest.raises(BadInput, match="execution id"):
        await _retry(home, whole.execution_id, new_execution_id="exec_1")
    waiting = light(
        "- {label: S, type: start}\n- {label: Ask, type: user_response, prompt: '?'}", "- {from: S, to: Ask}"
    )
    execution_id = (await home.submit(waiting)).execution_id
    with pytest.raises(Conflict, match="has not ended"):
        await _retry(home, execution_id)


async def test_asking_twice_with_one_key_is_one_retry(home: House):
    failed = await home.run(CHAIN)
    first = await _retry(home, failed.execution_id, idempotency_key="k", principal="ann")
    second = await _retry(home, failed.execution_id, idempotency_key="k", principal="ann")
    assert first.execution_id == second.execution_id
    await home.follow(first.execution_id)
    assert _ran(home) == {"A": 1, "B": 2}
