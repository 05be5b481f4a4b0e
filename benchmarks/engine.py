"""Microseconds per node of a serial chain, every step durable before the next starts; one run, interleaved rounds.

    .venv/bin/python benchmarks/engine.py [--rounds 5] [--nodes 50]

Ours: code_job nodes that return 1 in a warm worker process, through executor, gRPC and store, SQLite synchronous=FULL.
Peer: the same function as LangGraph nodes with AsyncSqliteSaver, durability sync and async.
Limit: one FULL commit of the same rows + one gRPC round trip + one worker round trip, measured alone in the same run.
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypedDict

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from house import House, house

from dipeo_executor.nodes.base import CodeJob
from dipeo_executor.sandbox import Sandbox
from dipeo_kit import process, rpc
from dipeo_protos.store.v1 import events_pb2, store_pb2, store_pb2_grpc


def chain(nodes: int) -> str:
    lines = ["version: light", "nodes:", "  - {label: S, type: start}"]
    lines += [f"  - {{label: n{i}, type: code_job, code: 'result = 1'}}" for i in range(nodes)]
    lines += ["connections:", "  - {from: S, to: n0}"]
    lines += [f"  - {{from: n{i}, to: n{i + 1}}}" for i in range(nodes - 1)]
    return "\n".join(lines)


async def ours(home: House, nodes: int, runs: int) -> float:
    """µs per node between the first node's start and the last one's end, by the journal's own stamps."""
    submitted = await asyncio.gather(*(home.submit(chain(nodes)) for _ in range(runs)))
    journals = [await finished_journal(home, one.execution_id) for one in submitted]
    begun = min(stamp(events, "node_started", 1) for events in journals)
    ended = max(stamp(events, "node_completed", -1) for events in journals)
    return (ended - begun) / (nodes * runs) / 1e3


async def finished_journal(home: House, execution_id: str) -> list[events_pb2.Event]:
    """The journal of a run that has ended; nobody watches meanwhile, as with `--background`."""
    while True:
        found = await rpc.call(home.store.GetExecution, store_pb2.GetExecutionRequest(execution_id=execution_id))
        if found.execution.HasField("ended_at"):
            assert found.execution.status == store_pb2.EXECUTION_STATUS_COMPLETED, found.execution.error
            request = store_pb2.ReadJournalRequest(execution_id=execution_id, limit=1000)
            return list((await rpc.call(home.store.ReadJournal, request)).events)
        await asyncio.sleep(0.02)


def stamp(events: list[events_pb2.Event], kind: str, index: int) -> int:
    """Nanoseconds since the epoch; index 0 is the start node."""
    return int([event.at.ToNanoseconds() for event in events if event.HasField(kind)][index])


class Counted(TypedDict):
    value: int


async def langgraph(folder: Path, nodes: int, runs: int, durability: str) -> float:
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
    from langgraph.graph import END, START, StateGraph

    async def one(_state: Counted) -> Counted:
        return {"value": 1}

    async with AsyncSqliteSaver.from_conn_string(str(folder / f"langgraph-{os.urandom(4).hex()}.db")) as saver:
        await saver.setup()
        await saver.conn.execute("PRAGMA synchronous=FULL")
        builder: Any = StateGraph(Counted)
        for i in range(nodes):
            builder.add_node(f"n{i}", one)
        builder.add_edge(START, "n0")
        for i in range(nodes - 1):
            builder.add_edge(f"n{i}", f"n{i + 1}")
        builder.add_edge(f"n{nodes - 1}", END)
        graph = builder.compile(checkpointer=saver)

        async def once(thread: str) -> None:
            config = {"configurable": {"thread_id": thread}, "recursion_limit": nodes + 10}
            await graph.ainvoke({"value": 0}, config, durability=durability)

        await once("warm")
        started = time.perf_counter()
        await asyncio.gather(*(once(f"run{i}") for i in range(runs)))
        return (time.perf_counter() - started) / (nodes * runs) * 1e6


async def median_us(times: int, call: Callable[[], Awaitable[Any]]) -> float:
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        await call()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken) * 1e6


