"""Where published diagrams are kept (spec/mcp.md §3.1): the store's catalogue in deployment, files on a laptop.

This service reads no folder. Whoever hosts it hands it a Catalogue; `dipeo_cli.local` has one over BASE's files.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from dipeo_kit import errors, rpc
from dipeo_mcp.backend import Backend
from dipeo_protos.store.v1 import content_pb2

LIGHT, NATIVE, READABLE = "light", "native", "readable"
FORMATS = (LIGHT, NATIVE, READABLE)


@dataclass(frozen=True, slots=True)
class Entry:
    """A diagram by name. `etag` changes with the content; `path` as the executor should see it, "" = none."""

    name: str
    text: str
    format: str  # light, native, readable; "" = to be detected
    etag: str
    updated_at: datetime
    path: str = ""


class Catalogue(Protocol):
    """Every method raises DipeoError. Names have been checked (publishing.is_name)."""

    async def published(self) -> Sequence[Entry]:
        """All of them, in any order."""

    async def find(self, name: str) -> Entry | None:
        """A diagram that is not published but that an author may run by its name; None when there is none."""

    async def put(self, name: str, text: str, format: str, *, overwrite: bool) -> bool:
        """Publish; whether it replaced something. Raises AlreadyExists unless it may."""

    async def remove(self, name: str) -> bool:
        """Unpublish; False when nothing was."""

    def changes(self) -> AsyncIterator[None]:
        """One item whenever something may have changed; within a second of the change. Never ends."""


class StoreCatalogue:
    """The published diagrams of the store."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._known: dict[str, Entry] = {}  # by name; texts are asked for once per etag

    async def published(self) -> Sequence[Entry]:
        found: dict[str, Entry] = {}
        token = ""
        while True:
            request = content_pb2.ListDiagramsRequest(published_only=True, page_size=200, page_token=token)
            page = await self._backend.store.read(self._backend.store.rpc.ListDiagrams, request)
            for summary in page.entries:
                known = self._known.get(summary.name)
                fresh = known is not None and known.etag == str(summary.etag)
                entry = known if fresh else await self._get(summary.name)
                if entry is not None:
                    found[entry.name] = entry
            token = page.next_page_token
            if not token:
                self._known = found
                return list(found.values())

    async def find(self, name: str) -> Entry | None:
        return await self._get(name)

    async def put(self, name: str, text: str, format: str, *, overwrite: bool) -> bool:
        before = await self._get(name)
        if before is not None and not overwrite:
            raise errors.AlreadyExists(f'the diagram "{name}" exists; give overwrite: true to replace it')
        request = content_pb2.PutDiagramRequest(
            name=name,
            format=format,
            text=text,
            published=True,
            if_match=int(before.etag) if before else 0,
            updated_by="mcp",
        )
        await self._backend.store.write(self._backend.store.rpc.PutDiagram, request)
        return before is not None

    async def remove(self, name: str) -> bool:
        request = content_pb2.DeleteDiagramRequest(name=name)
        return (await self._backend.store.write(self._backend.store.rpc.DeleteDiagram, request)).deleted

    async def changes(self) -> AsyncIterator[None]:
        revision = 0
        while True:
            try:
                request = content_pb2.WatchCatalogRequest(after_revision=revision)
                call = self._backend.store.rpc.WatchCatalog(request, metadata=rpc.metadata())
                with rpc.translated():
                    async for response in call:
                        revision = max((change.revision for change in response.changes), default=revision)
                        yield None
            except errors.DipeoError:
                await asyncio.sleep(1.0)
                yield None  # there may have been changes meanwhile

    async def _get(self, name: str) -> Entry | None:
        try:
            request = content_pb2.GetDiagramRequest(name=name)
            entry = (await self._backend.store.read(self._backend.store.rpc.GetDiagram, request)).entry
        except errors.NotFound:
            return None
        updated_at = entry.updated_at.ToDatetime(tzinfo=UTC)
        return Entry(entry.name, entry.text, entry.format, str(entry.etag), updated_at)
