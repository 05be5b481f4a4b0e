from dipeo_protos.diagram.v1 import diagram_pb2 as _diagram_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Uploads(_message.Message):
    __slots__ = ("files", "contents")
    class FilesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    FILES_FIELD_NUMBER: _ClassVar[int]
    CONTENTS_FIELD_NUMBER: _ClassVar[int]
    files: _containers.ScalarMap[str, str]
    contents: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, files: _Optional[_Mapping[str, str]] = ..., contents: _Optional[_Iterable[bytes]] = ...) -> None: ...

class Wanted(_message.Message):
    __slots__ = ("names", "contents")
    NAMES_FIELD_NUMBER: _ClassVar[int]
    CONTENTS_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    contents: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, names: _Optional[_Iterable[str]] = ..., contents: _Optional[_Iterable[str]] = ...) -> None: ...

class CompileRequest(_message.Message):
    __slots__ = ("source", "uploads", "changes_json")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    UPLOADS_FIELD_NUMBER: _ClassVar[int]
    CHANGES_JSON_FIELD_NUMBER: _ClassVar[int]
    source: _diagram_pb2.Source
    uploads: Uploads
    changes_json: bytes
    def __init__(self, source: _Optional[_Union[_diagram_pb2.Source, _Mapping]] = ..., uploads: _Optional[_Union[Uploads, _Mapping]] = ..., changes_json: _Optional[bytes] = ...) -> None: ...

class CompileResponse(_message.Message):
    __slots__ = ("valid", "diagnostics", "node_count", "edge_count", "format", "name", "interface", "wanted", "absent_files")
    VALID_FIELD_NUMBER: _ClassVar[int]
    DIAGNOSTICS_FIELD_NUMBER: _ClassVar[int]
    NODE_COUNT_FIELD_NUMBER: _ClassVar[int]
    EDGE_COUNT_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    INTERFACE_FIELD_NUMBER: _ClassVar[int]
    WANTED_FIELD_NUMBER: _ClassVar[int]
    ABSENT_FILES_FIELD_NUMBER: _ClassVar[int]
    valid: bool
    diagnostics: _containers.RepeatedCompositeFieldContainer[_diagram_pb2.Diagnostic]
    node_count: int
    edge_count: int
    format: _diagram_pb2.Format
    name: str
    interface: Interface
    wanted: Wanted
    absent_files: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, valid: _Optional[bool] = ..., diagnostics: _Optional[_Iterable[_Union[_diagram_pb2.Diagnostic, _Mapping]]] = ..., node_count: _Optional[int] = ..., edge_count: _Optional[int] = ..., format: _Optional[_Union[_diagram_pb2.Format, str]] = ..., name: _Optional[str] = ..., interface: _Optional[_Union[Interface, _Mapping]] = ..., wanted: _Optional[_Union[Wanted, _Mapping]] = ..., absent_files: _Optional[_Iterable[str]] = ...) -> None: ...

class Interface(_message.Message):
    __slots__ = ("description", "mcp_json", "defaults_json", "inputs_json", "node_types", "straight")
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    MCP_JSON_FIELD_NUMBER: _ClassVar[int]
    DEFAULTS_JSON_FIELD_NUMBER: _ClassVar[int]
    INPUTS_JSON_FIELD_NUMBER: _ClassVar[int]
    NODE_TYPES_FIELD_NUMBER: _ClassVar[int]
    STRAIGHT_FIELD_NUMBER: _ClassVar[int]
    description: str
    mcp_json: bytes
    defaults_json: bytes
    inputs_json: bytes
    node_types: _containers.RepeatedScalarFieldContainer[str]
    straight: bool
    def __init__(self, description: _Optional[str] = ..., mcp_json: _Optional[bytes] = ..., defaults_json: _Optional[bytes] = ..., inputs_json: _Optional[bytes] = ..., node_types: _Optional[_Iterable[str]] = ..., straight: _Optional[bool] = ...) -> None: ...

