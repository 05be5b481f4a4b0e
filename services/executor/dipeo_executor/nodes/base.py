"""What a node handler is given and what it gives back.

A handler is `async def run(props, inputs, ctx) -> Output`. It knows nothing of scheduling, storage or status. It raises
NodeError with words a user can act on; whether that ends the run is decided outside (decision 1).
"""

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, TypeVar

from pydantic import AliasGenerator, BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic.alias_generators import to_camel

from dipeo_executor.program import Edge, Node, Person

if TYPE_CHECKING:
    from dipeo_executor.nodes.web import Request, Response, Retry

T = TypeVar("T")

Inputs = Mapping[str, Any]  # port -> JSON value, in declaration order of the arrows


class NodeError(Exception):
    """A node cannot do what it is asked. The message says what is wrong and what would be right.

    `kind` is the class of the failure as users see it in `error.type`, e.g. "ValueError" raised by user code. A `code`
    other than the default ends the run whatever the node's policies say.
    """

    code: ClassVar[str] = "node_failed"
    retryable: ClassVar[bool | None] = None  # the same may succeed later; None = the node's policy alone decides
    retry_after_s: float | None = None  # what a service asked to be left alone for

    def __init__(self, message: str, *, kind: str = "", details: str = "") -> None:
        super().__init__(message)
        self.kind = kind or type(self).__name__
        self.details = details


class RetryPolicy(BaseModel):
    """How often a failing node is tried again, each try a journaled attempt. `retry: 3` means three attempts in all."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    attempts: int = Field(default=3, ge=1, le=100)
    delay_s: float = Field(default=1.0, ge=0)
    strategy: Literal["exponential", "linear", "constant"] = "exponential"
    max_delay_s: float = Field(default=60.0, ge=0)
    errors: list[str] = Field(default_factory=list)  # classes of failure (error.type); empty = every failure

    def wait_s(self, failed: int) -> float:
        """Seconds before the attempt that follows number `failed` (from 1)."""
        factor = {"exponential": 2.0 ** (failed - 1), "linear": float(failed), "constant": 1.0}[self.strategy]
        return min(self.delay_s * factor, self.max_delay_s)

    def allows(self, failed: int, kind: str) -> bool:
        return failed < self.attempts and (not self.errors or kind in self.errors)


class Props(BaseModel):
    """Base of every node's properties. Unknown keys are the compiler's to report; strings are never made of numbers.

    A null means "not given"; camelCase spellings are read too. Errors name the property as our docs do (snake_case).
    """

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        populate_by_name=True,
        loc_by_alias=False,
        alias_generator=AliasGenerator(validation_alias=to_camel),
    )

    times_itself: ClassVar[bool] = False  # the handler keeps to `timeout`, the driver need not
    default_timeout_s: ClassVar[float | None] = 300.0  # of one attempt, where the node has no `timeout` (2.1)

    on_error: Literal["fail", "continue"] = "fail"
    retry: RetryPolicy | None = None
    timeout: float | None = Field(default=None, ge=0)  # seconds one attempt may take; 0 and absent = the default

    @field_validator("retry", mode="before")
    @classmethod
    def _attempts(cls, value: Any) -> Any:
        return {"attempts": value} if isinstance(value, int) and not isinstance(value, bool) else value

    @model_validator(mode="before")
    @classmethod
    def _drop_nulls(cls, data: Any) -> Any:
        return {key: value for key, value in data.items() if value is not None} if isinstance(data, dict) else data


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the execution's conversation (engine contract 4.4)."""

    id: str
    from_id: str  # a person's id or "system"
    to_id: str
    content: str
    node_id: str = ""
    iteration: int = 0
    token_count: int = 0
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of model calls, and what they cost: at least `cost_usd` when the price of some calls is not known."""

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
class Output:
    """What a node run produced. `value` is JSON-native (values.py checks).

    `conversation` is what conversation_state arrows carry instead of `value`; None = the same.
    """

    value: Any
    port: str = "default"
    conversation: Any = None
    meta: Mapping[str, Any] = field(default_factory=dict)
    variables: Mapping[str, Any] = field(default_factory=dict)
    messages: Sequence[Message] = ()
    usage: Usage | None = None
    model: str = ""


@dataclass(frozen=True, slots=True)
class NodeCount:
    """How often a node of this diagram has run so far."""

    id: str
    label: str
    type: str
    started: int  # runs so far, the present one included
    completed: int
    max_iteration: int | None


class Files(Protocol):
    """The project's files. Every path is contained in BASE after symlink resolution (decision 14)."""

    def __hash__(self) -> int: ...  # what was made for a project is kept for it

    def resolve(self, name: str) -> str:
        """Absolute path of a name relative to BASE. Raises NodeError when it leaves BASE."""

    def glob(self, pattern: str) -> list[str]:
        """Names relative to BASE, sorted."""

    def exists(self, name: str) -> bool: ...

    def read_text(self, name: str) -> str:
        """Raises NodeError naming what was looked for and where."""

    def read_bytes(self, name: str) -> bytes:
        """As read_text."""

    def write_text(self, name: str, text: str) -> int:
        """Atomically; parent folders are made. Returns bytes written."""

    def write_bytes(self, name: str, data: bytes) -> int:
        """As write_text."""

    def append_text(self, name: str, text: str) -> int: ...


