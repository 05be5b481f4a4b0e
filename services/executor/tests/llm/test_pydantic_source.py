"""Pydantic source read as a JSON Schema; where pydantic itself is the judge, both must accept the same values."""

import json

import jsonschema_rs
import pydantic
import pytest

from dipeo_executor.llm.formats import schema_of
from dipeo_executor.llm.pydantic_source import SourceUnusable
from dipeo_executor.llm.pydantic_source import schema_of as of_source
from dipeo_executor.llm.structured import SchemaUnusable

REVIEW = '''
from __future__ import annotations
from enum import Enum
from typing import Annotated, Literal, Optional, Union
from pydantic import BaseModel, Field, field_validator

class Mood(str, Enum):
    GOOD = "good"
    BAD = "bad"

class Point(BaseModel):
    """One remark."""
    text: str = Field(min_length=1, description="what is meant")
    weight: int = Field(default=1, ge=0, le=10)

class Base(BaseModel):
    id: int

class ReviewResponse(Base):
    mood: Mood
    kind: Literal["short", "long"] = "short"
    points: list[Point] = Field(..., min_length=1)
    note: Optional[str] = None
    score: Union[int, float, None] = None
    tags: dict[str, int] = {}
    pair: tuple[int, str] = (1, "a")
    limited: Annotated[str, Field(max_length=3)] = "abc"
    parent: "ReviewResponse | None" = None
    _hidden: int = 3

    @field_validator("note")
    def check(cls, value):
        return value

class Helper(BaseModel):
    x: int
'''
GOOD = {"id": 1, "mood": "good", "points": [{"text": "a"}]}


def test_the_first_class_named_response_is_meant_else_the_last():
    assert schema_of(REVIEW)["$ref"] == "#/$defs/ReviewResponse"
    last = of_source("class A(BaseModel):\n    x: int\nclass B(BaseModel):\n    y: A\n")
    assert last["title"] == "B" and last["$defs"].keys() == {"A"}


@pytest.mark.parametrize(
    "value",
    [
        GOOD,
        GOOD | {"note": None, "score": 1.5, "tags": {"a": 1}, "pair": [2, "b"]},
        GOOD | {"parent": GOOD},
        GOOD | {"mood": "odd"},
        GOOD | {"points": []},
        GOOD | {"points": [{"text": ""}]},
        GOOD | {"points": [{"text": "a", "weight": 11}]},
        GOOD | {"kind": "medium"},
        GOOD | {"limited": "abcd"},
        GOOD | {"tags": {"a": "x"}},
        GOOD | {"pair": [1]},
        GOOD | {"parent": {"id": 1}},
        {"mood": "good", "points": [{"text": "a"}]},
        GOOD | {"id": "one"},
    ],
)
def test_what_pydantic_takes_the_schema_takes_and_no_more(value):
    scope: dict[str, object] = {"__name__": "review"}
    exec(compile(REVIEW, "review", "exec", dont_inherit=True), scope)  # the test runs it, the product never does
    model = scope["ReviewResponse"]
    model.model_rebuild(_types_namespace=scope)
    try:
        model.model_validate_json(json.dumps(value))
        taken = True
    except pydantic.ValidationError:
        taken = False
    assert jsonschema_rs.validator_for(schema_of(REVIEW)).is_valid(value) is taken


def test_docstrings_and_descriptions_tell_the_model_what_is_meant():
    point = schema_of(REVIEW)["$defs"]["Point"]
    assert point["description"] == "One remark." and point["properties"]["text"]["description"] == "what is meant"
    assert point["required"] == ["text"] and "_hidden" not in str(schema_of(REVIEW))


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("class A(BaseModel):\n    x: Tree", "line 2: Tree is not a type"),
        ("class A(BaseModel):\n    x: int = compute()", "line 2: compute"),
        ("class A(BaseModel):\n  x: int\n y: int", "line 3"),
        ("x = 1", "no class that derives from BaseModel"),
        ("class Tree:\n    pass\nclass A(BaseModel):\n    x: Tree", "line 1: class Tree is neither"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(source, words):
    with pytest.raises(SourceUnusable, match=words):
        of_source(source)
    with pytest.raises(SchemaUnusable, match=words):
        schema_of(source)


def test_nothing_in_the_source_is_ever_run(tmp_path):
    mark = tmp_path / "ran"
    schema_of(f"open({str(mark)!r}, 'w')\nclass A(BaseModel):\n    x: int\n    print('hello')")
    assert not mark.exists()


def test_a_schema_comes_as_a_map_or_as_text_and_must_be_one():
    wanted = {"type": "object", "properties": {"a": {"type": "integer"}}}
    assert schema_of(wanted) == schema_of(json.dumps(wanted)) == wanted
    assert schema_of("") is schema_of("  ") is None
    for wrong in ({"type": "objekt"}, "[1]", '{"type": 5}'):
        with pytest.raises(SchemaUnusable):
            schema_of(wrong)