class RunOptions(_message.Message):
    __slots__ = ("mock_llm", "keep_going", "timeout_s", "answers", "non_interactive", "max_parallel", "max_node_runs", "max_cost_usd", "max_tokens", "name", "labels", "mock_script_json")
    class AnswersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class LabelsEntry(_message.Message):
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
    NAME_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    MOCK_SCRIPT_JSON_FIELD_NUMBER: _ClassVar[int]
    mock_llm: bool
    keep_going: bool
    timeout_s: float
    answers: _containers.ScalarMap[str, str]
    non_interactive: bool
    max_parallel: int
    max_node_runs: int
    max_cost_usd: float
    max_tokens: int
    name: str
    labels: _containers.ScalarMap[str, str]
    mock_script_json: bytes
    def __init__(self, mock_llm: _Optional[bool] = ..., keep_going: _Optional[bool] = ..., timeout_s: _Optional[float] = ..., answers: _Optional[_Mapping[str, str]] = ..., non_interactive: _Optional[bool] = ..., max_parallel: _Optional[int] = ..., max_node_runs: _Optional[int] = ..., max_cost_usd: _Optional[float] = ..., max_tokens: _Optional[int] = ..., name: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., mock_script_json: _Optional[bytes] = ...) -> None: ...

class SubmitRequest(_message.Message):
    __slots__ = ("source", "variables_json", "options", "execution_id", "origin", "principal", "idempotency_key", "uploads", "changes_json")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    VARIABLES_JSON_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    UPLOADS_FIELD_NUMBER: _ClassVar[int]
    CHANGES_JSON_FIELD_NUMBER: _ClassVar[int]
    source: _diagram_pb2.Source
    variables_json: bytes
    options: RunOptions
    execution_id: str
    origin: str
    principal: str
    idempotency_key: str
    uploads: Uploads
    changes_json: bytes
    def __init__(self, source: _Optional[_Union[_diagram_pb2.Source, _Mapping]] = ..., variables_json: _Optional[bytes] = ..., options: _Optional[_Union[RunOptions, _Mapping]] = ..., execution_id: _Optional[str] = ..., origin: _Optional[str] = ..., principal: _Optional[str] = ..., idempotency_key: _Optional[str] = ..., uploads: _Optional[_Union[Uploads, _Mapping]] = ..., changes_json: _Optional[bytes] = ...) -> None: ...

class SubmitResponse(_message.Message):
    __slots__ = ("execution_id", "diagnostics", "wanted")
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    DIAGNOSTICS_FIELD_NUMBER: _ClassVar[int]
    WANTED_FIELD_NUMBER: _ClassVar[int]
    execution_id: str
    diagnostics: _containers.RepeatedCompositeFieldContainer[_diagram_pb2.Diagnostic]
    wanted: Wanted
    def __init__(self, execution_id: _Optional[str] = ..., diagnostics: _Optional[_Iterable[_Union[_diagram_pb2.Diagnostic, _Mapping]]] = ..., wanted: _Optional[_Union[Wanted, _Mapping]] = ...) -> None: ...

class ListFilesRequest(_message.Message):
    __slots__ = ("execution_id",)
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    execution_id: str
    def __init__(self, execution_id: _Optional[str] = ...) -> None: ...

class ListFilesResponse(_message.Message):
    __slots__ = ("files",)
    FILES_FIELD_NUMBER: _ClassVar[int]
    files: _containers.RepeatedCompositeFieldContainer[File]
    def __init__(self, files: _Optional[_Iterable[_Union[File, _Mapping]]] = ...) -> None: ...

class File(_message.Message):
    __slots__ = ("name", "size", "sha256")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    name: str
    size: int
    sha256: str
    def __init__(self, name: _Optional[str] = ..., size: _Optional[int] = ..., sha256: _Optional[str] = ...) -> None: ...

class ReadFileRequest(_message.Message):
    __slots__ = ("execution_id", "name")
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    execution_id: str
    name: str
    def __init__(self, execution_id: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class ReadFileResponse(_message.Message):
    __slots__ = ("content",)
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    content: bytes
    def __init__(self, content: _Optional[bytes] = ...) -> None: ...

class ConvertRequest(_message.Message):
    __slots__ = ("source", "target")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    source: _diagram_pb2.Source
    target: _diagram_pb2.Format
    def __init__(self, source: _Optional[_Union[_diagram_pb2.Source, _Mapping]] = ..., target: _Optional[_Union[_diagram_pb2.Format, str]] = ...) -> None: ...

class ConvertResponse(_message.Message):
    __slots__ = ("text", "diagnostics", "format", "losses")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    DIAGNOSTICS_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    LOSSES_FIELD_NUMBER: _ClassVar[int]
    text: str
    diagnostics: _containers.RepeatedCompositeFieldContainer[_diagram_pb2.Diagnostic]
    format: _diagram_pb2.Format
    losses: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, text: _Optional[str] = ..., diagnostics: _Optional[_Iterable[_Union[_diagram_pb2.Diagnostic, _Mapping]]] = ..., format: _Optional[_Union[_diagram_pb2.Format, str]] = ..., losses: _Optional[_Iterable[str]] = ...) -> None: ...

