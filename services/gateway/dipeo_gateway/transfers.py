"""Files on their way between a client and a remote executor (decision 25). JSON outside, protobuf inside."""

import base64
import binascii
from typing import Any

from dipeo_gateway.backend import Backend
from dipeo_kit import errors
from dipeo_protos.executor.v1 import executor_pb2 as pb

FILES_WANTED = "FILES_WANTED"  # an error_type: nothing was stored, ask again with the files named


def to_pb(given: Any) -> pb.Uploads:
    """{files: {name: sha256 or ""}, contents: [base64]}. Raises BadInput."""
    if given is None:
        return pb.Uploads()
    files, contents = (given.get("files"), given.get("contents")) if isinstance(given, dict) else (None, None)
    texts = isinstance(files, dict) and all(isinstance(digest, str) for digest in files.values())
    if not texts or not isinstance(contents, list | None):
        raise errors.BadInput("uploads: an object {files: {name: sha256}, contents: [base64]} is needed")
    try:
        decoded = [base64.b64decode(content, validate=True) for content in contents or ()]
    except (binascii.Error, TypeError, ValueError) as error:
        raise errors.BadInput(f"uploads.contents: base64 is needed: {error}") from error
    return pb.Uploads(files=files, contents=decoded)


def wanted(answer: pb.Wanted) -> dict[str, list[str]]:
    return {"names": list(answer.names), "contents": list(answer.contents)}


def sentence(answer: pb.Wanted) -> str:
    """For clients that cannot upload."""
    names = ", ".join(list(answer.names)[:5]) or f"{len(answer.contents)} files"
    return f"this executor reads no disk but its own; send it the files of the diagram: {names}"


async def listed(backend: Backend, execution_id: str) -> list[dict[str, Any]]:
    """What a run has written. Raises NotFound, NotSupported on an executor that is not remote."""
    request = pb.ListFilesRequest(execution_id=execution_id)
    response = await backend.executor.read(backend.executor.rpc.ListFiles, request)
    return [{"name": it.name, "size": it.size, "sha256": it.sha256} for it in response.files]


async def read(backend: Backend, execution_id: str, name: str) -> dict[str, Any]:
    request = pb.ReadFileRequest(execution_id=execution_id, name=name)
    response = await backend.executor.read(backend.executor.rpc.ReadFile, request)
    return {"name": name, "content": base64.b64encode(response.content).decode()}
