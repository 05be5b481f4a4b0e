"""Large values of events become blobs, named by the hash of their content. (spec/store.md §15.4)

A payload says so under a key no field has: {"$blobs": {"output": [hash, size]}}, with a third item for what is text
and not JSON. Readers get the value back as if it had stayed.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from dipeo_kit.errors import BadInput
from dipeo_store.errors import Tampered
from dipeo_store.model import Blob, Event, Json, NodeRun

INLINE_BYTES = 8 * 1024
CHUNK_BYTES = 1024 * 1024
MAX_BYTES = 256 * 1024 * 1024
SHOWN_BYTES = 256 * 1024  # of a node run's value in GetExecution
SHOWN_IN_ALL_BYTES = 8 * 1024 * 1024
KEY = "$blobs"


def split(body: Mapping[str, Any]) -> tuple[Mapping[str, Any], tuple[Blob, ...]]:
    """(the body to write, what left it)"""
    found = tuple(filter(None, (_blob(key, value) for key, value in body.items())))
    if not found:
        return body, ()
    left = {blob.key for blob in found}
    kept = {key: value for key, value in body.items() if key not in left}
    return {**kept, KEY: {blob.key: [blob.hash, blob.size, *(["text"] if blob.text else [])] for blob in found}}, found


def _blob(key: str, value: Any) -> Blob | None:
    if isinstance(value, Json):
        data, text = value.text, False
    elif isinstance(value, str) and len(value) > INLINE_BYTES // 4:
        data, text = value.encode(), True
    else:
        return None
    return Blob(key, hash_of(data), len(data), text, data) if len(data) > INLINE_BYTES else None


def hash_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def chunks(data: bytes) -> Iterator[bytes]:
    return (data[start : start + CHUNK_BYTES] for start in range(0, len(data), CHUNK_BYTES))


def refs(body: Mapping[str, Any]) -> tuple[Blob, ...]:
    """What a body read back names, without the values."""
    return tuple(Blob(key, hash_, size, bool(text), None) for key, (hash_, size, *text) in body.get(KEY, {}).items())


def filled(body: Mapping[str, Any], values: Mapping[str, bytes]) -> Mapping[str, Any]:
    """The body with the values that are at hand, by hash."""
    found = [blob for blob in refs(body) if blob.hash in values]
    return {**body, **{it.key: values[it.hash].decode() if it.text else Json(values[it.hash]) for it in found}}


def page(events: Iterable[Event], limit_bytes: int) -> list[Event]:
    """The first events whose values fit, and at least one; `blobs` is set."""
    taken: list[Event] = []
    total = 0
    for event in events:
        named = event._replace(blobs=refs(event.body))
        total += named.size
        if taken and total > limit_bytes:
            break
        taken.append(named)
    return taken


def needed(events: Iterable[Event]) -> set[str]:
    return {blob.hash for event in events for blob in event.blobs}


def with_values(events: Sequence[Event], values: Mapping[str, bytes]) -> list[Event]:
    return [event._replace(body=filled(event.body, values)) if event.blobs else event for event in events]


def shown(runs: Sequence[NodeRun]) -> set[str]:
    """Hashes of the values that go with a list of node runs; of the others only the size is told."""
    chosen: set[str] = set()
    total = 0
    for run in runs:
        for blob in refs(run.outcome):
            if blob.size <= SHOWN_BYTES and total + blob.size <= SHOWN_IN_ALL_BYTES:
                total += blob.size
                chosen.add(blob.hash)
    return chosen


def sound(parts: Iterable[tuple[str, bytes]]) -> dict[str, bytes]:
    """Whole values out of their chunks (hash, data), which come in order; without those that are damaged."""
    pieces: dict[str, list[bytes]] = {}
    for hash_, data in parts:
        pieces.setdefault(hash_, []).append(data)
    values = {hash_: b"".join(data) for hash_, data in pieces.items()}
    return {hash_: data for hash_, data in values.items() if hash_of(data) == hash_}


def joined(parts: Iterable[tuple[str, bytes]], wanted: Iterable[str]) -> dict[str, bytes]:
    """The same. Raises Tampered unless all that is wanted is there and sound."""
    values = sound(parts)
    for hash_ in wanted:
        if hash_ not in values:
            raise damaged(hash_)
    return values


def damaged(hash_: str) -> Tampered:
    return Tampered(f"a stored value is damaged (blob {hash_[:12]}…): restore the database from a backup")


def checked_hash(hash_: str) -> str:
    """Raises BadInput."""
    if len(hash_) != 64 or not set(hash_) <= set("0123456789abcdef"):
        raise BadInput(f'blob hash "{hash_[:64]}": 64 hex digits of a sha256 are needed')
    return hash_
