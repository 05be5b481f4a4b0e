"""gRPC servicer: wire in, compiler and executions called, wire out."""

import asyncio
import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

from dipeo_executor import key_check, retries, values
from dipeo_executor import options as run_options
from dipeo_executor.bundle import Bundle, ProjectSource
from dipeo_executor.compiler import Compiled, compile_diagram
from dipeo_executor.diagram_service import DiagramService
from dipeo_executor.diagram_wire import FORMATS, diagnostic_to_pb, format_to_pb
from dipeo_executor.executions import Executions
from dipeo_executor.llm.services import SERVICES
from dipeo_executor.model_list import ModelLists
from dipeo_executor.offered import Interface, interface_of
from dipeo_executor.provider_service import ProviderService
from dipeo_executor.runner import Claim
from dipeo_executor.stored_keys import StoredKeys
from dipeo_executor.uploads import UploadedSource, absent
from dipeo_executor.workspaces import Workspaces, checked_uploads
from dipeo_kit import errors, ids, rpc, telemetry
from dipeo_protos.diagram.v1 import diagram_pb2
from dipeo_protos.executor.v1 import executor_pb2 as pb
from dipeo_protos.store.v1 import events_pb2, store_pb2

CREATE_S = 8.0
CREATE_AGAIN_S = (0.1, 0.5, 2.0)


class ExecutorService(DiagramService, ProviderService):
    """dipeo.executor.v1.ExecutorService on the wire."""

    def __init__(self, executions: Executions, base: Path, keys: StoredKeys, models: ModelLists) -> None:
        super().__init__(base)
        self._executions = executions
        self._keys = keys
        self._models = models

    async def Compile(self, request: pb.CompileRequest, context: Any) -> pb.CompileResponse:
        read = await self._compiled(request)
        if isinstance(read, pb.Wanted):
            return pb.CompileResponse(wanted=read)
        compiled, captured = read
        program = compiled.program
        return pb.CompileResponse(
            valid=program is not None,
            diagnostics=[diagnostic_to_pb(it) for it in compiled.diagnostics],
            node_count=len(program.nodes) if program else 0,
            edge_count=len(program.edges) if program else 0,
            format=format_to_pb(compiled.format),
            name=compiled.name,
            interface=interface_to_pb(interface_of(compiled, program)) if program else None,
            absent_files=absent(program, self._base) if program and captured.uploads is None else (),
        )

    async def Submit(self, request: pb.SubmitRequest, context: Any) -> pb.SubmitResponse:
        if request.execution_id:
            checked_id(request.execution_id)
        variables = mapping_of(request.variables_json, "variables")
        options = run_options.from_pb(request.options)
        read = await self._compiled(request)
        if isinstance(read, pb.Wanted):
            return pb.SubmitResponse(wanted=read)
        compiled, captured = read
        diagnostics = [diagnostic_to_pb(it) for it in compiled.diagnostics]
        if compiled.program is None:
            return pb.SubmitResponse(diagnostics=diagnostics)
        executions, bundle = self._executions, captured.to_bytes()
        parent = telemetry.traceparent()
        create = store_pb2.CreateExecutionRequest(
            execution_id=request.execution_id or ids.new_execution_id(),
            diagram_id=compiled.program.path,
            diagram_name=compiled.name,
            source=bundle,
            variables_json=values.encode(variables),
            options_json=run_options.to_json(options),
            origin=request.origin,
            principal=request.principal,
            trace_parent=parent,
            idempotency_key=request.idempotency_key,
            idempotency_hash=meaning(bundle, request),
            timeout_s=options.timeout_s,
            session_id=executions.session_id if executions.free_slots else "",
        )
        created = await self._create(create)
        execution_id = created.execution.execution_id
        if created.HasField("claim") and execution_id not in executions.held:
            if created.claim.recovery:
                executions.take(created.claim)
            else:
                claim = Claim(execution_id, created.claim.fence, created.claim.head_seq)
                workspace = await executions.workspace(execution_id, captured)
                executions.begin(claim, compiled.program, variables, options, parent, workspace)
        return pb.SubmitResponse(execution_id=execution_id, diagnostics=diagnostics)

    async def Retry(self, request: pb.RetryRequest, context: Any) -> pb.RetryResponse:
        new_id = checked_id(request.new_execution_id or ids.new_execution_id())
        journal = await self._ended_journal(request.execution_id)
        cut = retries.cut(journal, request.from_node)
        executions = self._executions
        create = store_pb2.CreateExecutionRequest(
            execution_id=new_id,
            fork=store_pb2.Fork(execution_id=request.execution_id, before_seq=cut.before_seq),
            origin=request.origin,
            principal=request.principal,
            trace_parent=telemetry.traceparent(),
            idempotency_key=request.idempotency_key,
            idempotency_hash=f"{request.execution_id}:{cut.before_seq}",
            timeout_s=run_options.from_json(journal[0].execution_created.options_json).timeout_s,
            session_id=executions.session_id if executions.free_slots else "",
        )
        created = await self._create(create)
        if created.HasField("claim") and created.execution.execution_id not in executions.held:
            executions.take(created.claim)
        return pb.RetryResponse(execution_id=created.execution.execution_id, kept=cut.kept, from_label=cut.label)

    async def TestKey(self, request: pb.TestKeyRequest, context: Any) -> pb.TestKeyResponse:
        service, secret = await self._keys.reveal(request.reference)
        found = await key_check.verdict(service, secret.key, secret.base_url, self._executions.house.http)
        return pb.TestKeyResponse(valid=found.valid, message=found.message)

    async def ListModels(self, request: pb.ListModelsRequest, context: Any) -> pb.ListModelsResponse:
        services = [
            pb.ModelService(name=it.name, needs_key=it.needs_key, key_variables=it.key_variables)
            for it in SERVICES.values()
        ]
        found = await self._models.of(request.service, request.key) if request.service else []
        if isinstance(found, str):
            return pb.ListModelsResponse(problem=found, services=services)
        return pb.ListModelsResponse(models=found, services=services)

    async def _create(self, request: store_pb2.CreateExecutionRequest) -> store_pb2.CreateExecutionResponse:
        """Asked again when a store went away meanwhile: it stays one execution, and a claim that was made is told.

        Raises AlreadyExists, Unavailable.
        """
        for wait_s in CREATE_AGAIN_S:
            try:
                return await rpc.call(self._executions.house.store.CreateExecution, request, timeout_s=CREATE_S)
            except errors.Unavailable:
                await asyncio.sleep(wait_s)
        return await rpc.call(self._executions.house.store.CreateExecution, request, timeout_s=CREATE_S)

    async def _ended_journal(self, execution_id: str) -> list[events_pb2.Event]:
        """Raises NotFound, Conflict while it has not ended."""
        found: list[events_pb2.Event] = []
        while True:
            after = found[-1].seq if found else 0
            request = store_pb2.ReadJournalRequest(execution_id=execution_id, after_seq=after, limit=1000)
            page = await rpc.call(self._executions.house.store.ReadJournal, request)
            if not page.terminal:
                raise errors.Conflict(f"execution {execution_id} has not ended; cancel it first, or wait")
            found += page.events
            if found[-1].seq >= page.head_seq:
                return found

    async def ListFiles(self, request: pb.ListFilesRequest, context: Any) -> pb.ListFilesResponse:
        written = await asyncio.to_thread(self._workspaces().written, checked_id(request.execution_id))
        return pb.ListFilesResponse(files=[pb.File(name=it.name, size=it.size, sha256=it.sha256) for it in written])

    async def ReadFile(self, request: pb.ReadFileRequest, context: Any) -> pb.ReadFileResponse:
        execution_id = checked_id(request.execution_id)
        return pb.ReadFileResponse(content=await asyncio.to_thread(self._workspaces().file, execution_id, request.name))

    def _workspaces(self) -> Workspaces:
        found = self._executions.house.workspaces
        if found is None:
            raise errors.NotSupported("runs of this executor work in the project itself; their files are there")
        return found

    async def _compiled(self, request: pb.CompileRequest | pb.SubmitRequest) -> tuple[Compiled, Bundle] | pb.Wanted:
        """The compiled diagram and what was captured for it, unless files of the client are missing."""
        changes = mapping_of(request.changes_json, "changes")
        return await asyncio.to_thread(self._compile, request.source, request.uploads, changes)

    def _compile(
        self, source: diagram_pb2.Source, uploads: pb.Uploads, changes: dict[str, Any]
    ) -> tuple[Compiled, Bundle] | pb.Wanted:
        workspaces = self._executions.house.workspaces
        files: ProjectSource | UploadedSource = ProjectSource(self._base)
        if workspaces is not None:
            sent = checked_uploads(uploads.files)
            workspaces.keep(uploads.contents)
            if missing := workspaces.missing(sent.values()):
                return pb.Wanted(contents=missing)
            files = UploadedSource(workspaces, sent)
        format = FORMATS.get(source.format, "")
        compiled = compile_diagram(source.text, path=source.path, format=format, files=files, changes=changes)
        if isinstance(files, UploadedSource) and (wanted := files.wanted_for(compiled.program)):
            return pb.Wanted(names=wanted)
        bundle = files.bundle(source.text, path=source.path, format=compiled.format)
        return compiled, dataclasses.replace(bundle, changes=changes)


