import json

import pytest
from fakes import ADA, ScriptedLlm, context, run

from dipeo_executor.llm.conversation import as_json
from dipeo_executor.nodes import person_job
from dipeo_executor.nodes.base import Message, NodeError, Usage
from dipeo_executor.program import Edge


def message(number, from_id, to_id, content):
    return Message(f"m{number}", from_id, to_id, content)


TALK = (
    message(1, "system", "Ada", "ask ada"),
    message(2, "Ada", "system", "ada says"),
    message(3, "system", "Ben", "ask ben"),
    message(4, "Ben", "system", "ben says"),
)
CONVERSATION_ARROW = Edge(0, "a", "n1", "default", "n2", "default", "default", "conversation_state")


def ask(**more):
    return {"person": "Ada", "default_prompt": "Go on", **more}


def sent(llm, call=0):
    return [(m["role"], m["content"]) for m in llm.calls[call]["messages"]]


async def test_pj_1_system_prompt_and_filled_prompt_go_to_the_model(tmp_path):
    llm = ScriptedLlm()
    props = {"person": "Ada", "default_prompt": "Hi {{topic}}"}
    out = await run(person_job, props, {"default": {"topic": "cats"}}, context(tmp_path, llm=llm))
    assert sent(llm) == [("system", "You are Ada."), ("user", "Hi cats")]
    assert out.value == "ECHO:Hi cats"
    assert out.meta["model"] == out.model == ADA.model
    assert out.meta["llm_usage"] == {"input": 3, "output": 2, "cached": 1, "total": 5}
    assert out.usage == Usage(3, 2, 1)
    assert out.meta["preview"] == "ECHO:Hi cats" and out.meta["is_structured"] is False
    assert out.meta["memory_selection"] is None and out.conversation is None
    prompt, reply = out.messages
    assert (prompt.from_id, prompt.to_id, prompt.content) == ("system", "Ada", "Hi cats")
    assert (reply.from_id, reply.to_id, reply.content, reply.token_count) == ("Ada", "system", "ECHO:Hi cats", 5)


async def test_message_ids_are_the_same_over_attempts_and_differ_between_runs(tmp_path):
    async def ids(**given):
        out = await run(person_job, ask(), {}, context(tmp_path, **given))
        return [each.id for each in out.messages]

    assert await ids() == await ids(attempt=2)
    assert not set(await ids()) & set(await ids(idempotency_key="key-1"))
    assert len(set(await ids())) == 2


async def test_pj_2_the_first_prompt_is_for_the_first_run(tmp_path):
    props = {"person": "Ada", "first_only_prompt": "F", "default_prompt": "D {{default}}"}
    first = await run(person_job, props, {}, context(tmp_path, llm=ScriptedLlm()))
    second = await run(
        person_job, props, {"default": "before"}, context(tmp_path, llm=ScriptedLlm(), first_run=False, iteration=1)
    )
    assert (first.value, second.value) == ("ECHO:F", "ECHO:D before")


async def test_pj_3_and_case_36_roles_are_relative_to_the_person(tmp_path):
    llm = ScriptedLlm()
    await run(person_job, ask(), {}, context(tmp_path, llm=llm, history=TALK))
    assert sent(llm) == [
        ("system", "You are Ada."),
        ("user", "ask ada"),
        ("assistant", "ada says"),
        ("user", "ask ben"),
        ("user", "ben says"),
        ("user", "Go on"),
    ]


async def test_pj_4_and_case_37_goldfish_remembers_nothing(tmp_path):
    llm = ScriptedLlm()
    out = await run(person_job, ask(memorize_to="goldfish"), {}, context(tmp_path, llm=llm, history=TALK[:2]))
    assert sent(llm) == [("system", "You are Ada."), ("user", "Go on")]
    expected = {"selected_count": 0, "total_messages": 4, "criteria": "goldfish", "at_most": None}
    assert out.meta["memory_selection"] == expected


async def test_pj_5_the_first_prompt_alone_is_used_for_every_run(tmp_path):
    props = {"person": "Ada", "first_only_prompt": "F"}
    for first_run in (True, False):
        out = await run(person_job, props, {}, context(tmp_path, llm=ScriptedLlm(), first_run=first_run))
        assert out.value == "ECHO:F"


SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}


@pytest.mark.parametrize("text_format", [SCHEMA, json.dumps(SCHEMA)])
async def test_pj_6_text_format_is_a_schema_and_the_value_an_object(tmp_path, text_format):
    llm = ScriptedLlm(['{"a":1}'])
    out = await run(person_job, ask(text_format=text_format), {}, context(tmp_path, llm=llm))
    assert out.value == {"a": 1} and out.meta["is_structured"] is True
    assert llm.calls[0]["schema"] == SCHEMA