class ReformatRequest(_message.Message):
    __slots__ = ("source",)
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    source: _diagram_pb2.Source
    def __init__(self, source: _Optional[_Union[_diagram_pb2.Source, _Mapping]] = ...) -> None: ...

class ReformatResponse(_message.Message):
    __slots__ = ("text", "diagnostics")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    DIAGNOSTICS_FIELD_NUMBER: _ClassVar[int]
    text: str
    diagnostics: _containers.RepeatedCompositeFieldContainer[_diagram_pb2.Diagnostic]
    def __init__(self, text: _Optional[str] = ..., diagnostics: _Optional[_Iterable[_Union[_diagram_pb2.Diagnostic, _Mapping]]] = ...) -> None: ...

class DescribeRequest(_message.Message):
    __slots__ = ("source", "picture")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    source: _diagram_pb2.Source
    picture: str
    def __init__(self, source: _Optional[_Union[_diagram_pb2.Source, _Mapping]] = ..., picture: _Optional[str] = ...) -> None: ...

class DescribeResponse(_message.Message):
    __slots__ = ("diagnostics", "format", "name", "node_count", "edge_count", "node_types", "persons", "loops", "depth", "unreachable", "picture")
    class NodeTypesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    DIAGNOSTICS_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    NODE_COUNT_FIELD_NUMBER: _ClassVar[int]
    EDGE_COUNT_FIELD_NUMBER: _ClassVar[int]
    NODE_TYPES_FIELD_NUMBER: _ClassVar[int]
    PERSONS_FIELD_NUMBER: _ClassVar[int]
    LOOPS_FIELD_NUMBER: _ClassVar[int]
    DEPTH_FIELD_NUMBER: _ClassVar[int]
    UNREACHABLE_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    diagnostics: _containers.RepeatedCompositeFieldContainer[_diagram_pb2.Diagnostic]
    format: _diagram_pb2.Format
    name: str
    node_count: int
    edge_count: int
    node_types: _containers.ScalarMap[str, int]
    persons: _containers.RepeatedCompositeFieldContainer[PersonUse]
    loops: _containers.RepeatedCompositeFieldContainer[Loop]
    depth: int
    unreachable: _containers.RepeatedScalarFieldContainer[str]
    picture: str
    def __init__(self, diagnostics: _Optional[_Iterable[_Union[_diagram_pb2.Diagnostic, _Mapping]]] = ..., format: _Optional[_Union[_diagram_pb2.Format, str]] = ..., name: _Optional[str] = ..., node_count: _Optional[int] = ..., edge_count: _Optional[int] = ..., node_types: _Optional[_Mapping[str, int]] = ..., persons: _Optional[_Iterable[_Union[PersonUse, _Mapping]]] = ..., loops: _Optional[_Iterable[_Union[Loop, _Mapping]]] = ..., depth: _Optional[int] = ..., unreachable: _Optional[_Iterable[str]] = ..., picture: _Optional[str] = ...) -> None: ...

class PersonUse(_message.Message):
    __slots__ = ("id", "label", "service", "model", "nodes")
    ID_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    id: str
    label: str
    service: str
    model: str
    nodes: int
    def __init__(self, id: _Optional[str] = ..., label: _Optional[str] = ..., service: _Optional[str] = ..., model: _Optional[str] = ..., nodes: _Optional[int] = ...) -> None: ...

class Loop(_message.Message):
    __slots__ = ("labels",)
    LABELS_FIELD_NUMBER: _ClassVar[int]
    labels: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, labels: _Optional[_Iterable[str]] = ...) -> None: ...

class ExportRequest(_message.Message):
    __slots__ = ("source",)
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    source: _diagram_pb2.Source
    def __init__(self, source: _Optional[_Union[_diagram_pb2.Source, _Mapping]] = ...) -> None: ...

