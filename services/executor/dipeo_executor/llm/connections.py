"""Connections to model services. Used after httpx2 was imported (providers.py).

The pool of httpx2 looks at every connection, and asks the system about each idle one, whenever a request begins or
ends: with sixty calls at once that was most of what a request cost before it left, and each waited for all others.
"""

import time
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx2


@dataclass(slots=True)
class _Line:
    """One connection, opened anew when it was lost."""

    transport: httpx2.AsyncHTTPTransport
    idle_since: float = 0.0


class Connections(httpx2.AsyncBaseTransport):
    """As many connections as there are requests; at most `kept` to one origin stay open, for `kept_s` seconds."""

    def __init__(self, *, kept: int, kept_s: float) -> None:
        self._kept, self._kept_s = kept, kept_s
        self._tls = httpx2.create_ssl_context()
        self._idle: dict[tuple[bytes, bytes], deque[_Line]] = {}  # by origin, the one used last at the end

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        idle = self._idle.setdefault((request.url.raw_scheme, request.url.netloc), deque())
        line = idle.pop() if idle else self._opened()
        try:
            response = await line.transport.handle_async_request(request)
        except BaseException:
            await line.transport.aclose()
            raise
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = _Borrowed(response.stream, line, idle, self)
        return response

    async def give_back(self, line: _Line, idle: deque[_Line]) -> None:
        """Its answer was read, or is not wanted any more. What has been idle for too long goes."""
        line.idle_since = time.monotonic()
        idle.append(line)
        while len(idle) > self._kept or line.idle_since - idle[0].idle_since > self._kept_s:
            await idle.popleft().transport.aclose()

    async def aclose(self) -> None:
        while self._idle:
            for line in self._idle.popitem()[1]:
                await line.transport.aclose()

    def _opened(self) -> _Line:
        limits = httpx2.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=self._kept_s)
        return _Line(httpx2.AsyncHTTPTransport(verify=self._tls, limits=limits))


class _Borrowed(httpx2.AsyncByteStream):
    """An answer's bytes, and the connection they come over."""

    def __init__(
        self, stream: httpx2.AsyncByteStream, line: _Line, idle: deque[_Line], connections: Connections
    ) -> None:
        self._stream, self._line, self._idle, self._connections = stream, line, idle, connections
        self._closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._stream:
            yield part

    async def aclose(self) -> None:
        if not self._closed:
            self._closed = True
            await self._stream.aclose()
            await self._connections.give_back(self._line, self._idle)
