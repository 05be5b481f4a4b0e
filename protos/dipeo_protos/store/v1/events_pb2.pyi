import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Event(_message.Message):
    __slots__ = ("event_id", "seq", "at", "execution_created", "execution_started", "execution_recovered", "execution_completed", "execution_failed", "execution_aborted", "execution_maxiter_reached", "execution_log", "execution_paused", "execution_resumed", "node_started", "node_completed", "node_failed", "node_retrying", "node_aborted", "node_passed", "node_skipped", "node_output", "message_appended", "interaction_opened", "interaction_closed", "signal_consumed")
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_CREATED_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_STARTED_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_RECOVERED_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_COMPLETED_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_FAILED_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_ABORTED_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_MAXITER_REACHED_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_LOG_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_PAUSED_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_RESUMED_FIELD_NUMBER: _ClassVar[int]
    NODE_STARTED_FIELD_NUMBER: _ClassVar[int]
    NODE_COMPLETED_FIELD_NUMBER: _ClassVar[int]
    NODE_FAILED_FIELD_NUMBER: _ClassVar[int]
    NODE_RETRYING_FIELD_NUMBER: _ClassVar[int]
    NODE_ABORTED_FIELD_NUMBER: _ClassVar[int]
    NODE_PASSED_FIELD_NUMBER: _ClassVar[int]
    NODE_SKIPPED_FIELD_NUMBER: _ClassVar[int]
    NODE_OUTPUT_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_APPENDED_FIELD_NUMBER: _ClassVar[int]
    INTERACTION_OPENED_FIELD_NUMBER: _ClassVar[int]
    INTERACTION_CLOSED_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_CONSUMED_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    seq: int
    at: _timestamp_pb2.Timestamp
    execution_created: ExecutionCreated
    execution_started: ExecutionStarted
    execution_recovered: ExecutionRecovered
    execution_completed: ExecutionCompleted
    execution_failed: ExecutionFailed
    execution_aborted: ExecutionAborted
    execution_maxiter_reached: ExecutionMaxiterReached
    execution_log: ExecutionLog
    execution_paused: ExecutionPaused
    execution_resumed: ExecutionResumed
    node_started: NodeStarted
    node_completed: NodeCompleted
    node_failed: NodeFailed
    node_retrying: NodeRetrying
    node_aborted: NodeAborted
    node_passed: NodePassed
    node_skipped: NodeSkipped
    node_output: NodeOutput
    message_appended: MessageAppended
    interaction_opened: InteractionOpened
    interaction_closed: InteractionClosed
    signal_consumed: SignalConsumed
    def __init__(self, event_id: _Optional[str] = ..., seq: _Optional[int] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., execution_created: _Optional[_Union[ExecutionCreated, _Mapping]] = ..., execution_started: _Optional[_Union[ExecutionStarted, _Mapping]] = ..., execution_recovered: _Optional[_Union[ExecutionRecovered, _Mapping]] = ..., execution_completed: _Optional[_Union[ExecutionCompleted, _Mapping]] = ..., execution_failed: _Optional[_Union[ExecutionFailed, _Mapping]] = ..., execution_aborted: _Optional[_Union[ExecutionAborted, _Mapping]] = ..., execution_maxiter_reached: _Optional[_Union[ExecutionMaxiterReached, _Mapping]] = ..., execution_log: _Optional[_Union[ExecutionLog, _Mapping]] = ..., execution_paused: _Optional[_Union[ExecutionPaused, _Mapping]] = ..., execution_resumed: _Optional[_Union[ExecutionResumed, _Mapping]] = ..., node_started: _Optional[_Union[NodeStarted, _Mapping]] = ..., node_completed: _Optional[_Union[NodeCompleted, _Mapping]] = ..., node_failed: _Optional[_Union[NodeFailed, _Mapping]] = ..., node_retrying: _Optional[_Union[NodeRetrying, _Mapping]] = ..., node_aborted: _Optional[_Union[NodeAborted, _Mapping]] = ..., node_passed: _Optional[_Union[NodePassed, _Mapping]] = ..., node_skipped: _Optional[_Union[NodeSkipped, _Mapping]] = ..., node_output: _Optional[_Union[NodeOutput, _Mapping]] = ..., message_appended: _Optional[_Union[MessageAppended, _Mapping]] = ..., interaction_opened: _Optional[_Union[InteractionOpened, _Mapping]] = ..., interaction_closed: _Optional[_Union[InteractionClosed, _Mapping]] = ..., signal_consumed: _Optional[_Union[SignalConsumed, _Mapping]] = ...) -> None: ...

