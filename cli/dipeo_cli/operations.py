"""The GraphQL documents the command line sends (spec/gateway.md §1-§5)."""

_SUMMARY = """
  id status diagram_id diagram_name created_at started_at ended_at duration_ms error error_code waiting
  name labels result result_is_error warnings llm_usage { input output cached total cost_usd }
"""

_EXECUTION = f"""{_SUMMARY}
  head_seq executed_nodes node_states node_outputs node_runs outputs failed_nodes conversation pending_interactions
"""

_RESULT = "success error error_type envelope"


def _mutation(field: str, input: str, data: str) -> str:
    """A mutation with one input, and what its wrapper holds."""
    name = field[0].upper() + field[1:]
    return f"mutation {name}($input: {input}!) {{ {field}(input: $input) {{ {_RESULT} data {{ {data} }} }} }}"


EXECUTE_DIAGRAM = _mutation("executeDiagram", "ExecuteDiagramInput", "id status")
CONTROL_EXECUTION = _mutation("controlExecution", "ExecutionControlInput", "id status")
RETRY_EXECUTION = _mutation("retryExecution", "RetryExecutionInput", "id status diagram_name")
SEND_INTERACTIVE_RESPONSE = _mutation("sendInteractiveResponse", "InteractiveResponseInput", "id status")

_KEY = "id label service_name base_url"

CREATE_KEY = _mutation("createApiKey", "CreateApiKeyInput", _KEY)

TEST_KEY = f"""
mutation TestApiKey($id: String!) {{
  testApiKey(api_key_id: $id) {{ {_RESULT} message data {{ {_KEY} }} }}
}}"""

DELETE_KEY = f"""
mutation DeleteApiKey($id: String!) {{
  deleteApiKey(api_key_id: $id) {{ {_RESULT} deleted_count }}
}}"""

LIST_KEYS = """
query GetApiKeys($service: String) {
  getApiKeys(service: $service)
}"""

LIST_MODELS = """
query GetAvailableModels($service: String!, $key: String) {
  getAvailableModels(service: $service, api_key_id: $key)
}"""

LIST_MODEL_SERVICES = """
query GetModelServices {
  getModelServices
}"""

GET_EXECUTION = f"""
query GetExecution($id: String!) {{
  getExecution(execution_id: $id) {{ {_EXECUTION} }}
}}"""

LIST_EXECUTIONS = """
query ListExecutions($filter: ExecutionFilterInput, $limit: Float) {
  listExecutions(filter: $filter, limit: $limit) { id status }
}"""

LIST_SUMMARIES = f"""
query ListExecutions($filter: ExecutionFilterInput, $limit: Float) {{
  listExecutions(filter: $filter, limit: $limit) {{ {_SUMMARY} executed_nodes failed_nodes }}
}}"""

EXECUTION_EVENTS = """
query ExecutionEvents($id: String!, $after: Int, $limit: Int) {
  executionEvents(execution_id: $id, after_seq: $after, limit: $limit)
}"""

GET_EXECUTION_METRICS = """
query GetExecutionMetrics($id: String!, $threshold_ms: Float) {
  getExecutionMetrics(execution_id: $id, threshold_ms: $threshold_ms)
}"""

GET_EXECUTION_HISTORY = """
query GetExecutionHistory($diagram_id: String, $limit: Float) {
  getExecutionHistory(diagram_id: $diagram_id, limit: $limit)
}"""

EXECUTION_FILES = """
query ExecutionFiles($id: String!) {
  executionFiles(execution_id: $id)
}"""

EXECUTION_FILE = """
query ExecutionFile($id: String!, $name: String!) {
  executionFile(execution_id: $id, name: $name)
}"""

EXECUTION_UPDATES = """
subscription ExecutionUpdates($id: String!, $last_seq: Int) {
  executionUpdates(execution_id: $id, last_seq: $last_seq) {
    type execution_id node_id node_name node_type status error timestamp seq data
  }
}"""

CONVERT_DIAGRAM = """
mutation ConvertDiagramFormat(
  $content: String!, $path: String, $from: DiagramFormatGraphQL, $to: DiagramFormatGraphQL!
) {
  convertDiagramFormat(content: $content, path: $path, from_format: $from, to_format: $to) {
    success error error_type envelope data format original_format
  }
}"""


def _about_text(field: str, more: str = "") -> str:
    """A question about a diagram's text; `more`: its further parameter, "name: Type"."""
    name, option = field[0].upper() + field[1:], more.partition(":")[0]
    parameters = "$source: String!, $path: String, $format: DiagramFormatGraphQL" + (f", ${more}" if more else "")
    given = "source: $source, path: $path, format: $format" + (f", {option}: ${option}" if more else "")
    return f"query {name}({parameters}) {{ {field}({given}) }}"


REFORMAT_DIAGRAM = _about_text("reformatDiagram")
DESCRIBE_DIAGRAM = _about_text("describeDiagram", "picture: String")
EXPORT_DIAGRAM = _about_text("exportDiagram")

COMPILE_DIAGRAM = """
query CompileDiagram(
  $source: String!, $path: String, $format: DiagramFormatGraphQL, $changes: JSON, $uploads: JSON
) {
  compileDiagram(source: $source, path: $path, format: $format, changes: $changes, uploads: $uploads)
}"""

UPLOAD_DIAGRAM = """
mutation UploadDiagram($file: Upload!, $format: DiagramFormatGraphQL!, $name: String, $overwrite: Boolean!) {
  uploadDiagram(file: $file, format: $format, name: $name, overwrite: $overwrite)
}"""

PUBLISHED_DIAGRAMS = """
query PublishedDiagrams {
  publishedDiagrams
}"""

DELETE_DIAGRAM = f"""
mutation DeleteDiagram($name: String!) {{
  deleteDiagram(diagram_id: $name) {{ {_RESULT} deleted_id }}
}}"""

GET_NODE_TYPES = """
query GetNodeTypes {
  getNodeTypes
}"""

FIND_DIAGRAMS = """
query FindDiagrams($folder: String) {
  findDiagrams(folder: $folder)
}"""

_PROVIDER = """
  name base_url default_timeout
  metadata { version type manifest_path description }
  auth_config { strategy header query_param format scopes }
  rate_limit { algorithm capacity refill_per_sec window_size_sec }
  retry_policy { strategy max_retries base_delay_ms max_delay_ms retry_on_status }
  operations { name method path description required has_pagination timeout_override }
"""

LIST_PROVIDERS = f"""
query ListProviders {{
  listProviders {{ {_PROVIDER} }}
  providerProblems
}}"""

CHECK_MANIFEST = """
query CheckManifest($text: String!, $name: String!) {
  checkManifest(text: $text, name: $name)
}"""

IMPORT_OPEN_API = """
query ImportOpenApi(
  $document: String!, $name: String!, $base_url: String, $include: [String!], $exclude: [String!]
) {
  importOpenApi(document: $document, name: $name, base_url: $base_url, include: $include, exclude: $exclude)
}"""
