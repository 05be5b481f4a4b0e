"""Case 31: a database that is away or frozen makes everything UNAVAILABLE soon, and is found again when it is back."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator

import postgres
import psutil
import pytest
from store_client import Clock, Store, append_of, completed, event, started

from dipeo_kit import ids, rpc
from dipeo_kit.errors import Unavailable
from dipeo_protos.store.v1 import store_pb2 as pb
from dipeo_store import admin
from dipeo_store.main import running
from dipeo_store.settings import Settings


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Server]:
    with postgres.own_server() as own:
        yield own


@pytest.fixture
async def settings(sqlite_settings: Settings, server: postgres.Server) -> Settings:
    name = f"outage_{ids.new_hex()}"
    await postgres.execute(server.url, f"CREATE DATABASE {name}")
    url = postgres.database(server.url, name)
    changes = {"url": url, "auto_migrate": True, "connect_s": 0.5, "command_s": 0.5}
    return sqlite_settings.model_copy(update=changes)


@pytest.fixture
async def store(settings: Settings) -> AsyncIterator[Store]:
    it = Store(settings, Clock(), "")
    await it.start()
    yield it
    await it.stop()


async def _all_unavailable(store: Store, work: pb.Work) -> None:
    async with asyncio.timeout(6):
        for attempt in (
            store.writer().append(append_of(work, started("late"))),
            store.get(work.execution_id),
            store.create(),
            store.abort(work.execution_id),
            anext(store.watch(work.execution_id)),
        ):
            with pytest.raises(Unavailable):
                await attempt


async def _until_it_works(store: Store, work: pb.Work, *events: object) -> pb.AppendResult:
    async with asyncio.timeout(10):
        while True:
            try:
                (result,) = await store.writer().append(append_of(work, *events))  # type: ignore[arg-type]
            except Unavailable:
                await asyncio.sleep(0.05)
            else:
                return result


@pytest.mark.parametrize("killed", [False, True], ids=["stopped", "killed"])
async def test_case_31_the_database_is_down_and_comes_back(store: Store, settings, server, killed: bool):
    async with store.session() as session, session.living(0):
        work = await store.running(session)
        before = started("a")
        await store.append(work, before)
        (server.kill if killed else server.stop)()
        await _all_unavailable(store, work)
        server.start()
        batch = (completed("a"), event("execution_completed"))
        result = await _until_it_works(store, work, *batch)
        assert (result.reason, result.head_seq) == ("", 5)
        assert [each.seq async for each in store.watch(work.execution_id)] == [1, 2, 3, 4, 5]
        assert (await _until_it_works(store, work, *batch)).duplicate
        assert await store.status((await store.create()).execution.execution_id) == "pending"
    assert await admin.run("verify", settings, "") == 0


async def test_case_31_a_frozen_database_hangs_nobody(store: Store, settings, server):
    async with store.session() as session, session.living(0):
        work = await store.running(session)
        frozen = [psutil.Process(server.process.pid), *psutil.Process(server.process.pid).children()]
        for process in frozen:
            os.kill(process.pid, signal.SIGSTOP)
        try:
            await _all_unavailable(store, work)
        finally:
            for process in frozen:
                os.kill(process.pid, signal.SIGCONT)
        batch = (started("a"), completed("a"), event("execution_completed"))
        result = await _until_it_works(store, work, *batch)
        assert (result.reason, result.head_seq) == ("", 5)
    assert await admin.run("verify", settings, "") == 0


async def test_case_31_whoever_gives_a_deadline_waits_no_longer(settings: Settings, server: postgres.Server):
    patient = Store(settings.model_copy(update={"command_s": 60}), Clock(), "")
    await patient.start()
    async with patient.session() as session, session.living(0):
        work = await patient.running(session)
        frozen = [psutil.Process(server.process.pid), *psutil.Process(server.process.pid).children()]
        for process in frozen:
            process.suspend()
        try:
            async with asyncio.timeout(6):
                for method, request in (
                    (patient.stub.GetExecution, pb.GetExecutionRequest(execution_id=work.execution_id)),
                    (patient.stub.ListExecutions, pb.ListExecutionsRequest()),
                    (patient.stub.CreateExecution, pb.CreateExecutionRequest(execution_id=ids.new_execution_id())),
                ):
                    with pytest.raises(Unavailable):
                        await rpc.call(method, request, timeout_s=0.3)
        finally:
            for process in frozen:
                process.resume()
        assert await patient.status(work.execution_id) == "running"
    await patient.stop()


async def test_a_store_does_not_start_without_its_database_and_says_which(settings, server):
    server.stop()
    try:
        with pytest.raises(Unavailable, match="cannot open postgresql://"):
            async with running(settings):
                pass
    finally:
        server.start()
