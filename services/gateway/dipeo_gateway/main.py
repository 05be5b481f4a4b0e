"""Start here: settings → channels → application → HTTP server → wait for SIGTERM."""

import asyncio
import ipaddress
import os
import secrets
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn

from dipeo_gateway import app, backend, edge
from dipeo_gateway.context import Activity
from dipeo_gateway.settings import Settings
from dipeo_kit import errors, logs, process, telemetry

log = logs.get(__name__)

WS_PING_S = 20.0


@dataclass(frozen=True, slots=True)
class Running:
    url: str  # http://host:port
    activity: Activity


@asynccontextmanager
async def running(settings: Settings, *, listen_socket: socket.socket | None = None) -> AsyncIterator[Running]:
    """The gateway, inside the caller's event loop. Raises BadInput: unsafe settings; Unavailable: the port is taken."""
    settings.identify()
    token = _token(settings)
    listener = listen_socket or _listen(settings.listen)
    try:
        # Accepted connections inherit it. asyncio sets it only where the protocol number is spelled out, which
        # socket.create_server does not do; without it every answer waits 40 ms for the client's delayed ACK.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        host, port = listener.getsockname()[:2]
        _refuse_open_door(host, token)
        timeouts = {"read_timeout_s": settings.read_timeout_s, "write_timeout_s": settings.write_timeout_s}
        async with backend.connected(settings.store, settings.executor, **timeouts) as services:
            activity = Activity()
            rules = edge.rules(hosts=settings.hosts, origins=settings.origins, token=token)
            served = app.build(services, activity, rules, base=settings.base, introspection=settings.introspection)
            async with _serving(served, listener, settings.drain_s):
                url = f"http://{_in_url(host)}:{port}"
                log.info("gateway.ready", url=url, token=bool(token))
                yield Running(url, activity)
    finally:
        listener.close()


class _Server(uvicorn.Server):
    """Uvicorn inside somebody else's event loop: signals are not its business."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.accepting = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.accepting.set()


@asynccontextmanager
async def _serving(served: Any, listener: socket.socket, drain_s: int) -> AsyncIterator[None]:
    """On exit sockets are closed with 1012 (service restart) and requests get `drain_s` to finish."""
    config = uvicorn.Config(
        served,
        http="h11",
        ws="wsproto",
        ws_max_size=edge.MAX_BODY_BYTES,
        ws_ping_interval=WS_PING_S,
        ws_ping_timeout=2 * WS_PING_S,
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=drain_s,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        started = asyncio.create_task(server.accepting.wait())
        await asyncio.wait({started, task}, return_when=asyncio.FIRST_COMPLETED)
        started.cancel()
        if task.done():
            task.result()
        yield
    finally:
        server.should_exit = True
        await task


def _listen(address: str) -> socket.socket:
    """A listening socket on "host:port". Raises BadInput, Unavailable."""
    host, colon, port = address.rpartition(":")
    host = host.strip("[]")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise errors.BadInput(f'listen: "{address}" is not host:port, e.g. 127.0.0.1:8000')
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, int(port)), family=family, backlog=2048)
    except OSError as error:
        # an errno says it without the address, which the text repeats; names that do not resolve have none
        why = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise errors.Unavailable(f"cannot listen on {address}: {why}; free it or choose another port") from error


def _token(settings: Settings) -> str:
    """The bearer token; a token file that does not exist yet is created. "" = none is configured."""
    given = settings.token.get_secret_value()
    if given or settings.token_file is None:
        return given
    path = settings.token_file
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            token = path.read_text().strip()
        else:
            token = secrets.token_urlsafe(32)
            with os.fdopen(descriptor, "w") as file:
                file.write(token)
    except OSError as error:
        raise errors.Unavailable(f"token file {path}: {error.strerror}") from error
    if not token:
        raise errors.BadInput(f"token file {path} is empty; remove it to get a fresh token")
    return token


def _refuse_open_door(host: str, token: str) -> None:
    if token:
        return
    if not ipaddress.ip_address(host).is_loopback:
        raise errors.BadInput(
            f"the gateway would be open to everyone on {host}: "
            "set DIPEO_GATEWAY_TOKEN or DIPEO_GATEWAY_TOKEN_FILE, or listen on 127.0.0.1"
        )
    log.warning("gateway.no_token", host=host)


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def main() -> None:
    settings = Settings.load()
    logs.configure(settings.log_level, service="gateway")
    try:
        with telemetry.exporting("dipeo-gateway"):
            asyncio.run(_serve_until_stopped(settings))
    except errors.DipeoError as error:
        raise SystemExit(f"error: {error}") from None


async def _serve_until_stopped(settings: Settings) -> None:
    async with running(settings):
        await process.wait_for_stop()


if __name__ == "__main__":
    main()
