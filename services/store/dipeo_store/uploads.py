"""Bytes on their way into the store: spooled to a temporary file, hashed as they come."""

import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import IO

from dipeo_kit.errors import BadInput
from dipeo_protos.store.v1 import content_pb2
from dipeo_store import blobs

SPOOLED_BYTES = 8 * 1024 * 1024  # in memory; beyond it on disk


@dataclass(frozen=True, slots=True)
class Upload:
    hash: str
    size: int
    file: IO[bytes]

    def chunks(self) -> Iterator[bytes]:
        self.file.seek(0)
        return iter(lambda: self.file.read(blobs.CHUNK_BYTES), b"")


@asynccontextmanager
async def received(requests: AsyncIterator[content_pb2.PutBlobRequest]) -> AsyncIterator[Upload]:
    """The whole upload; its file lives as long as the block. Raises BadInput: too large, or not what was announced."""
    announced, size, digest = "", 0, hashlib.sha256()
    with SpooledTemporaryFile(max_size=SPOOLED_BYTES) as file:
        async for request in requests:
            announced = announced or blobs.checked_hash(request.hash)
            size += len(request.data)
            if size > blobs.MAX_BYTES:
                raise BadInput(f"blob {announced[:12]}… is too large: at most {blobs.MAX_BYTES} bytes are kept")
            digest.update(request.data)
            file.write(request.data)
        if digest.hexdigest() != announced:
            raise BadInput(f"the {size} bytes that came do not have the hash {announced or 'that was to be named'}")
        yield Upload(announced, size, file)
