"""person_job with batch: true. (node contract 6.7)"""

import asyncio

import pytest
from fakes import ScriptedLlm, context, run

from dipeo_executor.llm.errors import BudgetExceeded, RateLimited
from dipeo_executor.nodes import person_job
from dipeo_executor.nodes.base import Message, NodeError, Reply, Usage
from dipeo_executor.program import Edge

PROMPT = "x {{default}} {{_batch_index}}"


def batch(**more):
    return {"person": "Ada", "batch": True, "default_prompt": PROMPT, **more}


async def outputs(tmp_path, inputs, **more):
    out = await run(person_job, batch(**more), inputs, context(tmp_path, llm=ScriptedLlm()))
    return [it["output"] for it in out.value["results"]]


async def test_pj_9_and_case_47_one_answer_per_item_in_their_order(tmp_path):
    out = await run(person_job, batch(), {"default": {"items": ["a", "b"]}}, context(tmp_path, llm=ScriptedLlm()))
    results = out.value.pop("results")
    assert out.value == {"total_items": 2, "successful": 2, "failed": 0, "errors": None}
    assert [(it["index"], it["output"]) for it in results] == [(0, "ECHO:x a 0"), (1, "ECHO:x b 1")]
    assert results[0]["metadata"]["person_id"] == "Ada"
    assert out.usage == Usage(6, 4, 2) and out.model == "m-1"
    assert out.meta == {
        "person_id": "Ada",
        "batch_mode": True,
        "batch_parallel": True,
        "llm_usage": {"input": 6, "output": 4, "cached": 2, "total": 10},
    }


@pytest.mark.parametrize(
    ("inputs", "key"),
    [
        ({"items": ["a", "b"]}, "items"),
        ({"default": {"default": {"items": ["a", "b"]}}}, "items"),
        ({"default": ["a", "b"]}, "default"),
        ({"rows": {"default": ["a", "b"]}, "default": 5}, "rows"),
    ],
)
async def test_items_are_found_where_they_come(tmp_path, inputs, key):
    assert await outputs(tmp_path, inputs, batch_input_key=key) == ["ECHO:x a 0", "ECHO:x b 1"]


async def test_what_is_no_list_is_one_item_and_nothing_is_none(tmp_path):
    assert await outputs(tmp_path, {"items": "a"}) == ["ECHO:x a 0"]
    assert await outputs(tmp_path, {"items": []}) == []
    ctx = context(tmp_path)
    out = await run(person_job, batch(), {"default": {"things": [1]}}, ctx)
    assert out.value == {"total_items": 0, "successful": 0, "failed": 0, "results": [], "errors": None}
    assert ctx.warnings == ['there are no items: no input has "items"; the inputs are default']


async def test_the_other_inputs_and_the_number_of_items_are_seen_by_each(tmp_path):
    props = {"default_prompt": "{{default.k}} {{k}} {{other}} {{_batch_index}}/{{_batch_total}}"}
    inputs = {"items": [{"k": 1}, {"k": 2}], "other": "o", "default": {"k": "hidden"}}
    assert await outputs(tmp_path, inputs, **props) == ["ECHO:1 1 o 0/2", "ECHO:2 2 o 1/2"]


async def test_items_do_not_see_each_other_and_join_the_conversation_in_their_order(tmp_path):
    llm = ScriptedLlm()
    before = (Message("m1", "system", "Ada", "earlier"), Message("m2", "Ada", "system", "yes"))
    ctx = context(tmp_path, llm=llm, history=before)
    out = await run(person_job, batch(batch_parallel=False), {"items": ["a", "b", "c"]}, ctx)
    assert [[m["content"] for m in call["messages"]] for call in llm.calls] == [
        ["You are Ada.", "earlier", "yes", f"x {item} {index}"] for index, item in enumerate("abc")
    ]
    said = [message.content for message in out.messages]
    assert said == ["x a 0", "ECHO:x a 0", "x b 1", "ECHO:x b 1", "x c 2", "ECHO:x c 2"]
    assert len({message.id for message in out.messages}) == 6


async def test_messages_that_came_as_data_join_once(tmp_path):
    talk = {"messages": [{"role": "user", "content": "hello"}]}
    out = await run(person_job, batch(), {"items": ["a", "b"], "talk": talk}, context(tmp_path))
    assert [message.content for message in out.messages].count("hello") == 1


class Counting:
    """A model of which each answer takes two turns of the loop."""

    def __init__(self):
        self.now = self.most = 0

    async def complete(self, person, messages, **options):
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        self.now -= 1
        return Reply("ok", Usage(), "m")


@pytest.mark.parametrize(("props", "most"), [({}, 10), ({"max_concurrent": 3}, 3), ({"batch_parallel": False}, 1)])
async def test_as_many_at_once_as_is_asked_for(tmp_path, props, most):
    llm = Counting()
    await run(person_job, batch(**props), {"items": list(range(30))}, context(tmp_path, llm=llm))
    assert llm.most == most


async def test_an_item_that_fails_is_among_the_errors(tmp_path):
    llm = ScriptedLlm(["one", NodeError("busy", kind="RateLimited"), "three"])
    props = batch(batch_parallel=False)
    out = await run(person_job, props, {"items": ["a", "b", "c"]}, context(tmp_path, llm=llm))
    assert [it["index"] for it in out.value["results"]] == [0, 2]
    assert out.value["errors"] == [{"index": 1, "error": "busy", "error_type": "RateLimited", "item": "b"}]
    assert (out.value["successful"], out.value["failed"]) == (2, 1)


async def test_when_all_items_fail_so_does_the_node(tmp_path):
    llm = ScriptedLlm([NodeError("busy", kind="RateLimited")] * 2)
    with pytest.raises(NodeError, match="all 2 items failed; the first: busy") as caught:
        await run(person_job, batch(), {"items": ["a", "b"]}, context(tmp_path, llm=llm))
    assert caught.value.kind == "RateLimited"


async def test_conversation_arrows_carry_what_all_items_said(tmp_path):
    arrow = Edge(0, "a", "n1", "default", "n2", "default", "default", "conversation_state")
    out = await run(person_job, batch(), {"items": ["a", "b"]}, context(tmp_path, outgoing=[arrow]))
    assert [it["content"] for it in out.conversation["messages"]][::2] == ["x a 0", "x b 1"]
    empty = await run(person_job, batch(), {"items": []}, context(tmp_path, outgoing=[arrow]))
    assert empty.conversation is None


async def test_an_item_that_is_refused_for_now_is_asked_again_without_the_others(tmp_path):
    llm = ScriptedLlm([RateLimited("busy", retry_after_s=0), "two", "one"])
    props = {"person": "Ada", "default_prompt": "x", "batch": True, "batch_parallel": False}
    ctx = context(tmp_path, llm=llm)
    out = await run(person_job, props, {"items": ["a", "b"]}, ctx)
    assert [it["output"] for it in out.value["results"]] == ["two", "one"] and len(llm.calls) == 3
    assert "asking again" in ctx.warnings[0]


async def test_an_exceeded_budget_ends_the_node_and_not_the_item(tmp_path):
    llm = ScriptedLlm(["one", BudgetExceeded("enough")])
    props = {"person": "Ada", "default_prompt": "x", "batch": True, "batch_parallel": False}
    with pytest.raises(BudgetExceeded):
        await run(person_job, props, {"items": ["a", "b"]}, context(tmp_path, llm=llm))