class ExportResponse(_message.Message):
    __slots__ = ("text", "diagnostics")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    DIAGNOSTICS_FIELD_NUMBER: _ClassVar[int]
    text: str
    diagnostics: _containers.RepeatedCompositeFieldContainer[_diagram_pb2.Diagnostic]
    def __init__(self, text: _Optional[str] = ..., diagnostics: _Optional[_Iterable[_Union[_diagram_pb2.Diagnostic, _Mapping]]] = ...) -> None: ...

class DescribeNodeTypesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DescribeNodeTypesResponse(_message.Message):
    __slots__ = ("types", "light_schema_json")
    TYPES_FIELD_NUMBER: _ClassVar[int]
    LIGHT_SCHEMA_JSON_FIELD_NUMBER: _ClassVar[int]
    types: _containers.RepeatedCompositeFieldContainer[NodeType]
    light_schema_json: bytes
    def __init__(self, types: _Optional[_Iterable[_Union[NodeType, _Mapping]]] = ..., light_schema_json: _Optional[bytes] = ...) -> None: ...

class NodeType(_message.Message):
    __slots__ = ("name", "summary", "inputs", "outputs", "properties")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    PROPERTIES_FIELD_NUMBER: _ClassVar[int]
    name: str
    summary: str
    inputs: _containers.RepeatedScalarFieldContainer[str]
    outputs: _containers.RepeatedScalarFieldContainer[str]
    properties: _containers.RepeatedCompositeFieldContainer[Property]
    def __init__(self, name: _Optional[str] = ..., summary: _Optional[str] = ..., inputs: _Optional[_Iterable[str]] = ..., outputs: _Optional[_Iterable[str]] = ..., properties: _Optional[_Iterable[_Union[Property, _Mapping]]] = ...) -> None: ...

class Property(_message.Message):
    __slots__ = ("name", "type", "required", "default_json", "help")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    REQUIRED_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_JSON_FIELD_NUMBER: _ClassVar[int]
    HELP_FIELD_NUMBER: _ClassVar[int]
    name: str
    type: str
    required: bool
    default_json: bytes
    help: str
    def __init__(self, name: _Optional[str] = ..., type: _Optional[str] = ..., required: _Optional[bool] = ..., default_json: _Optional[bytes] = ..., help: _Optional[str] = ...) -> None: ...

class FindDiagramsRequest(_message.Message):
    __slots__ = ("folder",)
    FOLDER_FIELD_NUMBER: _ClassVar[int]
    folder: str
    def __init__(self, folder: _Optional[str] = ...) -> None: ...

class FindDiagramsResponse(_message.Message):
    __slots__ = ("files",)
    FILES_FIELD_NUMBER: _ClassVar[int]
    files: _containers.RepeatedCompositeFieldContainer[DiagramFile]
    def __init__(self, files: _Optional[_Iterable[_Union[DiagramFile, _Mapping]]] = ...) -> None: ...

class DiagramFile(_message.Message):
    __slots__ = ("path", "name", "format", "node_count", "description", "start_nodes", "persons", "modified_ms")
    PATH_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    NODE_COUNT_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    START_NODES_FIELD_NUMBER: _ClassVar[int]
    PERSONS_FIELD_NUMBER: _ClassVar[int]
    MODIFIED_MS_FIELD_NUMBER: _ClassVar[int]
    path: str
    name: str
    format: _diagram_pb2.Format
    node_count: int
    description: str
    start_nodes: _containers.RepeatedScalarFieldContainer[str]
    persons: _containers.RepeatedScalarFieldContainer[str]
    modified_ms: int
    def __init__(self, path: _Optional[str] = ..., name: _Optional[str] = ..., format: _Optional[_Union[_diagram_pb2.Format, str]] = ..., node_count: _Optional[int] = ..., description: _Optional[str] = ..., start_nodes: _Optional[_Iterable[str]] = ..., persons: _Optional[_Iterable[str]] = ..., modified_ms: _Optional[int] = ...) -> None: ...

class RetryRequest(_message.Message):
    __slots__ = ("execution_id", "from_node", "new_execution_id", "origin", "principal", "idempotency_key")
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    FROM_NODE_FIELD_NUMBER: _ClassVar[int]
    NEW_EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    execution_id: str
    from_node: str
    new_execution_id: str
    origin: str
    principal: str
    idempotency_key: str
    def __init__(self, execution_id: _Optional[str] = ..., from_node: _Optional[str] = ..., new_execution_id: _Optional[str] = ..., origin: _Optional[str] = ..., principal: _Optional[str] = ..., idempotency_key: _Optional[str] = ...) -> None: ...

