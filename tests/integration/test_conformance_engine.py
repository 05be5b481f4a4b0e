"""Cases of engine contract 8.3 that need node behaviour, on the real services, named by number (decision 32)."""

import asyncio
import json

import pytest
from house import House
from lightly import light

from dipeo_kit import rpc
from dipeo_protos.store.v1 import store_pb2

PERSONS = """
P: {service: openai, model: m, system_prompt: You are P}
Q: {service: openai, model: m}
"""


async def test_case_23_start_without_trigger_ignores_custom_data(home: House):
    done = await home.run(
        light(
            """
            - {label: S, type: start, trigger_mode: none, custom_data: {k: v}}
            - {label: A, type: code_job, code: "result = inputs"}
            """,
            "- {from: S, to: A}",
        ),
        variables={"gv": 1},
    )
    assert done.output("A") == {"default": {"default": {"gv": 1}}}


async def test_case_24_a_callers_variable_overrides_custom_data(home: House):
    """Decision 5 overrides: gv 1."""
    done = await home.run(
        light("- {label: S, type: start, trigger_mode: manual, custom_data: {gv: 2, k: 3}}", "[]"), variables={"gv": 1}
    )
    assert done.output("S") == {"default": {"gv": 1, "k": 3}}


async def test_case_25_a_variable_named_default_is_the_body(home: House):
    done = await home.run(light("- {label: S, type: start}", "[]"), variables={"default": {"z": 1}, "gv": 1})
    assert done.output("S") == {"default": {"z": 1}, "gv": 1}


@pytest.mark.parametrize(
    ("code", "value"), [("5", 5), ("True", True), ("None", None), ("0", 0), ("(1, 2)", [1, 2]), ("'t'", "t")]
)
async def test_case_29_results_stay_themselves(home: House, code: str, value: object):
    """Decision 6 overrides."""
    done = await home.run(
        light(
            f'- {{label: S, type: start}}\n- {{label: A, type: code_job, code: "result = {code}"}}',
            "- {from: S, to: A}",
        )
    )
    assert done.output("A") == value


BOOM = """
- {label: S, type: start}
- {label: A, type: code_job, code: "raise ValueError('boom')"}
- {label: X, type: code_job, code: "result = default"}
- {label: E, type: endpoint}
"""
CHAIN = "- {from: S, to: A}\n- {from: A, to: X}\n- {from: X, to: E}"


async def test_case_30_a_raising_code_job_fails_the_run(home: House):
    """Decision 1 overrides."""
    done = await home.run(light(BOOM, CHAIN))
    assert done.status == "failed" and done.labels == ["S", "A"]
    assert (done.execution.error.type, done.execution.error.message) == ("ValueError", "boom")
    assert {run.label for run in done.node_runs if run.status == 5} == {"X", "E"}, "never started: skipped"


async def test_case_30_keep_going_lets_the_error_flow(home: House):
    done = await home.run(light(BOOM, CHAIN), keep_going=True)
    assert done.status == "completed" and done.labels == ["S", "A", "X", "E"]
    assert done.result == {"error": "boom", "type": "ValueError", "node": "node_1"}
    assert done.execution.warnings


async def test_case_31_a_failed_person_call_fails_the_run(home: House):
    """Decision 1 overrides."""
    done = await home.run(
        light(
            """
            - {label: S, type: start}
            - {label: P, type: person_job, person: P, default_prompt: "[[status 429]]"}
            - {label: E, type: endpoint}
            """,
            "- {from: S, to: P}\n- {from: P, to: E}",
            PERSONS,
        )
    )
    assert done.status == "failed" and "429" in done.execution.error.message


async def test_case_36_history_is_everybodys_with_relative_roles(home: House):
    done = await home.run(
        light(
            """
            - {label: S, type: start}
            - {label: P1, type: person_job, person: P, default_prompt: "one [[count]]"}
            - {label: P2, type: person_job, person: Q, default_prompt: "two [[count]]"}
            - {label: P3, type: person_job, person: P, default_prompt: "three [[count]]"}
            """,
            "- {from: S, to: P1}\n- {from: P1, to: P2}\n- {from: P2, to: P3}",
            PERSONS,
        )
    )
    counted = [done.output(label) for label in ("P1", "P2", "P3")]
    assert counted == ["messages 2", "messages 3", "messages 6"], "system and prompt; history and prompt; all"


