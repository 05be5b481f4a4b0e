"""The store under load, on SQLite and on Postgres, against the same rows inserted straight into the same database.

    .venv/bin/python benchmarks/store.py [--rounds 5] [--executions 1000000] [--only sqlite|postgres]

Events per second: 1, 10 and 100 executions append the completion of a node and the start of the next, each after the
last is durable, over one gRPC stream with one coalesced batch in flight, as an executor does. The store is a process of
its own; this one sends requests that were made before the clock started, and both have the same two cores.

The limit: the same rows of journal and projections, as large, into the same tables with their indexes and constraints,
as many events per commit, by the store's own statements with the same sync mode; no gRPC, no rules, nothing read, rows
made before the clock starts. Checkpoints of SQLite count on both sides: here in the commit that is due, there beside.
"""

import argparse
import asyncio
import os
import sqlite3
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "services/store/tests"), str(ROOT / "tests")]

import postgres  # noqa: E402  of the store's tests
from cluster import Service  # noqa: E402
from command import clean_environment  # noqa: E402
from store_client import Client, Session, completed, event, started  # noqa: E402

from dipeo_kit import rpc  # noqa: E402
from dipeo_protos.store.v1 import store_pb2 as pb  # noqa: E402
from dipeo_store import wire  # noqa: E402
from dipeo_store.backends import (  # noqa: E402
    migrations,
    postgres_database,
    postgres_migrations,
    postgres_statements,
    sqlite_writes,
)
from dipeo_store.changes import Changes  # noqa: E402
from dipeo_store.journal import Head, RunFacts, RunKey  # noqa: E402
from dipeo_store.projection import project  # noqa: E402

OUTPUT = b'"' + b"x" * 200 + b'"'
STEPS = {1: 300, 10: 150, 100: 40}  # of each execution, by how many there are at once
LIST_PAGE = 50


# --- databases -------------------------------------------------------------------------------------------------------


class Straight(Protocol):
    """A connection of our own to the store's database."""

    async def numbers(self, execution_ids: list[str]) -> list[int]: ...
    async def commit(self, rows: Changes) -> float:
        """Seconds for one commit of these rows; what can be prepared is prepared before."""
        ...

    async def fill(self, number: int) -> None:
        """So many executions that have ended, each with its first event."""
        ...

    async def size_bytes(self) -> int: ...


class StraightSqlite:
    def __init__(self, file: Path) -> None:
        self._file = file
        self._db = sqlite3.connect(file, isolation_level=None, timeout=30)
        for pragma in ("synchronous = FULL", "wal_autocheckpoint = 1000", "foreign_keys = ON"):
            self._db.execute(f"PRAGMA {pragma}")

    async def numbers(self, execution_ids: list[str]) -> list[int]:
        found = dict(self._db.execute("SELECT execution_id, id FROM executions"))
        return [found[each] for each in execution_ids]

    async def commit(self, rows: Changes) -> float:
        todo = [(sql, getattr(rows, name)) for name, sql in sqlite_writes._STATEMENTS.items() if getattr(rows, name)]
        begun = time.perf_counter()
        self._db.execute("BEGIN IMMEDIATE")
        for sql, values in todo:
            self._db.executemany(sql, values)
        self._db.execute("COMMIT")
        return time.perf_counter() - begun

    async def fill(self, number: int) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        self._db.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
            + FILL.format(hex="printf('%032x', i)"),
            (number,),
        )
        self._db.execute(FILL_JOURNAL.format(id="CAST(printf('%016d', e.id) AS BLOB)"))
        self._db.execute("COMMIT")
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    async def size_bytes(self) -> int:
        return sum(path.stat().st_size for path in self._file.parent.glob(self._file.name + "*"))


class StraightPostgres:
    def __init__(self, db: Any) -> None:
        self._db = db

    async def numbers(self, execution_ids: list[str]) -> list[int]:
        found = dict(map(tuple, await self._db.fetch("SELECT execution_id, id FROM executions")))
        return [found[each] for each in execution_ids]

    async def commit(self, rows: Changes) -> float:
        todo = list(postgres_statements.statements(rows))
        begun = time.perf_counter()
        async with self._db.transaction():
            for sql, columns in todo:
                await self._db.execute(sql, *columns)
        return time.perf_counter() - begun

    async def fill(self, number: int) -> None:
        numbers = f"WITH n AS (SELECT generate_series(1::bigint, {number}) AS i)"
        await self._db.execute(numbers + FILL.format(hex="lpad(to_hex(i), 32, '0')"), timeout=900)
        await self._db.execute(FILL_JOURNAL.format(id="decode(lpad(to_hex(e.id), 32, '0'), 'hex')"), timeout=900)
        await self._db.execute("VACUUM ANALYZE", timeout=900)

    async def size_bytes(self) -> int:
        await self._db.execute("CHECKPOINT")
        return int(await self._db.fetchval("SELECT pg_database_size(current_database())"))


