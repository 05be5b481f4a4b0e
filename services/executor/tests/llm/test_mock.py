import json

import pytest
from fakes import ADA, Mock

from dipeo_executor.llm.call import Call
from dipeo_executor.llm.errors import KeyMissing, RateLimited, RequestRefused, ServiceDown
from dipeo_executor.llm.models import Models
from dipeo_executor.nodes.base import NodeError, Usage
from dipeo_executor.program import Person


def said(*contents):
    roles = ["system", *("user" if i % 2 == 0 else "assistant" for i in range(len(contents)))]
    return [{"role": role, "content": text} for role, text in zip(roles, ("You are Ada.", *contents), strict=True)]


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        (["The river is cold."], "echo: The river is cold."),
        (["x [[reply a poem of rain]] y"], "a poem of rain"),
        (["[[turn]]"], "turn 1"),
        (["[[turn]]", "turn 1", "Again [[turn]]"], "turn 2"),
        (["hello, [[count]]"], "messages 2"),
        (["Please answer YES."], "YES"),
    ],
)
async def test_the_last_user_message_decides(asked, answer):
    assert (await Mock().complete(ADA, said(*asked))).text == answer


async def test_tokens_are_words():
    reply = await Mock().complete(ADA, said("The river is cold."))
    assert reply.usage == Usage(input=7, output=5)
    assert reply.model == "m-1"


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "object", "properties": {"a": {"type": "integer"}, "b": {}}, "required": ["a"]}, {"a": 0}),
        ({"type": "array", "items": {"enum": ["x", "y"]}, "minItems": 2}, ["x", "x"]),
        ({"type": "array", "items": {"type": "string"}}, []),
        ({"type": ["string", "null"], "minLength": 2}, "xx"),
        ({"anyOf": [{"type": "boolean"}, {"type": "string"}]}, False),
        ({"$ref": "#/$defs/n", "$defs": {"n": {"type": "number", "minimum": 3}}}, 3),
        ({"properties": {}}, {}),
        ({"$ref": "#/$defs/loop", "$defs": {"loop": {"$ref": "#/$defs/loop"}}}, None),
    ],
)
async def test_a_schema_gets_the_smallest_value(schema, value):
    reply = await Mock().complete(ADA, said("anything"), schema=schema)
    assert json.loads(reply.text) == value


async def test_answer_yes_comes_before_the_schema():
    assert (await Mock().complete(ADA, said("answer YES"), schema={"type": "object"})).text == "YES"


@pytest.mark.parametrize(
    ("status", "error"), [(429, RateLimited), (500, ServiceDown), (401, KeyMissing), (404, RequestRefused)]
)
async def test_a_status_fails_as_that_status_of_a_service_does(status, error):
    with pytest.raises(error, match=f"mock answered {status} for model m-1") as caught:
        await Mock().complete(ADA, said(f"[[status {status}]]"))
    assert caught.value.retryable is (status in (429, 500))
    assert caught.value.kind == error.__name__


@pytest.mark.parametrize(
    ("service", "words"), [("claude-code", "not supported yet"), ("deepthought", "known are openai")]
)
async def test_a_service_that_is_not_there_is_named(service, words):
    with pytest.raises(NodeError, match=words) as caught:
        await Models({}).answer(Call(Person("P", "Pia", service, "m", "k"), said("hi")))
    assert "Pia" in str(caught.value)


async def test_a_streamed_answer_comes_in_words_that_make_the_whole():
    pieces: list[str] = []
    reply = await Mock().complete(ADA, said("[[reply a poem of  rain]] [[latency 4]]"), on_text=pieces.append)
    assert pieces == ["a", " poem", " of", "  rain"] and "".join(pieces) == reply.text


async def test_a_broken_stream_fails_half_way():
    pieces: list[str] = []
    with pytest.raises(ServiceDown, match="broke off"):
        await Mock().complete(ADA, said("[[reply one two three four]] [[break]]"), on_text=pieces.append)
    assert pieces == ["one", " two"]


async def test_asked_to_select_memories_it_keeps_all():
    asked = "MESSAGES:\n[a1] system: [[reply no]]\n[b2] Ada: yes\n"
    reply = await Mock().complete(ADA, said(asked), purpose="memory_selection")
    assert json.loads(reply.text) == {"message_ids": ["a1", "b2"]}
