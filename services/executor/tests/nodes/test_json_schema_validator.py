"""json_schema_validator. (node contract 14)"""

import json

import pytest
from fakes import context, run

from dipeo_executor.nodes import json_schema_validator
from dipeo_executor.nodes.base import NodeError

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}


async def check(tmp_path, inputs, **props):
    return await run(json_schema_validator, {"json_schema": SCHEMA, **props}, inputs, context(tmp_path))


async def refused(tmp_path, inputs, **props):
    with pytest.raises(NodeError) as caught:
        await check(tmp_path, inputs, **props)
    return caught.value


async def test_jsv_1_data_that_fits_passes_through(tmp_path):
    out = await check(tmp_path, {"default": {"a": 1, "name": "b"}})
    assert out.value == {"a": 1, "name": "b"}
    assert out.meta == {
        "message": "the data fits the schema",
        "strict_mode": False,
        "schema_path": None,
        "data_path": None,
    }


async def test_jsv_2_data_that_does_not_fit_fails_the_node(tmp_path):
    error = await refused(tmp_path, {"default": {"a": "x"}})
    assert str(error) == 'Validation failed: a: "x" is not of type "integer"'
    assert json.loads(error.details) == {"errors": [{"path": "a", "message": '"x" is not of type "integer"'}]}


async def test_jsv_3_error_on_extra_names_what_is_too_much_and_leaves_the_schema_alone(tmp_path):
    before = json.dumps(SCHEMA)
    error = await refused(tmp_path, {"default": {"a": 1, "name": "b"}}, error_on_extra=True)
    assert str(error).startswith("Validation failed: root: ") and "'name'" in str(error)
    assert json.dumps(SCHEMA) == before


async def test_jsv_4_text_that_is_json_is_read(tmp_path):
    out = await check(tmp_path, {"default": " [1]"}, json_schema={"type": "array"})
    assert out.value == {"default": [1]}
    with pytest.raises(NodeError, match="the text to validate is not JSON"):
        await check(tmp_path, {"default": "[1"})
    assert (await check(tmp_path, {"x": "word"}, json_schema={"type": "string"})).value == {"default": "word"}


async def test_strict_mode_lists_all_problems_in_order_of_their_paths(tmp_path):
    schema = {
        "required": ["z"],
        "properties": {"l": {"items": {"type": "integer"}}, "m": {"additionalProperties": {"type": "integer"}}},
    }
    data = {"l": [0, *"abcdefghi", "k"], "m": {"x": "y"}}
    error = await refused(tmp_path, {"default": data}, json_schema=schema, strict=True)
    first, *others = str(error).removeprefix("Validation failed: ").split("; ")
    assert first == '"z" is a required property'
    assert [it.split(":")[0] for it in others] == [*(f"l.{index}" for index in range(1, 11)), "m.x"]


async def test_extra_properties_are_found_in_every_schema_below(tmp_path):
    inner = {"type": "object", "properties": {"a": {}}}
    for schema, data in [
        ({"items": inner}, [{"b": 1}]),
        ({"properties": {"p": inner}}, {"p": {"b": 1}}),
        ({"$ref": "#/$defs/d", "$defs": {"d": inner}}, {"b": 1}),
        ({"anyOf": [{"type": "null"}, inner]}, {"b": 1}),
        ({"type": ["object", "null"], "patternProperties": {"^p": inner}}, {"p1": {"b": 1}}),
    ]:
        assert await check(tmp_path, {"default": data}, json_schema=schema)
        await refused(tmp_path, {"default": data}, json_schema=schema, error_on_extra=True)


async def test_schema_and_data_come_from_files(tmp_path):
    (tmp_path / "s.json").write_text(json.dumps(SCHEMA))
    (tmp_path / "d.json").write_text('{"a": 5}')
    props = {"schema_path": "s.json", "data_path": "d.json"}
    out = await run(json_schema_validator, props, {}, context(tmp_path))
    assert out.value == {"a": 5} and (out.meta["schema_path"], out.meta["data_path"]) == ("s.json", "d.json")


async def test_several_inputs_are_a_map_of_them(tmp_path):
    assert (await check(tmp_path, {"a": 1, "b": "{}"})).value == {"a": 1, "b": "{}"}


@pytest.mark.parametrize(
    ("props", "inputs", "says"),
    [
        ({"json_schema": None}, {"a": 1}, "give json_schema or schema_path"),
        ({}, {}, "nothing to validate"),
        ({"json_schema": {"type": "nope"}}, {"a": 1}, "not a JSON Schema"),
        ({"json_schema": {"type": 5}, "error_on_extra": True}, {"a": 1}, "not a JSON Schema"),
        ({"json_schema": {"$ref": "http://127.0.0.1:9/s.json"}}, {"a": 1}, "127.0.0.1:9"),
        ({"json_schema": {"$ref": "file:///etc/passwd"}}, {"a": 1}, "Retrieval is disabled"),
        ({"data_path": "none.json"}, {}, 'there is no file "none.json"'),
    ],
)
async def test_what_cannot_be_checked_is_said(tmp_path, props, inputs, says):
    assert says in str(await refused(tmp_path, inputs, **props))


async def test_the_draft_is_the_one_the_schema_names(tmp_path):
    old = {"$schema": "http://json-schema.org/draft-04/schema#", "minimum": 3, "exclusiveMinimum": True}
    assert "3" in str(await refused(tmp_path, {"default": 3}, json_schema=old))


async def test_exact_numbers_and_long_values(tmp_path):
    assert (await check(tmp_path, {"default": {"a": 10**30}})).value == {"a": 10**30}
    error = await refused(tmp_path, {"default": {"a": "x" * 10_000}})
    assert len(str(error)) < 1000
