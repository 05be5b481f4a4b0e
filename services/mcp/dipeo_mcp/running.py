"""dipeo_run, run_backend and the tools diagrams are themselves."""

import dataclasses

import mcp_types as types

from dipeo_kit.publishing import of_reference
from dipeo_mcp import arguments, result, runs
from dipeo_mcp.arguments import RUN_OPTIONS, Json, RunOptions
from dipeo_mcp.call import Answer, Call
from dipeo_mcp.errors import Unserved
from dipeo_mcp.principals import RUN, WRITE
from dipeo_mcp.published import Offer


async def dipeo_run(call: Call, given: Json) -> Answer:
    offer = await _named(call, given["diagram"])
    inputs = given.get("inputs") or {}
    arguments.check(offer.validator(), inputs)
    answer = await runs.run(call, offer, inputs, RunOptions.of(given))
    if "format_type" in given and isinstance(answer, types.CallToolResult):
        answer.content.append(types.TextContent(type="text", text="format_type has no effect; formats are detected"))
    return answer


async def run_backend(call: Call, given: Json) -> Answer:
    """The original's three keys beside the RunResult's."""
    offer = await _named(call, given["diagram"])
    inputs = given.get("inputs") or {}
    arguments.check(offer.validator(), inputs)
    options = dataclasses.replace(RunOptions.of(given), background=True)
    answer = await runs.run(call, offer, inputs, options)
    if isinstance(answer, types.CallToolResult) and isinstance(answer.structured_content, dict):
        data = answer.structured_content
        data["message"] = f"{offer.name} was started; see_result with session_id {data['session_id']} tells more"
    return answer


async def diagram_tool(call: Call, offer: Offer) -> Answer:
    """The diagram's own inputs at top level; `run_options` beside them."""
    call.need(RUN)
    inputs, options = arguments.diagram_call(call.params.arguments, offer.schema.get("properties") or {})
    arguments.check(offer.validator(), inputs)
    return await runs.run(call, offer, inputs, options)


def listed(tool: str, offer: Offer) -> types.Tool:
    """The diagram as tools/list shows it."""
    schema = dict(offer.schema)
    properties = dict(schema.get("properties") or {})
    properties.setdefault("run_options", _RUN_OPTIONS)
    hints = offer.hints
    return types.Tool(
        name=tool,
        title=offer.title,
        description=offer.description,
        input_schema={**schema, "properties": properties},
        output_schema=result.schema(offer.output_schema),
        annotations=types.ToolAnnotations(
            title=offer.title,
            read_only_hint=hints.get("readOnlyHint", False),
            destructive_hint=hints.get("destructiveHint", False),
            idempotent_hint=hints.get("idempotentHint", False),
            open_world_hint=hints.get("openWorldHint", True),
        ),
    )


async def _named(call: Call, reference: str) -> Offer:
    """Raises Unserved: no such diagram; what is not published only authors may run."""
    name = of_reference(reference)
    offer = await call.service.published.offer(name, unpublished=call.principal.may(WRITE)) if name else None
    if offer is None:
        raise Unserved("not_found", "diagram: there is no published diagram of this name; search lists them")
    return offer


_RUN_OPTIONS: Json = {
    "type": "object",
    "description": "how to run it; all optional",
    "properties": RUN_OPTIONS,
    "additionalProperties": False,
}
