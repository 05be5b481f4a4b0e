"""Secrets, catalogue and overview on SQLite."""

import sqlite3
from collections.abc import Callable, Iterable
from typing import Any, Protocol, TypeVar

from dipeo_kit.errors import AlreadyExists
from dipeo_store import catalog, errors
from dipeo_store.backends.rows import (
    COMMIT_US,
    ENTRY,
    EXECUTION,
    LISTED,
    OVERVIEW,
    SECRET_FIELDS,
    entry_of,
    overview_of,
)
from dipeo_store.backends.sqlite_writes import Transaction
from dipeo_store.model import CatalogEntry, Execution, SealedSecret

Result = TypeVar("Result")


class Access(Protocol):
    """What SqliteBackend brings."""

    _clock: Callable[[], int]

    async def _operate(self, operation: Callable[..., Result], *args: Any, **kwargs: Any) -> Result: ...
    async def _read(self, query: Callable[..., Result], *args: Any) -> Result: ...


class SqliteContent:
    """Most of dipeo_store.backends.content.Content."""

    async def session_alive(self: Access, session_id: str) -> bool:
        return await self._read(_session_alive, session_id)

    async def overview(self: Access, diagram_id: str, *, seen_us: int | None) -> tuple[list[Execution], int]:
        now = self._clock()
        return await self._read(_overview, diagram_id, seen_us), now - COMMIT_US

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


def _session_alive(db: sqlite3.Connection, session_id: str) -> bool:
    row = db.execute("SELECT 1 FROM sessions WHERE session_id = ? AND state = 'alive'", (session_id,)).fetchone()
    return row is not None


def _overview(db: sqlite3.Connection, diagram_id: str, seen_us: int | None) -> list[Execution]:
    # two statements: SQLite would not use both indexes for one OR with an order
    conditions: list[tuple[str, tuple[Any, ...]]] = [("e.status IN ('pending', 'running', 'paused')", ())]
    if seen_us is not None:
        conditions.append(("e.ended_at >= ?", (seen_us,)))
    of_diagram, parameters = (" AND e.diagram_id = ?", (diagram_id,)) if diagram_id else ("", ())
    rows = [
        row
        for condition, values in conditions
        for row in db.execute(f"{EXECUTION} WHERE {condition}{of_diagram} LIMIT {OVERVIEW}", (*values, *parameters))
    ]
    return overview_of(rows)


# --- blobs -----------------------------------------------------------------------------------------------------------


def _put_blob(tx: Transaction, hash_: str, size: int, chunks: Callable[[], Iterable[bytes]]) -> None:
    new = tx.db.execute("INSERT OR IGNORE INTO blobs (hash, size, created_at) VALUES (?, ?, ?)", (hash_, size, tx.now))
    if new.rowcount:
        rows = ((hash_, number, data) for number, data in enumerate(chunks()))
        tx.db.executemany("INSERT INTO blob_chunks (hash, number, data) VALUES (?, ?, ?)", rows)


def _blob_size(db: sqlite3.Connection, hash_: str) -> int:
    row = db.execute("SELECT size FROM blobs WHERE hash = ?", (hash_,)).fetchone()
    if row is None:
        raise errors.UnknownBlob(f"no blob {hash_}")
    return int(row[0])


def _blob_chunk(db: sqlite3.Connection, hash_: str, number: int) -> bytes:
    row = db.execute("SELECT data FROM blob_chunks WHERE hash = ? AND number = ?", (hash_, number)).fetchone()
    return row[0] if row else b""


# --- secrets ---------------------------------------------------------------------------------------------------------


def _put_secret(tx: Transaction, sealed: SealedSecret) -> SealedSecret:
    taken = tx.db.execute("SELECT secret_id FROM secrets WHERE label = ?", (sealed.label,)).fetchone()
    if taken and taken[0] != sealed.secret_id:
        raise AlreadyExists(f'a key with the label "{sealed.label}" exists; remove it first, or choose another label')
    values = sealed._replace(created_at=tx.now)
    row = tx.db.execute(
        f"INSERT INTO secrets ({SECRET_FIELDS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (secret_id) DO UPDATE SET label = excluded.label, service = excluded.service,"
        " base_url = excluded.base_url, last4 = excluded.last4, ciphertext = excluded.ciphertext,"
        f" key_id = excluded.key_id RETURNING {SECRET_FIELDS}",
        values,
    ).fetchone()
    return SealedSecret(*row)


def _secrets(db: sqlite3.Connection) -> list[SealedSecret]:
    return [
        SealedSecret(*row) for row in db.execute(f"SELECT {SECRET_FIELDS} FROM secrets ORDER BY created_at, secret_id")
    ]


def _delete_secret(tx: Transaction, reference: str) -> bool:
    for column in ("secret_id", "label"):
        if tx.db.execute(f"DELETE FROM secrets WHERE {column} = ?", (reference,)).rowcount:
            return True
    return False


def _secret_used(tx: Transaction, secret_id: str) -> None:
    tx.db.execute("UPDATE secrets SET used_at = ? WHERE secret_id = ?", (tx.now, secret_id))


# --- the catalogue ---------------------------------------------------------------------------------------------------


def _current(db: sqlite3.Connection, name: str) -> CatalogEntry | None:
    row = db.execute(f"{ENTRY} WHERE name = ?", (name,)).fetchone()
    return entry_of(row) if row else None


def _next_revision(tx: Transaction) -> int:
    (revision,) = tx.db.execute("UPDATE catalog_revision SET value = value + 1 RETURNING value").fetchone()
    return int(revision)


def _put_diagram(tx: Transaction, entry: CatalogEntry, if_match: int | None) -> tuple[CatalogEntry, bool]:
    current = _current(tx.db, entry.name)
    catalog.require_etag(entry.name, current, if_match)
    if current and catalog.says_the_same(entry, current):
        return current, False
    stored = entry._replace(etag=_next_revision(tx), deleted=False, updated_at=tx.now)
    tx.db.execute("INSERT OR REPLACE INTO catalog VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", stored)
    return stored, True


def _delete_diagram(tx: Transaction, name: str, if_match: int | None) -> bool:
    current = _current(tx.db, name)
    catalog.require_etag(name, current, if_match)
    if current is None or current.deleted:
        return False
    tx.db.execute(
        "UPDATE catalog SET deleted = 1, text = '', metadata = NULL, etag = ?, updated_at = ? WHERE name = ?",
        (_next_revision(tx), tx.now, name),
    )
    return True


def _diagram(db: sqlite3.Connection, name: str) -> CatalogEntry:
    entry = _current(db, name)
    if entry is None or entry.deleted:
        raise errors.UnknownDiagram(f'no diagram "{name}" is in the catalogue')
    return entry


def _diagrams(db: sqlite3.Connection, published_only: bool, after_name: str, limit: int) -> list[CatalogEntry]:
    published = " AND published" if published_only else ""
    rows = db.execute(f"{LISTED} WHERE NOT deleted AND name > ?{published} ORDER BY name LIMIT ?", (after_name, limit))
    return [entry_of(row) for row in rows]


def _catalog_changes(db: sqlite3.Connection, after: int, limit: int) -> list[CatalogEntry]:
    return [entry_of(row) for row in db.execute(f"{LISTED} WHERE etag > ? ORDER BY etag LIMIT ?", (after, limit))]
