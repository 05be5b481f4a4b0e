"""Case 7: the power goes while the store writes to SQLite; what it acknowledged is there when the power is back."""

import asyncio
import contextlib
import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import powercut
import pytest
from store_client import Clock, Store, append_of, completed, event, started

from dipeo_protos.store.v1 import store_pb2 as pb
from dipeo_store import admin
from dipeo_store.backends import sqlite
from dipeo_store.backends.sqlite import open_sqlite
from dipeo_store.journal import HandOver
from dipeo_store.main import Settings, now_us

pytestmark = pytest.mark.skipif(powercut.library() is None, reason="Python's SQLite cannot be given another VFS")

RUNS, BATCHES = 6, 40
Promised = dict[str, list[str]]  # execution id -> the ids of its acknowledged events after the first two


@pytest.fixture
def promised() -> Promised:
    return {}


@pytest.fixture
def seed() -> int:
    return 7


@pytest.fixture
def disk(sqlite_settings: Settings, promised: Promised, monkeypatch: pytest.MonkeyPatch, seed: int) -> powercut.Disk:
    """Checkpoints come as often within a second here as in an hour elsewhere."""
    monkeypatch.setattr(sqlite, "CHECKPOINT_BYTES", 300_000)
    monkeypatch.setattr(sqlite, "WAL_LIMIT_BYTES", 700_000)

    def copy() -> Promised:
        return {execution_id: list(event_ids) for execution_id, event_ids in promised.items()}

    return powercut.Disk(sqlite_settings.file.parent, copy, every=60, seed=seed)


async def _write(settings: Settings, disk: powercut.Disk, promised: Promised) -> None:
    """Several executions at once, with values from a few bytes to some that become blobs."""
    with powercut.losing_power(disk):
        store = Store(settings, Clock(), "")
        await store.start()
        async with store.session() as session, session.living(0):
            works = [await store.running(session) for _ in range(RUNS)]
            promised |= {work.execution_id: [] for work in works}
            await asyncio.gather(*(_fill(store, work, promised[work.execution_id]) for work in works))
        await store.stop()


async def _fill(store: Store, work: pb.Work, acknowledged: list[str]) -> None:
    writer, dice = store.writer(), random.Random(work.execution_id)
    for number in range(BATCHES):
        output = b'"' + b"v" * dice.choice([10, 500, 5_000, 20_000 + number]) + b'"'
        batch = [started("a", number), completed("a", number, output=output)]
        (result,) = await writer.append(append_of(work, *batch))
        assert not result.reason, result
        work.head_seq = result.head_seq
        acknowledged += [each.event_id for each in batch]
    assert not (await store.append(work, event("execution_completed"))).reason


async def _wrong(left: powercut.Left, folder: Path) -> list[str]:
    """What a store that starts on such a disk has lost or mixed up, in words; none when all is well."""
    left.put(folder)
    settings = Settings(url=f"sqlite:///{folder / 'state.db'}")
    found: list[str] = []
    try:
        async with open_sqlite(settings.file, publish=lambda _: None, clock=now_us, hand_over=HandOver()) as backend:
            for execution_id, event_ids in left.promised.items():
                journal = await backend.journal(execution_id, after_seq=2, limit=1000)
                kept = [each.event_id.hex() for each in journal.events[: len(event_ids)]]
                if kept != event_ids:
                    found.append(f"{execution_id}: {len(event_ids)} events were acknowledged, {len(kept)} are left")
        if await admin.run("verify", settings, ""):
            found.append("the tables do not say what the journals say")
    except Exception as error:
        return [*found, repr(error)]
    with contextlib.closing(sqlite3.connect(settings.file)) as db:
        found += [text for (text,) in db.execute("PRAGMA integrity_check") if text != "ok"]
    return found


async def test_case_7_after_a_power_cut_at_any_moment_every_acknowledged_event_is_there(
    sqlite_settings: Settings, disk: powercut.Disk, promised: Promised, tmp_path: Path
):
    await _write(sqlite_settings, disk, promised)
    assert len(disk.cuts) > 20 and any(any(left.promised.values()) for left in disk.cuts)
    for number, left in enumerate(disk.cuts):
        assert await _wrong(left, tmp_path / str(number)) == [], f"cut {number}"


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(30))
async def test_case_7_after_power_cuts_at_two_thousand_moments(
    sqlite_settings: Settings, disk: powercut.Disk, promised: Promised, tmp_path: Path
):
    await test_case_7_after_a_power_cut_at_any_moment_every_acknowledged_event_is_there(
        sqlite_settings, disk, promised, tmp_path
    )


@pytest.mark.parametrize("synchronous", ["OFF", "NORMAL"])
async def test_case_7_these_cuts_find_what_a_store_that_syncs_less_loses(
    sqlite_settings: Settings, disk: powercut.Disk, promised: Promised, tmp_path: Path, monkeypatch, synchronous: str
):
    connected = sqlite._connected

    @contextlib.contextmanager
    def careless(file: Path) -> Iterator[sqlite3.Connection]:
        with connected(file) as db:
            db.execute(f"PRAGMA synchronous = {synchronous}")
            yield db

    monkeypatch.setattr(sqlite, "_connected", careless)
    await _write(sqlite_settings, disk, promised)
    monkeypatch.undo()
    for number, left in enumerate(disk.cuts):
        if await _wrong(left, tmp_path / str(number)):
            return
    raise AssertionError(f"{len(disk.cuts)} cuts, and nothing was lost")
