"""An answer as text, or as a JSON object that fits a schema. (node contract 19.5)"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dipeo_executor.nodes.base import Context, ModelTool, NodeError, Reply, ToolOutput, Usage
from dipeo_executor.program import Person


class ReplyNotObject(NodeError):
    """The model was asked for a JSON object of a certain shape and answered something else, twice."""


class SchemaUnusable(NodeError):
    """The text is no JSON Schema."""


@dataclass(frozen=True, slots=True)
class Answer:
    text: str
    parsed: dict[str, Any] | None  # with a schema
    usage: Usage
    model: str
    tool_outputs: Sequence[ToolOutput] = ()


async def ask(
    person: Person,
    messages: list[dict[str, str]],
    schema: dict[str, Any] | None,
    ctx: Context,
    *,
    tools: Sequence[ModelTool] = (),
    streamed: bool = False,
) -> Answer:
    """With a schema, one more call repairs an answer that does not fit. Raises ReplyNotObject."""
    if schema is None:
        reply = await ctx.llm.complete(person, messages, tools=tools, on_text=ctx.say if streamed else None)
        _warn_of_cut(reply, ctx)
        return Answer(reply.text, None, reply.usage, reply.model, reply.tool_outputs)
    validator = validator_of(schema)
    reply = await ctx.llm.complete(person, messages, schema=schema, tools=tools)
    usage, outputs = reply.usage, reply.tool_outputs
    parsed, problem = _fitting(reply.text, validator)
    if parsed is None:
        ctx.log("warning", f"the answer does not fit ({problem}); asking once more")
        shape = json.dumps(schema)
        repair = [
            *messages,
            {"role": "assistant", "content": reply.text},
            {"role": "user", "content": f"{problem}. Answer with one JSON object only. It must fit: {shape}"},
        ]
        repair = [message for message in repair if message["content"]]
        reply = await ctx.llm.complete(person, repair, schema=schema, purpose="retry")
        parsed, problem = _fitting(reply.text, validator)
        usage += reply.usage
    if parsed is None:
        said = f"model {reply.model} was asked twice for a JSON object and answered: {reply.text[:200]!r}"
        raise ReplyNotObject(f"{said} ({problem})")
    return Answer(reply.text, parsed, usage, reply.model, outputs)


def validator_of(schema: Mapping[str, Any]) -> Any:
    """Raises SchemaUnusable."""
    import jsonschema_rs

    try:
        return jsonschema_rs.validator_for(dict(schema))
    except (jsonschema_rs.ValidationError, ValueError) as error:
        raise SchemaUnusable(f"not a JSON Schema: {str(error).splitlines()[0]}") from error


def _fitting(text: str, validator: Any) -> tuple[dict[str, Any] | None, str]:
    """(the object, ""), or (None, what is wrong with it)."""
    fenced = re.fullmatch(r"\s*```(?:json)?\s*\n(.*)\n\s*```\s*", text, re.DOTALL)
    try:
        value = json.loads(fenced[1] if fenced else text)
    except ValueError:
        return None, "it is not JSON"
    if not isinstance(value, dict):
        return None, "it is not a JSON object"
    wrong = next(validator.iter_errors(value), None)
    if wrong is not None:
        place = "".join(f"[{it!r}]" if isinstance(it, str) else f"[{it}]" for it in wrong.instance_path)
        return None, f"at answer{place}: {wrong.message}"
    return value, ""


def _warn_of_cut(reply: Reply, ctx: Context) -> None:
    if reply.cut:
        ctx.log("warning", f"the answer of {reply.model} is cut off at the model's limit")
