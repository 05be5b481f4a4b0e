"""Before anything is parsed: who may talk to us, from where, and how much (decision 20, spec/gateway.md §8.2, §8.3).

One ASGI wrapper. Order: Host (DNS rebinding), CORS, Origin, token, body size.
"""

import hmac
import json
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

import structlog
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dipeo_gateway import observed
from dipeo_gateway.context import Activity
from dipeo_kit import errors, http_spans, ids, telemetry

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
OPEN_PATHS = frozenset({"/health", "/ready"})
MAX_BODY_BYTES = 16 * 1024 * 1024  # diagrams travel inline
_REQUEST_ID = "x-request-id"


@dataclass(frozen=True, slots=True)
class Rules:
    """`hosts` are names without ports, "*" for any; `origins` are exact; `token` "" = nobody is asked for one."""

    hosts: frozenset[str]
    origins: frozenset[str]
    token: str

    def host_allowed(self, host: str) -> bool:
        return "*" in self.hosts or _name_of(host) in self.hosts

    def origin_allowed(self, origin: str | None, host: str) -> bool:
        """Programs send no Origin; a page of our own sends the host it was loaded from."""
        return origin is None or origin in self.origins or _authority_of(origin) == host

    def token_matches(self, authorization: str | None) -> bool:
        """`authorization` as in the header: "Bearer …"."""
        if not self.token:
            return True
        scheme, _, given = (authorization or "").partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), self.token.encode())


def rules(*, hosts: Iterable[str], origins: Iterable[str], token: str) -> Rules:
    return Rules(
        frozenset({name.lower() for name in hosts} | LOOPBACK_NAMES),
        frozenset(origin.rstrip("/") for origin in origins),
        token,
    )


class Edge:
    """Wraps the application; sockets are asked for their token at connection_init, if not in the header."""

    def __init__(self, app: ASGIApp, rules: Rules, activity: Activity) -> None:
        self._rules, self._activity, self._bare = rules, activity, app
        self._app = CORSMiddleware(
            self._checked,
            allow_origins=sorted(rules.origins),
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "Traceparent", "X-Request-Id"],
            max_age=600,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._activity.seen()
        headers = Headers(scope=scope)
        request_id = headers.get(_REQUEST_ID, "")[:64] or ids.new_hex()
        with structlog.contextvars.bound_contextvars(request_id=request_id), telemetry.remote_parent(headers):
            if not self._rules.host_allowed(headers.get("host", "")):
                await _refuse(403, errors.Forbidden("this host name is not served here"), scope, receive, send)
            else:
                with http_spans.request(scope, _with_request_id(send, request_id), observed.ROUTES) as sent:
                    await self._app(scope, receive, sent)

    async def _checked(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        if not self._rules.origin_allowed(headers.get("origin"), headers.get("host", "")):
            await _refuse(403, errors.Forbidden("pages of this origin may not talk to DiPeO"), scope, receive, send)
        elif scope["type"] == "websocket":
            await self._bare(scope, receive, send)
        elif scope["path"] not in OPEN_PATHS and not self._rules.token_matches(headers.get("authorization")):
            await _refuse(401, errors.Unauthenticated("a valid bearer token is needed"), scope, receive, send)
        elif int(headers.get("content-length") or 0) > MAX_BODY_BYTES:
            await _refuse(413, _too_large(), scope, receive, send)
        else:
            await self._bare(scope, _bounded(receive), send)


def _bounded(receive: Receive) -> Receive:
    """For bodies that come in chunks and say no length."""
    size = 0

    async def bounded() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > MAX_BODY_BYTES:
            raise HTTPException(413, str(_too_large()))
        return message

    return bounded


def _too_large() -> errors.BadInput:
    return errors.BadInput(f"the request is too large: at most {MAX_BODY_BYTES // 1024 // 1024} MiB")


async def _refuse(status: int, error: errors.DipeoError, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})  # before it is accepted: HTTP 403
        return
    headers = {"www-authenticate": "Bearer"} if status == 401 else None
    response = Response(error_body(error.code, str(error)), status, headers, "application/json")
    await response(scope, receive, send)


def error_body(code: str, message: str) -> str:
    """The shape of a GraphQL answer, so that clients read one."""
    return json.dumps({"data": None, "errors": [{"message": message, "extensions": {"code": code}}]})


def _with_request_id(send: Send, request_id: str) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", []), (_REQUEST_ID.encode(), request_id.encode())]
        await send(message)

    return sent


def _name_of(host: str) -> str:
    """The name in a Host header, without port and brackets; "" for what is none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _authority_of(origin: str) -> str:
    """host:port of an Origin header; "null" and nonsense have none."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""
