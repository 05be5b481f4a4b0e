"""Workers whose project is the workspace of one execution: a fork server of its own, started at its first code job."""

import asyncio
from collections.abc import Callable

from dipeo_executor.nodes.base import CodeJob, CodeResult
from dipeo_executor.sandbox import ExecutionWorkers, Sandbox


class OwnSandbox:
    """nodes.base.Workers of one execution. `slots` are those of the whole executor."""

    def __init__(self, make: Callable[[], Sandbox], execution_id: str, slots: asyncio.Semaphore) -> None:
        self._make, self._execution_id, self._slots = make, execution_id, slots
        self._sandbox: Sandbox | None = None
        self._starting = asyncio.Lock()

    async def run_python(self, job: CodeJob) -> CodeResult:
        return await (await self._workers()).run_python(job)

    async def run_bash(self, job: CodeJob) -> CodeResult:
        return await (await self._workers()).run_bash(job)

    async def run_typescript(self, job: CodeJob) -> CodeResult:
        return await (await self._workers()).run_typescript(job)

    async def close(self) -> None:
        if self._sandbox is not None:
            await self._sandbox.__aexit__(None, None, None)

    async def _workers(self) -> ExecutionWorkers:
        async with self._starting:
            if self._sandbox is None:
                sandbox = self._make()
                sandbox.slots = self._slots
                self._sandbox = await sandbox.__aenter__()
        return self._sandbox.workers(self._execution_id)
