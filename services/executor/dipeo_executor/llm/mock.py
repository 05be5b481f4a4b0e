"""A model that answers by rule, offline and always the same. (decision 40)

The last user message decides, the first rule that fits wins:
    [[status 429]]   that HTTP error          [[reply some text]]  -> some text
    [[turn]]         -> turn N                [[count]]            -> messages N
    answer YES       -> YES                   a JSON schema        -> the smallest value that fits it
and else it is "echo: " + the message. N counts the person's own earlier answers + 1, or all messages sent.
Tokens are words.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from dipeo_executor.llm.errors import status_error
from dipeo_executor.nodes.base import Reply, Usage
from dipeo_executor.program import Person

_STATUS = re.compile(r"\[\[status (\d{3})\]\]")
_REPLY = re.compile(r"\[\[reply (.*?)\]\]", re.DOTALL)
_YES = re.compile(r"\banswer yes\b", re.IGNORECASE)


class Mock:
    """nodes.base.Llm without a network."""

    async def complete(
        self,
        person: Person,
        messages: Sequence[Mapping[str, str]],
        *,
        schema: Mapping[str, Any] | None = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
        purpose: str = "answer",
    ) -> Reply:
        asked = next((m["content"] for m in reversed(messages) if m["role"] == "user"), "")
        if failing := _STATUS.search(asked):
            raise status_error(person, int(failing[1]), "the prompt asked the mock for this")
        text = _answer(asked, messages, schema)
        words = sum(len(message["content"].split()) for message in messages)
        return Reply(text, Usage(input=words, output=len(text.split())), person.model or "mock")


def _answer(asked: str, messages: Sequence[Mapping[str, str]], schema: Mapping[str, Any] | None) -> str:
    if reply := _REPLY.search(asked):
        return reply[1]
    if "[[turn]]" in asked:
        return f"turn {1 + sum(message['role'] == 'assistant' for message in messages)}"
    if "[[count]]" in asked:
        return f"messages {len(messages)}"
    if _YES.search(asked):
        return "YES"
    return f"echo: {asked}" if schema is None else json.dumps(smallest(schema, schema))


def smallest(schema: Any, root: Mapping[str, Any], depth: int = 0) -> Any:
    """The smallest value that fits a JSON Schema, as far as type, enum, const, required, items and $ref go."""
    if not isinstance(schema, Mapping) or depth > 20:
        return None
    if "$ref" in schema:
        return smallest(_resolve(str(schema["$ref"]), root), root, depth + 1)
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    if schema.get("enum"):
        return schema["enum"][0]
    for key in ("anyOf", "oneOf", "allOf"):
        if schema.get(key):
            return smallest(schema[key][0], root, depth + 1)
    kind = schema.get("type", "object" if "properties" in schema else "null")
    if isinstance(kind, list):
        kind = kind[0]
    if kind == "object":
        properties = schema.get("properties", {})
        return {name: smallest(properties.get(name), root, depth + 1) for name in schema.get("required", ())}
    if kind == "array":
        return [smallest(schema.get("items"), root, depth + 1) for _ in range(schema.get("minItems", 0))]
    if kind in ("integer", "number"):
        return schema.get("minimum", 0)
    return {"string": "x" * schema.get("minLength", 0), "boolean": False}.get(str(kind))


def _resolve(ref: str, root: Mapping[str, Any]) -> Any:
    value: Any = root
    for part in ref.removeprefix("#/").split("/"):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