FILL = """
  INSERT INTO executions (execution_id, status, diagram_id, diagram_name, source_hash, origin, principal, trace_parent,
    idempotency_hash, head_seq, created_at, started_at, ended_at)
  SELECT 'exec_' || {hex}, 'completed', 'd' || (i % 1000), 'Diagram', (SELECT min(hash) FROM sources), 'cli', 'me', '',
    '', 1, i * 1000000, i * 1000000, i * 1000000 + 5 FROM n"""
FILL_JOURNAL = """
  INSERT INTO transitions (execution, seq, event_id, type, fence, at, payload)
  SELECT e.id, 1, {id}, 'execution.created', 0, e.created_at, '{{"variables":{{"topic":"tea"}},"options":{{}}}}'
  FROM executions e WHERE e.diagram_name = 'Diagram'"""


# --- appending -------------------------------------------------------------------------------------------------------


@dataclass
class Load:
    """What `executions` runs append, step by step, made before the clock starts."""

    works: list[pb.Work]
    steps: list[list[pb.ExecutionAppend]]  # step -> execution -> its append

    @classmethod
    async def made(cls, client: Client, session: Session, executions: int) -> "Load":
        works = [await client.running(session) for _ in range(executions)]
        for work in works:
            assert not (await client.append(work, started("n0"))).reason
        return cls(works, [[step(work, number) for work in works] for number in range(STEPS[executions])])

    @property
    def events(self) -> int:
        return 2 * len(self.works) * len(self.steps)


def step(work: pb.Work, number: int) -> pb.ExecutionAppend:
    """Of a chain: a node completes and the next one starts."""
    events = [completed(f"n{number}", output=OUTPUT), started(f"n{number + 1}")]
    expected_seq = work.head_seq + 2 * number
    return pb.ExecutionAppend(
        execution_id=work.execution_id, fence=work.fence, expected_seq=expected_seq, events=events
    )


async def through_store(client: Client, load: Load) -> float:
    """Events per second: all runs take their next step when the last is durable, in one batch as an executor sends it.

    The requests are made before the clock starts: what runs compute between two steps is not the store's
    (benchmarks/engine.py has it).
    """
    requests = [pb.AppendRequest(appends=step) for step in load.steps]
    call = client.stub.Append()
    begun = time.perf_counter()
    for request in requests:
        await call.write(request)
        response: Any = await call.read()
        assert not any(result.reason for result in response.results), response
    seconds = time.perf_counter() - begun
    call.cancel()
    return load.events / seconds


async def straight(database: Straight, load: Load) -> float:
    """Events per second of the same rows; one commit for each step of all, as when one batch is in flight."""
    runs = await database.numbers([work.execution_id for work in load.works])
    begun = RunFacts("running", "N0", "code_job", "")
    heads = [
        Head(run, work.execution_id, "running", work.head_seq, work.fence, True, {RunKey("n0", 0, 1): begun})
        for run, work in zip(runs, load.works, strict=True)
    ]
    groups: list[Changes] = []
    for step in load.steps:
        groups.append(Changes())
        for number, append in enumerate(step):
            events = [wire.event_from_pb(each) for each in append.events]
            heads[number], _, _ = project(heads[number], events, 1, groups[-1])
    return load.events / sum([await database.commit(group) for group in groups])


# --- the other figures -----------------------------------------------------------------------------------------------


def quantiles(seconds: list[float]) -> str:
    cuts = statistics.quantiles(seconds, n=20)
    return f"p50 {statistics.median(seconds) * 1000:6.2f} ms, p95 {cuts[-1] * 1000:6.2f} ms"


async def timed(times: int, call: Callable[[], Awaitable[Any]]) -> str:
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        await call()
        taken.append(time.perf_counter() - begun)
    return quantiles(taken)


async def until_seen(writer: Client, reader: Client, session: Session) -> str:
    """From the acknowledgement of an append to its arrival at a reader; before it counts as zero."""
    work = await writer.running(session)
    seen: dict[int, float] = {}
    arrived = asyncio.Event()

    async def read() -> None:
        async for each in reader.watch(work.execution_id):
            seen[each.seq] = time.perf_counter()
            arrived.set()

    reading = asyncio.create_task(read())
    waits = []
    for _ in range(200):
        await writer.append(work, event("execution_log", message="x" * 200))
        acknowledged = time.perf_counter()
        while work.head_seq not in seen:
            arrived.clear()
            await arrived.wait()
        waits.append(max(0.0, seen[work.head_seq] - acknowledged))
        await asyncio.sleep(0.005)
    reading.cancel()
    return quantiles(waits)


async def two_hundred_nodes(client: Client, session: Session) -> str:
    work = await client.running(session)
    for number in range(200):
        await client.append(work, started(f"n{number}"), completed(f"n{number}", output=OUTPUT))
    return await timed(50, lambda: client.get(work.execution_id))


