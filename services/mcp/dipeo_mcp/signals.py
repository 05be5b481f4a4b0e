"""What may be said to an execution that runs: stop, or the answer to its question."""

from dipeo_kit import errors, ids
from dipeo_mcp.backend import Backend
from dipeo_protos.store.v1 import store_pb2


async def abort(backend: Backend, execution_id: str, principal_id: str, reason: str) -> None:
    """Ask for its end; one that has ended stays as it is."""
    request = store_pb2.PostSignalRequest(
        execution_id=execution_id,
        signal_id=ids.new_hex(),
        abort=store_pb2.Abort(reason=reason, principal=principal_id),
    )
    try:
        await backend.store.write(backend.store.rpc.PostSignal, request)
    except errors.Conflict:
        return


async def answer(
    backend: Backend, execution_id: str, prompt_id: str, text: str, principal_id: str, *, declined: bool = False
) -> None:
    """Raises Conflict when it was answered or has expired, NotFound when nothing like it was asked."""
    request = store_pb2.AnswerInteractionRequest(
        execution_id=execution_id,
        interaction_id=prompt_id,
        response="" if declined else text,
        responder=f"{principal_id} (declined)" if declined else principal_id,
    )
    await backend.store.write(backend.store.rpc.AnswerInteraction, request)
