"""A channel to a server in the same process and event loop: the same messages handed to the same servicers, no socket.

In the local stack the gRPC hop is over half of what a durable step costs. Generated stubs take any object with these
three methods for a channel; rpc.open_channel picks this one when the address is served in this very loop. Messages are
passed by reference: neither side changes a message once it is sent.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NoReturn

import grpc
from grpc import aio

QUEUE = 16  # messages in flight per direction; then the sender waits, as with gRPC's flow control
_END = object()


class Handlers:
    """Collects what `add_…Servicer_to_server` registers."""

    def __init__(self) -> None:
        self.methods: dict[str, Any] = {}

    def add_registered_method_handlers(self, service: str, handlers: dict[str, Any]) -> None:
        self.methods.update({f"/{service}/{name}": handler for name, handler in handlers.items()})

    def add_generic_rpc_handlers(self, _handlers: Any) -> None:
        """Everything ours is registered by method."""


class Channel:
    """Looks like grpc.aio.Channel to a generated stub."""

    def __init__(self, methods: dict[str, Any]) -> None:
        self._methods = methods

    def unary_unary(self, path: str, *_: Any, **__: Any) -> Callable[..., Awaitable[Any]]:
        handler = self._methods[path]

        async def call(request: Any, *, timeout: float | None = None, metadata: Any = ()) -> Any:
            context = Context(metadata)
            try:
                async with asyncio.timeout(timeout):
                    return await asyncio.create_task(context.around(handler.unary_unary(request, context)))
            except TimeoutError:
                raise _failure(grpc.StatusCode.DEADLINE_EXCEEDED, f"{path}: deadline exceeded") from None

        return call

    def unary_stream(self, path: str, *_: Any, **__: Any) -> Callable[..., "Stream"]:
        handler = self._methods[path]

        def call(request: Any, *, metadata: Any = (), **_: Any) -> Stream:
            return Stream(Context(metadata), lambda _, context: handler.unary_stream(request, context))

        return call

    def stream_stream(self, path: str, *_: Any, **__: Any) -> Callable[..., "Stream"]:
        handler = self._methods[path]

        def call(*, metadata: Any = (), **_: Any) -> Stream:
            return Stream(Context(metadata), handler.stream_stream)

        return call


class Context:
    """What our servicers and interceptor use of grpc.aio.ServicerContext."""

    def __init__(self, metadata: Any) -> None:
        self._metadata = tuple(metadata or ())
        self._callbacks: list[Callable[[Context], None]] = []
        self.write: Callable[[Any], Awaitable[None]]  # of streaming calls

    async def around(self, work: Awaitable[Any]) -> Any:
        """Do the work of the call, then what was to be done at its end."""
        try:
            return await work
        finally:
            for callback in self._callbacks:
                callback(self)

    def add_done_callback(self, callback: "Callable[[Context], None]") -> None:
        self._callbacks.append(callback)

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return self._metadata

    def time_remaining(self) -> float:
        return 1.0  # the caller's own timeout holds

    async def abort(self, code: grpc.StatusCode, details: str = "", trailing_metadata: Any = ()) -> NoReturn:
        raise _failure(code, details, trailing_metadata)

    async def abort_with_status(self, status: grpc.Status) -> NoReturn:
        raise _failure(status.code, status.details, status.trailing_metadata)


class Stream:
    """A streaming call: write, read, iterate, cancel. The servicer runs in a task of its own."""

    def __init__(self, context: Context, serve: Callable[[AsyncIterator[Any], Context], Awaitable[None]]) -> None:
        self._requests: asyncio.Queue[Any] = asyncio.Queue(QUEUE)
        self._responses: asyncio.Queue[Any] = asyncio.Queue()
        self._room = asyncio.Semaphore(QUEUE)  # not the queue's own limit: the end of the call always fits
        self._failed: aio.AioRpcError | None = None
        self._ended = False
        context.write = self._send
        self._task = asyncio.create_task(context.around(self._serve(serve(self._received(), context))))

    async def write(self, request: Any) -> None:
        if self._task.done():
            raise asyncio.InvalidStateError("the call has ended")
        await self._requests.put(request)

    async def done_writing(self) -> None:
        await self._requests.put(_END)

    async def read(self) -> Any:
        """The next message, aio.EOF at the end. Raises AioRpcError."""
        if self._ended:
            return aio.EOF
        item = await self._responses.get()
        if item is not _END:
            self._room.release()
            return item
        self._ended = True
        if self._failed is not None:
            raise self._failed
        return aio.EOF

    async def __aiter__(self) -> AsyncIterator[Any]:
        while (item := await self.read()) is not aio.EOF:
            yield item

    def cancel(self) -> bool:
        return self._task.cancel()

    async def _send(self, response: Any) -> None:
        await self._room.acquire()
        self._responses.put_nowait(response)

    async def _serve(self, work: Awaitable[None]) -> None:
        try:
            await work
        except aio.AioRpcError as error:
            self._failed = error
        except asyncio.CancelledError:
            self._failed = _failure(grpc.StatusCode.CANCELLED, "the call was cancelled")
            raise
        finally:
            self._responses.put_nowait(_END)

    async def _received(self) -> AsyncIterator[Any]:
        while (request := await self._requests.get()) is not _END:
            yield request


def _failure(code: grpc.StatusCode, details: str, trailing: Any = ()) -> aio.AioRpcError:
    return aio.AioRpcError(code, aio.Metadata(), aio.Metadata(*(trailing or ())), details=details)
