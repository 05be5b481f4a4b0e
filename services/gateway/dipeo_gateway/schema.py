"""The v1 operations (spec/gateway.md §3 to §5). Resolvers ask a service and print; they decide nothing."""

# mypy: disable-error-code="untyped-decorator"
# Strawberry types its decorators as Any as soon as they are given a name.

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from math import floor
from pathlib import Path
from typing import Any, TypeAlias

import strawberry
from graphql import ASTValidationRule, GraphQLError
from strawberry.extensions import (
    AddValidationRules,
    DisableIntrospection,
    MaxTokensLimiter,
    ParserCache,
    ValidationCache,
    max_aliases,
    query_depth_limiter,
)
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext
from strawberry.types import Info as StrawberryInfo
from strawberry.types.nodes import Selection

from dipeo_gateway import (
    diagrams,
    executions,
    follow,
    history,
    keys,
    mutations,
    providers,
    published,
    submit,
    transfers,
    version,
    wire,
)
from dipeo_gateway.context import Context
from dipeo_gateway.faults import CodedErrors
from dipeo_gateway.observed import NamedSpans
from dipeo_gateway.types import (
    JSON,
    DiagramFormatGraphQL,
    ExecuteDiagramInput,
    ExecutionControlInput,
    ExecutionFilterInput,
    ExecutionResult,
    ExecutionStateType,
    ExecutionUpdateType,
    InteractiveResponseInput,
    RetryExecutionInput,
    Status,
)
from dipeo_kit import errors
from dipeo_protos.executor.v1 import executor_pb2
from dipeo_protos.store.v1 import store_pb2

Info: TypeAlias = StrawberryInfo[Context, None]

MAX_LISTED = 1000
MAX_DEPTH = 12
MAX_TOKENS = 2000
MAX_ALIASES = 20


def selected(selections: Sequence[Selection]) -> set[str]:
    """Names of all fields the client asked for, at any depth, through fragments."""
    names: set[str] = set()
    for selection in selections:
        names.add(getattr(selection, "name", ""))
        names |= selected(selection.selections)
    return names


@strawberry.type
class Query(diagrams.DiagramQueries, keys.KeyQueries, providers.ProviderQueries, published.PublishedQueries):
    @strawberry.field(name="getExecution", description="Null when there is no such execution.")
    async def get_execution(self, info: Info, execution_id: str) -> ExecutionStateType | None:
        backend, wanted = info.context.backend, selected(info.selected_fields)
        try:
            state = await executions.fetch(backend, execution_id, wanted)
        except errors.NotFound:
            return None
        if "metrics" in wanted:
            state.metrics = await history.metrics_of(backend, execution_id)
        return state

    @strawberry.field(name="listExecutions", description="Newest first; limit 0 to 1000.")
    async def list_executions(
        self,
        info: Info,
        filter: ExecutionFilterInput | None = None,
        limit: float | None = 100,
        offset: float | None = 0,
    ) -> list[ExecutionStateType]:
        most, skipped = _bounded("limit", limit, 100), _bounded("offset", offset, 0)
        request = _list_request(filter)
        if request is None or most == 0:
            return []
        backend = info.context.backend
        found = await executions.find(
            backend, request, limit=min(most, MAX_LISTED), offset=skipped, marks=_marks(filter)
        )
        return await executions.fetch_many(backend, found, selected(info.selected_fields))

    @strawberry.field(name="executionEvents", description="A piece of the journal: {events, head_seq, terminal}.")
    async def execution_events(
        self, info: Info, execution_id: str, after_seq: int | None = 0, limit: int | None = 500
    ) -> JSON:
        most = 500 if limit is None else limit
        if not 1 <= most <= MAX_LISTED:
            raise errors.BadInput(f"limit: 1 to {MAX_LISTED}, not {most}")
        return await follow.page(info.context.backend, execution_id, _seq("after_seq", after_seq), most)

    @strawberry.field(
        name="getExecutionMetrics", description="Durations, critical path, what could be faster; {} when unknown."
    )
    async def get_execution_metrics(self, info: Info, execution_id: str, threshold_ms: float | None = None) -> JSON:
        return await history.metrics_of(info.context.backend, execution_id, threshold_ms)

    @strawberry.field(name="getExecutionOrder", description="Every node run, in start order.")
    async def get_execution_order(self, info: Info, execution_id: str) -> JSON:
        return await history.order(info.context.backend, execution_id)

    @strawberry.field(name="getExecutionHistory", description="Runs of a diagram, newest first; limit 0 to 1000.")
    async def get_execution_history(
        self, info: Info, diagram_id: str | None = None, limit: float | None = 100, include_metrics: bool | None = False
    ) -> JSON:
        most = min(_bounded("limit", limit, 100), MAX_LISTED)
        return await history.runs_of(
            info.context.backend, diagram_id or "", most, include_metrics=bool(include_metrics)
        )

    @strawberry.field(
        name="executionFiles", description="What a run wrote on a remote executor: [{name, size, sha256}]."
    )
    async def execution_files(self, info: Info, execution_id: str) -> JSON:
        return await transfers.listed(info.context.backend, execution_id)

    @strawberry.field(name="executionFile", description="One of them: {name, content}, in base64.")
    async def execution_file(self, info: Info, execution_id: str, name: str) -> JSON:
        return await transfers.read(info.context.backend, execution_id, name)

    @strawberry.field(name="compileDiagram", description="Checks a diagram and stores nothing.")
    async def compile_diagram(
        self,
        info: Info,
        source: str,
        path: str | None = None,
        format: DiagramFormatGraphQL | None = None,
        uploads: JSON | None = None,
        changes: JSON | None = None,
    ) -> JSON:
        executor = info.context.backend.executor
        sent = transfers.to_pb(uploads)
        request = executor_pb2.CompileRequest(
            source=submit.source(source, path, format), uploads=sent, changes_json=submit.changes(changes)
        )
        return submit.compiled(await executor.write(executor.rpc.Compile, request))

    @strawberry.field(name="healthCheck", description="{status, timestamp, checks, version}")
    async def health_check(self, info: Info) -> JSON:
        checks = {**await info.context.backend.health(), "file_system": Path(info.context.base).is_dir()}
        return {
            "status": "healthy" if all(checks.values()) else "degraded",
            "timestamp": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            "checks": checks,
            "version": version.VERSION,
        }


