"""Before the SDK sees anything: who may talk to us, from where, how often and how much (spec/mcp.md §3.2, §3.10, §5).

Order: Host, route, Origin and CORS, credential, rate, body. What is not a route of ours does not exist.
"""

import asyncio
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import mcp_types as types
import structlog
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dipeo_kit import http_spans, ids, telemetry
from dipeo_mcp.address import Address
from dipeo_mcp.auth import Doorkeeper, Gate, presented
from dipeo_mcp.errors import Busy
from dipeo_mcp.limits import Limits, Window
from dipeo_mcp.principals import READ, RUN, SCOPE_KEY, SCOPES, Principal

MCP, COMPAT, INFO, HEALTH = "/mcp", "/mcp/messages", "/mcp/info", "/healthz"
DISCOVERY = "/.well-known/oauth-protected-resource"
TRACED = frozenset({("POST", MCP), ("POST", COMPAT)})  # a GET is a stream that lives as long as its client
METHODS = {
    MCP: ("POST", "GET", "DELETE"),
    COMPAT: ("POST",),
    INFO: ("GET",),
    HEALTH: ("GET", "HEAD"),
    DISCOVERY: ("GET",),
    f"{DISCOVERY}/mcp": ("GET",),
}
SESSION = b"mcp-session-id"
GET_FIRST = (
    "Missing session ID: POST initialize to this address first. The HTTP+SSE transport of 2024, which begins with a "
    "GET, is not served; such a client reaches us over stdio (dipeo mcp config), or through mcp-remote"
)
DRAINED = 16  # times the largest body: so much is read of one that is refused
_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}
_ALLOWED_HEADERS = [
    *("Accept", "Authorization", "Content-Type", "Last-Event-ID", "X-API-Key"),
    *("Mcp-Method", "Mcp-Name", "Mcp-Protocol-Version", "Mcp-Session-Id"),
]


@dataclass(slots=True)
class Sessions:
    """Sessions of the handshake era that are open, by what passed through this edge."""

    limits: Limits
    on_end: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic
    _seen: dict[str, tuple[str, float]] = field(default_factory=dict)  # session → principal, last time

    def admit(self, principal: Principal) -> None:
        """Raises Busy when one more would be too many."""
        self._drop_idle()
        own = sum(owner == principal.id for owner, _ in self._seen.values())
        if len(self._seen) >= self.limits.sessions_total or (own >= self.limits.sessions and not principal.is_local):
            raise Busy("too many open sessions; end one, or wait", retry_after_s=30)

    def seen(self, session_id: str, principal: Principal) -> None:
        self._seen[session_id] = (principal.id, self.clock())

    def ended(self, session_id: str) -> None:
        if self._seen.pop(session_id, None):
            self.on_end(session_id)

    def _drop_idle(self) -> None:
        since = self.clock() - self.limits.session_idle_s
        for session_id in [session for session, (_, at) in self._seen.items() if at < since]:
            self.ended(session_id)