class RetryResponse(_message.Message):
    __slots__ = ("execution_id", "kept", "from_label")
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    KEPT_FIELD_NUMBER: _ClassVar[int]
    FROM_LABEL_FIELD_NUMBER: _ClassVar[int]
    execution_id: str
    kept: int
    from_label: str
    def __init__(self, execution_id: _Optional[str] = ..., kept: _Optional[int] = ..., from_label: _Optional[str] = ...) -> None: ...

class TestKeyRequest(_message.Message):
    __slots__ = ("reference",)
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    reference: str
    def __init__(self, reference: _Optional[str] = ...) -> None: ...

class TestKeyResponse(_message.Message):
    __slots__ = ("valid", "message")
    VALID_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    valid: bool
    message: str
    def __init__(self, valid: _Optional[bool] = ..., message: _Optional[str] = ...) -> None: ...

class ListProvidersRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListProvidersResponse(_message.Message):
    __slots__ = ("providers", "problems")
    PROVIDERS_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    providers: _containers.RepeatedCompositeFieldContainer[Provider]
    problems: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, providers: _Optional[_Iterable[_Union[Provider, _Mapping]]] = ..., problems: _Optional[_Iterable[str]] = ...) -> None: ...

class Provider(_message.Message):
    __slots__ = ("name", "version", "description", "base_url", "path", "default_timeout_s", "auth", "rate_limit", "retry_policy", "operations")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    BASE_URL_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_TIMEOUT_S_FIELD_NUMBER: _ClassVar[int]
    AUTH_FIELD_NUMBER: _ClassVar[int]
    RATE_LIMIT_FIELD_NUMBER: _ClassVar[int]
    RETRY_POLICY_FIELD_NUMBER: _ClassVar[int]
    OPERATIONS_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    description: str
    base_url: str
    path: str
    default_timeout_s: float
    auth: ProviderAuth
    rate_limit: RateLimit
    retry_policy: RetryPolicy
    operations: _containers.RepeatedCompositeFieldContainer[ProviderOperation]
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., description: _Optional[str] = ..., base_url: _Optional[str] = ..., path: _Optional[str] = ..., default_timeout_s: _Optional[float] = ..., auth: _Optional[_Union[ProviderAuth, _Mapping]] = ..., rate_limit: _Optional[_Union[RateLimit, _Mapping]] = ..., retry_policy: _Optional[_Union[RetryPolicy, _Mapping]] = ..., operations: _Optional[_Iterable[_Union[ProviderOperation, _Mapping]]] = ...) -> None: ...

class ProviderAuth(_message.Message):
    __slots__ = ("strategy", "header", "query_param", "format", "scopes")
    STRATEGY_FIELD_NUMBER: _ClassVar[int]
    HEADER_FIELD_NUMBER: _ClassVar[int]
    QUERY_PARAM_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    SCOPES_FIELD_NUMBER: _ClassVar[int]
    strategy: str
    header: str
    query_param: str
    format: str
    scopes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, strategy: _Optional[str] = ..., header: _Optional[str] = ..., query_param: _Optional[str] = ..., format: _Optional[str] = ..., scopes: _Optional[_Iterable[str]] = ...) -> None: ...

class RateLimit(_message.Message):
    __slots__ = ("algorithm", "capacity", "refill_per_sec", "window_size_sec")
    ALGORITHM_FIELD_NUMBER: _ClassVar[int]
    CAPACITY_FIELD_NUMBER: _ClassVar[int]
    REFILL_PER_SEC_FIELD_NUMBER: _ClassVar[int]
    WINDOW_SIZE_SEC_FIELD_NUMBER: _ClassVar[int]
    algorithm: str
    capacity: int
    refill_per_sec: float
    window_size_sec: float
    def __init__(self, algorithm: _Optional[str] = ..., capacity: _Optional[int] = ..., refill_per_sec: _Optional[float] = ..., window_size_sec: _Optional[float] = ...) -> None: ...

