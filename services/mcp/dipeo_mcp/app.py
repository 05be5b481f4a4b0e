"""The routes of the public listener and of the admin listener (spec/mcp.md §3.1, §3.2)."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from mcp.server import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp_types.version import KNOWN_PROTOCOL_VERSIONS
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from dipeo_mcp import edge, principals, server
from dipeo_mcp.address import Address
from dipeo_mcp.auth import Gate
from dipeo_mcp.edge import COMPAT, DISCOVERY, HEALTH, INFO, MCP, Edge, Sessions
from dipeo_mcp.notices import ALL_DIAGRAMS, ALL_EXECUTIONS
from dipeo_mcp.principals import SCOPE_KEY, SCOPES, Principal
from dipeo_mcp.resources import GUIDE
from dipeo_mcp.service import VERSION, Service
from dipeo_mcp.tools import TOOLS

BOTH = "application/json, text/event-stream"


@asynccontextmanager
async def public(service: Service, built: Server[Any], gate: Gate, address: Address) -> AsyncIterator[ASGIApp]:
    """Everything a tunnel may point at."""
    limits = service.limits
    main = StreamableHTTPSessionManager(
        built,
        session_idle_timeout=limits.session_idle_s,
        max_sessions=limits.sessions_total,
        max_request_body_size=limits.body_bytes,
    )
    compat = StreamableHTTPSessionManager(
        built, json_response=True, stateless=True, max_request_body_size=limits.body_bytes
    )
    info = _info(service, gate)

    async def routed(scope: Scope, receive: Receive, send: Send) -> None:
        match scope["path"]:
            case edge.COMPAT:
                await compat.handle_request(_widened(scope), receive, send)
            case edge.INFO:
                await info(scope, receive, send)
            case _:
                await main.handle_request(scope, receive, send)

    open_routes: dict[str, ASGIApp] = {HEALTH: _answer(JSONResponse({}))}
    for path in (DISCOVERY, f"{DISCOVERY}/mcp"):
        open_routes[path] = _discovery(gate, address, service)
    async with main.run(), compat.run():
        yield Edge(routed, open_routes, gate, address, limits, Sessions(limits, service.notices.forget))


def admin(service: Service, tunnel: Callable[[], dict[str, Any]]) -> ASGIApp:
    """Loopback only: readiness, numbers, the tunnel."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        response: Response = JSONResponse({"error": "not found"}, 404)
        if scope["path"] == "/ready":
            checks = await service.backend.health()
            up = all(checks.values())
            response = JSONResponse({"status": "ready" if up else "unavailable", "checks": checks}, 200 if up else 503)
        elif scope["path"] == "/tunnel":
            response = JSONResponse(tunnel())
        elif scope["path"] == "/metrics":
            response = Response(_metrics(service), media_type="text/plain; version=0.0.4")
        await response(scope, receive, send)

    return app


def _metrics(service: Service) -> str:
    notices = service.notices
    numbers = {
        "dipeo_mcp_runs": ("Runs followed that nobody waits on a human for", service.lives.busy()),
        "dipeo_mcp_streams": ("Open listen streams", notices.streams),
        "dipeo_mcp_sessions": ("Open sessions", sum(len(it.sessions) for it in notices.audiences.values())),
        "dipeo_mcp_diagrams": ("Published diagrams", len(service.published.offers)),
    }
    lines = [f"# HELP {name} {text}\n# TYPE {name} gauge\n{name} {value}\n" for name, (text, value) in numbers.items()]
    return "".join(lines)


def _answer(response: Response) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await response(scope, receive, send)

    return app


def _widened(scope: Scope) -> Scope:
    """Old clients say no Accept, or a narrow one."""
    headers = MutableHeaders(raw=list(scope["headers"]))
    headers["accept"] = BOTH
    headers.setdefault("content-type", "application/json")
    return {**scope, "headers": headers.raw}


def _discovery(gate: Gate, address: Address, service: Service) -> ASGIApp:
    """RFC 9728. The resource is the address as it is now: a client refuses a document that names another one."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        host = Headers(scope=scope).get("host", "")
        cors = {"access-control-allow-origin": "*"}
        response: Response = JSONResponse({"error": "not found"}, 404)
        if gate.tokens is not None:
            public_url = address.public_url if address.tunnelled or address.pinned_url else f"http://{host}"
            if not public_url:
                response = JSONResponse({"error": "the public address is not known yet"}, 503, {"retry-after": "2"})
            else:
                document = {
                    "resource": f"{public_url}{MCP}",
                    "authorization_servers": [service.settings.oauth_server_url or service.settings.jwt_issuer],
                    "scopes_supported": list(SCOPES),
                    "bearer_methods_supported": ["header"],
                    "resource_name": "DiPeO workflows",
                }
                response = JSONResponse(document, headers=cors)
        await response(scope, receive, send)

    return app


def _info(service: Service, gate: Gate) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """The original's description; strangers learn only where to knock."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        principal: Principal | None = scope.get(SCOPE_KEY)
        told: dict[str, Any] = {
            "server": {"name": server.NAME, "version": VERSION},
            "protocol": {"versions": list(KNOWN_PROTOCOL_VERSIONS), "transport": "streamable-http"},
            "endpoints": {"mcp": MCP, "messages": COMPAT, "info": INFO},
            "authentication": {"required": gate.enabled and gate.required, "methods": gate.methods},
        }
        if principal is not None:
            tools = [tool.name for tool in TOOLS if principal.may(tool.scope)]
            tools += sorted(service.published.by_tool) if principal.may(principals.RUN) else []
            told["capabilities"] = {"tools": True, "resources": True, "prompts": True, "completions": True}
            told["tools"] = tools
            told["resources"] = [ALL_DIAGRAMS, ALL_EXECUTIONS, GUIDE]
        body = json.dumps(told)
        await Response(body, media_type="application/json")(scope, receive, send)

    return app
