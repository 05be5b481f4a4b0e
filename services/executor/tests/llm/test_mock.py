import json

import pytest
from fakes import ADA

from dipeo_executor.llm.errors import KeyMissing, RateLimited, RequestRefused, ServiceDown
from dipeo_executor.llm.mock import Mock
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


async def test_the_mock_answers_for_everybody_when_asked_to():
    someone = Person("P", "P", "anthropic", "claude", "k")
    assert (await Models(True, {}).complete(someone, said("hi"))).text == "echo: hi"
    assert (await Models(False, {}).complete(ADA, said("hi"))).text == "echo: hi"


@pytest.mark.parametrize(
    ("service", "words"), [("anthropic", "not supported yet"), ("deepthought", "known are openai")]
)
async def test_a_service_that_is_not_there_is_named(service, words):
    with pytest.raises(NodeError, match=words) as caught:
        await Models(False, {}).complete(Person("P", "Pia", service, "m", "k"), said("hi"))
    assert "Pia" in str(caught.value)
