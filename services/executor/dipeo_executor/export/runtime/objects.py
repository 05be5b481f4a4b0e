"""Answers that are JSON objects."""

import json
from typing import Any

from dipeo_executor.export.runtime.kinds import Inputs, Output, Person
from dipeo_executor.export.runtime.models import Turns, complete_object
from dipeo_executor.export.runtime.recalling import Recall
from dipeo_executor.export.runtime.running import NodeError, Run
from dipeo_executor.export.runtime.talking import answered, listening, unasked


async def ask_for(
    run: Run, person: Person, schema: dict[str, Any], prompt: str, inputs: Inputs, recall: Recall | None = None
) -> Output:
    """The JSON object in the person's answer."""
    if not prompt:
        return unasked()
    arrived, kept, turns = await listening(run, person, prompt, inputs, recall)
    text = await complete_object(run, person, turns, schema)
    value = object_in(text)
    if value is None:
        value = await again(run, person, turns, text, schema)
    output = answered(person, prompt, text, arrived, kept)
    output.value = value
    return output


async def again(run: Run, person: Person, turns: Turns, text: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Asked once more, when there was no object in the answer."""
    words = f"Answer with one JSON object only. It must fit: {json.dumps(schema)}"
    more = [*turns, {"role": "assistant", "content": text}, {"role": "user", "content": words}]
    second = await complete_object(run, person, [turn for turn in more if turn["content"]], schema)
    value = object_in(second)
    if value is None:
        raise NodeError(f"model {person.model} was asked twice for a JSON object and answered: {second[:200]!r}")
    return value


def object_in(text: str) -> dict[str, Any] | None:
    stripped = text.strip().removeprefix("```json").removeprefix("```").removesuffix("```")
    try:
        value = json.loads(stripped)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
