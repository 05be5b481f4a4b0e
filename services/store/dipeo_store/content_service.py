"""dipeo.store.v1.StoreService beside journals: blobs, secrets, the catalogue, the overview of executions."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from grpc import aio

from dipeo_kit import logs
from dipeo_kit.errors import BadInput, Forbidden, Unavailable
from dipeo_protos.store.v1 import content_pb2, store_pb2, store_pb2_grpc
from dipeo_store import blobs, catalog, content_wire, overview, retention, secrets, uploads, wire
from dipeo_store.backends import Backend
from dipeo_store.errors import UnknownExecution

Context = aio.ServicerContext[Any, Any]
log = logs.get(__name__)

POLL_S = 1.0  # changes of the catalogue and of executions reach their readers at most so much later
CHANGES = 100


class ContentService(store_pb2_grpc.StoreServiceServicer):
    def __init__(self, backend: Backend, safe: secrets.Safe, ages: retention.Ages) -> None:
        self._backend, self._safe, self._ages = backend, safe, ages
        self._ended = asyncio.Event()

    def stop(self) -> None:
        """End the streams that would stay open for ever."""
        self._ended.set()

    async def _pause(self) -> None:
        """A second. Raises Unavailable once the store is stopping."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), POLL_S)
        if self._ended.is_set():
            raise Unavailable("the store is stopping; watch again")

    # --- all executions ---

    async def WatchExecutions(
        self, request: store_pb2.WatchExecutionsRequest, context: Context
    ) -> AsyncIterator[store_pb2.WatchExecutionsResponse]:
        view = overview.View(wire.statuses_from_pb(request.statuses))
        seen_us: int | None = None
        first = True
        while True:
            found, seen_us = await self._backend.overview(request.diagram_id, seen_us=seen_us)
            for execution_id in view.vanished(found):
                with suppress(UnknownExecution):  # removed
                    found.append(await self._backend.execution(execution_id))
            changed = view.changed(found)
            if changed or first:  # the first answer says also that there is nothing
                yield store_pb2.WatchExecutionsResponse(executions=map(wire.summary_to_pb, changed))
            first = False
            await self._pause()

    async def PinExecution(
        self, request: store_pb2.PinExecutionRequest, context: Context
    ) -> store_pb2.PinExecutionResponse:
        execution = await self._backend.pin(wire.checked_id(request.execution_id), request.pinned)
        return store_pb2.PinExecutionResponse(execution=wire.execution_to_pb(execution))

    async def Retain(self, request: store_pb2.RetainRequest, context: Context) -> store_pb2.RetainResponse:
        removed = await retention.retain(self._backend, self._ages)
        return store_pb2.RetainResponse(
            executions_removed=removed.executions, logs_emptied=removed.logs, blobs_removed=removed.blobs
        )

    # --- blobs ---

    async def PutBlob(
        self, request_iterator: AsyncIterator[content_pb2.PutBlobRequest], context: Context
    ) -> AsyncIterator[content_pb2.PutBlobResponse]:
        async with uploads.received(request_iterator) as upload:
            await self._backend.put_blob(upload.hash, upload.size, upload.chunks)
        yield content_pb2.PutBlobResponse(hash=upload.hash, size_bytes=upload.size)

    async def GetBlob(
        self, request: content_pb2.GetBlobRequest, context: Context
    ) -> AsyncIterator[content_pb2.GetBlobResponse]:
        hash_ = blobs.checked_hash(request.hash)
        size, digest, number = await self._backend.blob_size(hash_), hashlib.sha256(), 0
        yield content_pb2.GetBlobResponse(size_bytes=size)
        while data := await self._backend.blob_chunk(hash_, number):
            digest.update(data)
            yield content_pb2.GetBlobResponse(data=data)
            number += 1
        if digest.hexdigest() != hash_:
            raise blobs.damaged(hash_)

    # --- secrets ---

    async def PutSecret(self, request: content_pb2.PutSecretRequest, context: Context) -> content_pb2.PutSecretResponse:
        new = secrets.checked(content_wire.new_secret_from_pb(request))
        stored = await self._backend.put_secret(self._safe.seal(new))
        log.info("secret.put", secret_id=stored.secret_id, service=stored.service)
        return content_pb2.PutSecretResponse(secret=content_wire.secret_to_pb(stored))

    async def ListSecrets(
        self, request: content_pb2.ListSecretsRequest, context: Context
    ) -> content_pb2.ListSecretsResponse:
        found = await self._backend.secrets()
        wanted = [each for each in found if request.service in ("", each.service)]
        return content_pb2.ListSecretsResponse(secrets=map(content_wire.secret_to_pb, wanted))

    async def DeleteSecret(
        self, request: content_pb2.DeleteSecretRequest, context: Context
    ) -> content_pb2.DeleteSecretResponse:
        deleted = await self._backend.delete_secret(request.secret_id)
        if deleted:
            log.info("secret.deleted", reference=request.secret_id)
        return content_pb2.DeleteSecretResponse(deleted=deleted)

    async def RevealSecret(
        self, request: content_pb2.RevealSecretRequest, context: Context
    ) -> content_pb2.RevealSecretResponse:
        if not request.session_id or not await self._backend.session_alive(request.session_id):
            raise Forbidden("keys are revealed to executors with a live session only")
        sealed = secrets.chosen(await self._backend.secrets(), request.reference, request.service)
        key = self._safe.open(sealed)
        await self._backend.secret_used(sealed.secret_id)
        log.info(
            "secret.revealed",
            secret_id=sealed.secret_id,
            session_id=request.session_id,
            execution_id=request.execution_id,
        )
        return content_pb2.RevealSecretResponse(secret=content_wire.secret_to_pb(sealed), key=key)

    # --- the catalogue ---

    async def PutDiagram(
        self, request: content_pb2.PutDiagramRequest, context: Context
    ) -> content_pb2.PutDiagramResponse:
        entry = catalog.checked(content_wire.entry_from_pb(request))
        stored, changed = await self._backend.put_diagram(entry, if_match=_if_match(request))
        return content_pb2.PutDiagramResponse(entry=content_wire.entry_to_pb(stored), changed=changed)

    async def GetDiagram(
        self, request: content_pb2.GetDiagramRequest, context: Context
    ) -> content_pb2.GetDiagramResponse:
        return content_pb2.GetDiagramResponse(entry=content_wire.entry_to_pb(await self._backend.diagram(request.name)))

    async def ListDiagrams(
        self, request: content_pb2.ListDiagramsRequest, context: Context
    ) -> content_pb2.ListDiagramsResponse:
        limit = wire.page_size(request.page_size, default=100)
        found = await self._backend.diagrams(
            published_only=request.published_only, after_name=request.page_token, limit=limit + 1
        )
        page = found[:limit]
        return content_pb2.ListDiagramsResponse(
            entries=map(content_wire.entry_to_pb, page),
            next_page_token=page[-1].name if len(found) > limit else "",
        )

    async def DeleteDiagram(
        self, request: content_pb2.DeleteDiagramRequest, context: Context
    ) -> content_pb2.DeleteDiagramResponse:
        deleted = await self._backend.delete_diagram(request.name, if_match=_if_match(request))
        return content_pb2.DeleteDiagramResponse(deleted=deleted)

    async def WatchCatalog(
        self, request: content_pb2.WatchCatalogRequest, context: Context
    ) -> AsyncIterator[content_pb2.WatchCatalogResponse]:
        if request.after_revision < 0:
            raise BadInput(f"after_revision {request.after_revision}: 0 or more is needed")
        last = request.after_revision
        while True:
            while changes := await self._backend.catalog_changes(last, limit=CHANGES):
                yield content_pb2.WatchCatalogResponse(changes=map(content_wire.change_to_pb, changes))
                last = changes[-1].etag
            await self._pause()


def _if_match(request: content_pb2.PutDiagramRequest | content_pb2.DeleteDiagramRequest) -> int | None:
    return request.if_match if request.HasField("if_match") else None
