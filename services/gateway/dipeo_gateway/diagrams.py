"""Diagrams as text: what the executor says about one, as GraphQL prints it. Nothing here is stored (decision 19)."""

# mypy: disable-error-code="untyped-decorator"
# Strawberry types its decorators as Any as soon as they are given a name.

import json
from datetime import UTC, datetime
from typing import Any, TypeAlias

import strawberry
from strawberry.types import Info as StrawberryInfo

from dipeo_gateway import faults, submit
from dipeo_gateway.context import Context
from dipeo_gateway.types import JSON, DiagramFormatGraphQL
from dipeo_kit import errors
from dipeo_protos.diagram.v1 import diagram_pb2
from dipeo_protos.executor.v1 import executor_pb2

Info: TypeAlias = StrawberryInfo[Context, None]


@strawberry.type(description="Outcome of a conversion; `envelope` holds diagnostics and losses.")
class FormatConversionResult:
    success: bool
    message: str | None = None
    error: str | None = None
    error_type: str | None = None
    envelope: JSON | None = strawberry.field(
        default=None, description="{errors, warnings, losses}: what reading the new text does not give back."
    )
    data: str | None = strawberry.field(default=None, description="The converted text.")
    format: str | None = None
    original_format: str | None = None


@strawberry.type
class DiagramQueries:
    @strawberry.field(name="describeDiagram", description="Figures of a diagram, and its picture if one is asked for.")
    async def describe_diagram(
        self,
        info: Info,
        source: str,
        path: str | None = None,
        format: DiagramFormatGraphQL | None = None,
        picture: str | None = None,
    ) -> JSON:
        executor = info.context.backend.executor
        request = executor_pb2.DescribeRequest(source=submit.source(source, path, format), picture=picture or "")
        return _described(await executor.read(executor.rpc.Describe, request))

    @strawberry.field(name="reformatDiagram", description="{text, errors, warnings}: the usual layout, comments kept.")
    async def reformat_diagram(
        self, info: Info, source: str, path: str | None = None, format: DiagramFormatGraphQL | None = None
    ) -> JSON:
        executor = info.context.backend.executor
        request = executor_pb2.ReformatRequest(source=submit.source(source, path, format))
        response = await executor.read(executor.rpc.Reformat, request)
        return {"text": response.text or None, **submit.diagnostics(response.diagnostics)}

    @strawberry.field(
        name="exportDiagram", description="{text, errors, warnings}: a Python script that behaves like the diagram."
    )
    async def export_diagram(
        self, info: Info, source: str, path: str | None = None, format: DiagramFormatGraphQL | None = None
    ) -> JSON:
        executor = info.context.backend.executor
        request = executor_pb2.ExportRequest(source=submit.source(source, path, format))
        response = await executor.read(executor.rpc.Export, request)
        return {"text": response.text or None, **submit.diagnostics(response.diagnostics)}

    @strawberry.field(name="getNodeTypes", description="{types, light_schema}: properties, and the schema for editors.")
    async def node_types(self, info: Info) -> JSON:
        executor = info.context.backend.executor
        response = await executor.read(executor.rpc.DescribeNodeTypes, executor_pb2.DescribeNodeTypesRequest())
        return {"types": [_kind(it) for it in response.types], "light_schema": json.loads(response.light_schema_json)}

    @strawberry.field(name="findDiagrams", description="Files of the project that are diagrams, by path.")
    async def find_diagrams(self, info: Info, folder: str | None = None) -> list[JSON]:
        executor = info.context.backend.executor
        request = executor_pb2.FindDiagramsRequest(folder=folder or "")
        return [_file(it) for it in (await executor.read(executor.rpc.FindDiagrams, request)).files]


@strawberry.type
class DiagramMutations:
    @strawberry.mutation(name="convertDiagramFormat", description="The same diagram in another format.")
    async def convert_diagram_format(
        self,
        info: Info,
        content: str,
        from_format: DiagramFormatGraphQL | None,
        to_format: DiagramFormatGraphQL,
        path: str | None = None,
    ) -> FormatConversionResult:
        executor = info.context.backend.executor
        target = submit.format_number(to_format) or diagram_pb2.FORMAT_LIGHT  # YAML to write is light
        request = executor_pb2.ConvertRequest(source=submit.source(content, path, from_format), target=target)
        try:
            return _converted(await executor.read(executor.rpc.Convert, request), target)
        except errors.DipeoError as error:
            text = faults.text_of(error)
            return FormatConversionResult(success=False, message=text, error=text, error_type=faults.code_of(error))


def _converted(response: executor_pb2.ConvertResponse, target: "diagram_pb2.Format") -> FormatConversionResult:
    found = submit.diagnostics(response.diagnostics)
    envelope = {**found, "losses": list(response.losses)}
    original = submit.format_word(response.format)
    if found["errors"]:
        text = f"the diagram cannot be read: {found['errors'][0]['message']}"
        return FormatConversionResult(
            success=False, message=text, error=text, error_type=errors.DiagramInvalid.code, envelope=envelope,
            original_format=original,
        )  # fmt: skip
    word = submit.format_word(target)
    return FormatConversionResult(
        success=True, message="converted", envelope=envelope, data=response.text, format=word, original_format=original
    )


def _described(response: executor_pb2.DescribeResponse) -> dict[str, Any]:
    return {
        **submit.diagnostics(response.diagnostics),
        "format": submit.format_word(response.format),
        "name": response.name or None,
        "nodes": response.node_count,
        "edges": response.edge_count,
        "node_types": dict(sorted(response.node_types.items())),
        "persons": [
            {"id": it.id, "label": it.label, "service": it.service, "model": it.model, "nodes": it.nodes}
            for it in response.persons
        ],
        "loops": [list(loop.labels) for loop in response.loops],
        "depth": response.depth,
        "unreachable": list(response.unreachable),
        "picture": response.picture or None,
    }


def _kind(it: executor_pb2.NodeType) -> dict[str, Any]:
    return {
        "name": it.name,
        "summary": it.summary,
        "inputs": list(it.inputs),
        "outputs": list(it.outputs),
        "properties": [
            {
                "name": one.name,
                "type": one.type,
                "required": one.required,
                "default": json.loads(one.default_json) if one.default_json else None,
                "help": one.help or None,
            }
            for one in it.properties
        ],
    }


def _file(it: executor_pb2.DiagramFile) -> dict[str, Any]:
    return {
        "name": it.name,
        "path": it.path,
        "format": submit.format_word(it.format),
        "nodes": it.node_count,
        "description": it.description or None,
        "start_nodes": list(it.start_nodes),
        "persons": list(it.persons),
        "modified_at": datetime.fromtimestamp(it.modified_ms / 1000, UTC).isoformat(timespec="seconds"),
    }
