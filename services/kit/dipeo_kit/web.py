"""HTTP inside somebody else's event loop: one way to listen, one way to serve.

Only services that serve HTTP import this; they bring uvicorn along.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvicorn

from dipeo_kit import errors

BACKLOG = 2048


class _Server(uvicorn.Server):
    """Signals are not its business, and it says when it accepts."""

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
async def serving(app: Any, listener: socket.socket, *, drain_s: int, **options: Any) -> AsyncIterator[None]:
    """Serve an ASGI application; `options` are uvicorn's. On exit requests get `drain_s` to finish.

    Web sockets are closed with 1012 (service restart) then.
    """
    # Accepted connections inherit it. asyncio sets it only where the protocol number is spelled out, which
    # socket.create_server does not do; without it every answer waits 40 ms for the client's delayed ACK.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    config = uvicorn.Config(
        app,
        http="h11",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=drain_s,
        **options,
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


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 = any free one. Raises Unavailable."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        # an errno says it without the address, which the text repeats; names that do not resolve have none
        why = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise errors.Unavailable(
            f"cannot listen on {in_url(host)}:{port}: {why}; free it or choose another port"
        ) from error


def in_url(host: str) -> str:
    """A host as URLs write it."""
    return f"[{host}]" if ":" in host else host
