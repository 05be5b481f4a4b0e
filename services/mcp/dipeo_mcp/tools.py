"""The tools every client finds (spec/mcp.md §3.3), in one table.

What they do: running.py, executions.py, finding.py, authoring.py.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import jsonschema_rs
import mcp_types as types

from dipeo_kit.publishing import NAME_RULE
from dipeo_mcp import authoring, executions, finding, limits, result, running, schemas
from dipeo_mcp.arguments import RUN_OPTIONS, Json
from dipeo_mcp.call import Answer, Call
from dipeo_mcp.catalogue import FORMATS
from dipeo_mcp.principals import READ, RUN, WRITE

TEXT: Json = {"type": "string"}
DIAGRAM: Json = {"type": "string", "description": "name of the diagram, or dipeo://diagrams/NAME"}
EXECUTION: Json = {"type": "string", "description": "execution id, exec_ and 32 hex digits"}


@dataclass(frozen=True)
class Tool:
    """`aliases`: other spelling → ours; both are accepted, ours is listed."""

    name: str
    title: str
    description: str
    properties: Mapping[str, Json]
    run: Callable[[Call, Json], Awaitable[Answer]]
    scope: str
    required: tuple[str, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)
    output_schema: Json | None = None
    read_only: bool = False
    destructive: bool = False
    idempotent: bool = False
    open_world: bool = False

    @cached_property
    def input_schema(self) -> Json:
        schema: Json = {"type": "object", "properties": dict(self.properties), "additionalProperties": False}
        return schema | ({"required": list(self.required)} if self.required else {})

    @cached_property
    def validator(self) -> jsonschema_rs.Draft202012Validator:
        return schemas.compiled(self.input_schema)

    def listed(self) -> types.Tool:
        hints = types.ToolAnnotations(
            title=self.title,
            read_only_hint=self.read_only,
            destructive_hint=self.destructive,
            idempotent_hint=self.idempotent,
            open_world_hint=self.open_world,
        )
        return types.Tool(
            name=self.name,
            title=self.title,
            description=self.description,
            input_schema=self.input_schema,
            output_schema=self.output_schema,
            annotations=hints,
        )


def _object(properties: Json, required: list[str]) -> Json:
    return {"type": "object", "properties": properties, "required": required}


_RUN = {
    "diagram": DIAGRAM,
    "inputs": {"type": "object", "description": "values for the diagram's variables"},
    **RUN_OPTIONS,
    "format_type": {"type": "string", "description": "without effect; the format is detected"},
}
_RUN_ALIASES = {"input_data": "inputs", "timeout": "timeout_s"}
_SESSION_ALIAS = {"execution_id": "session_id"}
_PROBLEM = _object({name: {} for name in ("phase", "message", "severity", "node_id")}, ["message", "severity"])


def _run_tool(name: str, title: str, description: str, run: Callable[[Call, Json], Awaitable[Answer]]) -> Tool:
    return Tool(
        name,
        title,
        description,
        _RUN,
        run,
        RUN,
        required=("diagram",),
        aliases=_RUN_ALIASES,
        output_schema=result.schema(),
        open_world=True,
    )


TOOLS: tuple[Tool, ...] = (
    _run_tool(
        "dipeo_run",
        "Run a diagram",
        "Runs a workflow diagram by its name and returns what it produced. Use search to find names. When the answer "
        "says running or waiting_for_input, its `next` says what to call.",
        running.dipeo_run,
    ),
    _run_tool(
        "run_backend",
        "Start a diagram in the background",
        "Starts a workflow diagram and answers at once with its session_id; see_result tells how it goes on.",
        running.run_backend,
    ),
    Tool(
        "see_result",
        "See a run",
        "What a run produced, or how far it is. wait_s (up to 25) waits until it ends or asks something.",
        {
            "session_id": EXECUTION,
            "verbose": {"type": "boolean", "description": "with the output of every node; default true"},
            "wait_s": {"type": "number", "minimum": 0, "maximum": executions.MAX_WAIT_S},
            "after_seq": {"type": "integer", "minimum": 0, "description": "wait for anything after this event"},
        },
        executions.see_result,
        READ,
        required=("session_id",),
        aliases=_SESSION_ALIAS,
        output_schema=result.schema(),
        read_only=True,
        idempotent=True,
    ),
    Tool(
        "list_executions",
        "List runs",
        "Your runs, newest first.",
        {
            "status": {"type": "string", "enum": list(result.STATUSES)},
            "diagram": {"type": "string", "description": "only runs of this diagram"},
            "limit": {"type": "integer", "minimum": 1, "maximum": 100, "description": "default 20"},
            "cursor": {"type": "string", "description": "next_cursor of the page before"},
        },
        executions.list_executions,
        READ,
        output_schema=_object(
            {"executions": {"type": "array", "items": {"type": "object"}}, "next_cursor": {"type": ["string", "null"]}},
            ["executions", "next_cursor"],
        ),
        read_only=True,
        idempotent=True,
    ),
    Tool(
        "cancel_execution",
        "Cancel a run",
        "Aborts a run. One that has ended stays as it is.",
        {"session_id": EXECUTION, "reason": {"type": "string", "maxLength": 500}},
        executions.cancel_execution,
        RUN,
        required=("session_id",),
        aliases=_SESSION_ALIAS,
        output_schema=_object({"execution_id": TEXT, "status": TEXT}, ["execution_id", "status"]),
        destructive=True,
        idempotent=True,
    ),
    Tool(
        "answer_prompt",
        "Answer a run's question",
        "Answers a question that a run asks a human; ask your human first. decline: true gives an empty answer.",
        {
            "session_id": EXECUTION,
            "prompt_id": {"type": "string", "description": "id of the question, from prompts"},
            "response": {"type": "string", "maxLength": limits.MAX_INPUT_BYTES},
            "decline": {"type": "boolean"},
        },
        executions.answer_prompt,
        RUN,
        required=("session_id", "prompt_id"),
        aliases=_SESSION_ALIAS,
        output_schema=result.schema(),
    ),
    Tool(
        "search",
        "Search diagrams",
        "Finds published workflow diagrams by words of their name and description; an empty query lists all.",
        {
            "query": {"type": "string", "maxLength": 500},
            "limit": {"type": "integer", "minimum": 1, "maximum": 100, "description": "default 20"},
        },
        finding.search,
        READ,
        required=("query",),
        read_only=True,
        idempotent=True,
    ),
    Tool(
        "fetch",
        "Fetch a diagram",
        "The source text of a published diagram, by an id that search returned.",
        {"id": {"type": "string", "description": "name, or dipeo://diagrams/NAME"}},
        finding.fetch,
        READ,
        required=("id",),
        aliases={"uri": "id"},
        read_only=True,
        idempotent=True,
    ),
    Tool(
        "compile_diagram",
        "Check or publish a diagram",
        "Checks a diagram's text. With push_as it is published under that name and becomes a tool. Validate without "
        "push_as first; the resource dipeo://guides/light-format says how to write one.",
        {
            "diagram_content": {"type": "string", "description": "the whole text of the diagram"},
            "format_type": {"type": "string", "enum": list(FORMATS), "description": "default: detect"},
            "push_as": {"type": "string", "description": f"publish under this name: {NAME_RULE}"},
            "overwrite": {"type": "boolean", "description": "replace a diagram of that name"},
        },
        authoring.compile_diagram,
        WRITE,
        required=("diagram_content",),
        output_schema=_object(
            {
                "success": {"type": "boolean"},
                "valid": {"type": "boolean"},
                "errors": {"type": "array", "items": _PROBLEM},
                "warnings": {"type": "array", "items": _PROBLEM},
                "node_count": {"type": "integer"},
                "edge_count": {"type": "integer"},
                "pushed_as": TEXT,
                "tool_name": TEXT,
                "uri": TEXT,
            },
            ["success", "valid", "errors", "warnings", "node_count", "edge_count"],
        ),
        destructive=True,
    ),
    Tool(
        "unpublish_diagram",
        "Unpublish a diagram",
        "Takes a published diagram away; its tool disappears.",
        {"name": {"type": "string"}},
        authoring.unpublish_diagram,
        WRITE,
        required=("name",),
        output_schema=_object({"name": TEXT, "removed": {"type": "boolean"}}, ["name", "removed"]),
        destructive=True,
        idempotent=True,
    ),
)
BY_NAME = {tool.name: tool for tool in TOOLS}
