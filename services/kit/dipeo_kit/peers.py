"""Another service as its callers see it: its stub, deadlines, retries of reads, health."""

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from dipeo_kit import errors, rpc

Stub = TypeVar("Stub")
Request = TypeVar("Request")
Response = TypeVar("Response")

READ_TRIES = 3
RETRY_PAUSE_S = 0.05
HEALTH_TIMEOUT_S = 1.0


@dataclass(frozen=True, slots=True)
class Peer(Generic[Stub]):
    """One service: `await peer.read(peer.rpc.GetExecution, request)`."""

    name: str
    rpc: Stub
    health: health_pb2_grpc.HealthStub
    read_timeout_s: float
    write_timeout_s: float

    async def read(self, method: Callable[..., Awaitable[Response]], request: Request) -> Response:
        """A call that changes nothing: tried again, within its one deadline, while the service is unreachable."""
        try:
            async with asyncio.timeout(self.read_timeout_s):
                for attempt in range(READ_TRIES - 1):
                    try:
                        return await rpc.call(method, request, timeout_s=self.read_timeout_s)
                    except errors.Unavailable:
                        await asyncio.sleep(RETRY_PAUSE_S * 2**attempt * random.uniform(0.5, 1.5))
                return await rpc.call(method, request, timeout_s=self.read_timeout_s)
        except (errors.Unavailable, TimeoutError) as error:
            raise self._silent(error) from error

    async def write(self, method: Callable[..., Awaitable[Response]], request: Request) -> Response:
        try:
            return await rpc.call(method, request, timeout_s=self.write_timeout_s)
        except errors.Unavailable as error:
            raise self._silent(error) from error

    async def stream(self, call: aio.UnaryStreamCall[Request, Response]) -> AsyncGenerator[Response, None]:
        """The answers of a streaming call. Close it to stop the service's work."""
        try:
            with rpc.translated():
                async for response in call:
                    yield response
        except errors.Unavailable as error:
            raise self._silent(error) from error
        finally:
            call.cancel()

    async def is_serving(self) -> bool:
        try:
            response = await rpc.call(self.health.Check, health_pb2.HealthCheckRequest(), timeout_s=HEALTH_TIMEOUT_S)
        except errors.DipeoError:
            return False
        return bool(response.status == health_pb2.HealthCheckResponse.SERVING)

    def _silent(self, error: errors.Unavailable | TimeoutError) -> errors.Unavailable:
        """The failure without the driver's words, unless a service of ours wrote them (then it has a reason)."""
        if isinstance(error, errors.Unavailable) and error.reason:
            return error
        return errors.Unavailable(f"the {self.name} does not answer; it may be starting or down, try again")


@asynccontextmanager
async def connected(
    name: str, address: str, stub: Callable[[aio.Channel], Stub], *, read_timeout_s: float, write_timeout_s: float
) -> AsyncIterator[Peer[Stub]]:
    """A channel to a service; it connects at the first call and again after an outage."""
    async with rpc.open_channel(address) as channel:
        yield Peer(name, stub(channel), health_pb2_grpc.HealthStub(channel), read_timeout_s, write_timeout_s)