async def limit(home: House, folder: Path) -> dict[str, float]:
    """µs of each thing a durable step cannot avoid."""
    import sqlite3

    connection = sqlite3.connect(folder / f"limit-{os.urandom(4).hex()}.db", isolation_level=None)
    connection.executescript("""
        PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;
        CREATE TABLE event(id INTEGER PRIMARY KEY, run INT, seq INT, payload TEXT);
        CREATE UNIQUE INDEX event_seq ON event(run, seq);
        CREATE TABLE execution(id INTEGER PRIMARY KEY, head INT); INSERT INTO execution VALUES (1, 0);
        CREATE TABLE node_run(run INT, node TEXT, iteration INT, status TEXT, output TEXT,
          PRIMARY KEY(run, node, iteration));
    """)
    seq = 0

    async def commit() -> None:
        """The rows of one step: a completion and a start, their node runs, the head."""
        nonlocal seq
        connection.execute("BEGIN IMMEDIATE")
        for _ in range(2):
            seq += 1
            connection.execute("INSERT INTO event(run, seq, payload) VALUES (1, ?, ?)", (seq, "x" * 250))
        connection.execute("INSERT INTO node_run VALUES (1, ?, 0, 'running', NULL)", (f"n{seq}",))
        connection.execute(
            "UPDATE node_run SET status='completed', output='1' WHERE run=1 AND node=?", (f"n{seq - 2}",)
        )
        connection.execute("UPDATE execution SET head=? WHERE id=1", (seq,))
        connection.execute("COMMIT")

    done = await home.run(chain(1))
    request = store_pb2.ReadJournalRequest(execution_id=done.execution_id, after_seq=10_000, limit=1)

    async with Sandbox(folder) as sandbox, rpc.open_channel(home.store_address) as channel:
        store: Any = store_pb2_grpc.StoreServiceStub(channel)

        async def round_trip() -> None:
            await rpc.call(store.ReadJournal, request)

        workers = sandbox.workers("exec_" + "0" * 32)
        job = CodeJob("result = 1", "code", "", {}, {}, "n", 30.0)

        async def work() -> None:
            await workers.run_python(job)

        await work()
        figures = {
            "FULL commit": await median_us(300, commit),
            "gRPC round trip": await median_us(300, round_trip),
            "worker round trip": await median_us(300, work),
        }
        await workers.close()
    connection.close()
    return figures


async def main(rounds: int, nodes: int) -> None:
    figures: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        figures.setdefault(name, []).append(value)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with house(folder, inprocess=True) as home:  # as in the local stack
            await ours(home, nodes, 1)
            process.settle_heap()  # as every service does once it has started; the peer gains by it too
            for _ in range(rounds):
                for runs in (1, 20):
                    note(f"DiPeO, {runs} run(s)", await ours(home, nodes, runs))
                    for durability in ("sync", "async"):
                        note(f"LangGraph {durability}, {runs} run(s)", await langgraph(folder, nodes, runs, durability))
                for part, value in (await limit(home, folder)).items():
                    note(f"limit: {part}", value)
    middle = {name: statistics.median(values) for name, values in figures.items()}
    print(f"µs per node, median of {rounds} rounds, chain of {nodes}")
    for name, value in middle.items():
        print(f"  {name:28} {value:9.0f}   (min {min(figures[name]):.0f}, max {max(figures[name]):.0f})")
    floor = sum(value for name, value in middle.items() if name.startswith("limit"))
    one, twenty = middle["DiPeO, 1 run(s)"], middle["DiPeO, 20 run(s)"]
    print(f"ratio to LangGraph sync, 1 run:   {one / middle['LangGraph sync, 1 run(s)']:.2f}   (goal <= 0.5)")
    print(f"ratio to LangGraph sync, 20 runs: {twenty / middle['LangGraph sync, 20 run(s)']:.2f}")
    print(f"ratio to LangGraph async, 1 run:  {one / middle['LangGraph async, 1 run(s)']:.2f}   (for information)")
    print(f"ratio to the limit, 1 run:        {one / floor:.2f}   (goal <= 2; limit {floor:.0f} µs)")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--nodes", type=int, default=50)
    arguments = parser.parse_args()
    asyncio.run(main(arguments.rounds, arguments.nodes))