class Workers(Protocol):
    """Where user code runs: worker processes, never the executor (decision 13)."""

    async def run_python(self, job: "CodeJob") -> "CodeResult": ...

    async def run_bash(self, job: "CodeJob") -> "CodeResult": ...

    async def run_typescript(self, job: "CodeJob") -> "CodeResult": ...


@dataclass(frozen=True, slots=True)
class CodeJob:
    """One piece of user code. `filename` is what tracebacks show."""

    source: str
    filename: str
    function: str  # configured name; "" = main if defined
    inputs: Mapping[str, Any]
    variables: Mapping[str, Any]
    node_id: str
    timeout_s: float
    idempotency_key: str = ""
    import_dir: str = ""  # folder of a code file, put on the import path


@dataclass(frozen=True, slots=True)
class CodeResult:
    """`value` is JSON-native."""

    value: Any
    stdout: str = ""
    stderr: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """What a human is asked. `options`: what may be answered, () = any text. `sensitive`: the answer is a secret."""

    prompt: str
    context: str = ""
    options: Sequence[str] = ()
    sensitive: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What a human said. `outcome`: answered, expired, or unattended (nobody can be asked)."""

    text: str
    outcome: Literal["answered", "expired", "unattended"]


@dataclass(frozen=True, slots=True)
class ModelTool:
    """Something a model may use while it answers, run by the model's service. `config`: the service's own settings."""

    type: Literal["web_search", "image_generation"]
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ToolOutput:
    """What a tool gave. `result`: a list of {url, title, snippet, score}, or {image_data, format, width, height}."""

    type: str
    result: Any


class Llm(Protocol):
    """Asks a model. See llm/models.py."""

    async def complete(
        self,
        person: Person,
        messages: Sequence[Mapping[str, str]],
        *,
        schema: Mapping[str, Any] | None = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
        purpose: str = "answer",
        tools: Sequence[ModelTool] = (),
        on_text: Callable[[str], None] | None = None,
    ) -> "Reply":
        """`messages`: {"role": system | user | assistant, "content": text}. Raises NodeError.

        `purpose`: answer, memory_selection, decision, retry. `on_text` is told each further piece of the text as it
        comes; without it the answer is not streamed.
        """


@dataclass(frozen=True, slots=True)
class Reply:
    """A model's answer. `cut`: it ends early because the model's limit was reached."""

    text: str
    usage: Usage
    model: str
    tool_outputs: Sequence[ToolOutput] = ()
    cut: bool = False


class Log(Protocol):
    """Context.log, for what works on behalf of a node."""

    def __call__(self, level: str, message: str, **fields: Any) -> None: ...


class Http(Protocol):
    """Requests to other hosts, within the limits set for this executor. See http.py."""

    async def send(self, request: "Request", *, retry: "Retry | None" = None, log: Log | None = None) -> "Response":
        """The last answer, whatever its status. Raises NodeError when there is none."""

    def secret(self, name: str) -> str:
        """What {env: name} stands for. Raises NodeError."""

    async def stored_key(self, reference: str) -> str:
        """The key kept by that id or label: {api_key_id: reference}. Raises NodeError."""

    def shared(self, key: Hashable, make: Callable[[], T]) -> T:
        """One object per key for the life of the executor."""


class Context(Protocol):
    """What a node may touch. Tests hand in a fake.

    `variables` and `custom_data` are the outer scopes: inputs, then variables, then custom_data (decision 5).
    """

    @property
    def node(self) -> Node: ...
    @property
    def execution_id(self) -> str: ...
    @property
    def iteration(self) -> int:
        """From 0: which run of this node in the whole execution."""

    @property
    def first_run(self) -> bool:
        """The first run within this diagram."""

    @property
    def attempt(self) -> int:
        """From 1."""

    @property
    def idempotency_key(self) -> str:
        """The same over attempts."""

    @property
    def variables(self) -> Mapping[str, Any]: ...
    @property
    def custom_data(self) -> Mapping[str, Any]: ...
    @property
    def counts(self) -> Sequence[NodeCount]:
        """Of this diagram, in declaration order."""

    @property
    def outgoing(self) -> Sequence[Edge]: ...
    @property
    def persons(self) -> Mapping[str, Person]: ...
    @property
    def history(self) -> Sequence[Message]:
        """The conversation this run may see (decision 39)."""

    @property
    def pictures(self) -> Sequence[str]:
        """Files of the images that the nodes before this one have made."""

    @property
    def nested(self) -> bool:
        """Inside a sub-diagram."""

    @property
    def files(self) -> Files: ...
    @property
    def workers(self) -> Workers: ...
    @property
    def llm(self) -> Llm: ...
    @property
    def http(self) -> Http: ...

    async def ask(self, question: Question, *, timeout_s: float | None = None) -> Answer:
        """Ask a human, durably: survives the executor."""

    def log(self, level: str, message: str, **fields: Any) -> None:
        """A line in the run's journal."""

    def say(self, piece: str) -> None:
        """More of the text this node is making, for those who watch. The output is what counts."""


@dataclass(frozen=True, slots=True)
class NodeType:
    """A node type: how its properties are checked and what it does. REGISTRY maps the type's name to this."""

    props: type[Props]
    run: Callable[[Any, Inputs, Context], Awaitable[Output]] | None  # None: the engine itself runs it (sub_diagram)
    aliases: Mapping[str, str] = field(default_factory=dict)  # spelling -> property, beyond those of the formats
