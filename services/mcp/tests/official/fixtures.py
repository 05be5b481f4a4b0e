"""What the official conformance suite wants to find by fixed names, on the same server class and middleware as ours.

The tasks among them are real runs of real diagrams. Test-only: the package does not know this file.
"""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from typing import Any

import mcp_types as types
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import PromptsListChanged

from dipeo_mcp import principals, runs, tasks
from dipeo_mcp.arguments import RunOptions
from dipeo_mcp.call import Answer, Call, Context
from dipeo_mcp.handlers import Handlers
from dipeo_mcp.task_methods import Tasks, UpdateParams, missing

PIXEL = base64.b64encode(
    bytes.fromhex(
        "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415478da63f8cfc0000003010100"
        "c9fe92ef0000000049454e44ae426082"
    )
).decode()
SILENCE = base64.b64encode(
    b"RIFF$\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00"
    b"@\x1f\x00\x00@\x1f\x00\x00\x01\x00\x08\x00data\x00\x00\x00\x00"
).decode()
TEMPLATE = "test://template/{id}/data"
SCHEMA_2020_12: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}
CUSTOM_HEADERS = {
    "type": "object",
    "properties": {"region": {"type": "string", "x-mcp-header": "Region"}},
    "required": ["region"],
}
DEFAULTS = {
    "name": {"type": "string", "default": "John Doe"},
    "age": {"type": "integer", "default": 30},
    "score": {"type": "number", "default": 95.5},
    "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
    "verified": {"type": "boolean", "default": True},
}
THREE = [("value1", "First Option"), ("value2", "Second Option"), ("value3", "Third Option")]
ENUMS = {
    "untitledSingle": {"type": "string", "enum": ["option1", "option2", "option3"]},
    "titledSingle": {"type": "string", "oneOf": [{"const": value, "title": title} for value, title in THREE]},
    "legacyEnum": {
        "type": "string",
        "enum": ["opt1", "opt2", "opt3"],
        "enumNames": ["Option One", "Option Two", "Option Three"],
    },
    "untitledMulti": {"type": "array", "items": {"type": "string", "enum": ["option1", "option2", "option3"]}},
    "titledMulti": {"type": "array", "items": {"anyOf": [{"const": value, "title": title} for value, title in THREE]}},
}
Run = Callable[[Call], Awaitable[Answer]]


def text(words: str, *, error: bool = False) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(type="text", text=words)], is_error=error)


def picture() -> types.ImageContent:
    return types.ImageContent(type="image", data=PIXEL, mime_type="image/png")


def embedded(uri: str, words: str, mime: str = "text/plain") -> types.EmbeddedResource:
    return types.EmbeddedResource(
        type="resource", resource=types.TextResourceContents(uri=uri, text=words, mime_type=mime)
    )


def giving(*content: Any) -> Run:
    async def run(call: Call) -> Answer:
        return types.CallToolResult(content=list(content))

    return run


async def failing(call: Call) -> Answer:
    return text("This tool intentionally returns an error for testing", error=True)


async def progressing(call: Call) -> Answer:
    for value in (0, 50, 100):
        await call.ctx.session.report_progress(value, 100)
        await asyncio.sleep(0.05)
    return text("done")


def eliciting(
    properties: dict[str, Any], *, required: list[str] | None = None, prefix: str = "Elicitation completed"
) -> Run:
    """Asked live in the older era, returned in the modern one."""

    async def run(call: Call) -> Answer:
        message = str((call.params.arguments or {}).get("message", "Please answer"))
        schema = {"type": "object", "properties": properties, "required": required or []}
        if not call.can_ask:
            return text("this client cannot ask", error=True)
        if call.is_modern:
            given = (call.params.input_responses or {}).get("answer")
            if given is None:
                return requiring(answer=elicit(message, schema))
            return text(f"{prefix}: {given.model_dump_json()}")
        answer = await call.ctx.session.elicit_form(message, schema, call.ctx.request_id)
        return text(f"{prefix}: action={answer.action}, content={json.dumps(answer.content)}")

    return run


# --- several rounds --------------------------------------------------------------------------------------------------


