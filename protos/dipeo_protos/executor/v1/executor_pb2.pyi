from dipeo_protos.diagram.v1 import diagram_pb2 as _diagram_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CompileRequest(_message.Message):
    __slots__ = ("source",)
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    source: _diagram_pb2.Source
    def __init__(self, source: _Optional[_Union[_diagram_pb2.Source, _Mapping]] = ...) -> None: ...

class CompileResponse(_message.Message):
    __slots__ = ("valid", "diagnostics", "node_count", "edge_count", "format", "name")
    VALID_FIELD_NUMBER: _ClassVar[int]
    DIAGNOSTICS_FIELD_NUMBER: _ClassVar[int]
    NODE_COUNT_FIELD_NUMBER: _ClassVar[int]
    EDGE_COUNT_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    valid: bool
    diagnostics: _containers.RepeatedCompositeFieldContainer[_diagram_pb2.Diagnostic]
    node_count: int
    edge_count: int
    format: _diagram_pb2.Format
    name: str
    def __init__(self, valid: _Optional[bool] = ..., diagnostics: _Optional[_Iterable[_Union[_diagram_pb2.Diagnostic, _Mapping]]] = ..., node_count: _Optional[int] = ..., edge_count: _Optional[int] = ..., format: _Optional[_Union[_diagram_pb2.Format, str]] = ..., name: _Optional[str] = ...) -> None: ...

class RunOptions(_message.Message):
    __slots__ = ("mock_llm", "keep_going", "timeout_s", "answers", "non_interactive", "max_parallel", "max_node_runs", "max_cost_usd", "max_tokens")
    class AnswersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    MOCK_LLM_FIELD_NUMBER: _ClassVar[int]
    KEEP_GOING_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_S_FIELD_NUMBER: _ClassVar[int]
    ANSWERS_FIELD_NUMBER: _ClassVar[int]
    NON_INTERACTIVE_FIELD_NUMBER: _ClassVar[int]
    MAX_PARALLEL_FIELD_NUMBER: _ClassVar[int]
    MAX_NODE_RUNS_FIELD_NUMBER: _ClassVar[int]
    MAX_COST_USD_FIELD_NUMBER: _ClassVar[int]
    MAX_TOKENS_FIELD_NUMBER: _ClassVar[int]
    mock_llm: bool
    keep_going: bool
    timeout_s: float
    answers: _containers.ScalarMap[str, str]
    non_interactive: bool
    max_parallel: int
    max_node_runs: int
    max_cost_usd: float
    max_tokens: int
    def __init__(self, mock_llm: _Optional[bool] = ..., keep_going: _Optional[bool] = ..., timeout_s: _Optional[float] = ..., answers: _Optional[_Mapping[str, str]] = ..., non_interactive: _Optional[bool] = ..., max_parallel: _Optional[int] = ..., max_node_runs: _Optional[int] = ..., max_cost_usd: _Optional[float] = ..., max_tokens: _Optional[int] = ...) -> None: ...

class SubmitRequest(_message.Message):
    __slots__ = ("source", "variables_json", "options", "execution_id", "origin", "principal", "idempotency_key")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    VARIABLES_JSON_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    source: _diagram_pb2.Source
    variables_json: bytes
    options: RunOptions
    execution_id: str
    origin: str
    principal: str
    idempotency_key: str
    def __init__(self, source: _Optional[_Union[_diagram_pb2.Source, _Mapping]] = ..., variables_json: _Optional[bytes] = ..., options: _Optional[_Union[RunOptions, _Mapping]] = ..., execution_id: _Optional[str] = ..., origin: _Optional[str] = ..., principal: _Optional[str] = ..., idempotency_key: _Optional[str] = ...) -> None: ...

class SubmitResponse(_message.Message):
    __slots__ = ("execution_id", "diagnostics")
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    DIAGNOSTICS_FIELD_NUMBER: _ClassVar[int]
    execution_id: str
    diagnostics: _containers.RepeatedCompositeFieldContainer[_diagram_pb2.Diagnostic]
    def __init__(self, execution_id: _Optional[str] = ..., diagnostics: _Optional[_Iterable[_Union[_diagram_pb2.Diagnostic, _Mapping]]] = ...) -> None: ...
