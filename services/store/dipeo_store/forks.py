"""What a new execution takes over of an ended one, pure. (dipeo.store.v1.Fork)"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from dipeo_kit.errors import BadInput
from dipeo_store.errors import NotLegalNow
from dipeo_store.model import TERMINAL, Event, Execution, Fork, NewExecution
from dipeo_store.payload import dump, load

_TAKEN = ("execution.started", "node.", "message.", "interaction.")
_LEFT = frozenset({"node.skipped", "node.output"})  # of the end of that execution; of the moment


def checked(fork: Fork, other: Execution) -> None:
    """Raises NotLegalNow, BadInput."""
    if other.status not in TERMINAL:
        raise NotLegalNow(f"execution {other.execution_id} is {other.status}; only one that has ended can be retried")
    if not 2 <= fork.before_seq <= other.head_seq + 1:
        raise BadInput(f"before_seq {fork.before_seq}: expected 2 to {other.head_seq + 1}")


def taken_over(history: Sequence[Event], *, now: int) -> list[Event]:
    """The events of `history` (without event 1) that the new execution begins with.

    It starts now; pauses, recoveries, signals and logs stay behind, and so does a question nobody has answered, because
    its node asks again.
    """
    closed = {event.body.get("interaction_id") for event in history if event.type == "interaction.closed"}
    return [
        event._replace(at=now) if event.type == "execution.started" else event
        for event in history
        if event.type.startswith(_TAKEN)
        and event.type not in _LEFT
        and (event.type != "interaction.opened" or event.body.get("interaction_id") in closed)
    ]


def as_fork(new: NewExecution, other: Execution, created: Event, taken: int) -> NewExecution:
    """`new` with what is the other's: diagram, source, variables, options. `created` is the other's event 1."""
    own: Mapping[str, Any] = {
        "origin": new.origin,
        "principal": new.principal,
        "retried_from": other.execution_id,
        "taken_over": taken,
    }
    body = {**load(created.payload), **own}
    return replace(
        new,
        diagram_id=other.diagram_id,
        diagram_name=other.diagram_name,
        source_hash=other.source_hash,
        created=new.created._replace(body=body, payload=dump(body)),
    )
