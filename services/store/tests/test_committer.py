"""Where a group is committed: on the writer's thread, or on the event loop when that is free and the disk quick."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence

import pytest

from dipeo_kit.errors import Unavailable
from dipeo_store import committer
from dipeo_store.committer import Committed, Committer

LOOP, WRITER = "MainThread", "dipeo-store-writer"


class Disk:
    """Takes names; tells which thread wrote each. "held" waits for `release`, "full" fails."""

    def __init__(self) -> None:
        self.written: list[tuple[str, str]] = []
        self.begun, self.release = threading.Event(), threading.Event()

    def commit(self, names: Sequence[str]) -> Committed:
        if "held" in names:
            self.begun.set()
            self.release.wait()
        if "full" in names:
            raise Unavailable("no room")
        thread = threading.current_thread().name
        self.written += [(name, thread) for name in names]
        return Committed(list(names), [])


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
async def group(disk: Disk) -> AsyncIterator[Committer[str]]:
    made = Committer(disk.commit, lambda _: None)
    yield made
    disk.release.set()
    await made.close()


async def test_a_small_group_of_a_lone_writer_is_committed_on_the_loop(group: Committer[str], disk: Disk):
    assert await group.submit(["a"], small=True) == ["a"]
    assert await group.submit(["b"]) == ["b"]
    assert disk.written == [("a", LOOP), ("b", WRITER)]


async def test_while_the_thread_writes_small_groups_wait_their_turn(group: Committer[str], disk: Disk):
    first = asyncio.create_task(group.submit(["held"]))
    await asyncio.to_thread(disk.begun.wait)
    second = asyncio.create_task(group.submit(["b"], small=True))
    await asyncio.sleep(0)
    assert not disk.written
    disk.release.set()
    assert [await first, await second] == [["held"], ["b"]]
    assert disk.written == [("held", WRITER), ("b", WRITER)]
    await group.submit(["c"], small=True)
    assert disk.written[-1] == ("c", LOOP)


async def test_after_a_slow_commit_the_loop_is_left_alone(
    group: Committer[str], disk: Disk, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(committer, "SLOW_S", 0.0)  # every disk is slower
    monkeypatch.setattr(committer, "LEAVE_LOOP", 1e9)
    for name in "abc":
        await group.submit([name], small=True)
    assert disk.written == [("a", LOOP), ("b", WRITER), ("c", WRITER)]


async def test_a_commit_that_fails_on_the_loop_is_the_answer_to_its_caller_alone(group: Committer[str], disk: Disk):
    (outcome,) = await group.submit(["full"], small=True)
    assert isinstance(outcome, Unavailable)
    assert await group.submit(["a"], small=True) == ["a"]


async def test_nothing_is_committed_on_the_loop_after_the_end(group: Committer[str], disk: Disk):
    await group.close()
    with pytest.raises(Unavailable, match="stopping"):
        await group.submit(["a"], small=True)
