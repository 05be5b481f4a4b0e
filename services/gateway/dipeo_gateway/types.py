"""The GraphQL types of v1 (spec/gateway.md §1.2, §2), frozen: fields are added, never removed, renamed or tightened.

Enum members print upper case; words inside JSON fields stay lower case, except `data.status` of node events.
"""

from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any

import strawberry

if TYPE_CHECKING:
    JSON = Any  # to mypy Strawberry's scalar is a type of its own, which no dict is
else:
    from strawberry.scalars import JSON


@strawberry.enum
class Status(Enum):
    PENDING = "pending"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    ABORTED = "aborted"
    SKIPPED = "skipped"
    MAXITER_REACHED = "maxiter_reached"


@strawberry.enum
class EventType(Enum):
    EXECUTION_STARTED = "execution_started"
    EXECUTION_COMPLETED = "execution_completed"
    EXECUTION_ERROR = "execution_error"
    NODE_STARTED = "node_started"
    NODE_COMPLETED = "node_completed"
    NODE_ERROR = "node_error"
    NODE_OUTPUT = "node_output"
    EXECUTION_LOG = "execution_log"
    INTERACTIVE_PROMPT = "interactive_prompt"
    INTERACTIVE_RESPONSE = "interactive_response"


@strawberry.enum
class DiagramFormatGraphQL(Enum):
    NATIVE = "native"
    YAML = "yaml"
    JSON = "json"
    READABLE = "readable"
    LIGHT = "light"


@strawberry.type
class LLMUsageType:
    input: float
    output: float
    cached: float | None = None
    total: float | None = None
    cost_usd: float | None = strawberry.field(
        default=None, description="US dollars; null when the price of some call is not known."
    )


@strawberry.type(description="One run of one diagram. Times are RFC 3339 in UTC.")
class ExecutionStateType:
    id: strawberry.ID
    status: Status
    diagram_id: strawberry.ID | None = strawberry.field(default=None, description="Path as it was given.")
    started_at: str | None = None
    ended_at: str | None = None
    error: str | None = None
    llm_usage: LLMUsageType | None = None
    is_active: bool | None = None
    executed_nodes: list[str] = strawberry.field(default_factory=list, description="Node ids in first-start order.")
    node_states: JSON = strawberry.field(default_factory=dict, description="Node id → state of its last run.")
    node_outputs: JSON = strawberry.field(default_factory=dict, description="Node id → envelope of its last output.")
    variables: JSON | None = None
    exec_counts: JSON = strawberry.field(default_factory=dict, description="Node id → completed runs.")
    metrics: JSON | None = None

    diagram_name: str | None = None
    created_at: str | None = None
    duration_ms: int | None = strawberry.field(default=None, description="From start to end; null until ended.")
    result: JSON | None = strawberry.field(default=None, description="What reached the endpoints.")
    result_is_error: bool | None = None
    error_code: str | None = None
    warnings: list[str] | None = None
    waiting: bool | None = strawberry.field(default=None, description="A question to a human is open.")
    head_seq: int | None = strawberry.field(default=None, description="Number of the last journal event.")
    origin: str | None = None
    name: str | None = strawberry.field(default=None, description="As given in options.name.")
    labels: JSON | None = strawberry.field(default=None, description="As given in options.labels.")
    node_runs: JSON | None = strawberry.field(default=None, description="Every node run, in start order.")
    outputs: JSON | None = strawberry.field(default=None, description="Label, or Parent/Child → latest output.")
    failed_nodes: JSON | None = None
    conversation: JSON | None = None
    retried_from: str | None = strawberry.field(default=None, description="The run whose journal it took over.")
    pending_interactions: list[JSON] | None = strawberry.field(default=None, description="Questions that are open.")


@strawberry.type(description="One journal event. `seq` has no gaps: resume with the last one you saw.")
class ExecutionUpdateType:
    type: EventType
    execution_id: strawberry.ID
    seq: int
    node_id: strawberry.ID | None = None
    node_name: str | None = None
    status: Status | None = None
    result: JSON | None = None
    error: str | None = None
    timestamp: str | None = None
    total_tokens: float | None = None
    node_type: str | None = None
    tokens: float | None = None
    data: JSON | None = None


@strawberry.type(description="Outcome of a mutation. A refusal is success = false with a stable error_type.")
class ExecutionResult:
    success: bool
    message: str | None = None
    error: str | None = None
    error_type: str | None = None
    envelope: JSON | None = strawberry.field(default=None, description="Diagnostics: {errors, warnings}.")
    data: ExecutionStateType | None = None


@strawberry.input(description="One of diagram_source and diagram_data is required.")
class ExecuteDiagramInput:
    diagram_id: strawberry.ID | None = None
    diagram_data: JSON | None = None
    variables: JSON | None = None
    debug_mode: bool | None = None
    max_iterations: int | None = None
    timeout_seconds: int | None = None
    use_unified_monitoring: bool | None = None
    diagram_source: str | None = None
    diagram_format: DiagramFormatGraphQL | None = None
    diagram_path: str | None = None
    options: JSON | None = strawberry.field(
        default=None,
        description="mock_llm, keep_going, interactive, answers, timeout_s, max_parallel, max_node_runs, max_cost_usd, "
        "max_tokens, name, labels, mock_script.",
    )
    execution_id: strawberry.ID | None = None
    changes: JSON | None = strawberry.field(
        default=None, description='Properties set for this run: {"LABEL.property": value}.'
    )
    uploads: JSON | None = strawberry.field(
        default=None, description='For a remote executor: {files: {name: sha256 or ""}, contents: [base64]}.'
    )


@strawberry.input
class ExecutionControlInput:
    execution_id: strawberry.ID
    action: str
    reason: str | None = None


@strawberry.input
class RetryExecutionInput:
    execution_id: strawberry.ID
    from_node: str | None = strawberry.field(
        default=None, description="Id, label or Parent/Child; default: what failed or was interrupted first."
    )
    new_execution_id: strawberry.ID | None = None


@strawberry.input
class InteractiveResponseInput:
    execution_id: strawberry.ID
    node_id: strawberry.ID
    response: str
    metadata: JSON | None = strawberry.field(default=None, description="{prompt_id}: which of several open questions.")


@strawberry.input
class ExecutionFilterInput:
    diagram_id: strawberry.ID | None = None
    status: Status | None = None
    started_after: datetime | None = None
    started_before: datetime | None = None
    id_prefix: str | None = None
    statuses: list[Status] | None = None
    name: str | None = strawberry.field(default=None, description="Exact; among the newest 10,000 executions.")
    labels: JSON | None = strawberry.field(default=None, description="All of them; among the newest 10,000 executions.")
