"""Diagrams that are offered to others, kept in the store's catalogue (spec/gateway.md §4.2, spec/cli.md §6.4).

The executor says what a diagram is; nothing is stored that does not compile or that would miss its files.
"""

# mypy: disable-error-code="untyped-decorator"
# Strawberry types its decorators as Any as soon as they are given a name.

from typing import Any, TypeAlias

import strawberry
from strawberry.file_uploads import Upload
from strawberry.types import Info as StrawberryInfo

from dipeo_gateway import faults, submit, wire
from dipeo_gateway.context import Context
from dipeo_gateway.keys import DeleteResult
from dipeo_gateway.types import JSON, DiagramFormatGraphQL
from dipeo_kit import errors, publishing
from dipeo_protos.executor.v1 import executor_pb2
from dipeo_protos.store.v1 import content_pb2

Info: TypeAlias = StrawberryInfo[Context, None]

PAGE = 200


@strawberry.type
class PublishedQueries:
    @strawberry.field(
        name="publishedDiagrams", description="[{name, tool, uri, format, etag, updated_at, updated_by}], by name."
    )
    async def published_diagrams(self, info: Info) -> list[JSON]:
        _require_catalogue(info.context)
        entries = await _entries(info.context)
        tools = publishing.tool_names(it.name for it in entries)
        return [_listed(it, tools[it.name]) for it in entries]


@strawberry.type
class PublishedMutations:
    @strawberry.mutation(
        name="uploadDiagram",
        description="Publishes a diagram that compiles. `file`: its text, as a JSON string. "
        "{success, message, error, error_type, envelope, diagram_id, uri, etag, replaced}",
    )
    async def upload_diagram(
        self,
        info: Info,
        file: Upload,
        format: DiagramFormatGraphQL | None,
        name: str | None = None,
        overwrite: bool = True,
    ) -> JSON:
        try:
            return await _published(info.context, file, format, name or "", overwrite)
        except errors.DipeoError as error:
            return _refused(faults.text_of(error), faults.code_of(error))

    @strawberry.mutation(name="deleteDiagram", description="Takes a published diagram away, by name.")
    async def delete_diagram(self, info: Info, diagram_id: str) -> DeleteResult:
        try:
            _require_catalogue(info.context)
            store = info.context.backend.store
            request = content_pb2.DeleteDiagramRequest(name=diagram_id)
            if not (await store.write(store.rpc.DeleteDiagram, request)).deleted:
                raise errors.NotFound(f"{diagram_id} is not published")
        except errors.DipeoError as error:
            return DeleteResult(success=False, error=faults.text_of(error), error_type=faults.code_of(error))
        return DeleteResult(success=True, message="done", deleted_id=diagram_id, deleted_count=1)


async def _published(
    context: Context, text: Any, format: DiagramFormatGraphQL | None, name: str, overwrite: bool
) -> dict[str, Any]:
    _require_catalogue(context)
    if not publishing.is_name(name):
        raise errors.BadInput(f'name "{name[:100]}": a name has {publishing.NAME_RULE}')
    if not isinstance(text, str):
        raise errors.BadInput("file: the text of the diagram is needed, as a JSON string")
    if excess := publishing.excess(text):
        raise errors.BadInput(f"file: {excess}")
    executor = context.backend.executor
    request = executor_pb2.CompileRequest(source=submit.source(text, None, format))  # without files, as it will be run
    compiled = await executor.write(executor.rpc.Compile, request)
    if compiled.HasField("wanted"):
        raise errors.DiagramInvalid(publishing.names_files(compiled.wanted.names, remote=True))
    if compiled.absent_files:
        raise errors.DiagramInvalid(publishing.names_files(compiled.absent_files, remote=False))
    found = submit.diagnostics(compiled.diagnostics)
    if not compiled.valid:
        problem = found["errors"][0]["message"] if found["errors"] else "it does not compile"
        return _refused(f"the diagram is invalid: {problem}", errors.DiagramInvalid.code, found)
    if compiled.node_count > publishing.MAX_NODES:
        raise errors.BadInput(f"file: more than {publishing.MAX_NODES} nodes")
    word = submit.format_word(compiled.format) or "light"
    etag, replaced = await _put(context, name, text, word, overwrite)
    return {
        "success": True,
        "message": "published",
        "error": None,
        "error_type": None,
        "envelope": found,
        "diagram_id": name,
        "uri": f"{publishing.URI}{name}",
        "etag": etag,
        "replaced": replaced,
    }


async def _put(context: Context, name: str, text: str, format: str, overwrite: bool) -> tuple[str, bool]:
    """(etag, whether it replaced something). Raises AlreadyExists; Conflict when somebody else was quicker."""
    store = context.backend.store
    try:
        found = await store.read(store.rpc.GetDiagram, content_pb2.GetDiagramRequest(name=name))
        before = found.entry.etag
    except errors.NotFound:
        before = 0
    if before and not overwrite:
        raise errors.AlreadyExists(f"{name} is published already")
    request = content_pb2.PutDiagramRequest(
        name=name, format=format, text=text, published=True, if_match=before, updated_by=context.principal
    )
    stored = await store.write(store.rpc.PutDiagram, request)
    return str(stored.entry.etag), bool(before)


async def _entries(context: Context) -> list[content_pb2.CatalogEntry]:
    store, entries, token = context.backend.store, [], ""  # type: Any, list[content_pb2.CatalogEntry], str
    while True:
        request = content_pb2.ListDiagramsRequest(published_only=True, page_size=PAGE, page_token=token)
        page = await store.read(store.rpc.ListDiagrams, request)
        entries += page.entries
        token = page.next_page_token
        if not token:
            return entries


def _require_catalogue(context: Context) -> None:
    if not context.publishes:
        raise errors.NotSupported(
            "what is published here are the files in projects/mcp-diagrams of the project this gateway belongs to; "
            "publish there"
        )


def _refused(text: str, code: str, envelope: Any = None) -> dict[str, Any]:
    return {"success": False, "message": text, "error": text, "error_type": code, "envelope": envelope}


def _listed(it: content_pb2.CatalogEntry, tool: str) -> dict[str, Any]:
    return {
        "name": it.name,
        "tool": tool,
        "uri": f"{publishing.URI}{it.name}",
        "format": it.format,
        "etag": str(it.etag),
        "updated_at": wire.time_of(it, "updated_at"),
        "updated_by": it.updated_by or None,
    }
