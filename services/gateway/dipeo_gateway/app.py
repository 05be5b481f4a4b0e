"""The routes: /graphql over HTTP and WebSocket, /health, /ready, /metrics."""

from datetime import timedelta
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.exceptions import ConnectionRejectionError
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import BaseGraphQLTransportWSHandler, Operation

from dipeo_gateway import observed
from dipeo_gateway.backend import Backend
from dipeo_gateway.context import Activity, Context
from dipeo_gateway.edge import Edge, Rules, error_body
from dipeo_gateway.schema import Schema, build_schema
from dipeo_gateway.settings import Settings
from dipeo_gateway.version import VERSION

INIT_TIMEOUT_S = 10
MAX_OPERATIONS_PER_SOCKET = 50
_CODES = {404: "NOT_FOUND", 405: "NOT_SUPPORTED", 413: "BAD_INPUT"}


def build(backend: Backend, activity: Activity, rules: Rules, settings: Settings) -> ASGIApp:
    graphql = _GraphQL(build_schema(introspection=settings.introspection), backend, activity, rules, settings)
    routes: list[BaseRoute] = [Route("/graphql", graphql), WebSocketRoute("/graphql", graphql)]
    app = FastAPI(routes=routes, openapi_url=None)

    @app.get("/health")
    async def health() -> dict[str, str]:
        """Liveness: says nothing about the services behind."""
        return {"status": "ok", "service": "dipeo-gateway", "version": VERSION, "base": settings.base}

    @app.get("/ready")
    async def ready() -> JSONResponse:
        checks = await backend.health()
        up = all(checks.values())
        return JSONResponse({"status": "ready" if up else "unavailable", "checks": checks}, 200 if up else 503)

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(observed.prometheus_text(), media_type="text/plain; version=0.0.4")

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        body = error_body(_CODES.get(error.status_code, "BAD_INPUT"), error.detail)
        return Response(body, error.status_code, media_type="application/json")

    return Edge(app, rules, activity)


class _Handler(BaseGraphQLTransportWSHandler[Context, None]):
    """A stream that fails midway ends with `error`, as the protocol has it; Strawberry sends `next`, `complete`."""

    async def _send_result_stream(self, operation: Operation[Context, None], result_source: Any) -> None:
        async for result in result_source:
            if result.errors and result.data is None:
                await operation.send_initial_errors(result.errors)
                return
            await operation.send_next(result)


class _GraphQL(GraphQL[Context, None]):
    graphql_transport_ws_handler_class = _Handler

    def __init__(self, schema: Schema, backend: Backend, activity: Activity, rules: Rules, settings: Settings) -> None:
        super().__init__(
            schema,
            graphql_ide=None,
            subscription_protocols=[GRAPHQL_TRANSPORT_WS_PROTOCOL],
            connection_init_wait_timeout=timedelta(seconds=INIT_TIMEOUT_S),
            max_subscriptions_per_connection=MAX_OPERATIONS_PER_SOCKET,
            allowed_origins=sorted(rules.origins),
        )
        self._backend, self._activity, self._rules, self._settings = backend, activity, rules, settings

    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> Context:
        return Context(
            backend=self._backend,
            activity=self._activity,
            authorized=self._rules.token_matches(request.headers.get("authorization")),
            principal="token" if self._rules.token else "local",
            origin=_origin_of(request),
            idempotency_key=request.headers.get("idempotency-key", ""),
            base=self._settings.base,
            publishes=self._settings.published == "store",
        )

    async def on_ws_connect(self, context: Context) -> Any:
        """The token may come in the header of the upgrade or, from browsers, in connection_init."""
        given = {key.lower(): value for key, value in (context.connection_params or {}).items()}
        if not context.authorized and not self._rules.token_matches(str(given.get("authorization", ""))):
            raise ConnectionRejectionError
        return await super().on_ws_connect(context)


def _origin_of(request: HTTPConnection) -> str:
    """Which client started a run, for people to read: its User-Agent says "dipeo-cli/…"."""
    agent = request.headers.get("user-agent", "")
    return next((name for name in ("cli", "mcp") if agent.startswith(f"dipeo-{name}")), "api")