async def test_text_format_may_come_from_a_file(tmp_path):
    (tmp_path / "s.json").write_text(json.dumps(SCHEMA))
    out = await run(person_job, ask(text_format_file="s.json"), {}, context(tmp_path))
    assert out.value == {"a": 0}


async def test_case_46_an_answer_that_is_no_object_is_asked_for_once_more_then_an_error(tmp_path):
    llm = ScriptedLlm(["hello", '```json\n{"a": 2}\n```'])
    out = await run(person_job, ask(text_format=SCHEMA), {}, context(tmp_path, llm=llm))
    assert out.value == {"a": 2}
    assert out.usage == Usage(6, 4, 2)
    assert [call["purpose"] for call in llm.calls[1:]] == ["retry"]
    with pytest.raises(NodeError, match="'hello'"):
        await run(person_job, ask(text_format=SCHEMA), {}, context(tmp_path, llm=ScriptedLlm(["[1]", "hello"])))


async def test_pydantic_source_as_text_format_is_read_and_sent_as_its_schema(tmp_path):
    llm = ScriptedLlm(['{"word": "tea"}'])
    source = "class Answer(BaseModel):\n    word: str"
    out = await run(person_job, ask(text_format=source), {}, context(tmp_path, llm=llm))
    assert out.value == {"word": "tea"}
    assert llm.calls[0]["schema"]["properties"] == {"word": {"type": "string"}}


async def test_other_source_as_text_format_is_refused_without_asking(tmp_path):
    llm = ScriptedLlm()
    with pytest.raises(NodeError, match="text_format: it must be a JSON Schema"):
        await run(person_job, ask(text_format="import os; os.system('x')"), {}, context(tmp_path, llm=llm))
    assert llm.calls == []


async def test_an_answer_that_does_not_fit_the_schema_is_asked_for_again_once(tmp_path):
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    llm = ScriptedLlm(['{"n": "three"}', '{"n": 3}'])
    out = await run(person_job, ask(text_format=schema), {}, context(tmp_path, llm=llm))
    assert out.value == {"n": 3} and out.usage == Usage(6, 4, 2)
    assert "answer['n']" in llm.calls[1]["messages"][-1]["content"] and llm.calls[1]["purpose"] == "retry"
    with pytest.raises(NodeError, match="asked twice"):
        refused = ScriptedLlm(['{"n": "three"}', '{"m": 3}'])
        await run(person_job, ask(text_format=schema), {}, context(tmp_path, llm=refused))


async def test_pj_7_a_failing_model_fails_the_node(tmp_path):
    with pytest.raises(NodeError, match="boom"):
        await run(person_job, ask(), {}, context(tmp_path, llm=ScriptedLlm([NodeError("boom")])))


async def test_pj_8_the_captured_file_beats_the_inline_prompt(tmp_path):
    props = ask(resolved_prompt="from {{x}}", resolved_first_prompt="first")
    ctx = context(tmp_path, llm=ScriptedLlm(), variables={"x": "file"}, first_run=False)
    assert (await run(person_job, props, {}, ctx)).value == "ECHO:from file"
    assert (await run(person_job, props, {}, context(tmp_path, llm=ScriptedLlm()))).value == "ECHO:first"


@pytest.mark.parametrize(("props", "words"), [({"person": "Ada"}, "no prompt"), (ask(person="Zoe"), "Ada, Ben")])
async def test_nothing_to_ask_or_nobody_to_answer_is_an_error(tmp_path, props, words):
    with pytest.raises(NodeError, match=words):
        await run(person_job, props, {}, context(tmp_path))


async def test_a_prompt_that_turns_out_empty_is_skipped_without_a_call(tmp_path):
    llm = ScriptedLlm()
    out = await run(person_job, ask(default_prompt="{{#if no}}x{{/if}}"), {}, context(tmp_path, llm=llm))
    assert (out.value, out.meta["skipped"], out.messages, llm.calls) == ("", True, (), [])


async def test_case_38_at_most_and_ignore_person_work_without_memorize_to(tmp_path):
    # decision 8: at_most always truncates; what Ben said and was told goes first
    llm = ScriptedLlm()
    await run(person_job, ask(at_most=1, ignore_person="Ben"), {}, context(tmp_path, llm=llm, history=TALK))
    assert sent(llm)[1:] == [("assistant", "ada says"), ("user", "Go on")]


