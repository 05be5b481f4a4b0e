"""Prompts (spec/mcp.md §3.8): ready-made requests that name our tools."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import mcp_types as types
from mcp.shared.exceptions import MCPError

from dipeo_kit import errors, publishing
from dipeo_mcp import resources, result
from dipeo_mcp.principals import Principal
from dipeo_mcp.resources import GUIDE
from dipeo_mcp.service import Service

Messages = list[types.PromptMessage]


@dataclass(frozen=True, slots=True)
class Prompt:
    title: str
    description: str
    argument: str
    about: str
    render: Callable[[Service, Principal, str], Awaitable[Messages]]


async def _run(service: Service, principal: Principal, diagram: str) -> Messages:
    offer = await _offer(service, diagram)
    tool = service.published.tool_of[offer]
    return [
        _said(f'Run the workflow "{offer}" with the tool {tool}. Ask me for the inputs it needs, then show its result.')
    ]


async def _explain(service: Service, principal: Principal, diagram: str) -> Messages:
    uri = f"{publishing.URI}{await _offer(service, diagram)}"
    return [
        _said("Explain what this workflow does, step by step, what goes in and what comes out."),
        await _embedded(service, principal, uri),
    ]


async def _create(service: Service, principal: Principal, goal: str) -> Messages:
    request = (
        f"Write a light diagram that does this: {goal}\n\nFollow the guide. Check it with compile_diagram without "
        "push_as until it is valid, show it to me, and publish it with push_as only when I agree."
    )
    return [_said(request), await _embedded(service, principal, GUIDE)]


async def _debug(service: Service, principal: Principal, execution_id: str) -> Messages:
    uri = f"{result.EXECUTIONS}{execution_id}"
    request = "Find out why this run went wrong and how its diagram should change. Below: the run, and its events."
    return [
        _said(request),
        await _embedded(service, principal, uri),
        await _embedded(service, principal, f"{uri}/events"),
    ]


PROMPTS = {
    "run_workflow": Prompt("Run a workflow", "Run a published diagram", "diagram", "name of the diagram", _run),
    "explain_workflow": Prompt("Explain a workflow", "What a diagram does", "diagram", "name of the diagram", _explain),
    "create_workflow": Prompt("Create a workflow", "Write a new diagram", "goal", "what it should do", _create),
    "debug_execution": Prompt("Debug a run", "Why a run went wrong", "execution_id", "id of the run", _debug),
}
_COMPLETIONS = {
    "diagram": resources.diagram_names,
    "name": resources.diagram_names,
    "execution_id": resources.execution_ids,
    "id": resources.execution_ids,
}


def listed() -> list[types.Prompt]:
    return [
        types.Prompt(
            name=name,
            title=it.title,
            description=it.description,
            arguments=[types.PromptArgument(name=it.argument, description=it.about, required=True)],
        )
        for name, it in PROMPTS.items()
    ]


async def get(service: Service, principal: Principal, name: str, given: dict[str, str]) -> types.GetPromptResult:
    it = PROMPTS.get(name)
    if it is None:
        raise MCPError(types.INVALID_PARAMS, f"Unknown prompt: {name[:100]}")
    value = given.get(it.argument, "").strip()
    if not value:
        raise MCPError(types.INVALID_PARAMS, f'The argument "{it.argument}" is required')
    return types.GetPromptResult(description=it.description, messages=await it.render(service, principal, value))


async def complete(service: Service, principal: Principal, params: types.CompleteRequestParams) -> types.Completion:
    """Of a prompt's argument or a variable of a resource template. Raises MCPError for a prompt that is none."""
    if isinstance(params.ref, types.PromptReference) and params.ref.name not in PROMPTS:
        raise MCPError(types.INVALID_PARAMS, f"Unknown prompt: {params.ref.name[:100]}")
    source = _COMPLETIONS.get(params.argument.name)
    values = await source(service, principal) if source else []
    return resources.completed(values, params.argument.value)


async def _offer(service: Service, diagram: str) -> str:
    name = publishing.of_reference(diagram)
    if name is None or await service.published.offer(name) is None:
        raise MCPError(types.INVALID_PARAMS, "There is no published diagram of this name")
    return name


async def _embedded(service: Service, principal: Principal, uri: str) -> types.PromptMessage:
    try:
        contents = (await resources.read(service, principal, uri)).contents[0]
    except errors.NotFound:
        raise resources.Missing(uri) from None
    return types.PromptMessage(role="user", content=types.EmbeddedResource(type="resource", resource=contents))


def _said(text: str) -> types.PromptMessage:
    return types.PromptMessage(role="user", content=types.TextContent(type="text", text=text))
