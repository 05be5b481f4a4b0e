"""Our calls and replies <-> pydantic_ai's. Everything here is used after pydantic_ai was imported (providers.py)."""

import base64
from collections.abc import Iterable
from itertools import groupby
from typing import TYPE_CHECKING, Any

from dipeo_executor.llm.call import Call
from dipeo_executor.nodes.base import ModelTool, Reply, ToolOutput, Usage

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage, ModelResponse, ModelResponseStreamEvent
    from pydantic_ai.models import Model, ModelRequestParameters
    from pydantic_ai.settings import ModelSettings

ANSWER = "answer"  # the tool a model is made to call where it has no structured output of its own


def settings(model: "Model", call: Call, timeout_s: float) -> "ModelSettings":
    from pydantic_ai.settings import ModelSettings

    made = ModelSettings(timeout=timeout_s)
    if call.max_tokens is not None:
        made["max_tokens"] = call.max_tokens
    # reasoning models refuse a temperature
    if call.temperature is not None and not model.profile.get("openai_supports_reasoning", False):
        made["temperature"] = call.temperature
    return made


def parameters(model: "Model", call: Call) -> "ModelRequestParameters":
    """With a schema: the model's own structured output, else a tool it has to call."""
    from pydantic_ai.models import ModelRequestParameters
    from pydantic_ai.output import OutputObjectDefinition
    from pydantic_ai.tools import ToolDefinition

    tools = [_tool(tool) for tool in call.tools]
    if call.schema is None:
        return ModelRequestParameters(native_tools=tools)
    schema = dict(call.schema)
    if model.profile.get("supports_json_schema_output", False):
        wanted = OutputObjectDefinition(json_schema=schema, name=ANSWER)
        return ModelRequestParameters(output_mode="native", output_object=wanted, native_tools=tools)
    forced = ToolDefinition(name=ANSWER, parameters_json_schema=schema, description="Give the answer.", kind="output")
    return ModelRequestParameters(
        output_mode="tool", output_tools=[forced], allow_text_output=False, native_tools=tools
    )


def _tool(tool: ModelTool) -> Any:
    """Raises UserError for settings the tool does not have."""
    from pydantic_ai import native_tools
    from pydantic_ai.exceptions import UserError

    kinds = {"web_search": native_tools.WebSearchTool, "image_generation": native_tools.ImageGenerationTool}
    try:
        return kinds[tool.type](**tool.config)
    except TypeError as error:
        raise UserError(f"tool {tool.type}: its config does not fit: {error}") from error


def messages(call: Call, *, merged: bool) -> "list[ModelMessage]":
    """In order, one request or response per message, or with `merged` per turn; empty ones were left out before."""
    from pydantic_ai import messages as wire

    made: list[ModelMessage] = []
    for _, turn in groupby(call.messages, lambda it: it["role"] if merged else id(it)):
        first, *_ = said = list(turn)
        if first["role"] == "assistant":
            made.append(wire.ModelResponse(parts=[wire.TextPart(it["content"]) for it in said]))
        else:
            part = wire.SystemPromptPart if first["role"] == "system" else wire.UserPromptPart
            made.append(wire.ModelRequest(parts=[part(it["content"]) for it in said]))
    return made


def piece(event: "ModelResponseStreamEvent") -> str:
    """The further text in a stream's event."""
    from pydantic_ai import messages as wire

    if isinstance(event, wire.PartStartEvent) and isinstance(event.part, wire.TextPart):
        return event.part.content
    if isinstance(event, wire.PartDeltaEvent) and isinstance(event.delta, wire.TextPartDelta):
        return event.delta.content_delta
    return ""


def reply(response: "ModelResponse", call: Call) -> Reply:
    from pydantic_ai import messages as wire

    text = response.text or ""
    if call.schema is not None:
        forced = [it for it in response.parts if isinstance(it, wire.ToolCallPart) and it.tool_name == ANSWER]
        text = forced[-1].args_as_json_str() if forced else text
    usage = response.usage
    unmeasured = usage.unmeasured_requests  # some servers do not count
    spent = Usage(usage.input_tokens, usage.output_tokens, usage.cache_read_tokens, unpriced=unmeasured)
    model = response.model_name or call.person.model
    return Reply(text, spent, model, tuple(_outputs(response)), cut=response.finish_reason == "length")


def _outputs(response: "ModelResponse") -> Iterable[ToolOutput]:
    from pydantic_ai import messages as wire

    sizes = {
        part.tool_call_id: part.content.get("size")
        for part in response.parts
        if isinstance(part, wire.NativeToolReturnPart) and isinstance(part.content, dict)
    }
    for part in response.parts:
        if isinstance(part, wire.NativeToolReturnPart) and part.tool_name == "web_search":
            yield ToolOutput("web_search", _search_results(part.content))
        elif isinstance(part, wire.FilePart) and part.content.media_type.startswith("image/"):
            data = base64.b64encode(part.content.data).decode()
            width, _, height = str(sizes.get(part.id or "")).partition("x")
            measures = {"width": int(width), "height": int(height)} if width.isdigit() and height.isdigit() else {}
            kind = part.content.media_type.removeprefix("image/")
            yield ToolOutput("image_generation", {"image_data": data, "format": kind, **measures})


def _search_results(content: Any) -> list[dict[str, Any]]:
    """{url, title, snippet, score} per hit, out of the shapes services answer with."""
    hits = content.get("sources") or content.get("results") if isinstance(content, dict) else content
    return [
        {
            "url": hit.get("url") or hit.get("uri"),
            "title": hit.get("title"),
            "snippet": hit.get("snippet"),
            "score": hit.get("score"),
        }
        for hit in hits or ()
        if isinstance(hit, dict)
    ]
