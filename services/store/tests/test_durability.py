"""Case 6: what the store acknowledged survives kill -9 of its process, and nothing is there twice."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator

from store_client import Client, Session, Writer, append_of, completed, event, started

from dipeo_kit import rpc
from dipeo_protos.store.v1 import events_pb2 as ev
from dipeo_protos.store.v1 import store_pb2 as pb


@contextlib.asynccontextmanager
async def store_process(settings) -> AsyncIterator[tuple[asyncio.subprocess.Process, Client]]:
    """The console script's process, ready."""
    environment = os.environ | {
        "DIPEO_STORE_URL": settings.url,
        "DIPEO_STORE_LISTEN": settings.listen,
        "DIPEO_STORE_GRACE_S": "1",
        "DIPEO_STORE_HEARTBEAT_S": "0.3",
        "DIPEO_STORE_LOST_S": "1.5",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "from dipeo_store.main import main; main()",
        env=environment, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stderr
        async with asyncio.timeout(20):
            while b"store.ready" not in (line := await process.stderr.readline()):
                assert line, "the store ended"
        async with rpc.open_channel(settings.listen) as channel:
            yield process, Client(channel)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def _load(client: Client, work: pb.Work, acknowledged: dict[str, list[ev.Event]]) -> None:
    """Append until the store is gone; remember what it said yes to."""
    writer = Writer(client)
    number = 0
    with contextlib.suppress(rpc.aio.AioRpcError, asyncio.InvalidStateError):
        while True:
            batch = [started("a", number), completed("a", number)]
            await writer.call.write(pb.AppendRequest(appends=[append_of(work, *batch)]))
            response = await writer.call.read()
            if response is rpc.aio.EOF:
                return
            (result,) = response.results
            assert not result.reason, result
            acknowledged[work.execution_id] += batch
            work.head_seq = result.head_seq
            number += 1


async def test_case_6_acknowledged_events_survive_kill_minus_9_under_load(settings):
    acknowledged: dict[str, list[ev.Event]] = {}
    async with (
        store_process(settings) as (process, client),
        Session(client, "x") as session,
        session.living(0),
    ):
        works = [await client.running(session) for _ in range(10)]
        acknowledged |= {work.execution_id: [] for work in works}
        loads = [asyncio.create_task(_load(client, work, acknowledged)) for work in works]
        while any(len(events) < 20 for events in acknowledged.values()):
            await asyncio.wait(loads, timeout=0.02)
        process.send_signal(signal.SIGKILL)
        await process.wait()
        await asyncio.gather(*loads)

    other = settings.model_copy(update={"listen": settings.listen + ".2"})
    async with (
        store_process(other) as (process, client),
        Session(client, "y") as session,
        session.living(len(works)),
    ):
        taken = [await session.work() for _ in works]
        for work in taken:
            journal = await client.journal(work.execution_id)
            assert [each.seq for each in journal] == list(range(1, work.head_seq + 1))
            event_ids = [each.event_id for each in journal]
            assert len(set(event_ids)) == len(event_ids)
            known = [each.event_id for each in acknowledged[work.execution_id]]
            assert event_ids[2 : 2 + len(known)] == known
            assert len(event_ids) - 2 - len(known) in (0, 2)  # at most the one batch under way, whole or not at all
            runs = (await client.get(work.execution_id)).node_runs
            assert len(runs) == (work.head_seq - 2) // 2
            assert not (await client.append(work, event("execution_recovered"))).reason
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(5):
            assert await process.wait() == 0
