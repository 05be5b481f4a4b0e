"""The rules of the catalogue of diagrams, pure. (spec/store.md §15.3)"""

import hashlib

from dipeo_kit import publishing
from dipeo_kit.errors import BadInput
from dipeo_store.errors import EtagMismatch
from dipeo_store.model import CatalogEntry

MAX_TEXT_BYTES = 4 * 1024 * 1024
FORMATS = ("light", "native", "readable")


def checked(entry: CatalogEntry) -> CatalogEntry:
    """Raises BadInput."""
    if not publishing.is_name(entry.name):
        raise BadInput(f'diagram name "{entry.name[:100]}": a name has {publishing.NAME_RULE}')
    if entry.format not in FORMATS:
        raise BadInput(f'format "{entry.format}" of diagram "{entry.name}": one of {", ".join(FORMATS)} is needed')
    if len(entry.text.encode()) > MAX_TEXT_BYTES:
        raise BadInput(f'diagram "{entry.name}" has more than {MAX_TEXT_BYTES} bytes')
    return entry


def hash_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def require_etag(name: str, current: CatalogEntry | None, if_match: int | None) -> None:
    """Raises EtagMismatch. `if_match` 0 = there must be none, None = whatever there is."""
    etag = current.etag if current and not current.deleted else 0
    if if_match is not None and if_match != etag:
        raise EtagMismatch(name, wanted=if_match, current=etag)


def says_the_same(entry: CatalogEntry, current: CatalogEntry | None) -> bool:
    return (
        current is not None
        and not current.deleted
        and (entry.format, entry.text_hash, entry.metadata, entry.published)
        == (current.format, current.text_hash, current.metadata, current.published)
    )
