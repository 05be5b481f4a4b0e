"""What can happen in a run. Journal events of the same names carry these on the wire (wire.py).

`node` is a path: "ask", or "review/ask" inside the sub-diagram node "review".
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

RunStatus = Literal["completed", "failed", "aborted", "maxiter_reached"]
Json = Any


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a node or a run failed, as users read it."""

    type: str
    message: str
    code: str = "node_failed"
    node: str = ""
    details: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of model calls, and their cost: at least `cost_usd` when the price of some is not known."""

    input: int = 0
    output: int = 0
    cached: int = 0
    cost_usd: float = 0.0
    unpriced: int = 0  # calls of unknown price

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.input + other.input,
            self.output + other.output,
            self.cached + other.cached,
            self.cost_usd + other.cost_usd,
            self.unpriced + other.unpriced,
        )


@dataclass(frozen=True, slots=True)
class RunStarted:
    executor: str = ""
    seed: int = 0


@dataclass(frozen=True, slots=True)
class RunRecovered:
    executor: str
    attempt: int
    previous_fence: int


@dataclass(frozen=True, slots=True)
class Consumed:
    """Token number `token` (from 1) of edge `edge` (index in its program)."""

    edge: int
    token: int


@dataclass(frozen=True, slots=True)
class NodeStarted:
    node: str
    iteration: int  # from 0, over the whole run
    attempt: int = 1
    consumed: tuple[Consumed, ...] = ()
    history: int = 0  # messages this run may see


@dataclass(frozen=True, slots=True)
class NodeCompleted:
    node: str
    iteration: int
    attempt: int
    value: Json
    port: str = "default"
    conversation: Json = None  # what conversation_state edges carry instead; None = the value
    variables: Mapping[str, Json] = field(default_factory=dict)
    meta: Mapping[str, Json] = field(default_factory=dict)
    usage: Usage | None = None
    model: str = ""
    encoded: bytes = field(default=b"", compare=False)  # the value as JSON when somebody has it already


@dataclass(frozen=True, slots=True)
class NodeFailed:
    """`port` "" fails the run (or the sub-diagram); else the error value travels on along it (decision 1)."""

    node: str
    iteration: int
    attempt: int
    error: Failure
    port: str = ""
    usage: Usage | None = None  # of the calls that were answered before it failed

    @property
    def value(self) -> Json:
        return {"error": self.error.message, "type": self.error.type, "node": self.error.node or self.node}


@dataclass(frozen=True, slots=True)
class NodeRetrying:
    node: str
    iteration: int
    attempt: int  # the new one
    reason: str
    usage: Usage | None = None  # of the attempt before
    wait_ms: int = 0  # until it begins


@dataclass(frozen=True, slots=True)
class NodeOutput:
    """What a running node has made so far: its end, and how many characters there are. Only for those who watch."""

    node: str
    iteration: int
    attempt: int
    text: str
    size: int


@dataclass(frozen=True, slots=True)
class NodeAborted:
    node: str
    iteration: int
    attempt: int


@dataclass(frozen=True, slots=True)
class NodePassed:
    """A person at its limit re-published its last output without running (engine contract 1.5, pass 4)."""

    node: str
    consumed: tuple[Consumed, ...]


@dataclass(frozen=True, slots=True)
class NodeSkipped:
    node: str


@dataclass(frozen=True, slots=True)
class MessageAppended:
    id: str
    node: str
    iteration: int
    from_id: str
    to_id: str
    content: str
    token_count: int = 0


@dataclass(frozen=True, slots=True)
class InteractionOpened:
    id: str
    node: str
    iteration: int
    prompt: str
    context: str = ""
    default: str = ""
    expires_at: float | None = None  # seconds since the epoch; None = waits without limit
    options: tuple[str, ...] = ()  # what may be answered; () = any text
    sensitive: bool = False


@dataclass(frozen=True, slots=True)
class InteractionClosed:
    id: str
    node: str
    outcome: str  # answered, expired, cancelled
    response: str = ""
    responder: str = ""


@dataclass(frozen=True, slots=True)
class SignalConsumed:
    signal_id: str


@dataclass(frozen=True, slots=True)
class RunPaused:
    """Nothing starts until RunResumed; nothing runs any more but questions to humans."""

    reason: str = ""
    principal: str = ""


@dataclass(frozen=True, slots=True)
class RunResumed:
    principal: str = ""


@dataclass(frozen=True, slots=True)
class Logged:
    level: str
    message: str
    node: str = ""
    fields: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunEnded:
    status: RunStatus
    result: Json = None
    has_result: bool = False
    result_is_error: bool = False
    error: Failure | None = None
    reason: str = ""
    principal: str = ""
    warnings: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()


Event = (
    RunStarted
    | RunRecovered
    | RunPaused
    | RunResumed
    | NodeStarted
    | NodeCompleted
    | NodeFailed
    | NodeRetrying
    | NodeOutput
    | NodeAborted
    | NodePassed
    | NodeSkipped
    | MessageAppended
    | InteractionOpened
    | InteractionClosed
    | SignalConsumed
    | Logged
    | RunEnded
)
