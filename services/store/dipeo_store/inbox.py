"""What creating, pausing and answering decide, the same on every database; pure. (spec/store.md §16.5)"""

import json
from collections.abc import Sequence
from typing import Any

from dipeo_kit import ids
from dipeo_kit.errors import AlreadyExists, BadInput
from dipeo_store import errors
from dipeo_store.model import Interaction, NewExecution, Signal


def require_same_request(new: NewExecution, idempotency_hash: str) -> None:
    """Its key was used before. Raises AlreadyExists."""
    if idempotency_hash != new.idempotency_hash:
        raise AlreadyExists(f'the idempotency key "{new.idempotency_key}" was used for another request')


def require_same_execution(new: NewExecution, found: Sequence[Any]) -> None:
    """Its id was used before; `found` has principal, key, hash and source hash. Raises AlreadyExists."""
    if tuple(found) != (new.principal, new.idempotency_key, new.idempotency_hash, new.source_hash):
        raise AlreadyExists(f"execution {new.execution_id} exists and is another one")


def changes_control(execution_id: str, last: str | None, kind: str) -> bool:
    """Whether a pause or resume is news after `last`, the latest of the two that was asked for. (gateway contract 10.2)

    Raises NotLegalNow.
    """
    if kind == "resume" and last is None:
        raise errors.NotLegalNow(f"execution {execution_id} is not paused; there is nothing to resume")
    return kind != last


def answers_anew(asked: Interaction, *, response: str, responder: str, now: int) -> bool:
    """False when this very answer was given before, by a caller that never heard so.

    Raises NotLegalNow, BadInput: it is none of the options.
    """
    if asked.status == "answered" and (asked.response, asked.responder) == (response, responder):
        return False
    if asked.status != "open" or (asked.expires_at is not None and asked.expires_at <= now):
        how = "expired" if asked.status == "open" else asked.status
        what = f'the question of "{asked.label or asked.node_id}" in {asked.execution_id}'
        raise errors.NotLegalNow(f"{what} is {how} already")
    if response and response not in (options := json.loads(asked.options) or [response]):
        raise BadInput(f'"{asked.label or asked.node_id}" is answered with one of {", ".join(options)}')
    return True


def require_named(node: str, interaction_id: str) -> None:
    """Raises BadInput."""
    if not node and not interaction_id:
        raise BadInput("answer: name the node (id or label) or the interaction")


def question(row: Sequence[Any] | None, execution_id: str, named: str) -> Interaction:
    """Raises NothingAsked."""
    if row is None:
        raise errors.NothingAsked(f'execution {execution_id}: nothing is asked at "{named}"')
    return Interaction(*row)


def answer_signal(asked: Interaction, *, response: str, responder: str) -> Signal:
    fields = {"interaction_id": asked.interaction_id, "response": response, "responder": responder}
    return Signal(asked.execution_id, ids.new_hex(), "answer", fields)
