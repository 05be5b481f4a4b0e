"""The rules of appending, pure: may these events follow, and are they news? (spec/store.md §16.2, I3, I4, I6)

What they change is decided in projection.py; the SQL that reads a Head and writes the changes is the backend's.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from dipeo_store import errors
from dipeo_store.model import TERMINAL, Append, Appended, Event, Published, made

# Values are at most 8 MiB each; one event may carry several: output, alternate, variables, meta.
MAX_EVENT_BYTES = 33 * 1024 * 1024
MAX_HEADS = 1_000  # kept from one transaction to the next
BACKOFF_S = (0, 5, 30, 120, 600)


class RunKey(NamedTuple):
    node_id: str
    iteration: int
    attempt: int


class RunFacts(NamedTuple):
    status: str
    label: str
    type: str
    person_id: str


@dataclass(slots=True)
class Head:
    """Where an execution stands, and what is known of the node runs and questions that the events at hand name."""

    execution: int
    execution_id: str
    status: str
    head_seq: int
    fence: int
    claimed: bool
    runs: dict[RunKey, RunFacts] = field(default_factory=dict)
    interactions: dict[str, str] = field(default_factory=dict)  # id -> status

    def copy(self) -> "Head":
        return Head(
            self.execution,
            self.execution_id,
            self.status,
            self.head_seq,
            self.fence,
            self.claimed,
            self.runs.copy(),
            self.interactions.copy(),
        )


Heads = dict[str, Head]  # by execution id


def keep(heads: Heads, published: Iterable[Published]) -> None:
    """Of what a transaction knew in the end, the next one may ask for what goes on; the rest is read if it is named."""
    for execution_id, _ in published:
        if (head := heads.get(execution_id)) is None:
            continue
        if head.status in TERMINAL:
            del heads[execution_id]
        else:
            head.interactions.clear()
            head.runs = {key: facts for key, facts in head.runs.items() if facts.status == "running"}
    if len(heads) > MAX_HEADS:
        heads.clear()


def needs_history(head: Head, append: Append) -> bool:
    """Whether `judge` must know which of the events are journaled already: only for repeats and late comers."""
    return head.status in TERMINAL or append.expected_seq != head.head_seq


def judge(head: Head, append: Append, known: Mapping[bytes, int]) -> Appended | None:
    """None when the events are to be journaled; an answer when they already are.

    `known` has the seqs of those of the events that are journaled (see needs_history).
    Raises Fenced, SeqMismatch, Terminal, TooLarge.
    """
    seqs = [known.get(event.event_id, 0) for event in append.events] if known else []
    if head.status in TERMINAL:
        if seqs and all(seqs):
            return Appended(seqs[-1], duplicate=True)
        raise errors.Terminal(head.execution_id, head.status)
    if append.fence != head.fence or not head.claimed:
        raise errors.Fenced(head.execution_id, fence=append.fence, current=head.fence)
    if append.expected_seq != head.head_seq:
        first = append.expected_seq + 1
        if seqs and seqs == list(range(first, first + len(seqs))):
            return Appended(seqs[-1], duplicate=True)
        raise errors.SeqMismatch(head.execution_id, expected_seq=append.expected_seq, head_seq=head.head_seq)
    for event in append.events:
        if event.size > MAX_EVENT_BYTES:
            raise errors.TooLarge(head.execution_id, event.type, size_bytes=event.size, limit_bytes=MAX_EVENT_BYTES)
    return None


def run_key(event: Event) -> RunKey | None:
    """The node run an event is about, None for others."""
    if event.type == "node.skipped":
        return RunKey(event.node_id, 0, 1)
    if event.type in _OF_A_RUN:
        body = event.body
        return made(RunKey, (body.get("node_id", ""), body.get("iteration", 0), body.get("attempt", 0)))
    return None


_OF_A_RUN = frozenset({"node.started", "node.completed", "node.failed", "node.retrying", "node.aborted"})


def runs_named(events: Iterable[Event], *, careful: bool) -> set[RunKey]:
    """Node runs whose facts `project` will ask for.

    Of one that starts there is a row by mistake only, which the unique index finds too: it is read only when
    `careful`, to say what is wrong.
    """
    keys = set()
    for event in events:
        if (event.type == "node.started" and not careful) or (key := run_key(event)) is None:
            continue
        keys.add(key)
        if event.type == "node.retrying":
            keys.add(key._replace(attempt=key.attempt - 1))
    return keys


def interactions_named(events: Iterable[Event]) -> set[str]:
    """Questions whose status `project` will ask for."""
    return {event.body.get("interaction_id", "") for event in events if event.type.startswith("interaction.")}


@dataclass(frozen=True, slots=True)
class HandOver:
    """What becomes of an execution whose holder was lost. (§16.6)"""

    max_attempts: int = 5  # holders lost in a row before it is given up
    backoff_s: tuple[float, ...] = BACKOFF_S

    def losses(self, before: int, *, progressed: bool) -> int:
        """In a row: a holder that got something done shows that the execution is not what kills its holders."""
        return 1 if progressed else before + 1

    def wait_us(self, losses: int) -> int:
        return int(self.backoff_s[min(losses, len(self.backoff_s)) - 1] * 1_000_000)

    def exhausted(self, losses: int) -> dict[str, Any] | None:
        """Body of the `execution.failed` that ends it; None while it is tried again."""
        if losses < self.max_attempts:
            return None
        message = f"{losses} executors in a row were lost while they ran this execution; it is not tried again"
        return {"error": {"type": "RecoveryExhausted", "message": message, "code": "recovery_exhausted"}}


def ends_execution(event: Event) -> bool:
    return event.type in _LAST


_LAST = frozenset({"execution.completed", "execution.failed", "execution.aborted", "execution.maxiter"})