def elicit(message: str, schema: dict[str, Any]) -> types.ElicitRequest:
    return types.ElicitRequest(params=types.ElicitRequestFormParams(message=message, requested_schema=schema))


def one(name: str, kind: str = "string") -> dict[str, Any]:
    return {"type": "object", "properties": {name: {"type": kind}}, "required": [name]}


def sample(question: str, tokens: int = 100) -> types.CreateMessageRequest:
    asked = types.SamplingMessage(role="user", content=types.TextContent(type="text", text=question))
    return types.CreateMessageRequest(params=types.CreateMessageRequestParams(messages=[asked], max_tokens=tokens))


def requiring(state: str | None = None, **requests: Any) -> types.InputRequiredResult:
    return types.InputRequiredResult(input_requests=requests, request_state=state)


def rounds(state: str | None = None, **requests: Any) -> Run:
    """Ask until every question has a usable answer, then say what came back."""

    async def run(call: Call) -> Answer:
        given = call.params.input_responses or {}
        if state is not None and call.params.request_state not in (None, state):
            raise MCPError(types.INVALID_PARAMS, "not our state")
        usable = {key: value for key, value in given.items() if key in requests and good(value)}
        if usable.keys() != requests.keys():
            return requiring(state, **requests)
        told = {key: value.model_dump(mode="json", by_alias=True) for key, value in usable.items()}
        return text(f"{'state-ok ' if state else ''}{json.dumps(told)}")

    return run


def good(value: Any) -> bool:
    return not isinstance(value, types.ElicitResult) or value.action != "accept" or bool(value.content)


async def multi_round(call: Call) -> Answer:
    given, state = call.params.input_responses or {}, call.params.request_state
    if state == "2" and "step2" in given:
        return text(f"done: {given['step2'].model_dump_json()}")
    if state == "1" and "step1" in given:
        return requiring("2", step2=elicit("Step 2: What is your favorite color?", one("color")))
    return requiring("1", step1=elicit("Step 1: What is your name?", one("name")))


async def by_capability(call: Call) -> Answer:
    known = call.ctx.session.client_capabilities
    requests: dict[str, Any] = {}
    if known and known.elicitation is not None:
        requests["name"] = elicit("What is your name?", one("name"))
    if known and known.sampling is not None:
        requests["greeting"] = sample("Generate a greeting")
    return requiring(None, **requests) if requests and not call.params.input_responses else text("done")


async def needs_sampling(call: Call) -> Answer:
    known = call.ctx.session.client_capabilities
    if known is None or known.sampling is None:
        needed = {"requiredCapabilities": {"sampling": {}}}
        raise MCPError(types.MISSING_REQUIRED_CLIENT_CAPABILITY, "sampling is needed", needed)
    return text("sampling is there")


async def streaming(call: Call) -> Answer:
    await call.ctx.session.report_progress(0.5, 1)
    if call.params.input_responses:
        return text("done")
    return requiring(None, name=elicit("What is your name?", one("name")))


# --- tasks: diagrams -------------------------------------------------------------------------------------------------


def job(diagram: str, *, required: bool = False) -> Run:
    """A run in the background for clients that know tasks."""

    async def run(call: Call) -> Answer:
        if required and not tasks.declared(call.ctx):
            raise missing()
        offer = await call.service.published.offer(diagram)
        assert offer is not None
        return await runs.run(
            call, offer, dict(call.params.arguments or {}), RunOptions(background=tasks.declared(call.ctx))
        )

    return run


async def task_after_questions(call: Call) -> Answer:
    given = (call.params.input_responses or {}).get("user_name")
    if not tasks.declared(call.ctx):
        raise missing()
    if not isinstance(given, types.ElicitResult) or not given.content:
        return requiring("asked", user_name=elicit("What is your name?", one("name")))
    offer = await call.service.published.offer("greeting_later")
    assert offer is not None
    later = Call(call.service, call.ctx, call.params.model_copy(update={"request_state": None}))
    name = next(iter(given.content.values()))
    return await runs.run(later, offer, {"name": str(name)}, RunOptions(background=True))


async def greet(call: Call) -> Answer:
    return text(f"Hello, {(call.params.arguments or {}).get('name')}!")


