import datetime

from dipeo_protos.store.v1 import content_pb2 as _content_pb2
from dipeo_protos.store.v1 import events_pb2 as _events_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ExecutionStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EXECUTION_STATUS_UNSPECIFIED: _ClassVar[ExecutionStatus]
    EXECUTION_STATUS_PENDING: _ClassVar[ExecutionStatus]
    EXECUTION_STATUS_RUNNING: _ClassVar[ExecutionStatus]
    EXECUTION_STATUS_PAUSED: _ClassVar[ExecutionStatus]
    EXECUTION_STATUS_COMPLETED: _ClassVar[ExecutionStatus]
    EXECUTION_STATUS_FAILED: _ClassVar[ExecutionStatus]
    EXECUTION_STATUS_ABORTED: _ClassVar[ExecutionStatus]
    EXECUTION_STATUS_MAXITER_REACHED: _ClassVar[ExecutionStatus]

class NodeRunStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    NODE_RUN_STATUS_UNSPECIFIED: _ClassVar[NodeRunStatus]
    NODE_RUN_STATUS_RUNNING: _ClassVar[NodeRunStatus]
    NODE_RUN_STATUS_COMPLETED: _ClassVar[NodeRunStatus]
    NODE_RUN_STATUS_FAILED: _ClassVar[NodeRunStatus]
    NODE_RUN_STATUS_ABORTED: _ClassVar[NodeRunStatus]
    NODE_RUN_STATUS_SKIPPED: _ClassVar[NodeRunStatus]
    NODE_RUN_STATUS_MAXITER_REACHED: _ClassVar[NodeRunStatus]
EXECUTION_STATUS_UNSPECIFIED: ExecutionStatus
EXECUTION_STATUS_PENDING: ExecutionStatus
EXECUTION_STATUS_RUNNING: ExecutionStatus
EXECUTION_STATUS_PAUSED: ExecutionStatus
EXECUTION_STATUS_COMPLETED: ExecutionStatus
EXECUTION_STATUS_FAILED: ExecutionStatus
EXECUTION_STATUS_ABORTED: ExecutionStatus
EXECUTION_STATUS_MAXITER_REACHED: ExecutionStatus
NODE_RUN_STATUS_UNSPECIFIED: NodeRunStatus
NODE_RUN_STATUS_RUNNING: NodeRunStatus
NODE_RUN_STATUS_COMPLETED: NodeRunStatus
NODE_RUN_STATUS_FAILED: NodeRunStatus
NODE_RUN_STATUS_ABORTED: NodeRunStatus
NODE_RUN_STATUS_SKIPPED: NodeRunStatus
NODE_RUN_STATUS_MAXITER_REACHED: NodeRunStatus

class Execution(_message.Message):
    __slots__ = ("execution_id", "status", "diagram_id", "diagram_name", "source_hash", "variables_json", "options_json", "origin", "principal", "trace_parent", "error", "result_json", "result_is_error", "head_seq", "attempts", "usage", "runs_done", "runs_failed", "created_at", "started_at", "ended_at", "waiting", "parent_id", "warnings", "retried_from", "pinned", "result_bytes")
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    DIAGRAM_ID_FIELD_NUMBER: _ClassVar[int]
    DIAGRAM_NAME_FIELD_NUMBER: _ClassVar[int]
    SOURCE_HASH_FIELD_NUMBER: _ClassVar[int]
    VARIABLES_JSON_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_JSON_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    TRACE_PARENT_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    RESULT_JSON_FIELD_NUMBER: _ClassVar[int]
    RESULT_IS_ERROR_FIELD_NUMBER: _ClassVar[int]
    HEAD_SEQ_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    RUNS_DONE_FIELD_NUMBER: _ClassVar[int]
    RUNS_FAILED_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    PARENT_ID_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    RETRIED_FROM_FIELD_NUMBER: _ClassVar[int]
    PINNED_FIELD_NUMBER: _ClassVar[int]
    RESULT_BYTES_FIELD_NUMBER: _ClassVar[int]
    execution_id: str
    status: ExecutionStatus
    diagram_id: str
    diagram_name: str
    source_hash: str
    variables_json: bytes
    options_json: bytes
    origin: str
    principal: str
    trace_parent: str
    error: _events_pb2.Error
    result_json: bytes
    result_is_error: bool
    head_seq: int
    attempts: int
    usage: _events_pb2.TokenUsage
    runs_done: int
    runs_failed: int
    created_at: _timestamp_pb2.Timestamp
    started_at: _timestamp_pb2.Timestamp
    ended_at: _timestamp_pb2.Timestamp
    waiting: bool
    parent_id: str
    warnings: _containers.RepeatedScalarFieldContainer[str]
    retried_from: str
    pinned: bool
    result_bytes: int
    def __init__(self, execution_id: _Optional[str] = ..., status: _Optional[_Union[ExecutionStatus, str]] = ..., diagram_id: _Optional[str] = ..., diagram_name: _Optional[str] = ..., source_hash: _Optional[str] = ..., variables_json: _Optional[bytes] = ..., options_json: _Optional[bytes] = ..., origin: _Optional[str] = ..., principal: _Optional[str] = ..., trace_parent: _Optional[str] = ..., error: _Optional[_Union[_events_pb2.Error, _Mapping]] = ..., result_json: _Optional[bytes] = ..., result_is_error: _Optional[bool] = ..., head_seq: _Optional[int] = ..., attempts: _Optional[int] = ..., usage: _Optional[_Union[_events_pb2.TokenUsage, _Mapping]] = ..., runs_done: _Optional[int] = ..., runs_failed: _Optional[int] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ended_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., waiting: _Optional[bool] = ..., parent_id: _Optional[str] = ..., warnings: _Optional[_Iterable[str]] = ..., retried_from: _Optional[str] = ..., pinned: _Optional[bool] = ..., result_bytes: _Optional[int] = ...) -> None: ...

