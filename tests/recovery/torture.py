"""Three executors, two stores, one Postgres, and every second one of them is killed or frozen.

    .venv/bin/python tests/recovery/torture.py --minutes 5 [--seed 7] [--keep FOLDER]

Runs are submitted all the while. When it is over, all must be well: every execution completed, every event that anybody
saw is in its journal once, no node ran again after its completion was journaled, and the tables say what the journals
say. Exit 1 otherwise. A run given up by RECOVERY_EXHAUSTED counts as lost.
"""

import argparse
import asyncio
import contextlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "services/store/tests"), str(ROOT / "tests")]

import postgres  # noqa: E402  of the store's tests
from command import clean_environment  # noqa: E402

from dipeo_kit import ids, rpc  # noqa: E402
from dipeo_kit.errors import DipeoError  # noqa: E402
from dipeo_protos.diagram.v1 import diagram_pb2  # noqa: E402
from dipeo_protos.executor.v1 import executor_pb2, executor_pb2_grpc  # noqa: E402
from dipeo_protos.store.v1 import events_pb2, store_pb2, store_pb2_grpc  # noqa: E402
from dipeo_store.audit import problems  # noqa: E402
from dipeo_store.backends import migrations, postgres_audit, postgres_migrations  # noqa: E402
from dipeo_store.backends.postgres_database import Access  # noqa: E402

EXECUTORS, STORES = 3, 2
AT_ONCE = 8  # runs
SETTLE_S = 90.0  # for what still runs when the last blow has fallen
STEP = "open('trace.txt', 'a').write(idempotency_key + '\\\\n'); import time; time.sleep(0.05); result = 1"
STORE = {
    "HEARTBEAT_S": "0.3",
    "LOST_S": "1.5",
    "BACKOFF_S": "[0]",
    "MAX_ATTEMPTS": "1000",
    "CONNECT_S": "1",
    "COMMAND_S": "2",
    "GRACE_S": "1",
}


def diagram() -> str:
    """Two branches of four steps between a start and a join."""
    nodes = [*(f"a{i}" for i in range(4)), *(f"b{i}" for i in range(4)), "join"]
    arrows = [("S", "a0"), ("S", "b0"), ("a3", "join"), ("b3", "join"), ("join", "E")]
    arrows += [(f"{branch}{i}", f"{branch}{i + 1}") for branch in "ab" for i in range(3)]
    return "\n".join(
        [
            "version: light",
            "nodes:",
            "  - {label: S, type: start}",
            *(f'  - {{label: {label}, type: code_job, code: "{STEP}"}}' for label in nodes),
            "  - {label: E, type: endpoint}",
            "connections:",
            *(f"  - {{from: {one}, to: {other}}}" for one, other in arrows),
            "",
        ]
    )


# --- processes -------------------------------------------------------------------------------------------------------


class Service:
    """A process of ours that somebody starts again whenever it ends, as Kubernetes would."""

    def __init__(self, name: str, module: str, environment: Mapping[str, str], log: Path) -> None:
        self.name = name
        self._module, self._environment, self._log = module, environment, log
        self._process: asyncio.subprocess.Process | None = None

    async def keep_alive(self) -> None:
        with self._log.open("ab") as log:
            while True:
                self._process = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", self._module, env=dict(self._environment), stdout=log, stderr=log
                )
                try:
                    await self._process.wait()
                finally:
                    self._signal(signal.SIGKILL)
                await asyncio.sleep(0.1)

    def _signal(self, number: int) -> None:
        if self._process and self._process.returncode is None:
            self._process.send_signal(number)

    async def kill(self) -> None:
        self._signal(signal.SIGKILL)

    async def freeze(self, seconds: float) -> None:
        process = self._process
        self._signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        if process is self._process:
            self._signal(signal.SIGCONT)


class Database:
    """The same blows for Postgres, all of its processes."""

    name = "postgres"

    def __init__(self, server: postgres.Server) -> None:
        self._server = server

    async def kill(self) -> None:
        await asyncio.to_thread(self._server.kill)
        await asyncio.to_thread(self._server.start)

    async def freeze(self, seconds: float) -> None:
        assert self._server.process
        leader = psutil.Process(self._server.process.pid)
        frozen = [leader, *leader.children()]
        for process in frozen:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()
        await asyncio.sleep(seconds)
        for process in frozen:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()