class Error(_message.Message):
    __slots__ = ("type", "message", "code", "node_id", "details")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    DETAILS_FIELD_NUMBER: _ClassVar[int]
    type: str
    message: str
    code: str
    node_id: str
    details: str
    def __init__(self, type: _Optional[str] = ..., message: _Optional[str] = ..., code: _Optional[str] = ..., node_id: _Optional[str] = ..., details: _Optional[str] = ...) -> None: ...

class TokenUsage(_message.Message):
    __slots__ = ("input", "output", "cached", "cost_usd", "unpriced")
    INPUT_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    CACHED_FIELD_NUMBER: _ClassVar[int]
    COST_USD_FIELD_NUMBER: _ClassVar[int]
    UNPRICED_FIELD_NUMBER: _ClassVar[int]
    input: int
    output: int
    cached: int
    cost_usd: float
    unpriced: int
    def __init__(self, input: _Optional[int] = ..., output: _Optional[int] = ..., cached: _Optional[int] = ..., cost_usd: _Optional[float] = ..., unpriced: _Optional[int] = ...) -> None: ...

class ExecutionCreated(_message.Message):
    __slots__ = ("diagram_id", "diagram_name", "source_hash", "variables_json", "options_json", "origin", "principal", "retried_from", "taken_over")
    DIAGRAM_ID_FIELD_NUMBER: _ClassVar[int]
    DIAGRAM_NAME_FIELD_NUMBER: _ClassVar[int]
    SOURCE_HASH_FIELD_NUMBER: _ClassVar[int]
    VARIABLES_JSON_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_JSON_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    RETRIED_FROM_FIELD_NUMBER: _ClassVar[int]
    TAKEN_OVER_FIELD_NUMBER: _ClassVar[int]
    diagram_id: str
    diagram_name: str
    source_hash: str
    variables_json: bytes
    options_json: bytes
    origin: str
    principal: str
    retried_from: str
    taken_over: int
    def __init__(self, diagram_id: _Optional[str] = ..., diagram_name: _Optional[str] = ..., source_hash: _Optional[str] = ..., variables_json: _Optional[bytes] = ..., options_json: _Optional[bytes] = ..., origin: _Optional[str] = ..., principal: _Optional[str] = ..., retried_from: _Optional[str] = ..., taken_over: _Optional[int] = ...) -> None: ...

class ExecutionStarted(_message.Message):
    __slots__ = ("executor", "seed")
    EXECUTOR_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    executor: str
    seed: int
    def __init__(self, executor: _Optional[str] = ..., seed: _Optional[int] = ...) -> None: ...

class ExecutionRecovered(_message.Message):
    __slots__ = ("executor", "attempt", "previous_fence")
    EXECUTOR_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_FENCE_FIELD_NUMBER: _ClassVar[int]
    executor: str
    attempt: int
    previous_fence: int
    def __init__(self, executor: _Optional[str] = ..., attempt: _Optional[int] = ..., previous_fence: _Optional[int] = ...) -> None: ...

class ExecutionCompleted(_message.Message):
    __slots__ = ("result_json", "result_is_error", "warnings", "skipped_node_ids")
    RESULT_JSON_FIELD_NUMBER: _ClassVar[int]
    RESULT_IS_ERROR_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_NODE_IDS_FIELD_NUMBER: _ClassVar[int]
    result_json: bytes
    result_is_error: bool
    warnings: _containers.RepeatedScalarFieldContainer[str]
    skipped_node_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, result_json: _Optional[bytes] = ..., result_is_error: _Optional[bool] = ..., warnings: _Optional[_Iterable[str]] = ..., skipped_node_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class ExecutionFailed(_message.Message):
    __slots__ = ("error", "skipped_node_ids")
    ERROR_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_NODE_IDS_FIELD_NUMBER: _ClassVar[int]
    error: Error
    skipped_node_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, error: _Optional[_Union[Error, _Mapping]] = ..., skipped_node_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class ExecutionAborted(_message.Message):
    __slots__ = ("reason", "principal")
    REASON_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    reason: str
    principal: str
    def __init__(self, reason: _Optional[str] = ..., principal: _Optional[str] = ...) -> None: ...

