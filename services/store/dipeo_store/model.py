"""What the store speaks about: plain values, known to every backend. Times are microseconds since 1970 UTC."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

Status = Literal["pending", "running", "paused", "completed", "failed", "aborted", "maxiter_reached"]
TERMINAL: frozenset[str] = frozenset({"completed", "failed", "aborted", "maxiter_reached"})

made = tuple.__new__  # made(Row, (every, field)): a third of what Row(every, field) costs, for what each event needs


class Json:
    """JSON text that is carried, not read. Checked where it came in."""

    __slots__ = ("text",)

    def __init__(self, text: bytes) -> None:
        self.text = text


class Blob(NamedTuple):
    """A large value of an event, kept by its content."""

    key: str  # field of the event's body
    hash: str  # sha256, hex
    size: int
    text: bool  # plain text, not JSON
    data: bytes | None  # None = it is in the database


class Event(NamedTuple):
    """One entry of a journal. `body` and `payload` say the same: for projections, and as stored, without `blobs`."""

    event_id: bytes  # 16
    type: str  # "node.started"
    at: int
    body: Mapping[str, Any]  # JSON fields are Json when fresh from a writer, plain values when read back
    payload: str
    seq: int = 0  # before it is journaled: where its writer expects it, 0 = anywhere
    blobs: tuple[Blob, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of its values, where ever they are kept."""
        inline = len(self.payload)
        return inline + sum(blob.size for blob in self.blobs) if self.blobs else inline

    @property
    def node_id(self) -> str:
        node_id: str = self.body.get("node_id", "")
        return node_id


class Append(NamedTuple):
    execution_id: str
    fence: int
    expected_seq: int
    events: tuple[Event, ...]


class Appended(NamedTuple):
    head_seq: int
    duplicate: bool


class Published(NamedTuple):
    """Events that are durable now, for those who watch."""

    execution_id: str
    events: tuple[Event, ...]


class Fork(NamedTuple):
    """The ended execution whose journal a new one takes over, up to and without an event."""

    execution_id: str
    before_seq: int


@dataclass(frozen=True, slots=True)
class NewExecution:
    execution_id: str
    diagram_id: str
    diagram_name: str
    source: bytes
    source_hash: str
    origin: str
    principal: str
    trace_parent: str
    idempotency_key: str  # "" = none
    idempotency_hash: str
    session_id: str  # "" = queue it
    created: Event  # seq 1
    timeout_us: int = 0
    fork: Fork | None = None  # names, source and variables are those of the other execution


class Usage(NamedTuple):
    """Tokens of model calls and their cost; of `unpriced` calls the price is not known."""

    input: int = 0
    output: int = 0
    cached: int = 0
    cost_usd: float = 0.0
    unpriced: int = 0

    def plus(self, other: "Usage") -> "Usage":
        return Usage(
            self.input + other.input,
            self.output + other.output,
            self.cached + other.cached,
            self.cost_usd + other.cost_usd,
            self.unpriced + other.unpriced,
        )


@dataclass(frozen=True, slots=True)
class Execution:
    id: int
    execution_id: str
    status: str
    diagram_id: str
    diagram_name: str
    source_hash: str
    variables: str | None  # JSON text, as are options, error, result
    options: str | None
    origin: str
    principal: str
    trace_parent: str
    error: str | None
    result: str | None
    result_is_error: bool
    warnings: tuple[str, ...]
    head_seq: int
    attempts: int
    usage: Usage
    runs_done: int
    runs_failed: int
    created_at: int
    started_at: int | None
    ended_at: int | None
    waiting: bool
    retried_from: str = ""
    result_blob: str = ""  # hash, instead of result
    result_bytes: int = 0
    pinned: bool = False


@dataclass(frozen=True, slots=True)
class NodeRun:
    node_id: str
    label: str
    type: str
    iteration: int
    attempt: int
    status: str
    waiting: bool
    started_at: int
    ended_at: int | None
    usage: Usage
    model: str
    person_id: str
    start_seq: int
    ended_by: str  # type of the event that ended it, "" = running, or ended with the execution
    outcome: Mapping[str, Any]  # body of that event


class Interaction(NamedTuple):
    interaction_id: str
    execution_id: str
    node_id: str
    label: str
    iteration: int
    prompt: str
    context: str
    default_value: str
    options: str  # JSON array of what may be answered; "[]" = any text
    sensitive: bool
    status: str  # open, answered, expired, cancelled
    opened_at: int
    expires_at: int | None
    closed_at: int | None
    response: str
    responder: str


class Message(NamedTuple):
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


class MessageFilter(NamedTuple):
    """Which messages of an execution: empty fields = all."""

    person_id: str = ""  # from or to
    search: str = ""  # text in the content, case ignored
    since: int | None = None


class Signal(NamedTuple):
    execution_id: str
    signal_id: str
    kind: str  # abort, answer, pause, resume: the fields of Signal on the wire
    payload: Mapping[str, str]  # the fields of that message


class Work(NamedTuple):
    """An execution given to a session, with the signals that wait for its holder."""

    execution_id: str
    fence: int
    head_seq: int
    recovery: bool
    signals: tuple[Signal, ...] = ()


class Created(NamedTuple):
    execution: Execution
    created: bool
    claim: Work | None


class Posted(NamedTuple):
    """A signal that is in the inbox; `holder` is the session to tell, "" = nobody, or there is nothing to tell."""

    execution: Execution
    signal: Signal
    holder: str


class Answered(NamedTuple):
    """A question with its answer; `signal` is None when the holder was left it before."""

    interaction: Interaction
    signal: Signal | None
    holder: str


class JournalPage(NamedTuple):
    events: tuple[Event, ...]
    head_seq: int
    terminal: bool  # the execution has ended; head_seq is its last


class Recovery(NamedTuple):
    execution: Execution
    source: bytes
    signals: tuple[Signal, ...]


@dataclass(frozen=True, slots=True)
class ExecutionFilter:
    statuses: tuple[str, ...] = ()
    diagram_id: str = ""
    started_after: int | None = None
    started_before: int | None = None
    id_prefix: str = ""
    principal: str = ""


class NewSecret(NamedTuple):
    """Never printed: it has the key in the clear."""

    secret_id: str
    label: str
    service: str
    base_url: str
    key: str

    def __repr__(self) -> str:
        return f"NewSecret({self.secret_id})"


class SealedSecret(NamedTuple):
    secret_id: str
    label: str
    service: str
    base_url: str
    last4: str
    ciphertext: bytes
    key_id: str
    created_at: int
    used_at: int | None


class CatalogEntry(NamedTuple):
    """A diagram of the catalogue; `etag` is the revision that made it so."""

    name: str
    format: str
    text: str
    text_hash: str
    metadata: str | None  # JSON text
    published: bool
    etag: int
    deleted: bool
    updated_at: int
    updated_by: str
