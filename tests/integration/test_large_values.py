"""Values of megabytes from node to node, into results, over a restart (store contract 15.4, decision 44)."""

import json
from collections import Counter
from pathlib import Path

import pytest
from command import Project, chain
from house import House, house
from lightly import light

MAKE = "{label: Make, type: code_job, code: \"result = {'text': 'x' * 5_000_000, 'n': 10**20}\"}"
SIZE = "{label: Size, type: code_job, code: \"result = len(default['text'])\"}"


def test_a_value_of_5_mb_is_whole_at_the_next_node_and_in_the_results(tmp_path: Path) -> None:
    project = Project(tmp_path)
    try:
        project.write("big.light.yaml", chain(MAKE))
        whole = {"text": "x" * 5_000_000, "n": 10**20}
        assert json.loads(project("run", "big.light.yaml", "--output-only", check=0).out) == whole
        results = project.results("@last")
        assert results["final_output"] == whole and results["outputs"]["Make"] == whole
        assert len(project("logs", "@last", "--json", check=0).out) < 2_000_000  # events tell the size only
        project.write("size.light.yaml", chain(MAKE, SIZE))
        assert project("run", "size.light.yaml", "--output-only", check=0).out == "5000000\n"
        project.kill_stack()
        assert project.results("@last~1")["final_output"] == whole
    finally:
        project.stop()


async def test_many_large_values_that_end_in_one_step_are_journaled_all(home: House):
    makers = "\n".join(f"- {{label: M{n}, type: code_job, code: \"result = '{n}' * 7_000_000\"}}" for n in range(6))
    arrows = "\n".join(f"- {{from: S, to: M{n}}}\n- {{from: M{n}, to: J}}" for n in range(6))
    join = '- {label: J, type: code_job, code: "result = len(inputs)"}\n- {label: E, type: endpoint}'
    run = await home.run(light(f"- {{label: S, type: start}}\n{makers}\n{join}", f"{arrows}\n- {{from: J, to: E}}"))
    assert run.status == "completed", run.events[-1]
    sizes = Counter(len(event.node_completed.output_json) for event in run.events if event.HasField("node_completed"))
    assert sizes[7_000_002] == 6


async def test_what_is_larger_than_a_value_may_be_fails_its_node(home: House):
    text = light(
        """
        - {label: S, type: start}
        - {label: M, type: code_job, code: "result = 'x' * 9_000_000"}
        - {label: E, type: endpoint}
        """,
        "- {from: S, to: M}\n- {from: M, to: E}",
    )
    run = await home.run(text)
    assert (run.status, run.execution.error.type) == ("failed", "ValueTooLarge")


@pytest.mark.parametrize("inprocess", [False, True])
async def test_a_retry_takes_large_values_over(tmp_path: Path, inprocess: bool):
    code = "import os\\nassert os.path.exists('fixed')\\nresult = len(default['text'])"
    fails = f'{{label: B, type: code_job, code: "{code}"}}'
    async with house(tmp_path, inprocess=inprocess) as home:
        failed = await home.run(chain(MAKE, fails))
        assert failed.status == "failed"
        (tmp_path / "fixed").touch()
        assert (await home.follow(await home.retry(failed.execution_id))).result == 5_000_000


async def test_a_run_that_writes_more_than_a_journal_may_hold_fails_by_name(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("DIPEO_STORE_MAX_EVENTS", "100")
    text = light(
        """
        - {label: S, type: start}
        - {label: Step, type: code_job, code: "result = 1"}
        - {label: Enough, type: condition, condition_type: custom, expression: "1 > 2"}
        - {label: E, type: endpoint}
        """,
        """
        - {from: S, to: Step}
        - {from: Step, to: Enough}
        - {from: Enough_condfalse, to: Step}
        - {from: Enough_condtrue, to: E}
        """,
    )
    async with house(tmp_path) as home:
        run = await home.run(text)
        assert (run.status, run.execution.error.code) == ("failed", "journal_full")
        assert "may have 100 events" in run.execution.error.message and len(run.events) <= 101