async def test_a_criterion_in_words_is_judged_by_the_persons_own_model(tmp_path):
    llm = ScriptedLlm(['{"message_ids": ["m4", "m1", "m2"]}', "fine"])
    ctx = context(tmp_path, llm=llm, history=TALK)
    out = await run(person_job, ask(memorize_to="what matters", at_most=2), {}, ctx)
    asked = llm.calls[0]
    assert (asked["purpose"], asked["temperature"]) == ("memory_selection", 0)
    assert "[m1] system: ask ada" in asked["messages"][0]["content"] and "Go on" in asked["messages"][0]["content"]
    assert sent(llm, 1)[1:] == [("assistant", "ada says"), ("user", "ben says"), ("user", "Go on")]
    assert out.usage == Usage(6, 4, 2), "the selection counts"
    assert out.meta["memory_selection"]["selected_count"] == 2


async def test_without_candidates_no_model_is_asked_to_select(tmp_path):
    llm = ScriptedLlm()
    await run(person_job, ask(memorize_to="what matters"), {}, context(tmp_path, llm=llm))
    assert len(llm.calls) == 1


async def test_the_answer_is_told_as_it_comes_and_a_structured_one_is_not(tmp_path):
    ctx = context(tmp_path)
    out = await run(person_job, ask(), {}, ctx)
    assert "".join(ctx.said) == out.value
    quiet = context(tmp_path)
    await run(person_job, ask(text_format={"type": "object"}), {}, quiet)
    assert quiet.said == []


async def test_tools_go_to_the_model_under_one_name_each(tmp_path):
    llm = ScriptedLlm()
    await run(person_job, ask(tools="websearch, image"), {}, context(tmp_path, llm=llm))
    assert [tool.type for tool in llm.calls[0]["tools"]] == ["web_search", "image_generation"]


async def test_case_54_the_input_beats_the_variable(tmp_path):
    ctx = context(tmp_path, llm=ScriptedLlm(), variables={"topic": "g"})
    out = await run(person_job, ask(default_prompt="{{topic}}"), {"default": {"topic": "i"}}, ctx)
    assert out.value == "ECHO:i"


async def test_case_45_first_and_default_are_both_spread(tmp_path):
    props = {"person": "Ada", "first_only_prompt": "F {{topic}} {{default}}"}
    out = await run(person_job, props, {"first": {"topic": "T"}, "default": "B"}, context(tmp_path, llm=ScriptedLlm()))
    assert out.value == "ECHO:F T B"


async def test_unfilled_names_stay_in_the_prompt_and_are_warned_about(tmp_path):
    ctx = context(tmp_path, llm=ScriptedLlm())
    assert (await run(person_job, ask(default_prompt="{{who}}"), {}, ctx)).value == "ECHO:{{who}}"
    assert "who" in ctx.warnings[0]


async def test_case_42_messages_that_arrive_and_are_known_are_not_repeated(tmp_path):
    llm = ScriptedLlm()
    told = {"a": {"messages": [as_json(m) for m in TALK[:2]], "person_id": "Ada"}}
    props = ask(person="Ben", default_prompt="He said: {{a_last_message}}")
    out = await run(person_job, props, told, context(tmp_path, llm=llm, history=TALK[:2]))
    assert sent(llm)[1:] == [("user", "ask ada"), ("user", "ada says"), ("user", "He said: ada says")]
    assert len(out.messages) == 2


async def test_chat_style_messages_become_part_of_the_conversation(tmp_path):
    llm = ScriptedLlm()
    chat = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "hi"}, {"role": "user"}]
    chat += [
        {"role": "user", "content": "[Previous conversation]\nhello"}
    ]  # the original's own mark: it is here already
    out = await run(person_job, ask(), {"default": {"messages": chat}}, context(tmp_path, llm=llm))
    assert sent(llm)[1:] == [("user", "hello"), ("assistant", "hi"), ("user", "Go on")]
    assert [(m.from_id, m.to_id) for m in out.messages[:2]] == [("system", "Ada"), ("Ada", "system")]
    again = await run(
        person_job, ask(), {"default": {"messages": chat}}, context(tmp_path, history=tuple(out.messages))
    )
    assert len(again.messages) == 2


async def test_cases_43_and_44_the_conversation_is_a_payload_beside_the_text(tmp_path):
    ctx = context(tmp_path, llm=ScriptedLlm(["reply"]), history=TALK, outgoing=[CONVERSATION_ARROW])
    out = await run(person_job, ask(memorize_to="GOLDFISH"), {}, ctx)
    assert out.value == "reply"
    assert [m["content"] for m in out.conversation["messages"]] == ["Go on", "reply"]
    assert out.conversation["last_message"] == as_json(out.messages[-1])
    assert (out.conversation["person_id"], out.conversation["model"]) == ("Ada", "m-1")
