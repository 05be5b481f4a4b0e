"""Case 32: the disk is full. Writes are refused by name, reads go on, nothing acknowledged is lost; with room again the
store goes on by itself.
"""

import asyncio
import contextlib
import hashlib
import os
import sqlite3
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import postgres
import powercut
import pytest
from store_client import PATIENCE_S, Clock, Session, Store, append_of, completed, event, started

from dipeo_kit import ids, rpc
from dipeo_kit.errors import DipeoError, Overloaded
from dipeo_protos.store.v1 import content_pb2
from dipeo_protos.store.v1 import store_pb2 as pb
from dipeo_store import admin
from dipeo_store.main import Settings

SMALL_MB = {"sqlite": 4, "postgres": 24}  # an empty database of Postgres has 10


class Disk(NamedTuple):
    """Of the database that `settings` names."""

    settings: Settings
    fill: Callable[[], None]
    free: Callable[[], None]


@contextlib.contextmanager
def small_disk(megabytes: int) -> Iterator[Path]:
    """A file system of its own, where that is permitted."""
    folder = Path(tempfile.mkdtemp(prefix="disk"))  # everybody may enter it, which pytest's folders do not allow
    folder.chmod(0o755)
    try:
        mounting = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "tmpfs", folder]
        mounted = subprocess.run(mounting, capture_output=True, text=True)
        if mounted.returncode:
            pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
        try:
            yield folder
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)
    finally:
        folder.rmdir()


def fill(folder: Path) -> None:
    with contextlib.suppress(OSError), (folder / "ballast").open("ab", buffering=0) as ballast:
        for size in (1024 * 1024, 4096):
            with contextlib.suppress(OSError):
                while ballast.write(bytes(size)) == size:
                    pass


def free(folder: Path) -> None:
    (folder / "ballast").unlink()


@pytest.fixture
def sqlite_on_a_small_disk(sqlite_settings: Settings) -> Iterator[Disk]:
    with small_disk(SMALL_MB["sqlite"]) as folder:
        settings = sqlite_settings.model_copy(update={"url": f"sqlite:///{folder / 'state.db'}"})
        yield Disk(settings, lambda: fill(folder), lambda: free(folder))


@pytest.fixture
def sqlite_that_is_told_so(sqlite_settings: Settings) -> Iterator[Disk]:
    """By its VFS, for where nothing can be mounted."""
    if powercut.library() is None:
        pytest.skip("Python's SQLite cannot be given another VFS")
    disk = powercut.Disk(sqlite_settings.file.parent, lambda: None, every=10**9, seed=1)
    with powercut.losing_power(disk):
        yield Disk(sqlite_settings, lambda: setattr(disk, "full", True), lambda: setattr(disk, "full", False))


@pytest.fixture
def postgres_on_a_small_disk(sqlite_settings: Settings) -> Iterator[Disk]:
    """Its tables; the log of a Postgres that cannot be written stops the server: case 31."""
    with postgres.own_server() as server, small_disk(SMALL_MB["postgres"]) as folder:
        (folder / "tables").mkdir()
        server.give(folder / "tables")
        name = f"small_{ids.new_hex()}"
        asyncio.run(
            postgres.execute(
                server.url,
                f"CREATE TABLESPACE small LOCATION '{folder / 'tables'}'",
                f"CREATE DATABASE {name} TABLESPACE small",
            )
        )
        url = postgres.database(server.url, name)
        settings = sqlite_settings.model_copy(update={"url": url, "auto_migrate": True})
        yield Disk(settings, lambda: fill(folder), lambda: free(folder))


@pytest.fixture(params=["sqlite_on_a_small_disk", "sqlite_that_is_told_so", "postgres_on_a_small_disk"])
def disk(request: pytest.FixtureRequest) -> Disk:
    found: Disk = request.getfixturevalue(request.param)
    return found


@pytest.fixture
async def store(disk: Disk) -> AsyncIterator[Store]:
    it = Store(disk.settings, Clock(), "")
    await it.start()
    try:
        yield it
    finally:
        await it.stop()


class Load(NamedTuple):
    """What one execution was told to keep."""

    work: pb.Work
    acknowledged: list[str]

    async def add(self, store: Store) -> DipeoError | None:
        """One more batch; what refused it, if anything did. The same batch again the next time."""
        number = len(self.acknowledged) // 2
        batch = [started("n", number), completed("n", number, output=b'"' + b"v" * 7000 + b'"')]
        try:
            (result,) = await store.writer().append(append_of(self.work, *batch))
        except DipeoError as error:
            return error
        assert not result.reason, result
        self.work.head_seq = result.head_seq
        self.acknowledged.extend(each.event_id for each in batch)
        return None


async def _check(store: Store, load: Load) -> None:
    journal = await store.journal(load.work.execution_id)
    assert [each.event_id for each in journal][2:] == load.acknowledged
    assert await store.status(load.work.execution_id) == "running"


async def test_case_32_writes_are_refused_by_name_reads_go_on_and_all_goes_on_with_room_again(store: Store, disk: Disk):
    async with store.session() as session, session.living(0):
        load = Load(await store.running(session), [])
        assert await load.add(store) is None
        disk.fill()
        refused = await _until_refused(store, load)
        assert isinstance(refused, Overloaded) and refused.reason == "DISK_FULL", refused
        assert "full" in str(refused) and "room" in str(refused)
        for write in (store.create(source=os.urandom(100_000)), _large_upload(store)):
            with pytest.raises(Overloaded) as caught:
                await write
            assert caught.value.reason == "DISK_FULL"
        await _check(store, load)
        assert (await rpc.call(store.stub.ListExecutions, pb.ListExecutionsRequest())).executions
        disk.free()
        assert await load.add(store) is None
        await _check(store, load)
        assert not (await store.append(load.work, event("execution_completed"))).reason
        assert [each.seq async for each in store.watch(load.work.execution_id)] == list(
            range(1, load.work.head_seq + 1)
        )
    assert await admin.run("verify", disk.settings, "") == 0
    if not disk.settings.is_postgres:
        with contextlib.closing(sqlite3.connect(disk.settings.file)) as db:
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def _until_refused(store: Store, load: Load) -> DipeoError:
    """Space that the database has in reserve is used up first."""
    async with asyncio.timeout(PATIENCE_S):
        while (refused := await load.add(store)) is None:
            pass
    return refused


async def _large_upload(store: Store) -> None:
    data = os.urandom(1_000_000)
    with rpc.translated():
        call = store.stub.PutBlob()
        await call.write(content_pb2.PutBlobRequest(hash=hashlib.sha256(data).hexdigest(), data=data))
        await call.done_writing()
        await call.read()


async def test_what_an_executor_gave_back_while_the_disk_was_full_is_given_to_the_next(
    sqlite_that_is_told_so: Disk,
):
    disk = sqlite_that_is_told_so
    store = Store(disk.settings, Clock(), "")
    await store.start()
    try:
        async with store.session("one") as one, store.session("two") as two, one.living(0), two.living(1):
            work = await store.running(one)
            disk.fill()
            await one.release(work)
            await _heard(one)
            disk.free()
            assert (await two.work()).execution_id == work.execution_id
    finally:
        await store.stop()


async def _heard(session: Session) -> None:
    """All that was sent before is dealt with: the store answers a heartbeat after it."""
    await session.free(0)
    async with asyncio.timeout(PATIENCE_S):
        while not (await session.call.read()).HasField("alive"):
            pass
