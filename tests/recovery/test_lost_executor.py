"""Cases 3 and 5 of the store contract with real processes: an executor frozen past its lease, one that is killed."""

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import postgres
import pytest
from command import clean_environment

from dipeo_kit import rpc
from dipeo_protos.diagram.v1 import diagram_pb2
from dipeo_protos.executor.v1 import executor_pb2, executor_pb2_grpc
from dipeo_protos.store.v1 import events_pb2, store_pb2, store_pb2_grpc
from dipeo_store import admin
from dipeo_store import main as store_main
from dipeo_store.settings import Settings as StoreSettings

TRACE = "open('trace.txt', 'a').write(idempotency_key + '\\\\n')"
WAIT = f"import os, time; {TRACE}; [time.sleep(0.02) for _ in iter(lambda: os.path.exists('go'), True)]; result = 1"
DIAGRAM = f"""version: light
nodes:
  - {{label: S, type: start}}
  - {{label: before, type: code_job, code: "{TRACE}; result = 1"}}
  - {{label: slow, type: code_job, code: "{WAIT}"}}
  - {{label: after, type: code_job, code: "{TRACE}; result = 1"}}
  - {{label: E, type: endpoint}}
connections:
  - {{from: S, to: before}}
  - {{from: before, to: slow}}
  - {{from: slow, to: after}}
  - {{from: after, to: E}}
"""


class House:
    """One store in this process, two executors in theirs."""

    def __init__(self, settings: StoreSettings, base: Path, sockets: Path) -> None:
        self.settings, self.base, self._sockets = settings, base, sockets
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> "House":
        store = await self._stack.enter_async_context(store_main.running(self.settings))
        self._store: Any = store_pb2_grpc.StoreServiceStub(
            await self._stack.enter_async_context(rpc.open_channel(store))
        )
        self.processes = await asyncio.gather(*(self._executor(number) for number in range(2)))
        channels = [
            await self._stack.enter_async_context(rpc.open_channel(f"unix:{self._sockets}/executor{number}"))
            for number in range(2)
        ]
        self._executors: list[Any] = [executor_pb2_grpc.ExecutorServiceStub(channel) for channel in channels]
        return self

    async def __aexit__(self, *_: object) -> None:
        for process in self.processes:
            if process.returncode is None:
                process.kill()
            await process.communicate()
        await self._stack.aclose()

    async def _executor(self, number: int) -> asyncio.subprocess.Process:
        ours = {
            "DIPEO_BASE_DIR": str(self.base),
            "DIPEO_EXECUTOR_STORE": self.settings.listen,
            "DIPEO_EXECUTOR_LISTEN": f"unix:{self._sockets}/executor{number}",
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "dipeo_executor.main", env=clean_environment() | ours, stderr=asyncio.subprocess.PIPE
        )
        assert process.stderr
        async with asyncio.timeout(20):
            while b"executor.ready" not in (line := await process.stderr.readline()):
                assert line, "the executor ended"
        return process

    async def submit(self, number: int) -> str:
        """To that executor, which runs it itself."""
        source = diagram_pb2.Source(text=DIAGRAM, format=diagram_pb2.FORMAT_LIGHT)
        request = executor_pb2.SubmitRequest(source=source, origin="test")
        return str((await rpc.call(self._executors[number].Submit, request)).execution_id)

    async def journal(self, execution_id: str, *, until: str) -> list[events_pb2.Event]:
        """Up to the event of which `until` is "type" or "type label"."""
        request = store_pb2.WatchRequest(execution_id=execution_id)
        found: list[events_pb2.Event] = []
        async with asyncio.timeout(20):
            async for response in self._store.Watch(request, metadata=rpc.metadata()):
                for event in response.events:
                    found.append(event)
                    kind = str(event.WhichOneof("body"))
                    if until in (kind, f"{kind} {getattr(getattr(event, kind), 'label', '')}"):
                        return found
        raise AssertionError(f"{execution_id} ended without {until}")

    def traces(self, execution_id: str) -> Counter[str]:
        lines = (self.base / "trace.txt").read_text().split()
        return Counter(line.removeprefix(f"{execution_id}:") for line in lines if line.startswith(execution_id))


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Server]:
    with postgres.own_server() as own:
        yield own