async def torment(victims: list[Service | Database], seconds: float, dice: random.Random) -> Counter[str]:
    """A blow a second; who is still frozen or getting up is spared."""
    blows: Counter[str] = Counter()
    busy: dict[str, asyncio.Task[None]] = {}
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        victim = dice.choice(victims)
        if victim.name not in busy or busy[victim.name].done():
            how = dice.choice(["kill", "freeze"])
            blow = victim.kill() if how == "kill" else victim.freeze(dice.uniform(0.3, 3.0))
            busy[victim.name] = asyncio.create_task(blow)
            blows[f"{how} {victim.name.rstrip('0123456789')}"] += 1
        await asyncio.sleep(1)
    await asyncio.gather(*busy.values())
    return blows


# --- what users do ---------------------------------------------------------------------------------------------------


@dataclass
class Run:
    execution_id: str
    seen: dict[int, str] = field(default_factory=dict)  # seq -> event id, as readers got them
    over: bool = False


class Users:
    """Submit runs and follow them, however often a service goes away."""

    def __init__(self, executors: str, stores: str) -> None:
        self._addresses = executors, stores
        self.runs: list[Run] = []
        self.enough = False

    async def work(self) -> None:
        executors, stores = self._addresses
        async with rpc.open_channel(executors) as executor_channel, rpc.open_channel(stores) as store_channel:
            self._executor: Any = executor_pb2_grpc.ExecutorServiceStub(executor_channel)
            self._store: Any = store_pb2_grpc.StoreServiceStub(store_channel)
            await asyncio.gather(*(self._one_after_another() for _ in range(AT_ONCE)))

    async def _one_after_another(self) -> None:
        while not self.enough:
            run = Run(ids.new_execution_id())
            await self._submit(run)
            self.runs.append(run)
            await self._follow(run)

    async def _submit(self, run: Run) -> None:
        request = executor_pb2.SubmitRequest(
            source=diagram_pb2.Source(text=diagram(), format=diagram_pb2.FORMAT_LIGHT),
            execution_id=run.execution_id,
            origin="torture",
        )
        while True:
            try:
                submitted = await rpc.call(self._executor.Submit, request, timeout_s=5)
            except DipeoError:
                await asyncio.sleep(0.1)
            else:
                assert submitted.execution_id == run.execution_id, submitted.diagnostics
                return

    async def _follow(self, run: Run) -> None:
        while not run.over:
            request = store_pb2.WatchRequest(execution_id=run.execution_id, after_seq=max(run.seen, default=0))
            with contextlib.suppress(rpc.aio.AioRpcError):
                async for response in self._store.Watch(request, metadata=rpc.metadata(), timeout=5):
                    for event in response.events:
                        assert event.seq == len(run.seen) + 1, f"{run.execution_id}: {event.seq} after {len(run.seen)}"
                        run.seen[event.seq] = event.event_id
                        run.over = run.over or is_terminal(event)
            await asyncio.sleep(0.1)


def is_terminal(event: events_pb2.Event) -> bool:
    return event.WhichOneof("body") in (
        "execution_completed",
        "execution_failed",
        "execution_aborted",
        "execution_maxiter_reached",
    )


# --- is all well? ----------------------------------------------------------------------------------------------------


async def judged(url: str, runs: list[Run], trace: Path) -> list[str]:
    """Sentences about what went wrong, none when all is well."""
    known = {run.execution_id: run for run in runs}
    lines = Counter(trace.read_text().split())
    interrupted = 0
    found = [f"{run.execution_id}: it never ended" for run in runs if not run.over]
    async with postgres_audit.reading(Access(url)) as db:
        executions = {execution_id: number async for number, execution_id in postgres_audit.executions(db)}
        found += [f"{execution_id}: accepted, and gone" for execution_id in known.keys() - executions.keys()]
        for execution_id, number in executions.items():
            snapshot = await postgres_audit.snapshot(db, number)
            found += problems(number, execution_id, snapshot)
            interrupted += sum(event.type == "node.retrying" for event in snapshot.events)
            stored = {event.seq: event.event_id.hex() for event in snapshot.events}
            if run := known.get(execution_id):
                lost = [seq for seq, event_id in run.seen.items() if stored.get(seq) != event_id]
                found += [f"{execution_id}: event {seq} was seen, and is gone or another" for seq in lost]
            if (status := snapshot.execution["status"]) != "completed":
                found.append(f"{execution_id}: it is {status}: {snapshot.execution['error']}")
            found += repeated(execution_id, snapshot.events, lines)
    print(f"{sum(lines.values())} node runs, {interrupted} interrupted and tried again")
    return found