async def test_case_41_persons_side_by_side_do_not_see_each_other(home: House):
    """Decision 39: a person sees the node runs that ended before its own start."""
    done = await home.run(
        light(
            """
            - {label: S, type: start}
            - {label: P1, type: person_job, person: Q, default_prompt: "one [[count]]"}
            - {label: P2, type: person_job, person: Q, default_prompt: "two [[count]]"}
            """,
            "- {from: S, to: P1}\n- {from: S, to: P2}",
            PERSONS,
        )
    )
    assert [done.output("P1"), done.output("P2")] == ["messages 1", "messages 1"]


async def test_case_52_an_answer_reaches_the_node_and_without_a_human_it_is_empty(home: House):
    text = light(
        '- {label: S, type: start}\n- {label: Ask, type: user_response, prompt: "Name?"}\n- {label: E, type: endpoint}',
        "- {from: S, to: Ask}\n- {from: Ask, to: E}",
    )
    silent = await home.run(text, non_interactive=True)
    assert silent.status == "completed" and silent.result == ""
    submitted = await home.submit(text)
    async for event in home.watch(submitted.execution_id):
        if event.HasField("interaction_opened"):
            assert event.interaction_opened.prompt.startswith("Name?")
            await home.answer(submitted.execution_id, "Ask", "Bob")
    assert (await home.follow(submitted.execution_id)).result == "Bob"


async def test_case_54_the_nearest_scope_wins(home: House):
    """Decision 5 overrides: the input beats the variable."""
    done = await home.run(
        light(
            """
            - {label: S, type: start}
            - {label: A, type: code_job, code: "result = 'i'"}
            - {label: P, type: person_job, person: Q, default_prompt: "[[reply {{topic}}]]"}
            """,
            "- {from: S, to: A}\n- {from: A, to: P, label: topic}",
            PERSONS,
        ),
        variables={"topic": "g"},
    )
    assert done.output("P") == "i"


async def test_case_55_paths_are_filled_from_variables_and_inputs(home: House):
    (home.base / "files").mkdir()
    (home.base / "files" / "n.txt").write_text("hello")
    done = await home.run(
        light(
            """
            - {label: S, type: start}
            - {label: R, type: db, operation: read, format: text, file: "files/{nm}.txt"}
            """,
            "- {from: S, to: R}",
        ),
        variables={"nm": "n"},
    )
    assert done.output("R") == "hello"


async def test_case_56_a_run_past_its_deadline_fails_and_says_so(home: House):
    done = await home.run(
        light(
            '- {label: S, type: start}\n- {label: N, type: code_job, code: "import time; time.sleep(30)"}',
            "- {from: S, to: N}",
        ),
        timeout_s=0.5,
    )
    assert done.status == "failed" and done.execution.error.code == "timeout"
    assert done.execution.error.message == "Execution timed out after 0.5 seconds"
    assert done.events[-1].HasField("execution_failed")


async def test_case_58_concurrent_runs_share_no_messages_and_no_persons(home: House):
    def text(name: str) -> str:
        return light(
            """
            - {label: S, type: start}
            - {label: A, type: person_job, person: P, default_prompt: "x"}
            - {label: B, type: person_job, person: P, default_prompt: "[[count]]"}
            """,
            "- {from: S, to: A}\n- {from: A, to: B}",
            f"P: {{service: openai, model: {name}}}",
        )

    runs = await asyncio.gather(*(home.run(text(f"m{i}")) for i in range(5)))
    assert [done.output("B") for done in runs] == ["messages 3"] * 5
    assert [{run.model for run in done.node_runs if run.model} for done in runs] == [{f"m{i}"} for i in range(5)]


async def test_an_aborted_run_cancels_its_node_and_ends_as_aborted(home: House):
    submitted = await home.submit(
        light(
            '- {label: S, type: start}\n- {label: N, type: code_job, code: "import time; time.sleep(30)"}',
            "- {from: S, to: N}",
        )
    )
    async for event in home.watch(submitted.execution_id):
        if event.HasField("node_started") and event.node_started.label == "N":
            await home.abort(submitted.execution_id)
    done = await home.follow(submitted.execution_id)
    assert done.status == "aborted" and [run.status for run in done.node_runs if run.label == "N"] == [4]


