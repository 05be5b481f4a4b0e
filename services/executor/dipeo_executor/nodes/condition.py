"""condition: forwards its inputs on exactly one of condtrue and condfalse. (node contract 8, decision 11)"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from pydantic import AliasChoices, Field

from dipeo_executor import expressions, templates
from dipeo_executor.llm import persons
from dipeo_executor.nodes import base

DECISION = {
    "type": "object",
    "properties": {"decision": {"type": "boolean"}},
    "required": ["decision"],
    "additionalProperties": False,
}
_YES = re.compile(r"\b(?:yes|true|correct|pass(?:es|ed)?)\b")
_NO = re.compile(r"\b(?:no|false|incorrect|fail(?:s|ed)?)\b")
_MARKDOWN = re.compile(r"[*_#\[\]()`]")


class Props(base.Props):
    condition_type: Literal["detect_max_iterations", "check_nodes_executed", "custom", "llm_decision"] = "custom"
    expression: str = Field(default="", validation_alias=AliasChoices("expression", "condition"))
    node_indices: list[str] = Field(default_factory=list)  # ids or labels
    person: str = ""
    judge_by: str = ""
    judge_by_file: str = ""
    resolved_judge_by: str = ""  # the text of judge_by_file, captured when the diagram is loaded
    memorize_to: str = "GOLDFISH"  # read, without effect: a decision sees no memory
    at_most: int | None = None
    expose_index_as: str = ""
    skippable: bool = False  # read, without effect (decision 2)


class ConditionFailed(base.NodeError):
    """The condition cannot be evaluated; never a silent false."""


@dataclass(frozen=True, slots=True)
class Verdict:
    holds: bool
    usage: base.Usage | None = None
    model: str = ""


async def run(props: Props, inputs: base.Inputs, ctx: base.Context) -> base.Output:
    """The value is the map of all inputs by port: one more `default` level for an unlabelled arrow."""
    index = {props.expose_index_as: _index(ctx)} if props.expose_index_as else {}
    verdict = await _evaluate(props, inputs, {**ctx.variables, **index}, ctx)
    value = dict(inputs) if props.condition_type == "custom" else {**inputs, **index}
    return base.Output(
        value,
        port="condtrue" if verdict.holds else "condfalse",
        meta={"result": verdict.holds, "condition_type": props.condition_type},
        variables=index,
        usage=verdict.usage,
        model=verdict.model,
    )


async def _evaluate(props: Props, inputs: base.Inputs, variables: Mapping[str, Any], ctx: base.Context) -> Verdict:
    match props.condition_type:
        case "custom":
            return Verdict(_custom(props.expression, inputs, variables, ctx.custom_data))
        case "detect_max_iterations":
            return Verdict(_all_at_their_limit(props.node_indices, ctx.counts))
        case "check_nodes_executed":
            return Verdict(_all_executed(props.node_indices, ctx.counts))
        case "llm_decision":
            return await _ask_model(props, inputs, variables, ctx)


def _index(ctx: base.Context) -> int:
    """How often this node ran before, in this run of its diagram."""
    return next((count.started - 1 for count in ctx.counts if count.id == ctx.node.id), ctx.iteration)


_parse = lru_cache(maxsize=512)(expressions.parse)


def _custom(expression: str, inputs: base.Inputs, variables: Mapping[str, Any], custom_data: Mapping[str, Any]) -> bool:
    flat = templates.unwrap(inputs.get("default"))
    spread = flat if isinstance(flat, Mapping) else {}  # so that `n > 3` reads default.n
    if not expression.strip():
        raise ConditionFailed("the condition has no expression")
    try:
        return bool(_parse(expression).evaluate((inputs, spread, variables, custom_data)))
    except expressions.ExpressionError as error:
        raise ConditionFailed(f"expression {expression!r}: {error}") from error


def _all_at_their_limit(names: Sequence[str], counts: Sequence[base.NodeCount]) -> bool:
    chosen = _named(names, counts) if names else counts
    ran = [count for count in chosen if count.type == "person_job" and count.started]
    return bool(ran) and all(count.started >= (count.max_iteration or 0) for count in ran)


def _all_executed(names: Sequence[str], counts: Sequence[base.NodeCount]) -> bool:
    if not names:
        raise ConditionFailed("check_nodes_executed needs node_indices: the ids or labels of the nodes to look at")
    return all(count.completed for count in _named(names, counts))


def _named(names: Sequence[str], counts: Sequence[base.NodeCount]) -> list[base.NodeCount]:
    by_name = {count.label: count for count in counts}
    by_name |= {count.id.rsplit("/", 1)[-1]: count for count in counts}
    by_name |= {count.id: count for count in counts}
    unknown = [name for name in names if name not in by_name]
    if unknown:
        raise ConditionFailed(f"node_indices names {', '.join(unknown)}, which is no node of this diagram")
    return [by_name[name] for name in names]


async def _ask_model(props: Props, inputs: base.Inputs, variables: Mapping[str, Any], ctx: base.Context) -> Verdict:
    prompt = props.judge_by or props.resolved_judge_by
    if not props.person or not prompt:
        raise ConditionFailed("llm_decision needs a person and judge_by (or judge_by_file)")
    person = persons.find(ctx.persons, props.person)
    scopes = (inputs, *templates.scopes_of(inputs, variables, ctx.custom_data))
    try:
        question = templates.render(prompt, scopes).text
    except templates.TemplateError as error:
        raise ConditionFailed(f"judge_by: {error}") from error
    subject = _subject(inputs)
    if subject:
        question += f"\n\n--- BEGIN CONTENT ---\n{subject}\n--- END CONTENT ---"
    ask = [{"role": "user", "content": question}]
    reply = await ctx.llm.complete(person, ask, schema=DECISION, temperature=0, purpose="decision")
    return Verdict(read_decision(reply.text), reply.usage, reply.model)


def _subject(inputs: base.Inputs) -> str:
    """The text to judge."""
    for port in ("default", "generated_output"):
        if inputs.get(port) is not None:
            return templates.as_text(inputs[port])
    return templates.as_text(dict(inputs)) if inputs else ""


def read_decision(text: str) -> bool:
    """A JSON decision, else a leading yes or no, else whichever kind of word is more frequent; a tie is false."""
    try:
        answer = json.loads(text)
    except ValueError:
        answer = None
    if isinstance(answer, dict) and "decision" in answer:
        decision = answer["decision"]
        return decision.strip().lower() in ("true", "yes") if isinstance(decision, str) else bool(decision)
    words = _MARKDOWN.sub("", text).strip().lower()
    if leading := re.match(r"(yes|no)\b", words):
        return leading[1] == "yes"
    return len(_YES.findall(words)) > len(_NO.findall(words))