@strawberry.type
class Mutation(diagrams.DiagramMutations, keys.KeyMutations, published.PublishedMutations):
    @strawberry.mutation(name="executeDiagram")
    async def execute_diagram(self, info: Info, input: ExecuteDiagramInput) -> ExecutionResult:
        return await mutations.execute(info.context, input, selected(info.selected_fields))

    @strawberry.mutation(name="controlExecution", description="action: pause, resume or abort")
    async def control_execution(self, info: Info, input: ExecutionControlInput) -> ExecutionResult:
        return await mutations.control(info.context, input, selected(info.selected_fields))

    @strawberry.mutation(name="retryExecution", description="A new run that goes on where an ended one failed.")
    async def retry_execution(self, info: Info, input: RetryExecutionInput) -> ExecutionResult:
        return await mutations.retry(info.context, input, selected(info.selected_fields))

    @strawberry.mutation(name="sendInteractiveResponse")
    async def send_interactive_response(self, info: Info, input: InteractiveResponseInput) -> ExecutionResult:
        return await mutations.answer(info.context, input, selected(info.selected_fields))


@strawberry.type
class Subscription:
    # A coroutine that returns the stream, not a generator: what it raises before the first event ends the operation
    # with an `error` message, as graphql-transport-ws wants it, and not with a `next`.
    @strawberry.subscription(
        name="executionUpdates", description="Every event after last_seq once, in order; ends with the execution."
    )
    async def execution_updates(
        self, info: Info, execution_id: str, last_seq: int | None = 0
    ) -> AsyncGenerator[ExecutionUpdateType, None]:
        context, after = info.context, _seq("last_seq", last_seq)
        store = context.backend.store
        await store.read(store.rpc.GetExecution, store_pb2.GetExecutionRequest(execution_id=execution_id))
        return follow.follow(context.backend, context.activity, execution_id, after)

    @strawberry.subscription(
        name="executionSummaries",
        description="First all that match and have not ended, then, once a second, those that changed.",
    )
    async def execution_summaries(
        self, info: Info, filter: ExecutionFilterInput | None = None
    ) -> AsyncGenerator[list[ExecutionStateType], None]:
        listed = _list_request(filter) or store_pb2.ListExecutionsRequest()
        request = store_pb2.WatchExecutionsRequest(statuses=listed.statuses, diagram_id=listed.diagram_id)
        return follow.summaries(info.context.backend, info.context.activity, request)


class Schema(strawberry.Schema):
    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """CodedErrors logs what nobody expected; Strawberry would log refusals with a stack as well."""


class _ParserCache(ParserCache):
    """Leaves syntax errors to Strawberry's own parsing: raised from here they would pass by CodedErrors."""

    def on_parse(self) -> Iterator[None]:
        parsing = super().on_parse()
        with suppress(GraphQLError):
            next(parsing)
        yield


def build_schema(*, introspection: bool) -> Schema:
    # Made once: the validation cache tells documents apart by the identity of the rules they were checked with.
    limits: list[type[ASTValidationRule]] = [
        query_depth_limiter.create_validator(MAX_DEPTH, None),
        max_aliases.create_validator(MAX_ALIASES),
    ]
    return Schema(
        Query,
        Mutation,
        Subscription,
        config=StrawberryConfig(auto_camel_case=False),
        extensions=[
            CodedErrors,
            NamedSpans,
            lambda: AddValidationRules(limits),
            lambda: MaxTokensLimiter(MAX_TOKENS),
            _ParserCache,
            ValidationCache,
            *([] if introspection else [DisableIntrospection]),
        ],
    )


def _bounded(name: str, value: float | None, default: int) -> int:
    """v1 declares these as Float: 2.9 is 2."""
    if value is None:
        return default
    if value < 0:
        raise errors.BadInput(f"{name}: a number from 0 is needed, not {value:g}")
    return floor(value)


def _seq(name: str, value: int | None) -> int:
    if value is not None and value < 0:
        raise errors.BadInput(f"{name}: a number from 0 is needed, not {value}")
    return value or 0


def _list_request(asked: ExecutionFilterInput | None) -> store_pb2.ListExecutionsRequest | None:
    """None when nothing can match: no execution has the status of a node."""
    if asked is None:
        return store_pb2.ListExecutionsRequest()
    statuses = [*([asked.status] if asked.status else []), *(asked.statuses or [])]
    executions_have = [status for status in statuses if status is not Status.SKIPPED]
    if statuses and not executions_have:
        return None
    return store_pb2.ListExecutionsRequest(
        statuses=[f"EXECUTION_STATUS_{status.name}" for status in executions_have],
        diagram_id=asked.diagram_id or "",
        started_after=wire.timestamp(asked.started_after),
        started_before=wire.timestamp(asked.started_before),
        id_prefix=asked.id_prefix or "",
    )


def _marks(asked: ExecutionFilterInput | None) -> executions.Marks | None:
    if asked is None or not (asked.name or asked.labels):
        return None
    labels: Any = asked.labels or {}
    if not isinstance(labels, dict):
        raise errors.BadInput("filter.labels: an object of key → text is needed")
    return executions.Marks(asked.name or "", labels)
