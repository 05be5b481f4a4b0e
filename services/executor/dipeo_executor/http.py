"""Requests of nodes to the web: limits, redirects, retries, and the secrets that go with them. (node contract 11)"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from dipeo_executor.nodes import web
from dipeo_executor.nodes.base import Log, NodeError
from dipeo_executor.nodes.web import Request, Response, Retry

if TYPE_CHECKING:
    import httpx2

    from dipeo_executor.network import Transport

T = TypeVar("T")

MAX_BYTES = 10 * 1024 * 1024
MAX_REDIRECTS = 5
MAX_RETRY_AFTER_S = 300.0  # a server that wants longer is not waited for
OWN_NAMES = "DIPEO_"  # prefix of variables with our own keys and tokens
ALWAYS = {"Accept": "*/*", "Accept-Encoding": "gzip, deflate", "User-Agent": "DiPeO"}


class Unreachable(NodeError):
    """No answer. `sent` is false when the server cannot have seen the request."""

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class TimedOut(Unreachable):
    """No complete answer within the time given."""


class AnswerTooLarge(NodeError):
    """The answer is larger than what is read."""


class TooManyRedirects(NodeError):
    """The server sends us round in circles."""


class SecretMissing(NodeError):
    """A variable of the environment that a node refers to is not there, or not to be given away."""


class Outgoing:
    """nodes.base.Http. One per executor: a connection pool without cookies, and what its calls share."""

    def __init__(
        self,
        *,
        allow_private: bool,
        env: Mapping[str, str],
        max_bytes: int = MAX_BYTES,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        stored_key: Callable[[str], Awaitable[str | None]] | None = None,
    ) -> None:
        """`env`: where {env: NAME} looks, `stored_key`: {api_key_id: …}. `sleep` waits between attempts."""
        self._allow_private = allow_private
        self._env = env
        self._max_bytes = max_bytes
        self._sleep = sleep
        self._stored_key = stored_key
        self._transport: Transport | None = None
        self._loading = asyncio.Lock()
        self._shared: dict[Hashable, Any] = {}

    async def aclose(self) -> None:
        if self._transport is not None:
            await self._transport.aclose()

    def secret(self, name: str) -> str:
        """What {env: name} stands for. Raises SecretMissing."""
        if name.startswith(OWN_NAMES):
            raise SecretMissing(f"the environment variable {name} is DiPeO's own; diagrams cannot use it")
        if not self._env.get(name):
            raise SecretMissing(f"the environment variable {name} is not set where the executor runs")
        return self._env[name]

    async def stored_key(self, reference: str) -> str:
        """The key kept by that id or label. Raises SecretMissing, and NodeError when the store does not give it."""
        key = await self._stored_key(reference) if self._stored_key else None
        if not key:
            raise SecretMissing(f'no key is kept as "{reference}"; add it with `dipeo keys add`')
        return key

    def shared(self, key: Hashable, make: Callable[[], T]) -> T:
        """One object per key for the life of the executor: a rate limiter, a cached token."""
        if key not in self._shared:
            self._shared[key] = make()
        kept: T = self._shared[key]
        return kept

    async def send(self, request: Request, *, retry: Retry | None = None, log: Log | None = None) -> Response:
        """The last answer, whatever its status. Raises BadRequest, Unreachable, AddressRefused, AnswerTooLarge.

        Statuses of `retry` are tried again for every method; a broken connection only when the request was not sent,
        or may be sent twice.
        """
        retry = retry or Retry()
        failures = 0
        while True:
            wait_s = retry.wait_s(failures + 1)
            try:
                response = replace(await self._attempt(request), attempts=failures + 1)
                if response.status not in retry.statuses or response.attempts >= retry.attempts:
                    return response
                asked = web.retry_after_s(response.headers.get("retry-after", ""), time.time())
                if asked is not None and asked > MAX_RETRY_AFTER_S:
                    if log:
                        log("warning", f"{request.shown_url} wants to be left alone for {asked:g} s; not tried again")
                    return response
                wait_s, problem = wait_s if asked is None else asked, web.status_words(response.status)
            except Unreachable as error:
                again = not error.sent or request.method in web.IDEMPOTENT
                if not again or failures + 1 >= retry.attempts:
                    raise
                problem = str(error)
            failures += 1
            if log:
                words = f"{request.method} {request.shown_url}: {problem}; attempt {failures + 1} in {wait_s:g} s"
                log("warning", words, attempt=failures, attempts=retry.attempts, wait_s=wait_s)
            await self._sleep(wait_s)

    async def _attempt(self, request: Request) -> Response:
        transport = await self._loaded()
        try:
            async with asyncio.timeout(request.timeout_s):
                for _ in range(MAX_REDIRECTS + 1):
                    response = await self._exchange(transport, request)
                    further = web.redirected(request, response)
                    if further is None:
                        return response
                    request = further
        except TimeoutError:
            words = f"{request.method} {request.shown_url}: timed out after {request.timeout_s:g} seconds"
            raise TimedOut(words, sent=True) from None
        raise TooManyRedirects(f"{request.shown_url}: more than {MAX_REDIRECTS} redirects")

    async def _exchange(self, transport: "Transport", request: Request) -> Response:
        import httpx2

        url = web.checked_url(request.full_url)
        given = {**ALWAYS, **request.headers, **request.credentials}
        lines = {name.lower(): (name.encode(), text.encode()) for name, text in given.items()}  # the later one wins
        try:
            message = httpx2.Request(request.method, url, headers=list(lines.values()), content=request.content or None)
            answer = await transport.handle_async_request(message)
            answer.request = message  # errors of decoding refer to it
            try:
                content = await self._content(request, answer)
            finally:
                await answer.aclose()
        except (httpx2.InvalidURL, httpx2.UnsupportedProtocol, httpx2.LocalProtocolError) as error:
            raise web.BadRequest(f"{request.shown_url}: {web.masked(str(error), request.secrets)}") from None
        except httpx2.DecodingError:
            raise Unreachable(f"{request.shown_url}: the answer is not encoded as it says", sent=True) from None
        except httpx2.TransportError as error:
            sent = not isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout)
            raise Unreachable(f"{request.method} {request.shown_url}: {_words(error, sent)}", sent=sent) from None
        return Response(answer.status_code, url, {name.lower(): text for name, text in answer.headers.items()}, content)

    async def _content(self, request: Request, answer: "httpx2.Response") -> bytes:
        content = bytearray()
        async for part in answer.aiter_bytes():
            content += part
            if len(content) > self._max_bytes:
                raise AnswerTooLarge(
                    f"{request.shown_url}: the answer is larger than the {self._max_bytes:,} bytes that are read"
                )
        return bytes(content)

    async def _loaded(self) -> "Transport":
        async with self._loading:
            if self._transport is None:
                self._transport = await asyncio.to_thread(_new_transport, self._allow_private)
        return self._transport


def _new_transport(allow_private: bool) -> "Transport":
    """In a thread: the import and the certificates take a tenth of a second."""
    from dipeo_executor.network import Transport

    return Transport(allow_private=allow_private)


def _words(error: Exception, sent: bool) -> str:
    return f"the connection broke: {error}" if sent else f"cannot connect: {error}"