async def test_an_invalid_diagram_stores_nothing(home: House):
    submitted = await home.submit(light("- {label: A, type: code_job}", "[]"))
    assert not submitted.execution_id and {it.code for it in submitted.diagnostics} >= {"V4"}

    assert not (await rpc.call(home.store.ListExecutions, store_pb2.ListExecutionsRequest())).executions


async def test_case_37_a_goldfish_sees_its_own_prompt_only(home: House):
    done = await home.run(
        light(
            """
            - {label: S, type: start}
            - {label: P1, type: person_job, person: P, default_prompt: "one"}
            - {label: P3, type: person_job, person: P, default_prompt: "[[count]]", memorize_to: GOLDFISH}
            """,
            "- {from: S, to: P1}\n- {from: P1, to: P3}",
            PERSONS,
        )
    )
    assert done.output("P3") == "messages 2", "system and prompt"


async def test_case_39_a_criterion_asks_a_selector_and_at_most_truncates(home: House):
    """The mock's selector keeps all; what Q said is not offered, of the rest the newest is kept."""
    done = await home.run(
        light(
            """
            - {label: S, type: start}
            - {label: A, type: person_job, person: P, default_prompt: "one"}
            - {label: B, type: person_job, person: Q, default_prompt: "two"}
            - label: J
              type: person_job
              person: P
              default_prompt: "[[count]]"
              memorize_to: "what matters"
              at_most: 1
              ignore_person: Q
            """,
            "- {from: S, to: A}\n- {from: A, to: B}\n- {from: B, to: J}",
            PERSONS,
        )
    )
    assert done.output("J") == "messages 3", "system, the one selected, the prompt"
    meta = json.loads(next(run.meta_json for run in done.node_runs if run.label == "J"))
    assert meta["memory_selection"]["selected_count"] == 1


async def test_case_40_a_criterion_on_the_very_first_message_asks_no_selector(home: House):
    done = await home.run(
        light(
            """
            - {label: S, type: start}
            - {label: A, type: person_job, person: P, default_prompt: "[[count]]", memorize_to: "what matters"}
            """,
            "- {from: S, to: A}",
            PERSONS,
        )
    )
    run = next(run for run in done.node_runs if run.label == "A")
    assert done.output("A") == "messages 2"
    assert "memory_selection" not in [call.get("purpose") for call in json.loads(run.meta_json).get("calls", [])]


async def test_case_47_a_person_answers_each_item_of_a_batch(home: House):
    done = await home.run(
        light(
            """
            - {label: S, type: start}
            - {label: A, type: code_job, code: "result = {'items': ['a', 'b']}"}
            - label: B
              type: person_job
              person: Q
              batch: true
              default_prompt: "[[reply {{default}} {{_batch_index}} of {{_batch_total}}]]"
            """,
            "- {from: S, to: A}\n- {from: A, to: B}",
            PERSONS,
        )
    )
    output = done.output("B")
    assert [one["output"] for one in output["results"]] == ["a 0 of 2", "b 1 of 2"]
    assert (output["total_items"], output["successful"], output["failed"], output["errors"]) == (2, 2, 0, None)


async def test_case_51_a_sub_diagram_that_is_not_there_is_told_before_anything_runs(home: House):
    """Decision 7 and 43 override: what a run names is captured, so a missing diagram is a diagnostic."""
    submitted = await home.submit(
        light(
            "- {label: S, type: start}\n- {label: K, type: sub_diagram, diagram_name: sub/none}", "- {from: S, to: K}"
        )
    )
    assert not submitted.execution_id
    message = next(it.message for it in submitted.diagnostics if it.code == "T10")
    assert "examples/sub/none.light.yaml" in message


async def test_case_53_a_missing_code_file_is_told_before_anything_runs(home: House):
    """Decision 32 overrides (never re-fires); with decision 43 it does not even start."""
    submitted = await home.submit(
        light("- {label: S, type: start}\n- {label: A, type: code_job, file_path: nope.py}", "- {from: S, to: A}")
    )
    assert not submitted.execution_id and any("nope.py" in it.message for it in submitted.diagnostics)
