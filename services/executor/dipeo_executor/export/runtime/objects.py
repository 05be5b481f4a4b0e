"""Answers that are JSON objects."""

import json
from collections.abc import Mapping
from typing import Any

from dipeo_executor.export.runtime.kinds import Inputs, Output, Person
from dipeo_executor.export.runtime.models import Turns, complete_object
from dipeo_executor.export.runtime.recalling import Recall
from dipeo_executor.export.runtime.running import NodeError, Run
from dipeo_executor.export.runtime.talking import answered, listening, unasked
from dipeo_executor.llm.mock import _resolve

KINDS: dict[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "number": (int, float),
    "integer": int,
    "boolean": bool,
    "null": type(None),
}


async def ask_for(
    run: Run, person: Person, schema: dict[str, Any], prompt: str, inputs: Inputs, recall: Recall | None = None
) -> Output:
    """The JSON object in the person's answer."""
    if not prompt:
        return unasked()
    arrived, kept, turns = await listening(run, person, prompt, inputs, recall)
    text = await complete_object(run, person, turns, schema)
    value, problem = object_in(text, schema)
    if value is None:
        value = await again(run, person, turns, text, schema, problem)
    output = answered(person, prompt, text, arrived, kept)
    output.value = value
    return output


async def again(
    run: Run, person: Person, turns: Turns, text: str, schema: dict[str, Any], problem: str
) -> dict[str, Any]:
    """Asked once more, when there was no object in the answer, or one of another shape."""
    words = f"{problem}. Answer with one JSON object only. It must fit: {json.dumps(schema)}"
    more = [*turns, {"role": "assistant", "content": text}, {"role": "user", "content": words}]
    second = await complete_object(run, person, [turn for turn in more if turn["content"]], schema)
    value, problem = object_in(second, schema)
    if value is None:
        said = f"model {person.model} was asked twice for a JSON object and answered: {second[:200]!r}"
        raise NodeError(f"{said} ({problem})")
    return value


def object_in(text: str, schema: dict[str, Any]) -> tuple[dict[str, Any] | None, str]:
    """(the object, ""), or (None, what is wrong with it)."""
    stripped = text.strip().removeprefix("```json").removeprefix("```").removesuffix("```")
    try:
        value = json.loads(stripped)
    except ValueError:
        return None, "it is not JSON"
    if not isinstance(value, dict):
        return None, "it is not a JSON object"
    problem = misfit(value, schema, schema)
    return (None, problem) if problem else (value, "")


def misfit(value: Any, schema: Any, root: Mapping[str, Any], at: str = "answer") -> str:
    """The first required key that is missing or type that is another; the rest of JSON Schema is not looked at."""
    if not isinstance(schema, Mapping):
        return ""
    if "$ref" in schema:
        return misfit(value, _resolve(str(schema["$ref"]), root), root, at)
    kind = schema.get("type", ())
    kinds = [kind] if isinstance(kind, str) else kind
    if kinds and not any(is_of(value, it) for it in kinds):
        return f"at {at}: it is not of type {' or '.join(kinds)}"
    if isinstance(value, list):
        found = (misfit(it, schema.get("items"), root, f"{at}[{number}]") for number, it in enumerate(value))
        return next(filter(None, found), "")
    if not isinstance(value, dict):
        return ""
    if missing := [key for key in schema.get("required", ()) if key not in value]:
        return f"at {at}: {missing[0]!r} is missing"
    known = schema.get("properties", {})
    found = (misfit(it, known.get(key), root, f"{at}[{key!r}]") for key, it in value.items())
    return next(filter(None, found), "")


def is_of(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    whole = kind == "integer" and isinstance(value, float) and value.is_integer()
    return whole or isinstance(value, KINDS.get(kind, object))
