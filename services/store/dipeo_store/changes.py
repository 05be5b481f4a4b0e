"""The rows that events write, fields in the order of the placeholders of each backend's statements."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Any, NamedTuple


class EventRow(NamedTuple):
    execution: int
    seq: int
    event_id: bytes
    type: str
    node_id: str | None
    iteration: int | None
    attempt: int | None
    fence: int
    at: int
    payload: str


class RunOpened(NamedTuple):
    execution: int
    node_id: str
    iteration: int
    attempt: int
    label: str
    type: str
    person_id: str
    status: str
    start_seq: int
    end_seq: int | None
    started_at: int
    ended_at: int | None


class RunClosed(NamedTuple):
    status: str
    end_seq: int
    ended_at: int
    tokens_in: int
    tokens_out: int
    tokens_cached: int
    cost_usd: float
    unpriced: int
    model: str
    execution: int
    node_id: str
    iteration: int
    attempt: int


class MessageRow(NamedTuple):
    execution: int
    seq: int
    message_id: str
    node_id: str
    iteration: int
    person_id: str
    from_id: str
    to_id: str
    role: str
    content: str
    token_count: int
    created_at: int


class InteractionOpened(NamedTuple):
    execution: int
    interaction_id: str
    node_id: str
    label: str
    iteration: int
    prompt: str
    context: str
    default_value: str
    options: str  # JSON array of texts
    sensitive: bool
    opened_at: int
    expires_at: int | None


class InteractionClosed(NamedTuple):
    status: str
    closed_at: int
    response: str
    responder: str
    execution: int
    interaction_id: str


class SignalConsumed(NamedTuple):
    seq: int
    execution: int
    signal_id: str


class Advanced(NamedTuple):
    """Counters are increments."""

    head_seq: int
    tokens_in: int
    tokens_out: int
    tokens_cached: int
    cost_usd: float
    unpriced: int
    runs_done: int
    runs_failed: int
    execution: int


class StatusChanged(NamedTuple):
    status: str
    started_at: int | None  # kept when already set
    execution: int


class Ended(NamedTuple):
    """Also: running node runs become aborted, open questions cancelled, the work row goes."""

    status: str
    ended_at: int
    error: str | None
    result: str | None
    result_is_error: bool
    warnings: str
    skipped_node_ids: str
    execution: int


class ResultKept(NamedTuple):
    """The result of an execution is a blob."""

    result_blob: str
    result_bytes: int
    execution: int


class BlobRow(NamedTuple):
    """Kept once per content, as are its chunks and references."""

    hash: str
    size: int
    created_at: int


class BlobChunk(NamedTuple):
    hash: str
    number: int
    data: bytes


class BlobRef(NamedTuple):
    execution: int
    hash: str


@dataclass(slots=True)
class Changes:
    """Rows to write, table by table, in this order."""

    events: list[EventRow] = field(default_factory=list)
    opened: list[RunOpened] = field(default_factory=list)
    closed: list[RunClosed] = field(default_factory=list)
    messages: list[MessageRow] = field(default_factory=list)
    asked: list[InteractionOpened] = field(default_factory=list)
    settled: list[InteractionClosed] = field(default_factory=list)
    consumed: list[SignalConsumed] = field(default_factory=list)
    advanced: list[Advanced] = field(default_factory=list)
    statuses: list[StatusChanged] = field(default_factory=list)
    ended: list[Ended] = field(default_factory=list)
    results: list[ResultKept] = field(default_factory=list)
    blobs: list[BlobRow] = field(default_factory=list)
    chunks: list[BlobChunk] = field(default_factory=list)
    blob_refs: list[BlobRef] = field(default_factory=list)

    def lengths(self) -> tuple[int, ...]:
        return tuple(map(len, _lists(self)))

    def cut(self, lengths: tuple[int, ...]) -> None:
        """Back to what it was then."""
        for rows, length in zip(_lists(self), lengths, strict=True):
            del rows[length:]


_lists: Callable[[Changes], tuple[list[Any], ...]] = attrgetter(*(each.name for each in fields(Changes)))
