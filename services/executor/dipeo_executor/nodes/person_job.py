"""person_job: asks a person (a model with a system prompt) and remembers the exchange. (node contract 6)"""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, field_validator

from dipeo_executor import templates
from dipeo_executor.llm import conversation, memory, persons, structured
from dipeo_executor.nodes import base, person_batch
from dipeo_executor.program import Edge, Person

TOOL_WORDS = {"image": "image_generation", "websearch": "web_search_preview"}


class Tool(BaseModel):
    model_config = ConfigDict(frozen=True)

    type: Literal["web_search", "web_search_preview", "image_generation"]
    enabled: bool = True
    config: dict[str, Any] | None = None


class Props(base.Props):
    person: str = Field(min_length=1)
    default_prompt: str = Field(default="", validation_alias=AliasChoices("default_prompt", "defaultPrompt", "prompt"))
    first_only_prompt: str = ""
    prompt_file: str = ""
    first_prompt_file: str = ""
    resolved_prompt: str = ""  # the texts of the two files, captured when the diagram is loaded
    resolved_first_prompt: str = ""
    max_iteration: int = Field(default=100, ge=1)
    memorize_to: str = ""
    at_most: int | None = None
    ignore_person: str = ""
    tools: list[Tool] = Field(default_factory=list)
    text_format: str | dict[str, Any] = ""
    text_format_file: str = ""
    batch: bool = False
    batch_input_key: str = "items"
    batch_parallel: bool = True
    max_concurrent: int = Field(default=10, ge=1)

    @field_validator("tools", mode="before")
    @classmethod
    def _tool_words(cls, value: Any) -> Any:
        """Accept "websearch", "image, websearch", "none" and lists of words or maps."""
        entries = re.split(r"[,\s]+", value.strip()) if isinstance(value, str) else value
        if not isinstance(entries, list):
            return entries
        maps: list[Any] = [{"type": entry} if isinstance(entry, str) else entry for entry in entries]
        return [
            _known_tool(entry) for entry in maps if not (isinstance(entry, dict) and entry.get("type") in ("none", ""))
        ]


def _known_tool(entry: Any) -> Any:
    if not isinstance(entry, dict):
        return entry
    word = str(entry.get("type"))
    return {**entry, "type": TOOL_WORDS.get(word, word)}


class PromptMissing(base.NodeError):
    """There is nothing to ask."""


class FormatUnusable(base.NodeError):
    """text_format is not a JSON Schema."""


async def run(props: Props, inputs: base.Inputs, ctx: base.Context) -> base.Output:
    """The value is the answer's text, or with text_format the JSON object in it; of a batch, all of them."""
    if any(tool.enabled for tool in props.tools):
        ctx.log("warning", "tools are not sent to the model yet; it answers without them")
    person = persons.find(ctx.persons, props.person)
    if not props.batch:
        return await _answer(props, person, inputs, "", ctx)

    async def one(given: base.Inputs, name: str) -> base.Output:
        return await _answer(props, person, given, name, ctx)

    at_once = props.max_concurrent if props.batch_parallel else 1
    out = await person_batch.run(inputs, props.batch_input_key, at_once, one, ctx)
    return replace(
        out,
        conversation=_payload(person, [*ctx.history, *out.messages], ctx.outgoing),
        meta={
            "person_id": person.id,
            "batch_mode": True,
            "batch_parallel": props.batch_parallel,
            "llm_usage": _usage_meta(out.usage or base.Usage()),
        },
    )


async def _answer(props: Props, person: Person, inputs: base.Inputs, item: str, ctx: base.Context) -> base.Output:
    """Ask once. `item` names an item of a batch, so that its messages have ids of their own."""
    prompt = _prompt(props, inputs, ctx)
    if not prompt:
        ctx.log("warning", "the prompt is empty after filling it in; the model is not asked")
        return base.Output("", meta={"person_id": person.id, "skipped": True})
    schema = _schema(props, ctx)
    arrived = conversation.arrived(inputs, ctx.history, person.id, ctx.node.id)
    seen = [*ctx.history, *arrived]
    selection = memory.select(seen, person.id, props.memorize_to, props.at_most, props.ignore_person)
    if not selection.by_rule:
        ctx.log("warning", "memorize_to as free text keeps the whole conversation until a model can select from it")
    answer = await structured.ask(person, persons.chat(person, selection.messages, prompt), schema, ctx)
    exchange = conversation.exchange(person.id, prompt, answer.text, answer.usage, ctx, item)
    remembered = None
    if props.memorize_to.strip() or props.at_most or props.ignore_person.strip():
        remembered = {
            "selected_count": len(selection.messages),
            "total_messages": len(seen) + len(exchange),
            "criteria": props.memorize_to or None,
            "at_most": props.at_most,
        }
    return base.Output(
        answer.text if answer.parsed is None else answer.parsed,
        conversation=_payload(person, [*selection.messages, *exchange], ctx.outgoing),
        meta={
            "person_id": person.id,
            "conversation_id": None,
            "model": answer.model,
            "llm_usage": _usage_meta(answer.usage),
            "memory_selection": remembered,
            "preview": answer.text[:200],
            "is_structured": answer.parsed is not None,
        },
        messages=[*arrived, *exchange],
        usage=answer.usage,
        model=answer.model,
    )


def _prompt(props: Props, inputs: base.Inputs, ctx: base.Context) -> str:
    """The text to ask: files beat inline, the first prompt is for the first run, or for all when it is the only one."""
    first = props.resolved_first_prompt or props.first_only_prompt
    default = props.resolved_prompt or props.default_prompt
    chosen = first if first and (ctx.first_run or not default) else default
    if not chosen:
        raise PromptMissing("there is no prompt: give default_prompt, first_only_prompt or prompt_file")
    scopes = templates.scopes_of(inputs, ctx.variables, ctx.custom_data)
    try:
        filled = templates.render(chosen, scopes)
    except templates.TemplateError as error:
        raise base.NodeError(f"prompt: {error}") from error
    if filled.missing:
        ctx.log("warning", f"the prompt names {', '.join(filled.missing)}, for which there is no value")
    return filled.text


def _schema(props: Props, ctx: base.Context) -> dict[str, Any] | None:
    text = ctx.files.read_text(props.text_format_file) if props.text_format_file else props.text_format
    if not text:
        return None
    if isinstance(text, str):
        try:
            text = json.loads(text)
        except ValueError:
            raise FormatUnusable(
                "text_format must be a JSON Schema (a map, or its JSON text); Python source is not run yet"
            ) from None
    if not isinstance(text, dict):
        raise FormatUnusable(f"text_format must be a JSON Schema, not a {type(text).__name__}")
    return text


def _payload(person: Person, messages: list[base.Message], outgoing: Sequence[Edge]) -> dict[str, Any] | None:
    """What conversation_state arrows carry: all that this run saw, its own exchange included."""
    if not messages or all(edge.content_type != "conversation_state" for edge in outgoing):
        return None
    told = [conversation.as_json(message) for message in messages]
    return {"messages": told, "last_message": told[-1], "person_id": person.id, "model": person.model}


def _usage_meta(usage: base.Usage) -> dict[str, int]:
    total = usage.input + usage.output
    return {"input": usage.input, "output": usage.output, "cached": usage.cached, "total": total}
