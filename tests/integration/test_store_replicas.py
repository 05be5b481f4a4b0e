"""One executor, two stores on one Postgres: what the executor does when a store, or the database, goes away."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import postgres
import pytest

from dipeo_executor import main as executor_main
from dipeo_executor.settings import Settings as ExecutorSettings
from dipeo_kit import rpc
from dipeo_kit.errors import DipeoError
from dipeo_protos.diagram.v1 import diagram_pb2
from dipeo_protos.executor.v1 import executor_pb2, executor_pb2_grpc
from dipeo_protos.store.v1 import events_pb2, store_pb2, store_pb2_grpc
from dipeo_store import main as store_main
from dipeo_store.settings import Settings as StoreSettings

STEPS = 8
DIAGRAM = "\n".join(
    [
        "version: light",
        "nodes:",
        "  - {label: S, type: start}",
        *(
            f"  - {{label: n{i}, type: code_job, code: 'import time; time.sleep(0.25); result = {i}'}}"
            for i in range(STEPS)
        ),
        "connections:",
        "  - {from: S, to: n0}",
        *(f"  - {{from: n{i}, to: n{i + 1}}}" for i in range(STEPS - 1)),
    ]
)


class Replicas:
    """Two stores and an executor in this process."""

    def __init__(self, url: str, base: Path, sockets: Path) -> None:
        self._url, self._base, self._sockets = url, base, sockets
        self._stores = [AsyncExitStack(), AsyncExitStack()]
        self._rest = AsyncExitStack()

    async def __aenter__(self) -> "Replicas":
        self.addresses = [f"unix:{self._sockets}/store{number}" for number in range(2)]
        for number in range(2):
            await self.start_store(number)
        settings = ExecutorSettings(
            listen=f"unix:{self._sockets}/executor",
            store=",".join(self.addresses),
            base_dir=self._base,
            store_lost_s=2,
        )
        executor = await self._rest.enter_async_context(executor_main.running(settings))
        channel = await self._rest.enter_async_context(rpc.open_channel(executor))
        self.executor: Any = executor_pb2_grpc.ExecutorServiceStub(channel)
        channel = await self._rest.enter_async_context(rpc.open_channel(",".join(self.addresses)))
        self.store: Any = store_pb2_grpc.StoreServiceStub(channel)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._rest.aclose()
        for number in range(2):
            await self.stop_store(number)

    async def start_store(self, number: int) -> None:
        settings = StoreSettings(
            url=self._url, listen=self.addresses[number], heartbeat_s=0.2, lost_s=3, backoff_s=(0,), grace_s=0.5,
            connect_s=0.5, command_s=0.5, auto_migrate=True,
        )  # fmt: skip
        await self._stores[number].enter_async_context(store_main.running(settings))

    async def stop_store(self, number: int) -> None:
        await self._stores[number].aclose()

    async def submit(self) -> str:
        request = executor_pb2.SubmitRequest(
            source=diagram_pb2.Source(text=DIAGRAM, format=diagram_pb2.FORMAT_LIGHT), origin="test"
        )
        return str((await rpc.call(self.executor.Submit, request)).execution_id)

    async def follow(self, execution_id: str) -> AsyncIterator[events_pb2.Event]:
        """To the end, whatever goes away meanwhile."""
        last = 0
        while True:
            request = store_pb2.WatchRequest(execution_id=execution_id, after_seq=last)
            try:
                async for response in self.store.Watch(request, metadata=rpc.metadata()):
                    for event in response.events:
                        assert event.seq == last + 1
                        last = event.seq
                        yield event
                return
            except rpc.aio.AioRpcError:
                await asyncio.sleep(0.05)

    async def types(self, execution_id: str) -> list[str]:
        return [str(event.WhichOneof("body")) async for event in self.follow(execution_id)]


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Server]:
    with postgres.own_server() as own:
        yield own


@pytest.fixture
async def replicas(tmp_path: Path, server: postgres.Server) -> AsyncIterator[Replicas]:
    with tempfile.TemporaryDirectory(prefix="dipeo") as sockets:
        async with Replicas(server.url, tmp_path, Path(sockets)) as running:
            yield running


async def test_a_run_does_not_notice_that_its_store_was_replaced(replicas: Replicas):
    execution_id = await replicas.submit()
    types: list[str] = []
    async with asyncio.timeout(20):
        async for event in replicas.follow(execution_id):
            types.append(str(event.WhichOneof("body")))
            if types.count("node_completed") in (2, 5) and types[-1] == "node_completed":
                number = types.count("node_completed") % 2
                await replicas.stop_store(number)
                await replicas.start_store(number)
    assert types[-1] == "execution_completed"
    assert types.count("node_started") == STEPS + 1
    assert not {"node_retrying", "execution_recovered"} & set(types)


async def test_a_run_outlives_a_database_that_was_away_for_longer_than_the_executor_waits(
    replicas: Replicas, server: postgres.Server
):
    execution_id = await replicas.submit()
    async for event in replicas.follow(execution_id):
        if event.HasField("node_completed"):
            break
    server.stop()
    with pytest.raises(DipeoError):
        await replicas.submit()  # says so in the end; by then the executor has dropped its runs
    server.start()
    async with asyncio.timeout(20):
        types = await replicas.types(execution_id)
    assert types[-1] == "execution_completed"
    assert types.count("node_completed") == STEPS + 1
    async with asyncio.timeout(20):
        assert (await replicas.types(await replicas.submit()))[-1] == "execution_completed"
