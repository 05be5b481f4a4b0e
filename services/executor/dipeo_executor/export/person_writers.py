"""person_job -> the body of its function: the prompt, what is remembered, what is asked."""

from typing import Any

from dipeo_executor.export.literals import call, literal
from dipeo_executor.export.nodes import CannotExport, Writer
from dipeo_executor.llm import formats, memory, services
from dipeo_executor.nodes.base import ModelTool
from dipeo_executor.program import Node

RULES = {  # memory word -> function of runtime/recalling.py
    "ALL_INVOLVED": "involving_me",
    "CONVERSATION_PAIRS": "involving_me",
    "SYSTEM_AND_ME": "from_system_or_me",
    "SENT_BY_ME": "sent_by_me",
    "SENT_TO_ME": "sent_to_me",
    "GOLDFISH": "nothing",
}

TOOLS: dict[str, dict[str, dict[str, str]]] = {
    "openai": {"web_search": {"type": "web_search"}, "image_generation": {"type": "image_generation"}},
    "anthropic": {"web_search": {"type": "web_search_20250305", "name": "web_search"}},
}


def person_job(writer: Writer, node: Node) -> list[str]:
    props = node.props
    lines = [*_prompt(writer, props), *_question(writer, props)]
    if not props.batch:
        return lines
    writer.uses.add("ask_each")
    at_once = props.max_concurrent if props.batch_parallel else 1
    each = call("ask_each", ["run", "one", "inputs", literal(props.batch_input_key), str(at_once)])
    one = ["async def one(run: Run, inputs: Inputs) -> Output:", *(f"    {line}" for line in lines)]
    return [*one, "", f"return await {each}"]


def _prompt(writer: Writer, props: Any) -> list[str]:
    """A file beats the inline text; the first prompt is for the first run, or for all when it is the only one."""
    first = props.resolved_first_prompt or props.first_only_prompt
    default = props.resolved_prompt or props.default_prompt
    if not first and not default:
        raise CannotExport("it has no prompt")
    if not first or not default:
        return f"prompt = {writer.filled(first or default, 'prompt')}".splitlines()
    lines = ["if run.count == 1:", *_inside(f"prompt = {writer.filled(first, 'first_prompt')}")]
    return [*lines, "else:", *_inside(f"prompt = {writer.filled(default, 'prompt')}")]


def _question(writer: Writer, props: Any) -> list[str]:
    recall = _recall(writer, props)
    more = {"recall": recall} if recall else {}
    person = writer.person(props.person)
    schema = formats.schema_of(props.resolved_text_format or props.text_format)
    tools = [tool.for_model for tool in props.tools if tool.enabled]
    service = writer.program.persons[props.person].service
    if tools and schema:
        raise CannotExport("tools of a model and text_format together are not carried over")
    if tools and service != "mock":
        writer.uses |= {"ask_with_tools", f"{service}_with_tools"}
        listed = literal([_tool(service, tool) for tool in tools])
        asked = call("ask_with_tools", ["run", person, f"{service}_with_tools", listed, "prompt", "inputs"], more)
    elif schema:
        writer.uses.add("ask_for")
        asked = call("ask_for", ["run", person, literal(schema), "prompt", "inputs"], more)
    else:
        writer.uses.add("ask")
        asked = call("ask", ["run", person, "prompt", "inputs"], more)
    return f"return await {asked}".splitlines()


def _tool(service: str, tool: ModelTool) -> dict[str, Any]:
    """As the service's own API has it."""
    if tool.type not in services.SERVICES[service].tools or service not in TOOLS:
        raise CannotExport(f"the tool {tool.type} of {service} is not carried over")
    return {**TOOLS[service][tool.type], **tool.config}


def _recall(writer: Writer, props: Any) -> str:
    """What picks the messages to remember; "" when all are."""
    criterion = props.memorize_to.strip()
    more = {"at_most": literal(props.at_most)} if props.at_most else {}
    if ignored := [name.strip() for name in props.ignore_person.split(",") if name.strip()]:
        more["ignore"] = literal(tuple(ignored))
    if not memory.is_rule(criterion):
        writer.uses.add("by_criterion")
        return call("by_criterion", [literal(criterion)], more)
    rule = RULES.get(criterion.upper(), "")
    if not rule and not more:
        return ""
    writer.uses |= {"recalling", rule} - {""}
    return call("recalling", [rule] if rule else [], more)


def _inside(text: str) -> list[str]:
    return [f"    {line}" for line in text.splitlines()]
