"""Start here: settings → channels → application → HTTP server → wait for SIGTERM."""

import asyncio
import ipaddress
import os
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from dipeo_gateway import app, backend, edge
from dipeo_gateway.context import Activity
from dipeo_gateway.settings import Settings
from dipeo_kit import errors, logs, process, telemetry, web

log = logs.get(__name__)

WS_PING_S = 20.0
WEB_SOCKETS: dict[str, Any] = {
    "ws": "wsproto",
    "ws_max_size": edge.MAX_BODY_BYTES,
    "ws_ping_interval": WS_PING_S,
    "ws_ping_timeout": 2 * WS_PING_S,
    "ws_per_message_deflate": False,
}


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
        host, port = listener.getsockname()[:2]
        _refuse_open_door(host, token)
        timeouts = {"read_timeout_s": settings.read_timeout_s, "write_timeout_s": settings.write_timeout_s}
        async with backend.connected(settings.store, settings.executor, **timeouts) as services:
            activity = Activity()
            rules = edge.rules(hosts=settings.hosts, origins=settings.origins, token=token)
            served = app.build(services, activity, rules, settings=settings)
            async with web.serving(served, listener, drain_s=settings.drain_s, **WEB_SOCKETS):
                url = f"http://{web.in_url(host)}:{port}"
                log.info("gateway.ready", url=url, token=bool(token))
                yield Running(url, activity)
    finally:
        listener.close()


def _listen(address: str) -> socket.socket:
    """A listening socket on "host:port". Raises BadInput, Unavailable."""
    host, colon, port = address.rpartition(":")
    host = host.strip("[]")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise errors.BadInput(f'listen: "{address}" is not host:port, e.g. 127.0.0.1:8000')
    return web.listen(host, int(port))


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