class RetryPolicy(_message.Message):
    __slots__ = ("strategy", "max_retries", "base_delay_ms", "max_delay_ms", "retry_on_status")
    STRATEGY_FIELD_NUMBER: _ClassVar[int]
    MAX_RETRIES_FIELD_NUMBER: _ClassVar[int]
    BASE_DELAY_MS_FIELD_NUMBER: _ClassVar[int]
    MAX_DELAY_MS_FIELD_NUMBER: _ClassVar[int]
    RETRY_ON_STATUS_FIELD_NUMBER: _ClassVar[int]
    strategy: str
    max_retries: int
    base_delay_ms: int
    max_delay_ms: int
    retry_on_status: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, strategy: _Optional[str] = ..., max_retries: _Optional[int] = ..., base_delay_ms: _Optional[int] = ..., max_delay_ms: _Optional[int] = ..., retry_on_status: _Optional[_Iterable[int]] = ...) -> None: ...

class ProviderOperation(_message.Message):
    __slots__ = ("name", "method", "path", "description", "required", "paged", "timeout_s")
    NAME_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    REQUIRED_FIELD_NUMBER: _ClassVar[int]
    PAGED_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_S_FIELD_NUMBER: _ClassVar[int]
    name: str
    method: str
    path: str
    description: str
    required: _containers.RepeatedScalarFieldContainer[str]
    paged: bool
    timeout_s: float
    def __init__(self, name: _Optional[str] = ..., method: _Optional[str] = ..., path: _Optional[str] = ..., description: _Optional[str] = ..., required: _Optional[_Iterable[str]] = ..., paged: _Optional[bool] = ..., timeout_s: _Optional[float] = ...) -> None: ...

class CheckManifestRequest(_message.Message):
    __slots__ = ("text", "name")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    text: str
    name: str
    def __init__(self, text: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class CheckManifestResponse(_message.Message):
    __slots__ = ("problems", "provider")
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    problems: _containers.RepeatedCompositeFieldContainer[_diagram_pb2.Diagnostic]
    provider: Provider
    def __init__(self, problems: _Optional[_Iterable[_Union[_diagram_pb2.Diagnostic, _Mapping]]] = ..., provider: _Optional[_Union[Provider, _Mapping]] = ...) -> None: ...

class ImportOpenApiRequest(_message.Message):
    __slots__ = ("document", "name", "base_url", "include", "exclude")
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    BASE_URL_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_FIELD_NUMBER: _ClassVar[int]
    EXCLUDE_FIELD_NUMBER: _ClassVar[int]
    document: str
    name: str
    base_url: str
    include: _containers.RepeatedScalarFieldContainer[str]
    exclude: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, document: _Optional[str] = ..., name: _Optional[str] = ..., base_url: _Optional[str] = ..., include: _Optional[_Iterable[str]] = ..., exclude: _Optional[_Iterable[str]] = ...) -> None: ...

class ImportOpenApiResponse(_message.Message):
    __slots__ = ("manifest", "provider", "notes")
    MANIFEST_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    manifest: str
    provider: Provider
    notes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, manifest: _Optional[str] = ..., provider: _Optional[_Union[Provider, _Mapping]] = ..., notes: _Optional[_Iterable[str]] = ...) -> None: ...

class ListModelsRequest(_message.Message):
    __slots__ = ("service", "key")
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    service: str
    key: str
    def __init__(self, service: _Optional[str] = ..., key: _Optional[str] = ...) -> None: ...

class ListModelsResponse(_message.Message):
    __slots__ = ("models", "problem", "services")
    MODELS_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    SERVICES_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedScalarFieldContainer[str]
    problem: str
    services: _containers.RepeatedCompositeFieldContainer[ModelService]
    def __init__(self, models: _Optional[_Iterable[str]] = ..., problem: _Optional[str] = ..., services: _Optional[_Iterable[_Union[ModelService, _Mapping]]] = ...) -> None: ...

class ModelService(_message.Message):
    __slots__ = ("name", "needs_key", "key_variables")
    NAME_FIELD_NUMBER: _ClassVar[int]
    NEEDS_KEY_FIELD_NUMBER: _ClassVar[int]
    KEY_VARIABLES_FIELD_NUMBER: _ClassVar[int]
    name: str
    needs_key: bool
    key_variables: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., needs_key: _Optional[bool] = ..., key_variables: _Optional[_Iterable[str]] = ...) -> None: ...