async def pages(client: Client, session: Session) -> dict[str, str]:
    """Of a long list; the page in the middle is reached by its token."""
    middle = wire.token(500_000 * 1_000_000, 500_000)
    asked = {
        "first page": pb.ListExecutionsRequest(page_size=LIST_PAGE),
        "a page in the middle": pb.ListExecutionsRequest(page_size=LIST_PAGE, page_token=middle),
        "of one diagram": pb.ListExecutionsRequest(page_size=LIST_PAGE, diagram_id="d7"),
        "what runs": pb.ListExecutionsRequest(page_size=LIST_PAGE, statuses=[pb.EXECUTION_STATUS_RUNNING]),
    }
    return {
        name: await timed(40, lambda request=request: rpc.call(client.stub.ListExecutions, request))
        for name, request in asked.items()
    }


# --- both backends ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class House:
    client: Client
    peer: Client | None  # another store on the same database
    database: Straight


@contextmanager
def store_process(name: str, folder: Path, url: str) -> Iterator[str]:
    address = f"unix:{folder}/{name}"
    environment = clean_environment() | {"DIPEO_STORE_URL": url, "DIPEO_STORE_LISTEN": address}
    service = Service("dipeo_store.main", environment, folder / f"{name}.log").start()
    try:
        yield address
    finally:
        service.stop()


@asynccontextmanager
async def sqlite_house(folder: Path) -> AsyncIterator[House]:
    file = folder / "state.db"
    with store_process("store", folder, f"sqlite:///{file}") as address:
        async with rpc.open_channel(address) as channel:
            yield House(Client(channel), None, StraightSqlite(file))


@asynccontextmanager
async def postgres_house(folder: Path) -> AsyncIterator[House]:
    async with AsyncExitStack() as stack:
        server = stack.enter_context(postgres.own_server(durable=True))
        access = postgres_database.Access(server.url)
        await postgres_migrations.migrate(access, migrations.load(migrations.SQL / "postgres"))
        clients = []
        for name in ("store1", "store2"):
            address = stack.enter_context(store_process(name, folder, server.url))
            clients.append(Client(await stack.enter_async_context(rpc.open_channel(address))))
        options = access.options(postgres_database.WRITER_SETTINGS)
        db = await postgres_database.asyncpg.connect(**options)
        stack.push_async_callback(db.close)
        await postgres_database.prepare(db)
        yield House(clients[0], clients[1], StraightPostgres(db))


async def measured(name: str, house: House, rounds: int, executions: int) -> None:
    print(f"\n{name}")
    client, database = house.client, house.database
    async with Session(client, "benchmark") as session, session.living(0):
        before, node_runs = await database.size_bytes(), 0
        for at_once in STEPS:
            figures: defaultdict[str, list[float]] = defaultdict(list)
            for _ in range(rounds):
                load = await Load.made(client, session, at_once)
                rate = await through_store(client, load)
                limit = await straight(database, await Load.made(client, session, at_once))
                node_runs += load.events
                for key, value in (("rate", rate), ("limit", limit), ("ratio", rate / limit)):
                    figures[key].append(value)
            middle = {key: statistics.median(values) for key, values in figures.items()}
            print(
                f"  {at_once:3} at once: {middle['rate']:8.0f} events/s, limit {middle['limit']:8.0f}, "
                f"ratio {middle['ratio']:.2f} (min {min(figures['ratio']):.2f}, max {max(figures['ratio']):.2f})"
            )
        grown = await database.size_bytes() - before
        print(f"  on disk: {grown / node_runs:.0f} bytes per node run ({len(OUTPUT)} bytes of output, two events)")
        print(f"  commit to reader, same store:  {await until_seen(client, client, session)}")
        if house.peer:
            print(f"  commit to reader, other store: {await until_seen(client, house.peer, session)}")
        print(f"  GetExecution, 200 node runs:   {await two_hundred_nodes(client, session)}")
        await database.fill(executions)
        for what, figure in (await pages(client, session)).items():
            print(f"  list of {executions:,}, {what + ':':22} {figure}")


async def main(rounds: int, executions: int, only: str) -> None:
    print(f"median of {rounds} rounds; PYTHONDONTWRITEBYTECODE={os.environ.get('PYTHONDONTWRITEBYTECODE', '')}")
    for name, house in (("sqlite", sqlite_house), ("postgres", postgres_house)):
        if only in ("", name):
            with tempfile.TemporaryDirectory(prefix="dipeo") as folder:
                async with house(Path(folder)) as running:
                    await measured(name, running, rounds, executions)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--executions", type=int, default=1_000_000)
    parser.add_argument("--only", choices=["sqlite", "postgres"], default="")
    arguments = parser.parse_args()
    asyncio.run(main(arguments.rounds, arguments.executions, arguments.only))
