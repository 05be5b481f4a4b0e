"""person_job: asks a person (a model with a system prompt) and remembers the exchange. (node contract 6)"""

import base64
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, field_validator

from dipeo_executor import templates
from dipeo_executor.llm import conversation, formats, memory, persons, selector, structured
from dipeo_executor.nodes import base, person_batch
from dipeo_executor.program import Edge, Person

IMAGES = "files/results/images"  # where made images go
TOOL_WORDS = {"image": "image_generation", "websearch": "web_search_preview"}


class Tool(BaseModel):
    model_config = ConfigDict(frozen=True)

    type: Literal["web_search", "web_search_preview", "image_generation"]
    enabled: bool = True
    config: dict[str, Any] | None = None

    @property
    def for_model(self) -> base.ModelTool:
        kind: Any = self.type.removesuffix("_preview")
        return base.ModelTool(kind, self.config or {})


class Props(base.Props):
    default_timeout_s: ClassVar[float | None] = None  # every model call has a limit of its own

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
    resolved_text_format: str = ""  # the text of text_format_file, captured when the diagram is loaded
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


async def run(props: Props, inputs: base.Inputs, ctx: base.Context) -> base.Output:
    """The value is the answer's text, or with text_format the JSON object in it; of a batch, all of them."""
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
    tools = [tool.for_model for tool in props.tools if tool.enabled]
    arrived = conversation.arrived(inputs, ctx.history, person.id, ctx.node.id)
    seen = [*ctx.history, *arrived]
    selected, selecting = await _remembered(props, person, seen, inputs, ctx)
    talk = persons.chat(person, selected, prompt)
    answer = await structured.ask(person, talk, schema, ctx, tools=tools, streamed=not item)
    exchange = conversation.exchange(person.id, prompt, answer.text, answer.usage, ctx, item)
    remembered = None
    if props.memorize_to.strip() or props.at_most or props.ignore_person.strip():
        remembered = {
            "selected_count": len(selected),
            "total_messages": len(seen) + len(exchange),
            "criteria": props.memorize_to or None,
            "at_most": props.at_most,
        }
    return base.Output(
        answer.text if answer.parsed is None else answer.parsed,
        conversation=_payload(person, [*selected, *exchange], ctx.outgoing),
        meta={
            "person_id": person.id,
            "conversation_id": None,
            "model": answer.model,
            "llm_usage": _usage_meta(selecting + answer.usage),
            "memory_selection": remembered,
            "preview": answer.text[:200],
            "is_structured": answer.parsed is not None,
        }
        | _tool_outputs(answer.tool_outputs, ctx, item),
        messages=[*arrived, *exchange],
        usage=selecting + answer.usage,
        model=answer.model,
    )


async def _remembered(
    props: Props, person: Person, seen: Sequence[base.Message], inputs: base.Inputs, ctx: base.Context
) -> tuple[Sequence[base.Message], base.Usage]:
    """What the person remembers, and what choosing it cost: a criterion in words is a model's to judge."""
    criteria = props.memorize_to.strip()
    at_most = props.at_most if memory.is_rule(criteria) else None
    selection = memory.select(seen, person.id, criteria, at_most, props.ignore_person)
    if memory.is_rule(criteria):
        return selection, base.Usage()
    task = _rendered(_default_prompt(props) or _first_prompt(props), inputs, ctx)
    chosen = await selector.select(selection, person, criteria, props.at_most, task.text, ctx)
    return chosen.messages, chosen.usage


def _first_prompt(props: Props) -> str:
    """A file beats the inline text."""
    return props.resolved_first_prompt or props.first_only_prompt


def _default_prompt(props: Props) -> str:
    return props.resolved_prompt or props.default_prompt


def _prompt(props: Props, inputs: base.Inputs, ctx: base.Context) -> str:
    """The text to ask: the first prompt is for the first run, or for all when it is the only one."""
    first, default = _first_prompt(props), _default_prompt(props)
    chosen = first if first and (ctx.first_run or not default) else default
    if not chosen:
        raise PromptMissing("there is no prompt: give default_prompt, first_only_prompt or prompt_file")
    filled = _rendered(chosen, inputs, ctx)
    if filled.missing:
        ctx.log("warning", f"the prompt names {', '.join(filled.missing)}, for which there is no value")
    return filled.text


def _rendered(prompt: str, inputs: base.Inputs, ctx: base.Context) -> templates.Rendered:
    try:
        return templates.render(prompt, templates.scopes_of(inputs, ctx.variables, ctx.custom_data))
    except templates.TemplateError as error:
        raise base.NodeError(f"prompt: {error}") from error


def _schema(props: Props, ctx: base.Context) -> dict[str, Any] | None:
    file = props.text_format_file
    text = props.resolved_text_format or (ctx.files.read_text(file) if file else props.text_format)
    try:
        return formats.schema_of(text)
    except structured.SchemaUnusable as error:
        raise structured.SchemaUnusable(f"{'text_format_file' if file else 'text_format'}: {error}") from error


def _tool_outputs(outputs: Sequence[base.ToolOutput], ctx: base.Context, item: str) -> dict[str, Any]:
    """For the meta, where they stay small: an image goes into a file of the project."""
    shown: list[dict[str, Any]] = []
    for number, it in enumerate(outputs):
        result = it.result
        if it.type == "image_generation":
            name = f"{IMAGES}/{ctx.execution_id}/{ctx.node.id}-{ctx.iteration}-{item or 0}-{number}.{result['format']}"
            ctx.files.write_bytes(name, base64.b64decode(result["image_data"]))
            result = {"file": name, **{key: value for key, value in result.items() if key != "image_data"}}
        shown.append({"type": it.type, "result": result})
    return {"tool_outputs": shown} if shown else {}


def _payload(person: Person, messages: list[base.Message], outgoing: Sequence[Edge]) -> dict[str, Any] | None:
    """What conversation_state arrows carry: all that this run saw, its own exchange included."""
    if not messages or all(edge.content_type != "conversation_state" for edge in outgoing):
        return None
    told = [conversation.as_json(message) for message in messages]
    return {"messages": told, "last_message": told[-1], "person_id": person.id, "model": person.model}


def _usage_meta(usage: base.Usage) -> dict[str, int]:
    total = usage.input + usage.output
    return {"input": usage.input, "output": usage.output, "cached": usage.cached, "total": total}
