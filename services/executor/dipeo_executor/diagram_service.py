"""gRPC servicer, the part about diagrams as text: wire in, one call, wire out. Nothing here is stored or run."""

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dipeo_executor.bundle import ProjectSource
from dipeo_executor.compiler import compile_diagram
from dipeo_executor.describing import describe
from dipeo_executor.diagram_wire import FORMATS, diagnostic_to_pb, format_to_pb
from dipeo_executor.finding import Found, find
from dipeo_executor.formats.converting import NotWritable, convert
from dipeo_executor.formats.detect import Format
from dipeo_executor.formats.diagnostics import Report
from dipeo_executor.formats.loading import load
from dipeo_executor.formats.model import Diagram
from dipeo_executor.pictures import PICTURES
from dipeo_executor.reference import NodeKind, light_schema, node_kinds
from dipeo_executor.tidying import NotTidied, tidy
from dipeo_kit import errors
from dipeo_protos.diagram.v1 import diagram_pb2
from dipeo_protos.executor.v1 import executor_pb2 as pb
from dipeo_protos.executor.v1 import executor_pb2_grpc as pb_grpc


@dataclass(frozen=True, slots=True)
class _Read:
    """A text as far as it can be read. `diagram` is None when an error is among the diagnostics."""

    diagram: Diagram | None
    format: Format | None
    diagnostics: list[diagram_pb2.Diagnostic]


def _read(source: diagram_pb2.Source) -> _Read:
    report = Report()
    diagram, format = load(source.text, path=source.path, flag=FORMATS.get(source.format, ""), report=report)
    found = [diagnostic_to_pb(it) for it in report.in_file_order()]
    return _Read(None if report.has_errors else diagram, format, found)


class DiagramService(pb_grpc.ExecutorServiceServicer):
    """Convert, Reformat, Describe, Export, DescribeNodeTypes, FindDiagrams of dipeo.executor.v1.ExecutorService."""

    def __init__(self, base: Path) -> None:
        self._base = base

    async def Convert(self, request: pb.ConvertRequest, context: Any) -> pb.ConvertResponse:
        if request.target not in FORMATS:
            raise errors.BadInput(f"target: one of {', '.join(FORMATS.values())} is needed")
        return await asyncio.to_thread(_convert, request)

    async def Reformat(self, request: pb.ReformatRequest, context: Any) -> pb.ReformatResponse:
        return await asyncio.to_thread(_reformat, request)

    async def Describe(self, request: pb.DescribeRequest, context: Any) -> pb.DescribeResponse:
        if request.picture and request.picture not in PICTURES:
            raise errors.BadInput(f'picture: "{request.picture}" is unknown; there are {", ".join(PICTURES)}')
        return await asyncio.to_thread(_describe, request)

    async def Export(self, request: pb.ExportRequest, context: Any) -> pb.ExportResponse:
        return await asyncio.to_thread(_export, request, self._base)

    async def DescribeNodeTypes(
        self, request: pb.DescribeNodeTypesRequest, context: Any
    ) -> pb.DescribeNodeTypesResponse:
        schema = json.dumps(light_schema(), ensure_ascii=False).encode()
        return pb.DescribeNodeTypesResponse(types=map(_kind_to_pb, node_kinds()), light_schema_json=schema)

    async def FindDiagrams(self, request: pb.FindDiagramsRequest, context: Any) -> pb.FindDiagramsResponse:
        folder = (self._base / request.folder).resolve()
        if not folder.is_relative_to(self._base.resolve()) or not folder.is_dir():
            raise errors.BadInput(f'folder: "{request.folder}" is no folder of the project')
        found = await asyncio.to_thread(find, self._base.resolve(), folder)
        return pb.FindDiagramsResponse(files=map(_found_to_pb, found))


def _export(request: pb.ExportRequest, base: Path) -> pb.ExportResponse:
    from dipeo_executor.export.script import export  # reads sources of ours; only who exports waits for it

    source = request.source
    compiled = compile_diagram(
        source.text, path=source.path, format=FORMATS.get(source.format, ""), files=ProjectSource(base)
    )
    response = pb.ExportResponse(diagnostics=[diagnostic_to_pb(it) for it in compiled.diagnostics])
    if compiled.program is not None:
        exported = export(compiled.program, about=compiled.metadata.description)
        response.text = exported.text
        response.diagnostics.extend(diagnostic_to_pb(it) for it in exported.problems)
    return response


def _convert(request: pb.ConvertRequest) -> pb.ConvertResponse:
    read = _read(request.source)
    response = pb.ConvertResponse(diagnostics=read.diagnostics, format=format_to_pb(read.format))
    if read.diagram is not None:
        try:
            converted = convert(read.diagram, FORMATS[request.target])
        except NotWritable as error:
            raise errors.BadInput(str(error)) from error
        response.text = converted.text
        response.losses.extend(converted.losses)
    return response


def _reformat(request: pb.ReformatRequest) -> pb.ReformatResponse:
    read = _read(request.source)
    response = pb.ReformatResponse(diagnostics=read.diagnostics)
    if read.diagram is not None and read.format is not None:
        try:
            response.text = tidy(request.source.text, read.diagram, read.format)
        except NotTidied as error:
            raise errors.BadInput(str(error)) from error
    return response


def _describe(request: pb.DescribeRequest) -> pb.DescribeResponse:
    read = _read(request.source)
    response = pb.DescribeResponse(diagnostics=read.diagnostics, format=format_to_pb(read.format))
    if read.diagram is None:
        return response
    found = describe(read.diagram)
    response.name = read.diagram.metadata.name
    response.node_count, response.edge_count, response.depth = found.nodes, found.edges, found.depth
    response.node_types.update(found.node_types)
    response.unreachable.extend(found.unreachable)
    response.loops.extend(pb.Loop(labels=labels) for labels in found.loops)
    response.persons.extend(
        pb.PersonUse(id=it.id, label=it.label, service=it.service, model=it.model, nodes=nodes)
        for it, nodes in found.persons
    )
    if request.picture:
        response.picture = PICTURES[request.picture](read.diagram)
    return response


def _kind_to_pb(kind: NodeKind) -> pb.NodeType:
    return pb.NodeType(
        name=kind.name,
        summary=kind.summary,
        inputs=kind.inputs,
        outputs=kind.outputs,
        properties=[
            pb.Property(
                name=it.name,
                type=it.type,
                required=it.required,
                default_json=b"" if it.required else json.dumps(it.default, ensure_ascii=False).encode(),
                help=it.help,
            )
            for it in kind.properties
        ],
    )


def _found_to_pb(found: Found) -> pb.DiagramFile:
    diagram = found.diagram
    return pb.DiagramFile(
        path=found.path,
        name=found.name,
        format=format_to_pb(found.format),
        node_count=len(diagram.nodes),
        description=diagram.metadata.description,
        start_nodes=[node.name for node in diagram.nodes if node.type == "start"],
        persons=[person.label for person in diagram.persons],
        modified_ms=found.modified_ms,
    )