def repeated(execution_id: str, events: Any, lines: Mapping[str, int]) -> Iterator[str]:
    """Nodes that began after they were completed, or did more than their journaled attempts."""
    done: set[str] = set()
    attempts: Counter[str] = Counter()
    for event in events:
        if event.type in ("node.started", "node.retrying"):
            attempts[event.node_id] += 1
            if event.node_id in done:
                yield f"{execution_id}: {event.node_id} began again at {event.seq} after it was completed"
        elif event.type == "node.completed":
            done.add(event.node_id)
    for node, number in attempts.items():
        ran = sum(count for key, count in lines.items() if key.startswith(f"{execution_id}:{node}:"))
        if ran > number:
            yield f"{execution_id}: {node} ran {ran} times, its journal knows {number}"


# --- all of it -------------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def house(folder: Path, server: postgres.Server, sockets: Path) -> AsyncIterator[tuple[list[Service], Users]]:
    stores = [f"unix:{sockets}/store{number}" for number in range(STORES)]
    executors = [f"unix:{sockets}/executor{number}" for number in range(EXECUTORS)]
    shared = clean_environment() | {"DIPEO_BASE_DIR": str(folder)}
    ours = {f"DIPEO_STORE_{name}": value for name, value in STORE.items()} | {"DIPEO_STORE_URL": server.url}
    services = [
        Service(
            f"store{number}", "dipeo_store.main", shared | ours | {"DIPEO_STORE_LISTEN": at}, folder / f"s{number}.log"
        )
        for number, at in enumerate(stores)
    ]
    theirs = {"DIPEO_EXECUTOR_STORE": ",".join(stores), "DIPEO_EXECUTOR_STORE_LOST_S": "6"}
    services += [
        Service(
            f"executor{number}", "dipeo_executor.main", shared | theirs | {"DIPEO_EXECUTOR_LISTEN": at},
            folder / f"e{number}.log",
        )
        for number, at in enumerate(executors)
    ]  # fmt: skip
    tasks = [asyncio.create_task(service.keep_alive()) for service in services]
    try:
        yield services, Users(",".join(executors), ",".join(stores))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def torture(folder: Path, seconds: float, seed: int) -> list[str]:
    """Prints what happened; answers with what went wrong."""
    (folder / "dipeo.toml").touch()
    sockets = Path(tempfile.mkdtemp(prefix="dipeo"))  # a socket path has at most 107 bytes
    try:
        with postgres.own_server() as server:
            await postgres_migrations.migrate(Access(server.url), migrations.load(migrations.SQL / "postgres"))
            async with house(folder, server, sockets) as (services, users):
                working = asyncio.create_task(users.work())
                while not any(run.over for run in users.runs):  # everybody is up
                    await asyncio.wait([working], timeout=0.1)
                blows = await torment([*services, Database(server)], seconds, random.Random(seed))
                users.enough = True
                begun = time.monotonic()
                await asyncio.wait([working], timeout=SETTLE_S)
                print(f"{len(users.runs)} runs; blows: {dict(sorted(blows.items()))}")
                print(f"settled in {time.monotonic() - begun:.1f} s")
                if working.done():
                    working.result()
                working.cancel()
            return await judged(server.url, users.runs, folder / "trace.txt")
    finally:
        shutil.rmtree(sockets, ignore_errors=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=0.5)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--keep", type=Path, help="leave logs and traces there")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}, PYTHONDONTWRITEBYTECODE={os.environ.get('PYTHONDONTWRITEBYTECODE', '')}")
    folder = arguments.keep or Path(tempfile.mkdtemp(prefix="torture"))
    folder.mkdir(parents=True, exist_ok=True)
    found = asyncio.run(torture(folder, arguments.minutes * 60, arguments.seed))
    print("\n".join(found) if found else "all is well")
    if not arguments.keep and not found:
        shutil.rmtree(folder)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
