"""Attempts, timeouts, batches and sub-diagrams on the real services (issue: every node type, working)."""

import asyncio
import json

from house import House, house
from lightly import light

from dipeo_kit import ids, rpc
from dipeo_protos.store.v1 import store_pb2

FLAKY = """
- {label: S, type: start}
- label: A
  type: code_job
  retry: {attempts: 3, delay_s: 0.01}
  code: |
    import pathlib
    mark = pathlib.Path("tries")
    tries = len(mark.read_text()) if mark.exists() else 0
    mark.write_text("x" * (tries + 1))
    if tries < 2:
        raise OSError("not yet")
    result = tries
"""


async def test_a_failing_node_is_tried_again_and_every_attempt_is_journaled(home: House):
    done = await home.run(light(FLAKY, "- {from: S, to: A}"))
    assert done.status == "completed" and done.output("A") == 2
    attempts = [(run.attempt, run.status) for run in done.node_runs if run.label == "A"]
    assert attempts == [(1, 3), (2, 3), (3, 2)]
    reasons = [event.node_retrying.reason for event in done.events if event.HasField("node_retrying")]
    assert reasons == ["OSError: not yet"] * 2


async def test_attempts_end_and_only_the_named_failures_are_tried_again(home: House):
    twice = await home.run(light(FLAKY.replace("attempts: 3", "attempts: 2"), "- {from: S, to: A}"))
    assert twice.status == "failed" and twice.execution.error.message == "not yet"
    (home.base / "tries").unlink()
    other = await home.run(light(FLAKY.replace("attempts: 3", "attempts: 3, errors: [KeyError]"), "- {from: S, to: A}"))
    assert other.status == "failed" and not any(event.HasField("node_retrying") for event in other.events)


async def test_a_node_that_takes_too_long_fails_by_name(home: House):
    slow = """
    - {label: S, type: start}
    - {label: A, type: code_job, timeout: 1, code: "import time; time.sleep(20)"}
    """
    done = await home.run(light(slow, "- {from: S, to: A}"))
    assert done.status == "failed" and done.execution.error.type == "TimeoutError"
    assert "timed out after 1 second" in done.execution.error.message


CHILD = light(
    """
    - {label: s, type: start}
    - {label: c, type: code_job, code: "import time; result = default['default']; time.sleep(result['nap'])"}
    - {label: e, type: endpoint}
    """,
    "- {from: s, to: c}\n- {from: c, to: e}",
)


async def test_a_sub_diagram_has_a_clock_of_its_own(home: House):
    (home.base / "child.light.yaml").write_text(CHILD)
    outer = """
    - {label: S, type: start}
    - {label: K, type: sub_diagram, diagram_name: child, timeout: 1, input_mapping: {nap: default.default.nap}}
    """
    done = await home.run(light(outer, "- {from: S, to: K}"), variables={"nap": 20})
    assert done.status == "failed" and "timed out after 1 second" in done.execution.error.message
    assert [run.status for run in done.node_runs if run.node_id.endswith("/node_1")] == [4], (
        "what ran inside is aborted"
    )
    again = await home.run(light(outer, "- {from: S, to: K}"), variables={"nap": 0})
    assert again.status == "completed" and again.output("K") == {"nap": 0}


async def test_a_batch_keeps_order_and_reports_failures_per_item(home: House):
    (home.base / "child.light.yaml").write_text(
        light(
            """
            - {label: s, type: start}
            - {label: c, type: code_job, code: "result = 1 / default['default']"}
            - {label: e, type: endpoint}
            """,
            "- {from: s, to: c}\n- {from: c, to: e}",
        )
    )
    text = light(
        """
        - {label: S, type: start}
        - {label: A, type: code_job, code: 'result = [1, 2, 0, 4]'}
        - {label: K, type: sub_diagram, diagram_name: child, batch: true, max_concurrent: 3}
        - {label: E, type: endpoint}
        """,
        "- {from: S, to: A}\n- {from: A, to: K, label: items}\n- {from: K, to: E}",
    )
    done = await home.run(text)
    assert done.status == "completed", done.execution.error
    assert [one.get("output") for one in done.result] == [{"default": 1}, {"default": 0.5}, None, {"default": 0.25}]
    assert done.result[2] == {"index": 2, "error": "division by zero"}
    meta = json.loads(next(run.meta_json for run in done.node_runs if run.label == "K"))
    assert (meta["total_items"], meta["failed"]) == (4, 1)


async def test_a_half_done_batch_goes_on_in_another_executor(tmp_path):
    """The first executor is stopped in the middle; what is finished is not run again."""
    (tmp_path / "child.light.yaml").write_text(
        light(
            """
            - {label: s, type: start}
            - label: c
              type: code_job
              code: |
                import time
                open("ran", "a").write(f"{default['default']}\\n")
                time.sleep(0.2)
                result = default['default']
            """,
            "- {from: s, to: c}",
        )
    )
    text = light(
        """
        - {label: S, type: start}
        - {label: A, type: code_job, code: 'result = list(range(8))'}
        - {label: K, type: sub_diagram, diagram_name: child, batch: true, max_concurrent: 2}
        """,
        "- {from: S, to: A}\n- {from: A, to: K, label: items}",
    )
    async with house(tmp_path) as first:
        submitted = await first.submit(text)
        finished = 0
        async for event in first.watch(submitted.execution_id):
            finished += event.HasField("node_completed") and event.node_completed.node_id.count("/") == 1
            if finished == 3:
                break
    async with house(tmp_path) as second:
        done = await asyncio.wait_for(second.follow(submitted.execution_id), 30)
    assert done.status == "completed" and [one["output"] for one in done.result] == list(range(8))
    ran = (tmp_path / "ran").read_text().split()
    assert set(ran) == {str(n) for n in range(8)} and all(ran.count(str(n)) == 1 for n in range(3))


async def test_a_run_that_cannot_be_rebuilt_fails_instead_of_running_for_ever(home: House):
    create = store_pb2.CreateExecutionRequest(execution_id=ids.new_execution_id(), source=b"{}", origin="test")
    created = await rpc.call(home.store.CreateExecution, create)
    done = await asyncio.wait_for(home.follow(created.execution.execution_id), 20)
    assert done.status == "failed" and done.execution.error.code == "internal"
    assert "cannot be continued" in done.execution.error.message