def checked_id(execution_id: str) -> str:
    """It becomes part of a path. Raises BadInput."""
    if not ids.is_execution_id(execution_id):
        raise errors.BadInput(f"execution id {execution_id!r} must be exec_ and 32 hex digits")
    return execution_id


def mapping_of(data: bytes, name: str) -> dict[str, Any]:
    """Raises BadInput, naming the field, unless it is a JSON object; empty is {}."""
    try:
        found = values.decode(data or b"{}")
    except values.ValueNotJson as error:
        raise errors.BadInput(f"{name}: {error}") from error
    if not isinstance(found, dict):
        raise errors.BadInput(f"{name} must be a JSON object, not a {type(found).__name__}")
    return found


def meaning(bundle: bytes, request: pb.SubmitRequest) -> str:
    """What two requests must share to be the same request."""
    digest = hashlib.sha256(bundle)
    digest.update(request.variables_json)
    digest.update(request.options.SerializeToString(deterministic=True))
    return digest.hexdigest()


def interface_to_pb(it: Interface) -> pb.Interface:
    def written(value: dict[str, Any]) -> bytes:
        return json.dumps(value, ensure_ascii=False, default=str).encode() if value else b""  # YAML knows dates

    return pb.Interface(
        description=it.description,
        mcp_json=written(it.mcp),
        defaults_json=written(it.defaults),
        inputs_json=written(it.inputs),
        node_types=it.node_types,
        straight=it.straight,
    )
