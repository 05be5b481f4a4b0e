"""An answer as text, or as a JSON object that a schema asks for. (node contract 19.5)"""

import json
import re
from dataclasses import dataclass
from typing import Any

from dipeo_executor.nodes.base import Context, NodeError, Usage
from dipeo_executor.program import Person


class ReplyNotObject(NodeError):
    """The model was asked for a JSON object and answered something else, twice."""


@dataclass(frozen=True, slots=True)
class Answer:
    text: str
    parsed: dict[str, Any] | None  # with a schema
    usage: Usage
    model: str


async def ask(person: Person, messages: list[dict[str, str]], schema: dict[str, Any] | None, ctx: Context) -> Answer:
    """With a schema, one more call repairs an answer that is no object. Raises ReplyNotObject."""
    reply = await ctx.llm.complete(person, messages, schema=schema)
    if schema is None:
        return Answer(reply.text, None, reply.usage, reply.model)
    parsed, usage = _object(reply.text), reply.usage
    if parsed is None:
        ctx.log("warning", "the answer is not a JSON object; asking once more")
        repair = [
            *messages,
            {"role": "assistant", "content": reply.text},
            {"role": "user", "content": f"Answer with one JSON object only. It must fit: {json.dumps(schema)}"},
        ]
        repair = [message for message in repair if message["content"]]
        reply = await ctx.llm.complete(person, repair, schema=schema, purpose="retry")
        parsed, usage = _object(reply.text), usage + reply.usage
    if parsed is None:
        raise ReplyNotObject(
            f"model {reply.model} was asked twice for a JSON object and answered: {reply.text[:200]!r}"
        )
    return Answer(reply.text, parsed, usage, reply.model)


def _object(text: str) -> dict[str, Any] | None:
    fenced = re.fullmatch(r"\s*```(?:json)?\s*\n(.*)\n\s*```\s*", text, re.DOTALL)
    try:
        value = json.loads(fenced[1] if fenced else text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
