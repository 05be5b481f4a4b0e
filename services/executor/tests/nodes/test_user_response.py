import pytest
from fakes import context, run

from dipeo_executor.nodes import user_response
from dipeo_executor.nodes.base import Answer, NodeError


async def test_ur_1_the_answer_is_the_value(tmp_path):
    ctx = context(tmp_path, answer=Answer("Bob", "answered"))
    out = await run(user_response, {"prompt": "Who?"}, {}, ctx)
    assert (out.value, out.meta) == ("Bob", {"user_response": "Bob"})
    assert ctx.asked == [("Who?", "", None)]


async def test_ur_2_nobody_to_ask_gives_nothing_and_a_warning(tmp_path):
    out = await run(user_response, {"prompt": "Who?"}, {}, context(tmp_path))
    assert out.value == ""
    assert "nobody can be asked" in out.meta["warning"]


@pytest.mark.parametrize(
    ("inputs", "shown"),
    [
        ({"default": "ctx"}, "ctx"),
        ({"default": ""}, ""),
        ({"default": {"default": {}}}, ""),
        ({"default": {"a": 1}}, '{\n  "a": 1\n}'),
        ({"a": "x"}, '{\n  "a": "x"\n}'),
        ({}, ""),
    ],
)
async def test_ur_3_the_input_is_shown_as_context(tmp_path, inputs, shown):
    ctx = context(tmp_path)
    await run(user_response, {"prompt": "Q?"}, inputs, ctx)
    await run(user_response, {"prompt": "Q?", "show_context": False}, inputs, ctx)
    assert ctx.asked == [("Q?", shown, None), ("Q?", "", None)]


async def test_ur_4_only_a_timeout_of_the_node_ends_the_wait(tmp_path):
    ctx = context(tmp_path, answer=Answer("", "expired"))
    out = await run(user_response, {"timeout": 1}, {}, ctx)
    assert (out.value, out.meta) == ("", {"timed_out": True})
    await run(user_response, {"timeout": 0}, {}, ctx)
    assert [timeout for _, _, timeout in ctx.asked] == [1, None]


async def test_a_required_answer_that_does_not_come_is_an_error(tmp_path):
    with pytest.raises(NodeError, match="within 1 seconds"):
        await run(user_response, {"required": True, "timeout": 1}, {}, context(tmp_path, answer=Answer("", "expired")))
    with pytest.raises(NodeError, match="nobody can be asked"):
        await run(user_response, {"required": True}, {}, context(tmp_path))


async def test_the_prompt_is_filled_in(tmp_path):
    ctx = context(tmp_path, variables={"who": "Bob"})
    await run(user_response, {"prompt": "Is {{who}} {{age}}?"}, {"default": {"age": 5}}, ctx)
    assert ctx.asked[0][0] == "Is Bob 5?"


async def test_a_choice_and_a_secret_are_said_with_the_question(tmp_path):
    ctx = context(tmp_path, answer=Answer("tea", "answered"))
    out = await run(user_response, {"prompt": "Which?", "options": ["tea", "coffee"]}, {}, ctx)
    await run(user_response, {"prompt": "Key?", "sensitive": True}, {}, ctx)
    assert out.value == "tea"
    assert [(list(it.options), it.sensitive) for it in ctx.questions] == [(["tea", "coffee"], False), ([], True)]


async def test_an_answer_given_beforehand_has_to_be_one_of_the_options(tmp_path):
    props = {"prompt": "Which?", "options": ["tea", "coffee"]}
    with pytest.raises(NodeError, match="tea, coffee"):
        await run(user_response, props, {}, context(tmp_path, answer=Answer("milk", "answered")))
    assert (await run(user_response, props, {}, context(tmp_path, answer=Answer("", "answered")))).value == ""