class NodeRun(_message.Message):
    __slots__ = ("node_id", "label", "type", "iteration", "attempt", "status", "waiting", "started_at", "ended_at", "usage", "model", "person_id", "output_json", "meta_json", "error", "handled", "start_seq", "output_bytes", "output_blob")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    ITERATION_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PERSON_ID_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_JSON_FIELD_NUMBER: _ClassVar[int]
    META_JSON_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    HANDLED_FIELD_NUMBER: _ClassVar[int]
    START_SEQ_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_BYTES_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_BLOB_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    label: str
    type: str
    iteration: int
    attempt: int
    status: NodeRunStatus
    waiting: bool
    started_at: _timestamp_pb2.Timestamp
    ended_at: _timestamp_pb2.Timestamp
    usage: _events_pb2.TokenUsage
    model: str
    person_id: str
    output_json: bytes
    meta_json: bytes
    error: _events_pb2.Error
    handled: bool
    start_seq: int
    output_bytes: int
    output_blob: str
    def __init__(self, node_id: _Optional[str] = ..., label: _Optional[str] = ..., type: _Optional[str] = ..., iteration: _Optional[int] = ..., attempt: _Optional[int] = ..., status: _Optional[_Union[NodeRunStatus, str]] = ..., waiting: _Optional[bool] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ended_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., usage: _Optional[_Union[_events_pb2.TokenUsage, _Mapping]] = ..., model: _Optional[str] = ..., person_id: _Optional[str] = ..., output_json: _Optional[bytes] = ..., meta_json: _Optional[bytes] = ..., error: _Optional[_Union[_events_pb2.Error, _Mapping]] = ..., handled: _Optional[bool] = ..., start_seq: _Optional[int] = ..., output_bytes: _Optional[int] = ..., output_blob: _Optional[str] = ...) -> None: ...

class Interaction(_message.Message):
    __slots__ = ("interaction_id", "execution_id", "node_id", "label", "iteration", "prompt", "context", "default_value", "status", "opened_at", "expires_at", "closed_at", "response", "responder", "options", "sensitive")
    INTERACTION_ID_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    ITERATION_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_VALUE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    OPENED_AT_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    CLOSED_AT_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    RESPONDER_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    SENSITIVE_FIELD_NUMBER: _ClassVar[int]
    interaction_id: str
    execution_id: str
    node_id: str
    label: str
    iteration: int
    prompt: str
    context: str
    default_value: str
    status: str
    opened_at: _timestamp_pb2.Timestamp
    expires_at: _timestamp_pb2.Timestamp
    closed_at: _timestamp_pb2.Timestamp
    response: str
    responder: str
    options: _containers.RepeatedScalarFieldContainer[str]
    sensitive: bool
    def __init__(self, interaction_id: _Optional[str] = ..., execution_id: _Optional[str] = ..., node_id: _Optional[str] = ..., label: _Optional[str] = ..., iteration: _Optional[int] = ..., prompt: _Optional[str] = ..., context: _Optional[str] = ..., default_value: _Optional[str] = ..., status: _Optional[str] = ..., opened_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., closed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., response: _Optional[str] = ..., responder: _Optional[str] = ..., options: _Optional[_Iterable[str]] = ..., sensitive: _Optional[bool] = ...) -> None: ...

