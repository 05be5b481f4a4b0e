"""A model that answers by rule, offline and always the same. (decision 40)

The last user message decides, the first rule that fits wins:
    [[status 429]]   that HTTP error          [[reply some text]]  -> some text
    [[turn]]         -> turn N                [[count]]            -> messages N
    answer YES       -> YES                   a JSON schema        -> the smallest value that fits it
and else it is "echo: " + the message. N counts the person's own earlier answers + 1, or all messages sent.
Tokens are words. Asked to select memories, it keeps all.

Beside these, [[latency 500]] takes so many milliseconds, the words of a streamed answer evenly spread over them, and
[[break]] breaks off half way, as a lost connection does. A script comes before all of these (script.py).
"""

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from dipeo_executor.llm.call import Call, Scripted
from dipeo_executor.llm.errors import ServiceDown, status_error
from dipeo_executor.nodes.base import Reply, Usage

_STATUS = re.compile(r"\[\[status (\d{3})\]\]")
_REPLY = re.compile(r"\[\[reply (.*?)\]\]", re.DOTALL)
_LATENCY = re.compile(r"\[\[latency (\d{1,6})\]\]")
_YES = re.compile(r"\banswer yes\b", re.IGNORECASE)
_LISTED = re.compile(r"^\[([\w-]+)\]", re.MULTILINE)  # a candidate of the memory selector (selector.py)


async def answer(call: Call) -> Reply:
    """Raises ModelError where the prompt or the script asks for one."""
    person = call.person
    planned = call.scripted or _by_rule(call)
    if planned.status:
        await asyncio.sleep(planned.seconds)
        raise status_error(person, planned.status, "the mock was asked for this")
    await _say(planned, call)
    words = sum(len(message["content"].split()) for message in call.messages)
    return Reply(planned.text, Usage(input=words, output=len(planned.text.split())), person.model or "mock")


def _by_rule(call: Call) -> Scripted:
    asked = call.asked
    if call.purpose == "memory_selection":
        return Scripted(json.dumps({"message_ids": _LISTED.findall(asked)}))
    status, latency = _STATUS.search(asked), _LATENCY.search(asked)
    return Scripted(
        "" if status else _text(asked, call.messages, call.schema),
        int(status[1]) if status else 0,
        int(latency[1]) / 1000 if latency else 0.0,
        "[[break]]" in asked,
    )


async def _say(planned: Scripted, call: Call) -> None:
    pieces = re.findall(r"\s*\S+", planned.text) or [planned.text]
    for number, piece in enumerate(pieces):
        if planned.seconds:
            await asyncio.sleep(planned.seconds / len(pieces))
        if planned.breaks and 2 * number >= len(pieces):
            raise ServiceDown(f"{call.person.service} broke off for model {call.person.model}; try again")
        if call.on_text is not None:
            call.on_text(piece)


def _text(asked: str, messages: Sequence[Mapping[str, str]], schema: Mapping[str, Any] | None) -> str:
    text = by_rule(asked, messages)
    if text is not None:
        return text
    return f"echo: {asked}" if schema is None else json.dumps(smallest(schema, schema))


def by_rule(asked: str, messages: Sequence[Mapping[str, str]]) -> str | None:
    """What the prompt itself asks for, if anything."""
    if reply := _REPLY.search(asked):
        return reply[1]
    if "[[turn]]" in asked:
        return f"turn {1 + sum(message['role'] == 'assistant' for message in messages)}"
    if "[[count]]" in asked:
        return f"messages {len(messages)}"
    if _YES.search(asked):
        return "YES"
    return None


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
