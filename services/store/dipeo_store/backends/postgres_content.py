"""Blobs, secrets, catalogue and overview on Postgres."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol, TypeVar

import asyncpg

from dipeo_kit.errors import AlreadyExists
from dipeo_store import catalog, errors
from dipeo_store.backends.postgres_writes import Transaction
from dipeo_store.backends.rows import (
    COMMIT_US,
    ENTRY,
    ENTRY_FIELDS,
    EXECUTION,
    LISTED,
    OVERVIEW,
    SECRET_FIELDS,
    entry_of,
    overview_of,
)
from dipeo_store.model import CatalogEntry, Execution, SealedSecret

Result = TypeVar("Result")


class Access(Protocol):
    """What PostgresBackend brings."""

    async def _operate(self, operation: Callable[..., Awaitable[Result]], *args: Any, **kwargs: Any) -> Result: ...
    async def _read(self, query: Callable[..., Awaitable[Result]], *args: Any) -> Result: ...


class PostgresContent:
    """Most of dipeo_store.backends.content.Content."""

    async def session_alive(self: Access, session_id: str) -> bool:
        return await self._read(_session_alive, session_id)

    async def overview(self: Access, diagram_id: str, *, seen_us: int | None) -> tuple[list[Execution], int]:
        return await self._read(_overview, diagram_id, seen_us)

    async def put_blob(self: Access, hash_: str, size: int, chunks: Callable[[], Iterable[bytes]]) -> None:
        await self._operate(_put_blob, hash_, size, chunks)

    async def blob_size(self: Access, hash_: str) -> int:
        return await self._read(_blob_size, hash_)

    async def blob_chunk(self: Access, hash_: str, number: int) -> bytes:
        return await self._read(_blob_chunk, hash_, number)

    async def put_secret(self: Access, sealed: SealedSecret) -> SealedSecret:
        return await self._operate(_put_secret, sealed)

    async def secrets(self: Access) -> list[SealedSecret]:
        return await self._read(_secrets)

    async def delete_secret(self: Access, reference: str) -> bool:
        return await self._operate(_delete_secret, reference)

    async def secret_used(self: Access, secret_id: str) -> None:
        await self._operate(_secret_used, secret_id)

    async def put_diagram(self: Access, entry: CatalogEntry, *, if_match: int | None) -> tuple[CatalogEntry, bool]:
        return await self._operate(_put_diagram, entry, if_match)

    async def delete_diagram(self: Access, name: str, *, if_match: int | None) -> bool:
        return await self._operate(_delete_diagram, name, if_match)

    async def diagram(self: Access, name: str) -> CatalogEntry:
        return await self._read(_diagram, name)

    async def diagrams(self: Access, *, published_only: bool, after_name: str, limit: int) -> list[CatalogEntry]:
        return await self._read(_diagrams, published_only, after_name, limit)

    async def catalog_changes(self: Access, after: int, *, limit: int) -> list[CatalogEntry]:
        return await self._read(_catalog_changes, after, limit)


# --- blobs -----------------------------------------------------------------------------------------------------------


async def _put_blob(tx: Transaction, hash_: str, size: int, chunks: Callable[[], Iterable[bytes]]) -> None:
    new = await tx.db.fetchval(
        "INSERT INTO blobs (hash, size, created_at) VALUES ($1, $2, now_us()) ON CONFLICT DO NOTHING RETURNING true",
        hash_,
        size,
    )
    for number, data in enumerate(chunks()) if new else ():  # one by one: together they may be too much for a message
        await tx.db.execute("INSERT INTO blob_chunks (hash, number, data) VALUES ($1, $2, $3)", hash_, number, data)


async def _blob_size(db: "asyncpg.Connection", hash_: str) -> int:
    size: int | None = await db.fetchval("SELECT size FROM blobs WHERE hash = $1", hash_)
    if size is None:
        raise errors.UnknownBlob(f"no blob {hash_}")
    return size


async def _blob_chunk(db: "asyncpg.Connection", hash_: str, number: int) -> bytes:
    data: bytes | None = await db.fetchval(
        "SELECT data FROM blob_chunks WHERE hash = $1 AND number = $2", hash_, number
    )
    return data or b""


# --- sessions and the overview ---------------------------------------------------------------------------------------


async def _session_alive(db: "asyncpg.Connection", session_id: str) -> bool:
    found = await db.fetchval("SELECT true FROM sessions WHERE session_id = $1 AND state = 'alive'", session_id)
    return bool(found)


async def _overview(db: "asyncpg.Connection", diagram_id: str, seen_us: int | None) -> tuple[list[Execution], int]:
    now: int = await db.fetchval("SELECT now_us()")
    conditions: list[tuple[str, tuple[Any, ...]]] = [("e.status IN ('pending', 'running', 'paused')", ())]
    if seen_us is not None:
        conditions.append(("e.ended_at >= $1", (seen_us,)))
    rows = []
    for condition, values in conditions:
        if diagram_id:
            condition, values = f"{condition} AND e.diagram_id = ${len(values) + 1}", (*values, diagram_id)
        rows += await db.fetch(f"{EXECUTION} WHERE {condition} LIMIT {OVERVIEW}", *values)
    return overview_of(rows), now - COMMIT_US


# --- secrets ---------------------------------------------------------------------------------------------------------


async def _put_secret(tx: Transaction, sealed: SealedSecret) -> SealedSecret:
    taken = await tx.db.fetchval("SELECT secret_id FROM secrets WHERE label = $1", sealed.label)
    if taken and taken != sealed.secret_id:
        raise AlreadyExists(f'a key with the label "{sealed.label}" exists; remove it first, or choose another label')
    values = sealed._replace(created_at=await tx.db.fetchval("SELECT now_us()"))
    row = await tx.db.fetchrow(
        f"INSERT INTO secrets ({SECRET_FIELDS}) VALUES ({_placeholders(values)})"
        " ON CONFLICT (secret_id) DO UPDATE SET label = excluded.label, service = excluded.service,"
        " base_url = excluded.base_url, last4 = excluded.last4, ciphertext = excluded.ciphertext,"
        f" key_id = excluded.key_id RETURNING {SECRET_FIELDS}",
        *values,
    )
    return SealedSecret(*row)


def _placeholders(values: tuple[Any, ...]) -> str:
    return ", ".join(f"${number}" for number in range(1, len(values) + 1))


async def _secrets(db: "asyncpg.Connection") -> list[SealedSecret]:
    rows = await db.fetch(f"SELECT {SECRET_FIELDS} FROM secrets ORDER BY created_at, secret_id")
    return [SealedSecret(*row) for row in rows]


async def _delete_secret(tx: Transaction, reference: str) -> bool:
    for column in ("secret_id", "label"):
        if await tx.db.fetchval(f"DELETE FROM secrets WHERE {column} = $1 RETURNING true", reference):
            return True
    return False


async def _secret_used(tx: Transaction, secret_id: str) -> None:
    await tx.db.execute("UPDATE secrets SET used_at = now_us() WHERE secret_id = $1", secret_id)


# --- the catalogue ---------------------------------------------------------------------------------------------------


async def _current(db: "asyncpg.Connection", name: str) -> CatalogEntry | None:
    row = await db.fetchrow(f"{ENTRY} WHERE name = $1", name)
    return entry_of(row) if row else None


async def _lock_catalog(tx: Transaction) -> None:
    """One change at a time: revisions are numbered in the order of their commits."""
    await tx.db.execute("SELECT value FROM catalog_revision FOR UPDATE")


async def _next_revision(tx: Transaction) -> tuple[int, int]:
    """(revision, now)"""
    row = await tx.db.fetchrow("UPDATE catalog_revision SET value = value + 1 RETURNING value, now_us()")
    return row[0], row[1]


async def _put_diagram(tx: Transaction, entry: CatalogEntry, if_match: int | None) -> tuple[CatalogEntry, bool]:
    await _lock_catalog(tx)
    current = await _current(tx.db, entry.name)
    catalog.require_etag(entry.name, current, if_match)
    if current and catalog.says_the_same(entry, current):
        return current, False
    etag, now = await _next_revision(tx)
    stored = entry._replace(etag=etag, deleted=False, updated_at=now)
    changes = ", ".join(f"{name} = excluded.{name}" for name in CatalogEntry._fields if name != "name")
    await tx.db.execute(
        f"INSERT INTO catalog ({ENTRY_FIELDS}) VALUES ({_placeholders(stored)})"
        f" ON CONFLICT (name) DO UPDATE SET {changes}",
        *stored,
    )
    return stored, True


async def _delete_diagram(tx: Transaction, name: str, if_match: int | None) -> bool:
    await _lock_catalog(tx)
    current = await _current(tx.db, name)
    catalog.require_etag(name, current, if_match)
    if current is None or current.deleted:
        return False
    etag, now = await _next_revision(tx)
    await tx.db.execute(
        "UPDATE catalog SET deleted = true, text = '', metadata = NULL, etag = $1, updated_at = $2 WHERE name = $3",
        etag,
        now,
        name,
    )
    return True


async def _diagram(db: "asyncpg.Connection", name: str) -> CatalogEntry:
    entry = await _current(db, name)
    if entry is None or entry.deleted:
        raise errors.UnknownDiagram(f'no diagram "{name}" is in the catalogue')
    return entry


async def _diagrams(db: "asyncpg.Connection", published_only: bool, after_name: str, limit: int) -> list[CatalogEntry]:
    published = " AND published" if published_only else ""
    rows = await db.fetch(
        f"{LISTED} WHERE NOT deleted AND name > $1{published} ORDER BY name LIMIT $2", after_name, limit
    )
    return [entry_of(row) for row in rows]


async def _catalog_changes(db: "asyncpg.Connection", after: int, limit: int) -> list[CatalogEntry]:
    rows = await db.fetch(f"{LISTED} WHERE etag > $1 ORDER BY etag LIMIT $2", after, limit)
    return [entry_of(row) for row in rows]