NAME = one("name")
TOOLS: dict[str, tuple[Run, dict[str, Any]]] = {
    name: (run, schema[0] if schema else {"type": "object"})
    for name, run, *schema in (
        (
            "test_simple_text",
            giving(types.TextContent(type="text", text="This is a simple text response for testing.")),
        ),
        ("test_image_content", giving(picture())),
        ("test_audio_content", giving(types.AudioContent(type="audio", data=SILENCE, mime_type="audio/wav"))),
        (
            "test_embedded_resource",
            giving(embedded("test://embedded-resource", "This is an embedded resource content.")),
        ),
        (
            "test_multiple_content_types",
            giving(
                types.TextContent(type="text", text="Multiple content types test:"),
                picture(),
                embedded("test://mixed-content-resource", '{"test":"data","value":123}', "application/json"),
            ),
        ),
        ("test_error_handling", failing),
        ("test_tool_with_progress", progressing),
        ("test_logging_tool", giving(types.TextContent(type="text", text="nothing is logged to clients"))),
        (
            "test_elicitation",
            eliciting({"username": {"type": "string"}, "email": {"type": "string"}}, required=["username", "email"]),
            one("message"),
        ),
        ("test_elicitation_sep1034_defaults", eliciting(DEFAULTS)),
        ("test_elicitation_sep1330_enums", eliciting(ENUMS)),
        ("json_schema_2020_12_tool", giving(types.TextContent(type="text", text="ok")), SCHEMA_2020_12),
        ("test_custom_headers", giving(types.TextContent(type="text", text="ok")), CUSTOM_HEADERS),
        ("test_missing_capability", needs_sampling),
        ("test_streaming_elicitation", streaming),
        ("test_input_required_result_elicitation", rounds(user_name=elicit("What is your name?", one("name")))),
        ("test_input_required_result_sampling", rounds(capital_question=sample("What is the capital of France?"))),
        ("test_input_required_result_list_roots", rounds(client_roots=types.ListRootsRequest())),
        (
            "test_input_required_result_request_state",
            rounds("kept", confirm=elicit("Please confirm", one("ok", "boolean"))),
        ),
        (
            "test_input_required_result_multiple_inputs",
            rounds(
                "kept",
                user_name=elicit("What is your name?", one("name")),
                greeting=sample("Generate a greeting", 50),
                client_roots=types.ListRootsRequest(),
            ),
        ),
        ("test_input_required_result_multi_round", multi_round),
        ("test_input_required_result_tampered_state", rounds("kept", confirm=elicit("Confirm", one("ok", "boolean")))),
        ("test_input_required_result_capabilities", by_capability),
        ("greet", greet, NAME),
        ("slow_compute", job("slow_compute"), {"type": "object", "properties": {"seconds": {"type": "number"}}}),
        ("failing_job", job("failing_job", required=True)),
        ("protocol_error_job", job("failing_job")),
        ("confirm_delete", job("confirm_delete"), {"type": "object"}),
        ("multi_input", job("multi_input"), {"type": "object"}),
        ("test_tool_with_task", task_after_questions),
    )
}
PROMPTS: dict[str, tuple[list[str], Callable[[dict[str, str]], list[Any]]]] = {
    "test_simple_prompt": (
        [],
        lambda _: [types.TextContent(type="text", text="This is a simple prompt for testing.")],
    ),
    "test_prompt_with_arguments": (
        ["arg1", "arg2"],
        lambda given: [
            types.TextContent(
                type="text", text=f"Prompt with arguments: arg1='{given.get('arg1')}', arg2='{given.get('arg2')}'"
            )
        ],
    ),
    "test_prompt_with_embedded_resource": (
        ["resourceUri"],
        lambda given: [
            embedded(given.get("resourceUri", "test://x"), "Embedded resource content for testing."),
            types.TextContent(type="text", text="Please process the embedded resource above."),
        ],
    ),
    "test_prompt_with_image": (
        [],
        lambda _: [picture(), types.TextContent(type="text", text="Please analyze the image above.")],
    ),
    "test_input_required_result_prompt": ([], lambda _: [types.TextContent(type="text", text="with context")]),
}


