import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from dipeo_executor.nodes.base import CodeJob
from dipeo_executor.sandbox import ExecutionWorkers, Sandbox

Job = Callable[..., CodeJob]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    return folder.resolve()


@pytest.fixture
async def sandbox(base: Path) -> AsyncIterator[Sandbox]:
    async with Sandbox(base) as sandbox:
        yield sandbox


@pytest.fixture
async def workers(sandbox: Sandbox) -> ExecutionWorkers:
    return sandbox.workers("exec_a")


@pytest.fixture
def job() -> Job:
    def make(source: str, /, **fields: Any) -> CodeJob:
        inputs = fields.pop("inputs", {})
        defaults = {"filename": "<Node>", "function": "", "variables": {}, "node_id": "node_1", "timeout_s": 20}
        return CodeJob(source=source, inputs=inputs, **{**defaults, **fields})

    return make


@pytest.fixture
def gone() -> Callable[[int], Any]:
    """Waits until a process that may be nobody's child of ours has ended."""

    async def wait(pid: int) -> None:
        try:
            fd = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(fd, ended.set)
        try:
            await asyncio.wait_for(ended.wait(), 10)
        finally:
            asyncio.get_running_loop().remove_reader(fd)
            os.close(fd)

    return wait


@pytest.fixture
def told(base: Path) -> Callable[[], Any]:
    """What the code writes to the pipe "told" in BASE, as soon as it does."""
    pipe = base / "told"
    os.mkfifo(pipe)

    async def read() -> str:
        return await asyncio.wait_for(asyncio.to_thread(pipe.read_text), 10)

    return read
