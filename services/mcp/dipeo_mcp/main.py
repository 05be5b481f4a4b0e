"""Start here: settings → backend → MCP server → listeners (or stdio) → wait for SIGTERM."""

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mcp.server.stdio import stdio_server
from starlette.types import ASGIApp

from dipeo_kit import errors, logs, process, telemetry, web
from dipeo_mcp import app, auth, server, service, settings
from dipeo_mcp.address import Address
from dipeo_mcp.auth import Gate
from dipeo_mcp.catalogue import Catalogue
from dipeo_mcp.errors import EXIT_CONFIG, SettingsRefused
from dipeo_mcp.limits import Limits
from dipeo_mcp.service import Service
from dipeo_mcp.settings import Settings

if TYPE_CHECKING:
    from dipeo_mcp.agent import Plan
    from dipeo_mcp.tunnel import Reach

log = logs.get(__name__)

DRAIN_S = 3


@dataclass(slots=True)
class Running:
    """`url` is the local address of /mcp; `tunnel()` says how the tunnel is."""

    url: str
    port: int
    admin_port: int | None
    service: Service
    address: Address
    gate: Gate
    tunnel: Callable[[], dict[str, Any]]


@asynccontextmanager
async def running(
    given: Settings,
    *,
    catalogue: Catalogue | None = None,
    limits: Limits | None = None,
    show_key: Callable[[str], None] | None = None,
    reach: "Reach | None" = None,
) -> AsyncIterator[Running]:
    """The service over HTTP, in the caller's event loop. Raises SettingsRefused before anything starts, Unavailable."""
    settings.check(given)
    address = Address(
        origins=frozenset(origin.rstrip("/") for origin in given.client_origins),
        hosts=frozenset(host.lower() for host in given.allowed_hosts),
        pinned_url=given.public_url.rstrip("/"),
        tunnelled=given.expose == "ngrok",
    )
    gate = auth.gate_of(given, lambda: address.resource, show_key or _print_key)
    plan = _tunnel_plan(given, gate)
    listener = web.listen(given.host, given.port)
    try:
        address.port = listener.getsockname()[1]
        async with service.serving(given, catalogue=catalogue, limits=limits) as served:
            built = server.build(served)
            state: dict[str, Any] = {"state": "off"}
            async with app.public(served, built, gate, address) as public, _serving(public, listener):
                url = f"http://{web.in_url(given.host)}:{address.port}/mcp"
                async with _admin(given, served, lambda: state) as admin_port:
                    log.info("mcp.ready", url=url, auth=gate.methods or "off")
                    running = Running(url, address.port, admin_port, served, address, gate, lambda: state)
                    async with _tunnelled(plan, address, state, reach):
                        try:
                            yield running
                        finally:
                            served.notices.end_streams()
    finally:
        listener.close()


async def stdio(given: Settings, *, catalogue: Catalogue | None = None) -> None:
    """The service on standard input and output, for one client, until it closes its end. Logs go to stderr."""
    # first of all: from then on nothing but the protocol reaches standard output
    async with stdio_server() as (read, write):
        # the SDK has moved the descriptor away; what Python still buffers would come out when it is moved back
        with contextlib.redirect_stdout(sys.stderr):
            async with service.serving(given, catalogue=catalogue) as served:
                built = server.build(served)
                await built.run(read, write, built.create_initialization_options())


def _tunnel_plan(given: Settings, gate: Gate) -> "Plan | None":
    if given.expose == "none":
        return None
    from dipeo_mcp import tunnel  # pyngrok loads where it is wanted only

    return tunnel.planned(given, gate)


def _tunnelled(
    plan: "Plan | None", address: Address, state: dict[str, Any], reach: "Reach | None"
) -> AbstractAsyncContextManager[None]:
    if plan is None:
        return nullcontext()
    from dipeo_mcp import tunnel

    return tunnel.opened(plan, address, state, reach=reach)


@asynccontextmanager
async def _admin(given: Settings, served: Service, tunnel: Callable[[], dict[str, Any]]) -> AsyncIterator[int | None]:
    if given.admin_port < 0:
        yield None
        return
    with web.listen("127.0.0.1", given.admin_port) as listener:
        async with _serving(app.admin(served, tunnel), listener):
            yield listener.getsockname()[1]


def _serving(app: ASGIApp, listener: socket.socket) -> AbstractAsyncContextManager[None]:
    return web.serving(app, listener, drain_s=DRAIN_S, ws="none", timeout_keep_alive=30)


def is_free(host: str, port: int) -> bool:
    try:
        web.listen(host, port).close()
    except errors.Unavailable:
        return False
    return True


def _print_key(secret: str) -> None:
    print(f"API key, shown once: {secret}", file=sys.stderr, flush=True)


def load() -> Settings:
    """From the environment. Raises SystemExit with one line: 2 for a value that makes no sense."""
    given = Settings.load()
    settings.warn_unknown()
    return given


def main() -> None:
    given = load()
    logs.configure(given.log_level, service="mcp")
    try:
        given.identify()
        with telemetry.exporting("dipeo-mcp"):
            asyncio.run(stdio(given) if "--stdio" in sys.argv[1:] else _serve_until_stopped(given))
    except SettingsRefused as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(EXIT_CONFIG) from None
    except errors.DipeoError as error:
        raise SystemExit(f"error: {error}") from None


async def _serve_until_stopped(given: Settings) -> None:
    async with running(given):
        await process.wait_for_stop()


if __name__ == "__main__":
    main()
