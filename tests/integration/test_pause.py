"""Pause and resume through store and executor (gateway contract 10.2, store contract 20)."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from house import STATUS, Finished, House, house
from lightly import light

from dipeo_kit import ids, rpc
from dipeo_protos.store.v1 import events_pb2, store_pb2

# S -> A (waits for the file `gate`) -> B -> E
GATED = light(
    """
    - {label: S, type: start}
    - {label: A, type: code_job, code: "import os, time\\nwhile not os.path.exists('gate'): time.sleep(0.01)"}
    - {label: B, type: code_job, code: "result = 2"}
    - {label: E, type: endpoint}
    """,
    """
    - {from: S, to: A}
    - {from: A, to: B}
    - {from: B, to: E}
    """,
)


async def _signal(home: House, execution_id: str, **kind) -> None:
    request = store_pb2.PostSignalRequest(execution_id=execution_id, signal_id=ids.new_hex(), **kind)
    await rpc.call(home.store.PostSignal, request)


async def _pause(home: House, execution_id: str) -> None:
    await _signal(home, execution_id, pause=store_pb2.Pause(reason="lunch"))


async def _resume(home: House, execution_id: str) -> None:
    await _signal(home, execution_id, resume=store_pb2.Resume())


async def _until(home: House, execution_id: str, met: Callable[[events_pb2.Event], bool]) -> events_pb2.Event:
    async with asyncio.timeout(20):
        async for event in home.watch(execution_id):
            if met(event):
                return event
    raise AssertionError("the run ended before")


def _is(kind: str) -> Callable[[events_pb2.Event], bool]:
    return lambda event: event.WhichOneof("body") == kind


def _started(label: str) -> Callable[[events_pb2.Event], bool]:
    return lambda event: event.node_started.label == label


async def _status(home: House, execution_id: str) -> str:
    response = await rpc.call(home.store.GetExecution, store_pb2.GetExecutionRequest(execution_id=execution_id))
    return STATUS[response.execution.status]


def _kinds(run: Finished) -> list[str]:
    return [str(event.WhichOneof("body")) for event in run.events]


async def test_case_20_a_pause_while_a_node_runs_lets_nothing_start_until_it_is_resumed(home: House):
    execution_id = (await home.submit(GATED)).execution_id
    await _until(home, execution_id, _started("A"))
    await _pause(home, execution_id)
    (home.base / "gate").touch()
    await _until(home, execution_id, _is("execution_paused"))
    assert await _status(home, execution_id) == "paused"
    await _resume(home, execution_id)
    run = await home.follow(execution_id)
    assert (run.status, run.labels) == ("completed", ["S", "A", "B", "E"])
    kinds = _kinds(run)
    paused, resumed = kinds.index("execution_paused"), kinds.index("execution_resumed")
    assert kinds[paused - 1] == "signal_consumed" and kinds[resumed - 1] == "signal_consumed"
    between = kinds[kinds.index("node_completed", kinds.index("node_completed") + 1) : resumed]
    assert "node_started" not in between


async def test_a_pause_that_has_not_taken_effect_is_undone_by_a_resume(home: House):
    execution_id = (await home.submit(GATED)).execution_id
    await _until(home, execution_id, _started("A"))
    await _pause(home, execution_id)
    await _resume(home, execution_id)
    await _until(home, execution_id, _is("signal_consumed"))
    (home.base / "gate").touch()
    run = await home.follow(execution_id)
    assert run.status == "completed"
    kinds = _kinds(run)
    assert kinds.count("signal_consumed") == 2 and "execution_paused" not in kinds


async def test_a_paused_run_can_be_aborted(home: House):
    execution_id = (await home.submit(GATED)).execution_id
    await _until(home, execution_id, _started("A"))
    await _pause(home, execution_id)
    (home.base / "gate").touch()
    await _until(home, execution_id, _is("execution_paused"))
    await home.abort(execution_id)
    assert (await home.follow(execution_id)).status == "aborted"


async def test_a_question_may_be_answered_while_paused_and_its_answer_waits_for_the_resume(home: House):
    text = light(
        "- {label: S, type: start}\n- {label: Ask, type: user_response, prompt: '?'}\n- {label: E, type: endpoint}",
        "- {from: S, to: Ask}\n- {from: Ask, to: E}",
    )
    execution_id = (await home.submit(text)).execution_id
    await _until(home, execution_id, _is("interaction_opened"))
    await _pause(home, execution_id)
    await _until(home, execution_id, _is("execution_paused"))  # a question to a human does not hold it up
    await home.answer(execution_id, "Ask", "tea")
    await _until(home, execution_id, lambda event: event.node_completed.output_json == b'"tea"')
    assert await _status(home, execution_id) == "paused"
    await _resume(home, execution_id)
    assert (await home.follow(execution_id)).result == "tea"


async def test_the_deadline_stands_still_while_paused(home: House):
    execution_id = (await home.submit(GATED, timeout_s=3)).execution_id
    await _until(home, execution_id, _started("A"))
    await _pause(home, execution_id)
    (home.base / "gate").touch()
    await _until(home, execution_id, _is("execution_paused"))
    await asyncio.sleep(3.2)  # longer than the run may take; nothing else tells that time has passed
    await _resume(home, execution_id)
    assert (await home.follow(execution_id)).status == "completed"


async def test_a_paused_run_is_still_paused_after_its_executor_and_store_were_stopped(tmp_path: Path):
    async with house(tmp_path) as home:
        execution_id = (await home.submit(GATED)).execution_id
        await _until(home, execution_id, _started("A"))
        await _pause(home, execution_id)
        (home.base / "gate").touch()
        await _until(home, execution_id, _is("execution_paused"))
    async with house(tmp_path) as home:
        await _until(home, execution_id, _is("execution_recovered"))
        assert await _status(home, execution_id) == "paused"
        await _resume(home, execution_id)
        run = await home.follow(execution_id)
        assert (run.status, run.labels) == ("completed", ["S", "A", "B", "E"])


async def test_a_run_paused_before_anybody_had_room_for_it_starts_no_node(tmp_path: Path):
    async with house(tmp_path, capacity=1) as home:
        first = (await home.submit(GATED)).execution_id
        await _until(home, first, _started("A"))
        second = (await home.submit(GATED)).execution_id
        assert await _status(home, second) == "pending"
        await _pause(home, second)
        (home.base / "gate").touch()
        await _until(home, second, _is("execution_paused"))
        await _resume(home, second)
        kinds = _kinds(await home.follow(second))
        assert kinds[1:4] == ["execution_started", "signal_consumed", "execution_paused"]