class ExecutionMaxiterReached(_message.Message):
    __slots__ = ("result_json", "skipped_node_ids")
    RESULT_JSON_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_NODE_IDS_FIELD_NUMBER: _ClassVar[int]
    result_json: bytes
    skipped_node_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, result_json: _Optional[bytes] = ..., skipped_node_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class ExecutionPaused(_message.Message):
    __slots__ = ("reason", "principal")
    REASON_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    reason: str
    principal: str
    def __init__(self, reason: _Optional[str] = ..., principal: _Optional[str] = ...) -> None: ...

class ExecutionResumed(_message.Message):
    __slots__ = ("principal",)
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    principal: str
    def __init__(self, principal: _Optional[str] = ...) -> None: ...

class ExecutionLog(_message.Message):
    __slots__ = ("level", "message", "node_id", "fields_json")
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    FIELDS_JSON_FIELD_NUMBER: _ClassVar[int]
    level: str
    message: str
    node_id: str
    fields_json: bytes
    def __init__(self, level: _Optional[str] = ..., message: _Optional[str] = ..., node_id: _Optional[str] = ..., fields_json: _Optional[bytes] = ...) -> None: ...

class Consumed(_message.Message):
    __slots__ = ("arrow_id", "token", "source")
    ARROW_ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    arrow_id: str
    token: int
    source: str
    def __init__(self, arrow_id: _Optional[str] = ..., token: _Optional[int] = ..., source: _Optional[str] = ...) -> None: ...

class NodeStarted(_message.Message):
    __slots__ = ("node_id", "label", "type", "iteration", "attempt", "consumed", "history", "person_id")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    ITERATION_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    CONSUMED_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    PERSON_ID_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    label: str
    type: str
    iteration: int
    attempt: int
    consumed: _containers.RepeatedCompositeFieldContainer[Consumed]
    history: int
    person_id: str
    def __init__(self, node_id: _Optional[str] = ..., label: _Optional[str] = ..., type: _Optional[str] = ..., iteration: _Optional[int] = ..., attempt: _Optional[int] = ..., consumed: _Optional[_Iterable[_Union[Consumed, _Mapping]]] = ..., history: _Optional[int] = ..., person_id: _Optional[str] = ...) -> None: ...

class NodeCompleted(_message.Message):
    __slots__ = ("node_id", "iteration", "attempt", "port", "output_json", "alternate_json", "meta_json", "variables_json", "usage", "model")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    ITERATION_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_JSON_FIELD_NUMBER: _ClassVar[int]
    ALTERNATE_JSON_FIELD_NUMBER: _ClassVar[int]
    META_JSON_FIELD_NUMBER: _ClassVar[int]
    VARIABLES_JSON_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    iteration: int
    attempt: int
    port: str
    output_json: bytes
    alternate_json: bytes
    meta_json: bytes
    variables_json: bytes
    usage: TokenUsage
    model: str
    def __init__(self, node_id: _Optional[str] = ..., iteration: _Optional[int] = ..., attempt: _Optional[int] = ..., port: _Optional[str] = ..., output_json: _Optional[bytes] = ..., alternate_json: _Optional[bytes] = ..., meta_json: _Optional[bytes] = ..., variables_json: _Optional[bytes] = ..., usage: _Optional[_Union[TokenUsage, _Mapping]] = ..., model: _Optional[str] = ...) -> None: ...

class NodeFailed(_message.Message):
    __slots__ = ("node_id", "iteration", "attempt", "error", "port", "output_json", "usage")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    ITERATION_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_JSON_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    iteration: int
    attempt: int
    error: Error
    port: str
    output_json: bytes
    usage: TokenUsage
    def __init__(self, node_id: _Optional[str] = ..., iteration: _Optional[int] = ..., attempt: _Optional[int] = ..., error: _Optional[_Union[Error, _Mapping]] = ..., port: _Optional[str] = ..., output_json: _Optional[bytes] = ..., usage: _Optional[_Union[TokenUsage, _Mapping]] = ...) -> None: ...

class NodeRetrying(_message.Message):
    __slots__ = ("node_id", "iteration", "attempt", "reason", "usage", "wait_ms")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    ITERATION_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    WAIT_MS_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    iteration: int
    attempt: int
    reason: str
    usage: TokenUsage
    wait_ms: int
    def __init__(self, node_id: _Optional[str] = ..., iteration: _Optional[int] = ..., attempt: _Optional[int] = ..., reason: _Optional[str] = ..., usage: _Optional[_Union[TokenUsage, _Mapping]] = ..., wait_ms: _Optional[int] = ...) -> None: ...