class Edge:
    """`app` gets requests whose principal stands in the scope."""

    def __init__(
        self, app: ASGIApp, public: dict[str, ASGIApp], gate: Gate, address: Address, limits: Limits, sessions: Sessions
    ) -> None:
        self._app, self._public, self._gate, self._address = app, public, gate, address
        self._limits, self._sessions = limits, sessions
        self._doorkeeper = Doorkeeper(limits)
        self._calls = Window(limits.calls_per_min)
        self._cors = CORSMiddleware(
            self._checked,
            allow_origins=sorted(address.origins),
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=_ALLOWED_HEADERS,
            expose_headers=["Mcp-Session-Id", "WWW-Authenticate"],
            max_age=600,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})  # before it is accepted: HTTP 403
            return
        headers = Headers(scope=scope)
        sent = _hardened(send, https=self._address.public_url.startswith("https:"))
        with structlog.contextvars.bound_contextvars(request_id=ids.new_hex()), telemetry.remote_parent(headers):
            if not self._address.allows_host(headers.get("host", "")):
                await _plain(421, "this host name is not served here")(scope, receive, sent)
            elif scope["path"] not in METHODS:
                await _plain(404, "not found")(scope, receive, sent)
            elif scope["path"] in self._public:
                await self._public[scope["path"]](scope, receive, sent)
            else:
                with http_spans.request(scope, sent, TRACED) as told:
                    await self._cors(scope, receive, told)

    async def _checked(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        if not self._address.allows_origin(headers.get("origin"), headers.get("host", "")):
            await _plain(403, "pages of this origin may not talk to DiPeO")(scope, receive, send)
            return
        if scope["method"] not in METHODS[scope["path"]]:
            allowed = ", ".join(METHODS[scope["path"]])
            await _plain(405, "method not allowed", {"allow": allowed})(scope, receive, send)
            return
        try:
            principal = await self._admitted(scope, headers)
            if isinstance(principal, Response):
                await principal(scope, receive, send)
                return
            await self._served(principal, scope, receive, send, headers)
        except Busy as busy:
            await _too_many(busy)(scope, receive, send)

    async def _admitted(self, scope: Scope, headers: Headers) -> Principal | Response | None:
        """The caller; None for an anonymous one where that is fine; else the refusal. Raises Busy."""
        address, credential = _client(scope, headers), presented(headers)
        if blocked_s := self._doorkeeper.blocked_s(address) if self._gate.enabled else 0.0:
            raise Busy("too many bad credentials from this address", retry_after_s=blocked_s)
        principal = await self._gate.admit(credential)
        if principal is not None:
            if not principal.scopes:
                return self._unauthorized(403, "insufficient_scope", "the credential has none of our scopes")
            return principal
        if credential is None:
            self._doorkeeper.anonymous.hit(address, "requests without a credential")
            if scope["path"] == INFO:
                return None
            return self._unauthorized(401, "invalid_request", "a credential is needed")
        self._doorkeeper.was_bad(address)
        return self._unauthorized(401, "invalid_token", "the credential is not good here")

    async def _served(
        self, principal: Principal | None, scope: Scope, receive: Receive, send: Send, headers: Headers
    ) -> None:
        if principal is None:
            await self._app(scope, receive, send)
            return
        if scope["method"] == "POST" and not principal.is_local:
            self._calls.hit(principal.id, "calls")
        session_id = headers.get("mcp-session-id", "")
        older = headers.get("mcp-protocol-version", "2025-06-18") < "2026"
        if scope["path"] == MCP and older and not session_id:
            if scope["method"] == "GET":
                await _json_rpc(400, GET_FIRST)(scope, receive, send)
                return
            if scope["method"] == "POST":
                self._sessions.admit(principal)
        body = await self._body(scope, receive, headers)
        if isinstance(body, Response):
            await body(scope, receive, send)
            return
        known = {**scope, SCOPE_KEY: principal, "user": _user(principal)}
        await self._app(known, body, self._following(principal, scope, session_id, send))

    async def _body(self, scope: Scope, receive: Receive, headers: Headers) -> Receive | Response:
        """The whole body, read with a limit and a deadline, so that nothing behind waits for a slow one."""
        if scope["method"] != "POST":
            return receive
        limit = self._limits.body_bytes
        declared = headers.get("content-length", "0")
        if not declared.isdecimal() or int(declared) > DRAINED * limit:
            return _too_large(limit)
        try:
            async with asyncio.timeout(self._limits.body_s):
                body = await _read(receive, limit)
        except TimeoutError:
            return _plain(408, "the request came too slowly", {"connection": "close"})
        if body is None:
            return _too_large(limit)
        kind = headers.get("content-type", "application/json" if scope["path"] == COMPAT else "")
        if kind.partition(";")[0].strip().lower() != "application/json":
            return _json_rpc(400, "Content-Type has to be application/json")
        return _replayed(body, receive)

    def _following(self, principal: Principal, scope: Scope, session_id: str, send: Send) -> Send:
        """Takes note of sessions that begin, go on and end."""

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                good = message["status"] < 400
                given = dict(message.get("headers", ())).get(SESSION, b"").decode("latin-1") or session_id
                if given and (message["status"] == 404 or (scope["method"] == "DELETE" and good)):
                    self._sessions.ended(given)
                elif given and good:
                    self._sessions.seen(given, principal)
            await send(message)

        return sent

    def _unauthorized(self, status: int, error: str, text: str) -> Response:
        parts = [f'error="{error}"', f'error_description="{text}"', f'scope="{READ} {RUN}"']
        if self._gate.tokens:
            parts.append(f'resource_metadata="{self._address.public_url}{DISCOVERY}/mcp"')
        return _plain(status, text, {"www-authenticate": f"Bearer {', '.join(parts)}"}, error=error)


def _user(principal: Principal) -> AuthenticatedUser:
    """For the SDK, which binds sessions to it."""
    return AuthenticatedUser(
        AccessToken(token="", client_id=principal.id, scopes=sorted(principal.scopes & set(SCOPES)))
    )


async def _read(receive: Receive, limit: int) -> bytes | None:
    """None when it is too large; most of such a one is taken and forgotten, for who still sends does not listen."""
    body, size = bytearray(), 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            break  # the client is gone
        part = message.get("body", b"")
        size += len(part)
        if size <= limit:
            body += part
        if size > DRAINED * limit or not message.get("more_body", False):
            break
    return bytes(body) if size <= limit else None


def _replayed(body: bytes, receive: Receive) -> Receive:
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay


def _client(scope: Scope, headers: Headers) -> str:
    """The caller's address. Behind our tunnel everybody comes from loopback, and the agent says from where."""
    peer: str = (scope.get("client") or ("unknown", 0))[0]
    forwarded = headers.get("x-forwarded-for", "")
    return forwarded.rpartition(",")[2].strip() if forwarded and peer in ("127.0.0.1", "::1") else peer


def _too_large(limit: int) -> Response:
    return _plain(413, f"the request is too large: at most {limit // 1024} KiB", {"connection": "close"})


def _too_many(busy: Busy) -> Response:
    return _plain(429, str(busy), {"retry-after": str(max(1, math.ceil(busy.retry_after_s)))})


def _plain(status: int, text: str, headers: dict[str, str] | None = None, *, error: str = "") -> Response:
    body = json.dumps({"error": error or text, **({"error_description": text} if error else {})})
    return Response(body, status, headers, "application/json")


def _json_rpc(status: int, text: str) -> Response:
    error = {"code": types.INVALID_REQUEST, "message": text}
    return Response(json.dumps({"jsonrpc": "2.0", "id": None, "error": error}), status, media_type="application/json")


def _hardened(send: Send, *, https: bool) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(raw=list(message.get("headers", ())))
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("cache-control", "no-store")
            if https:
                headers.setdefault("strict-transport-security", "max-age=31536000")
            message = {**message, "headers": headers.raw}
        await send(message)

    return sent
