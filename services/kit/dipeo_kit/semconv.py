"""Names of our spans' attributes and of our metrics: the one list. docs/telemetry.md says what each means.

The words of OpenTelemetry's semantic conventions where they have one; GenAI attributes are in dipeo_executor.llm.genai.
"""

# --- attributes ------------------------------------------------------------------------------------------------------
EXECUTION_ID = "dipeo.execution.id"
NODE_ID = "dipeo.node.id"
NODE_TYPE = "dipeo.node.type"
NODE_ITERATION = "dipeo.node.iteration"
ATTEMPT = "dipeo.attempt"
OUTCOME = "dipeo.outcome"
RECOVERED = "dipeo.recovered"
EVENT_COUNT = "dipeo.event.count"
COMMAND = "dipeo.command"

ERROR_TYPE = "error.type"
RPC_SYSTEM = "rpc.system.name"
RPC_METHOD = "rpc.method"
RPC_STATUS = "rpc.response.status_code"
HTTP_METHOD = "http.request.method"
HTTP_ROUTE = "http.route"
HTTP_STATUS = "http.response.status_code"
GRAPHQL_TYPE = "graphql.operation.type"
GRAPHQL_FIELD = "graphql.field.name"

# --- metrics ---------------------------------------------------------------------------------------------------------
RUN_DURATION = "dipeo.run.duration"
NODE_DURATION = "dipeo.node.duration"
RUNS_HELD = "dipeo.executor.runs"
SLOTS_FREE = "dipeo.executor.slots.free"
RECOVERIES = "dipeo.executor.recoveries"
APPEND_DURATION = "dipeo.store.append.duration"
APPEND_EVENTS = "dipeo.store.append.events"
APPENDS_REFUSED = "dipeo.store.append.refused"
SESSIONS = "dipeo.store.sessions"
WATCHES = "dipeo.store.watches"
WORK_READY = "dipeo.store.work.ready"
WORK_HELD = "dipeo.store.work.held"
SUBSCRIPTIONS = "dipeo.gateway.subscriptions"
RPC_DURATION = "rpc.server.call.duration"
HTTP_DURATION = "http.server.request.duration"