@pytest.fixture(params=["sqlite", "postgres"])
async def house(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[House]:
    (tmp_path / "dipeo.toml").touch()
    url = f"sqlite:///{tmp_path}/state.db"
    if request.param == "postgres":
        url = request.getfixturevalue("server").url
    with tempfile.TemporaryDirectory(prefix="dipeo") as sockets:
        settings = StoreSettings(
            url=url, listen=f"unix:{sockets}/store", heartbeat_s=0.2, lost_s=0.8, backoff_s=(0,), auto_migrate=True
        )
        async with House(settings, tmp_path, Path(sockets)) as running:
            yield running


async def test_cases_3_and_5_another_executor_goes_on_once_and_the_old_one_cannot_write(house: House):
    execution_id, frozen = await _until_slow(house)
    os.kill(frozen.pid, signal.SIGSTOP)
    await house.journal(execution_id, until="node_retrying")
    (house.base / "go").touch()  # also for the worker of the frozen one, whose answer waits for it
    journal = await house.journal(execution_id, until="execution_completed")
    _check(house, execution_id, journal)
    os.kill(frozen.pid, signal.SIGCONT)
    await _until_it_runs_something(house, frozen.pid)  # it has a session again, and has said all it had to say
    assert await house.journal(execution_id, until="execution_completed") == journal

    (house.base / "go").unlink()
    execution_id, killed = await _until_slow(house)
    killed.kill()
    await house.journal(execution_id, until="node_retrying")
    (house.base / "go").touch()
    _check(house, execution_id, await house.journal(execution_id, until="execution_completed"))
    assert await admin.run("verify", house.settings, "") == 0


async def _until_slow(house: House) -> tuple[str, asyncio.subprocess.Process]:
    """A run in the middle of its second node, and who runs it."""
    execution_id = await house.submit(0)
    journal = await house.journal(execution_id, until="node_started slow")
    async with asyncio.timeout(20):
        while len(house.traces(execution_id)) < 2:  # noqa: ASYNC110 the code itself, not only its journaled start
            await asyncio.sleep(0.01)
    (holder,) = [process for process in house.processes if process.pid == _runs(journal)]
    return execution_id, holder


def _runs(journal: list[events_pb2.Event]) -> int:
    """Process id of whoever began the run."""
    (begun,) = [event.execution_started for event in journal if event.HasField("execution_started")]
    return int(begun.executor.rpartition("/")[2])


async def _until_it_runs_something(house: House, pid: int) -> None:
    number = [process.pid for process in house.processes].index(pid)
    async with asyncio.timeout(20):
        while _runs(await house.journal(await house.submit(number), until="execution_completed")) != pid:
            pass


def _check(house: House, execution_id: str, journal: list[events_pb2.Event]) -> None:
    """Completed nodes ran once, the interrupted one had attempt 2, and there was one end."""
    kinds = Counter(str(event.WhichOneof("body")) for event in journal)
    assert [event.seq for event in journal] == list(range(1, len(journal) + 1))
    assert (kinds["execution_completed"], kinds["execution_recovered"], kinds["node_retrying"]) == (1, 1, 1)
    (again,) = [event.node_retrying for event in journal if event.HasField("node_retrying")]
    assert (again.attempt, again.reason) == (2, "executor_lost")
    by_node = Counter(event.node_completed.node_id for event in journal if event.HasField("node_completed"))
    assert set(by_node.values()) == {1}
    assert sorted(house.traces(execution_id).values()) == [1, 1, 2], "before and after once, slow twice"