class Message(_message.Message):
    __slots__ = ("message_id", "node_id", "iteration", "person_id", "from_id", "to_id", "role", "content", "token_count", "created_at")
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    ITERATION_FIELD_NUMBER: _ClassVar[int]
    PERSON_ID_FIELD_NUMBER: _ClassVar[int]
    FROM_ID_FIELD_NUMBER: _ClassVar[int]
    TO_ID_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    TOKEN_COUNT_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    message_id: str
    node_id: str
    iteration: int
    person_id: str
    from_id: str
    to_id: str
    role: str
    content: str
    token_count: int
    created_at: _timestamp_pb2.Timestamp
    def __init__(self, message_id: _Optional[str] = ..., node_id: _Optional[str] = ..., iteration: _Optional[int] = ..., person_id: _Optional[str] = ..., from_id: _Optional[str] = ..., to_id: _Optional[str] = ..., role: _Optional[str] = ..., content: _Optional[str] = ..., token_count: _Optional[int] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class CreateExecutionRequest(_message.Message):
    __slots__ = ("execution_id", "diagram_id", "diagram_name", "source", "variables_json", "options_json", "origin", "principal", "trace_parent", "idempotency_key", "idempotency_hash", "session_id", "timeout_s", "fork")
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    DIAGRAM_ID_FIELD_NUMBER: _ClassVar[int]
    DIAGRAM_NAME_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    VARIABLES_JSON_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_JSON_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    TRACE_PARENT_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_HASH_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_S_FIELD_NUMBER: _ClassVar[int]
    FORK_FIELD_NUMBER: _ClassVar[int]
    execution_id: str
    diagram_id: str
    diagram_name: str
    source: bytes
    variables_json: bytes
    options_json: bytes
    origin: str
    principal: str
    trace_parent: str
    idempotency_key: str
    idempotency_hash: str
    session_id: str
    timeout_s: float
    fork: Fork
    def __init__(self, execution_id: _Optional[str] = ..., diagram_id: _Optional[str] = ..., diagram_name: _Optional[str] = ..., source: _Optional[bytes] = ..., variables_json: _Optional[bytes] = ..., options_json: _Optional[bytes] = ..., origin: _Optional[str] = ..., principal: _Optional[str] = ..., trace_parent: _Optional[str] = ..., idempotency_key: _Optional[str] = ..., idempotency_hash: _Optional[str] = ..., session_id: _Optional[str] = ..., timeout_s: _Optional[float] = ..., fork: _Optional[_Union[Fork, _Mapping]] = ...) -> None: ...

class Fork(_message.Message):
    __slots__ = ("execution_id", "before_seq")
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    BEFORE_SEQ_FIELD_NUMBER: _ClassVar[int]
    execution_id: str
    before_seq: int
    def __init__(self, execution_id: _Optional[str] = ..., before_seq: _Optional[int] = ...) -> None: ...

class CreateExecutionResponse(_message.Message):
    __slots__ = ("execution", "created", "claim")
    EXECUTION_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    CLAIM_FIELD_NUMBER: _ClassVar[int]
    execution: Execution
    created: bool
    claim: Work
    def __init__(self, execution: _Optional[_Union[Execution, _Mapping]] = ..., created: _Optional[bool] = ..., claim: _Optional[_Union[Work, _Mapping]] = ...) -> None: ...

class GetExecutionRequest(_message.Message):
    __slots__ = ("execution_id", "include_node_runs", "include_interactions")
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_NODE_RUNS_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_INTERACTIONS_FIELD_NUMBER: _ClassVar[int]
    execution_id: str
    include_node_runs: bool
    include_interactions: bool
    def __init__(self, execution_id: _Optional[str] = ..., include_node_runs: _Optional[bool] = ..., include_interactions: _Optional[bool] = ...) -> None: ...

class GetExecutionResponse(_message.Message):
    __slots__ = ("execution", "node_runs", "interactions")
    EXECUTION_FIELD_NUMBER: _ClassVar[int]
    NODE_RUNS_FIELD_NUMBER: _ClassVar[int]
    INTERACTIONS_FIELD_NUMBER: _ClassVar[int]
    execution: Execution
    node_runs: _containers.RepeatedCompositeFieldContainer[NodeRun]
    interactions: _containers.RepeatedCompositeFieldContainer[Interaction]
    def __init__(self, execution: _Optional[_Union[Execution, _Mapping]] = ..., node_runs: _Optional[_Iterable[_Union[NodeRun, _Mapping]]] = ..., interactions: _Optional[_Iterable[_Union[Interaction, _Mapping]]] = ...) -> None: ...

class ListExecutionsRequest(_message.Message):
    __slots__ = ("statuses", "diagram_id", "started_after", "started_before", "page_size", "page_token", "id_prefix", "principal")
    STATUSES_FIELD_NUMBER: _ClassVar[int]
    DIAGRAM_ID_FIELD_NUMBER: _ClassVar[int]
    STARTED_AFTER_FIELD_NUMBER: _ClassVar[int]
    STARTED_BEFORE_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    ID_PREFIX_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    statuses: _containers.RepeatedScalarFieldContainer[ExecutionStatus]
    diagram_id: str
    started_after: _timestamp_pb2.Timestamp
    started_before: _timestamp_pb2.Timestamp
    page_size: int
    page_token: str
    id_prefix: str
    principal: str
    def __init__(self, statuses: _Optional[_Iterable[_Union[ExecutionStatus, str]]] = ..., diagram_id: _Optional[str] = ..., started_after: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., started_before: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., id_prefix: _Optional[str] = ..., principal: _Optional[str] = ...) -> None: ...

class ListExecutionsResponse(_message.Message):
    __slots__ = ("executions", "next_page_token")
    EXECUTIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    executions: _containers.RepeatedCompositeFieldContainer[Execution]
    next_page_token: str
    def __init__(self, executions: _Optional[_Iterable[_Union[Execution, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ReadJournalRequest(_message.Message):
    __slots__ = ("execution_id", "after_seq", "limit")
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    AFTER_SEQ_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    execution_id: str
    after_seq: int
    limit: int
    def __init__(self, execution_id: _Optional[str] = ..., after_seq: _Optional[int] = ..., limit: _Optional[int] = ...) -> None: ...

class ReadJournalResponse(_message.Message):
    __slots__ = ("events", "head_seq", "terminal")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    HEAD_SEQ_FIELD_NUMBER: _ClassVar[int]
    TERMINAL_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[_events_pb2.Event]
    head_seq: int
    terminal: bool
    def __init__(self, events: _Optional[_Iterable[_Union[_events_pb2.Event, _Mapping]]] = ..., head_seq: _Optional[int] = ..., terminal: _Optional[bool] = ...) -> None: ...

class WatchRequest(_message.Message):
    __slots__ = ("execution_id", "after_seq")
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    AFTER_SEQ_FIELD_NUMBER: _ClassVar[int]
    execution_id: str
    after_seq: int
    def __init__(self, execution_id: _Optional[str] = ..., after_seq: _Optional[int] = ...) -> None: ...

class WatchResponse(_message.Message):
    __slots__ = ("events",)
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[_events_pb2.Event]
    def __init__(self, events: _Optional[_Iterable[_Union[_events_pb2.Event, _Mapping]]] = ...) -> None: ...

class Work(_message.Message):
    __slots__ = ("execution_id", "fence", "head_seq", "recovery")
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    FENCE_FIELD_NUMBER: _ClassVar[int]
    HEAD_SEQ_FIELD_NUMBER: _ClassVar[int]
    RECOVERY_FIELD_NUMBER: _ClassVar[int]
    execution_id: str
    fence: int
    head_seq: int
    recovery: bool
    def __init__(self, execution_id: _Optional[str] = ..., fence: _Optional[int] = ..., head_seq: _Optional[int] = ..., recovery: _Optional[bool] = ...) -> None: ...

class Signal(_message.Message):
    __slots__ = ("execution_id", "signal_id", "abort", "answer", "pause", "resume")
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_ID_FIELD_NUMBER: _ClassVar[int]
    ABORT_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    PAUSE_FIELD_NUMBER: _ClassVar[int]
    RESUME_FIELD_NUMBER: _ClassVar[int]
    execution_id: str
    signal_id: str
    abort: Abort
    answer: Answer
    pause: Pause
    resume: Resume
    def __init__(self, execution_id: _Optional[str] = ..., signal_id: _Optional[str] = ..., abort: _Optional[_Union[Abort, _Mapping]] = ..., answer: _Optional[_Union[Answer, _Mapping]] = ..., pause: _Optional[_Union[Pause, _Mapping]] = ..., resume: _Optional[_Union[Resume, _Mapping]] = ...) -> None: ...

class Abort(_message.Message):
    __slots__ = ("reason", "principal")
    REASON_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    reason: str
    principal: str
    def __init__(self, reason: _Optional[str] = ..., principal: _Optional[str] = ...) -> None: ...

class Pause(_message.Message):
    __slots__ = ("reason", "principal")
    REASON_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    reason: str
    principal: str
    def __init__(self, reason: _Optional[str] = ..., principal: _Optional[str] = ...) -> None: ...

class Resume(_message.Message):
    __slots__ = ("principal",)
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    principal: str
    def __init__(self, principal: _Optional[str] = ...) -> None: ...

class Answer(_message.Message):
    __slots__ = ("interaction_id", "response", "responder")
    INTERACTION_ID_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    RESPONDER_FIELD_NUMBER: _ClassVar[int]
    interaction_id: str
    response: str
    responder: str
    def __init__(self, interaction_id: _Optional[str] = ..., response: _Optional[str] = ..., responder: _Optional[str] = ...) -> None: ...

class SessionRequest(_message.Message):
    __slots__ = ("open", "heartbeat", "release", "close")
    OPEN_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    CLOSE_FIELD_NUMBER: _ClassVar[int]
    open: OpenSession
    heartbeat: Heartbeat
    release: Release
    close: CloseSession
    def __init__(self, open: _Optional[_Union[OpenSession, _Mapping]] = ..., heartbeat: _Optional[_Union[Heartbeat, _Mapping]] = ..., release: _Optional[_Union[Release, _Mapping]] = ..., close: _Optional[_Union[CloseSession, _Mapping]] = ...) -> None: ...

class OpenSession(_message.Message):
    __slots__ = ("executor", "version", "resume_session_id", "holding")
    EXECUTOR_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    RESUME_SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    HOLDING_FIELD_NUMBER: _ClassVar[int]
    executor: str
    version: str
    resume_session_id: str
    holding: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, executor: _Optional[str] = ..., version: _Optional[str] = ..., resume_session_id: _Optional[str] = ..., holding: _Optional[_Iterable[str]] = ...) -> None: ...

class Heartbeat(_message.Message):
    __slots__ = ("free_slots",)
    FREE_SLOTS_FIELD_NUMBER: _ClassVar[int]
    free_slots: int
    def __init__(self, free_slots: _Optional[int] = ...) -> None: ...

class Release(_message.Message):
    __slots__ = ("execution_id", "fence")
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    FENCE_FIELD_NUMBER: _ClassVar[int]
    execution_id: str
    fence: int
    def __init__(self, execution_id: _Optional[str] = ..., fence: _Optional[int] = ...) -> None: ...

class CloseSession(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SessionResponse(_message.Message):
    __slots__ = ("opened", "work", "signal", "alive")
    OPENED_FIELD_NUMBER: _ClassVar[int]
    WORK_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    ALIVE_FIELD_NUMBER: _ClassVar[int]
    opened: SessionOpened
    work: Work
    signal: Signal
    alive: Alive
    def __init__(self, opened: _Optional[_Union[SessionOpened, _Mapping]] = ..., work: _Optional[_Union[Work, _Mapping]] = ..., signal: _Optional[_Union[Signal, _Mapping]] = ..., alive: _Optional[_Union[Alive, _Mapping]] = ...) -> None: ...

class Alive(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SessionOpened(_message.Message):
    __slots__ = ("session_id", "heartbeat_s", "lost_s")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_S_FIELD_NUMBER: _ClassVar[int]
    LOST_S_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    heartbeat_s: float
    lost_s: float
    def __init__(self, session_id: _Optional[str] = ..., heartbeat_s: _Optional[float] = ..., lost_s: _Optional[float] = ...) -> None: ...

class AppendRequest(_message.Message):
    __slots__ = ("appends",)
    APPENDS_FIELD_NUMBER: _ClassVar[int]
    appends: _containers.RepeatedCompositeFieldContainer[ExecutionAppend]
    def __init__(self, appends: _Optional[_Iterable[_Union[ExecutionAppend, _Mapping]]] = ...) -> None: ...

class ExecutionAppend(_message.Message):
    __slots__ = ("execution_id", "fence", "expected_seq", "events", "trace_parent")
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    FENCE_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_SEQ_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    TRACE_PARENT_FIELD_NUMBER: _ClassVar[int]
    execution_id: str
    fence: int
    expected_seq: int
    events: _containers.RepeatedCompositeFieldContainer[_events_pb2.Event]
    trace_parent: str
    def __init__(self, execution_id: _Optional[str] = ..., fence: _Optional[int] = ..., expected_seq: _Optional[int] = ..., events: _Optional[_Iterable[_Union[_events_pb2.Event, _Mapping]]] = ..., trace_parent: _Optional[str] = ...) -> None: ...

class AppendResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[AppendResult]
    def __init__(self, results: _Optional[_Iterable[_Union[AppendResult, _Mapping]]] = ...) -> None: ...

class AppendResult(_message.Message):
    __slots__ = ("execution_id", "head_seq", "duplicate", "reason", "message")
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    HEAD_SEQ_FIELD_NUMBER: _ClassVar[int]
    DUPLICATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    execution_id: str
    head_seq: int
    duplicate: bool
    reason: str
    message: str
    def __init__(self, execution_id: _Optional[str] = ..., head_seq: _Optional[int] = ..., duplicate: _Optional[bool] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class LoadForRecoveryRequest(_message.Message):
    __slots__ = ("execution_id", "fence")
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    FENCE_FIELD_NUMBER: _ClassVar[int]
    execution_id: str
    fence: int
    def __init__(self, execution_id: _Optional[str] = ..., fence: _Optional[int] = ...) -> None: ...

class LoadForRecoveryResponse(_message.Message):
    __slots__ = ("header", "events")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    header: RecoveryHeader
    events: _containers.RepeatedCompositeFieldContainer[_events_pb2.Event]
    def __init__(self, header: _Optional[_Union[RecoveryHeader, _Mapping]] = ..., events: _Optional[_Iterable[_Union[_events_pb2.Event, _Mapping]]] = ...) -> None: ...

class RecoveryHeader(_message.Message):
    __slots__ = ("execution", "source", "signals")
    EXECUTION_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    SIGNALS_FIELD_NUMBER: _ClassVar[int]
    execution: Execution
    source: bytes
    signals: _containers.RepeatedCompositeFieldContainer[Signal]
    def __init__(self, execution: _Optional[_Union[Execution, _Mapping]] = ..., source: _Optional[bytes] = ..., signals: _Optional[_Iterable[_Union[Signal, _Mapping]]] = ...) -> None: ...

class PostSignalRequest(_message.Message):
    __slots__ = ("execution_id", "signal_id", "abort", "pause", "resume")
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_ID_FIELD_NUMBER: _ClassVar[int]
    ABORT_FIELD_NUMBER: _ClassVar[int]
    PAUSE_FIELD_NUMBER: _ClassVar[int]
    RESUME_FIELD_NUMBER: _ClassVar[int]
    execution_id: str
    signal_id: str
    abort: Abort
    pause: Pause
    resume: Resume
    def __init__(self, execution_id: _Optional[str] = ..., signal_id: _Optional[str] = ..., abort: _Optional[_Union[Abort, _Mapping]] = ..., pause: _Optional[_Union[Pause, _Mapping]] = ..., resume: _Optional[_Union[Resume, _Mapping]] = ...) -> None: ...

class PostSignalResponse(_message.Message):
    __slots__ = ("execution",)
    EXECUTION_FIELD_NUMBER: _ClassVar[int]
    execution: Execution
    def __init__(self, execution: _Optional[_Union[Execution, _Mapping]] = ...) -> None: ...

class AnswerInteractionRequest(_message.Message):
    __slots__ = ("execution_id", "node_id", "interaction_id", "response", "responder")
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    INTERACTION_ID_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    RESPONDER_FIELD_NUMBER: _ClassVar[int]
    execution_id: str
    node_id: str
    interaction_id: str
    response: str
    responder: str
    def __init__(self, execution_id: _Optional[str] = ..., node_id: _Optional[str] = ..., interaction_id: _Optional[str] = ..., response: _Optional[str] = ..., responder: _Optional[str] = ...) -> None: ...

class AnswerInteractionResponse(_message.Message):
    __slots__ = ("interaction",)
    INTERACTION_FIELD_NUMBER: _ClassVar[int]
    interaction: Interaction
    def __init__(self, interaction: _Optional[_Union[Interaction, _Mapping]] = ...) -> None: ...

class ListInteractionsRequest(_message.Message):
    __slots__ = ("execution_id", "open_only")
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    OPEN_ONLY_FIELD_NUMBER: _ClassVar[int]
    execution_id: str
    open_only: bool
    def __init__(self, execution_id: _Optional[str] = ..., open_only: _Optional[bool] = ...) -> None: ...

class ListInteractionsResponse(_message.Message):
    __slots__ = ("interactions",)
    INTERACTIONS_FIELD_NUMBER: _ClassVar[int]
    interactions: _containers.RepeatedCompositeFieldContainer[Interaction]
    def __init__(self, interactions: _Optional[_Iterable[_Union[Interaction, _Mapping]]] = ...) -> None: ...

class ListMessagesRequest(_message.Message):
    __slots__ = ("execution_id", "page_size", "page_token", "person_id", "search", "since")
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    PERSON_ID_FIELD_NUMBER: _ClassVar[int]
    SEARCH_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    execution_id: str
    page_size: int
    page_token: str
    person_id: str
    search: str
    since: _timestamp_pb2.Timestamp
    def __init__(self, execution_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., person_id: _Optional[str] = ..., search: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ListMessagesResponse(_message.Message):
    __slots__ = ("messages", "next_page_token")
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    messages: _containers.RepeatedCompositeFieldContainer[Message]
    next_page_token: str
    def __init__(self, messages: _Optional[_Iterable[_Union[Message, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class WatchExecutionsRequest(_message.Message):
    __slots__ = ("statuses", "diagram_id")
    STATUSES_FIELD_NUMBER: _ClassVar[int]
    DIAGRAM_ID_FIELD_NUMBER: _ClassVar[int]
    statuses: _containers.RepeatedScalarFieldContainer[ExecutionStatus]
    diagram_id: str
    def __init__(self, statuses: _Optional[_Iterable[_Union[ExecutionStatus, str]]] = ..., diagram_id: _Optional[str] = ...) -> None: ...

class WatchExecutionsResponse(_message.Message):
    __slots__ = ("executions",)
    EXECUTIONS_FIELD_NUMBER: _ClassVar[int]
    executions: _containers.RepeatedCompositeFieldContainer[Execution]
    def __init__(self, executions: _Optional[_Iterable[_Union[Execution, _Mapping]]] = ...) -> None: ...

class PinExecutionRequest(_message.Message):
    __slots__ = ("execution_id", "pinned")
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    PINNED_FIELD_NUMBER: _ClassVar[int]
    execution_id: str
    pinned: bool
    def __init__(self, execution_id: _Optional[str] = ..., pinned: _Optional[bool] = ...) -> None: ...

class PinExecutionResponse(_message.Message):
    __slots__ = ("execution",)
    EXECUTION_FIELD_NUMBER: _ClassVar[int]
    execution: Execution
    def __init__(self, execution: _Optional[_Union[Execution, _Mapping]] = ...) -> None: ...

class RetainRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RetainResponse(_message.Message):
    __slots__ = ("executions_removed", "logs_emptied", "blobs_removed")
    EXECUTIONS_REMOVED_FIELD_NUMBER: _ClassVar[int]
    LOGS_EMPTIED_FIELD_NUMBER: _ClassVar[int]
    BLOBS_REMOVED_FIELD_NUMBER: _ClassVar[int]
    executions_removed: int
    logs_emptied: int
    blobs_removed: int
    def __init__(self, executions_removed: _Optional[int] = ..., logs_emptied: _Optional[int] = ..., blobs_removed: _Optional[int] = ...) -> None: ...