class FixtureTasks(Tasks):
    """The suite answers every form with fields of its own ({confirm: true}); ours ask for `response`."""

    async def update(self, ctx: Context, params: UpdateParams) -> dict[str, Any]:
        for given in params.input_responses.values():
            if isinstance(given, dict) and given.get("content"):
                given["content"] = {"response": json.dumps(given["content"])}
        return await super().update(ctx, params)


class FixtureHandlers(Handlers):
    """Ours, and what the suite looks for."""

    async def list_tools(self, ctx: Context, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        listed = await super().list_tools(ctx, params)
        if params is None or params.cursor is None:
            listed.tools += [
                types.Tool(name=name, description=f"Fixture {name}", input_schema=schema)
                for name, (_, schema) in TOOLS.items()
            ]
        return listed

    def input_schema(self, name: str) -> dict[str, Any] | None:
        return TOOLS[name][1] if name in TOOLS else super().input_schema(name)

    async def call_tool(self, ctx: Context, params: types.CallToolRequestParams) -> Answer:
        if params.name in ("test_trigger_tool_change", "test_trigger_prompt_change"):
            tools = params.name == "test_trigger_tool_change"
            notices = self._service.notices
            if tools:
                await notices.catalogue_changed(True, ())
            else:  # ours never change
                await notices._tell_all(PromptsListChanged())
            return text("changed")
        if params.name in TOOLS:
            return await TOOLS[params.name][0](Call(self._service, ctx, params))
        return await super().call_tool(ctx, params)

    async def list_resources(
        self, ctx: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListResourcesResult:
        listed = await super().list_resources(ctx, params)
        for name in ("static-text", "static-binary", "watched-resource"):
            listed.resources.append(types.Resource(uri=f"test://{name}", name=name, description="Fixture"))
        return listed

    async def list_templates(
        self, ctx: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListResourceTemplatesResult:
        listed = await super().list_templates(ctx, params)
        listed.resource_templates = [
            *listed.resource_templates,
            types.ResourceTemplate(uri_template=TEMPLATE, name="data", description="Fixture"),
        ]
        return listed

    async def read_resource(self, ctx: Context, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        uri = params.uri
        if uri == "test://static-binary":
            blob = types.BlobResourceContents(uri=uri, blob=PIXEL, mime_type="image/png")
            return types.ReadResourceResult(contents=[blob])
        if uri in ("test://static-text", "test://watched-resource"):
            words, mime = "This is the content of the static text resource.", "text/plain"
        elif uri.startswith("test://template/") and uri.endswith("/data"):
            id = uri.split("/")[3]
            words = json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})
            mime = "application/json"
        else:
            return await super().read_resource(ctx, params)
        return types.ReadResourceResult(contents=[types.TextResourceContents(uri=uri, text=words, mime_type=mime)])

    async def list_prompts(self, ctx: Context, params: types.PaginatedRequestParams | None) -> types.ListPromptsResult:
        listed = await super().list_prompts(ctx, params)
        listed.prompts += [
            types.Prompt(
                name=name,
                description="Fixture",
                arguments=[types.PromptArgument(name=argument, required=True) for argument in arguments],
            )
            for name, (arguments, _) in PROMPTS.items()
        ]
        return listed

    async def get_prompt(self, ctx: Context, params: types.GetPromptRequestParams) -> Any:
        if params.name not in PROMPTS:
            return await super().get_prompt(ctx, params)
        if params.name == "test_input_required_result_prompt" and not params.input_responses:
            return requiring(None, user_context=elicit("What context should the prompt use?", one("context")))
        content = PROMPTS[params.name][1](params.arguments or {})
        return types.GetPromptResult(messages=[types.PromptMessage(role="user", content=block) for block in content])

    async def complete(self, ctx: Context, params: types.CompleteRequestParams) -> types.CompleteResult:
        if isinstance(params.ref, types.PromptReference) and params.ref.name in PROMPTS:
            values = [word for word in ("paris", "park", "party") if word.startswith(params.argument.value)]
            return types.CompleteResult(completion=types.Completion(values=values, total=len(values), has_more=False))
        return await super().complete(ctx, params)

    async def _may_watch(self, principal: principals.Principal, uris: Any) -> None:
        await super()._may_watch(principal, [uri for uri in uris if not uri.startswith("test://")])