class NodeOutput(_message.Message):
    __slots__ = ("node_id", "iteration", "attempt", "text", "size")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    ITERATION_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    iteration: int
    attempt: int
    text: str
    size: int
    def __init__(self, node_id: _Optional[str] = ..., iteration: _Optional[int] = ..., attempt: _Optional[int] = ..., text: _Optional[str] = ..., size: _Optional[int] = ...) -> None: ...

class NodeAborted(_message.Message):
    __slots__ = ("node_id", "iteration", "attempt")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    ITERATION_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    iteration: int
    attempt: int
    def __init__(self, node_id: _Optional[str] = ..., iteration: _Optional[int] = ..., attempt: _Optional[int] = ...) -> None: ...

class NodePassed(_message.Message):
    __slots__ = ("node_id", "consumed")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    CONSUMED_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    consumed: _containers.RepeatedCompositeFieldContainer[Consumed]
    def __init__(self, node_id: _Optional[str] = ..., consumed: _Optional[_Iterable[_Union[Consumed, _Mapping]]] = ...) -> None: ...

class NodeSkipped(_message.Message):
    __slots__ = ("node_id", "label", "type")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    label: str
    type: str
    def __init__(self, node_id: _Optional[str] = ..., label: _Optional[str] = ..., type: _Optional[str] = ...) -> None: ...

class MessageAppended(_message.Message):
    __slots__ = ("message_id", "node_id", "iteration", "person_id", "from_id", "to_id", "role", "content", "token_count")
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    ITERATION_FIELD_NUMBER: _ClassVar[int]
    PERSON_ID_FIELD_NUMBER: _ClassVar[int]
    FROM_ID_FIELD_NUMBER: _ClassVar[int]
    TO_ID_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    TOKEN_COUNT_FIELD_NUMBER: _ClassVar[int]
    message_id: str
    node_id: str
    iteration: int
    person_id: str
    from_id: str
    to_id: str
    role: str
    content: str
    token_count: int
    def __init__(self, message_id: _Optional[str] = ..., node_id: _Optional[str] = ..., iteration: _Optional[int] = ..., person_id: _Optional[str] = ..., from_id: _Optional[str] = ..., to_id: _Optional[str] = ..., role: _Optional[str] = ..., content: _Optional[str] = ..., token_count: _Optional[int] = ...) -> None: ...

class InteractionOpened(_message.Message):
    __slots__ = ("interaction_id", "node_id", "label", "iteration", "prompt", "context", "default_value", "expires_at", "options", "sensitive")
    INTERACTION_ID_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    ITERATION_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_VALUE_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    SENSITIVE_FIELD_NUMBER: _ClassVar[int]
    interaction_id: str
    node_id: str
    label: str
    iteration: int
    prompt: str
    context: str
    default_value: str
    expires_at: _timestamp_pb2.Timestamp
    options: _containers.RepeatedScalarFieldContainer[str]
    sensitive: bool
    def __init__(self, interaction_id: _Optional[str] = ..., node_id: _Optional[str] = ..., label: _Optional[str] = ..., iteration: _Optional[int] = ..., prompt: _Optional[str] = ..., context: _Optional[str] = ..., default_value: _Optional[str] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., options: _Optional[_Iterable[str]] = ..., sensitive: _Optional[bool] = ...) -> None: ...

class InteractionClosed(_message.Message):
    __slots__ = ("interaction_id", "node_id", "outcome", "response", "responder")
    INTERACTION_ID_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    RESPONDER_FIELD_NUMBER: _ClassVar[int]
    interaction_id: str
    node_id: str
    outcome: str
    response: str
    responder: str
    def __init__(self, interaction_id: _Optional[str] = ..., node_id: _Optional[str] = ..., outcome: _Optional[str] = ..., response: _Optional[str] = ..., responder: _Optional[str] = ...) -> None: ...

class SignalConsumed(_message.Message):
    __slots__ = ("signal_id",)
    SIGNAL_ID_FIELD_NUMBER: _ClassVar[int]
    signal_id: str
    def __init__(self, signal_id: _Optional[str] = ...) -> None: ...
