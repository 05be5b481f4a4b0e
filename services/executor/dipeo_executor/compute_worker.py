"""The other side of compute.py, in each worker of the cluster:

    dask worker tcp://scheduler:8786 --no-nanny --preload dipeo_executor.compute_worker

User code runs in sandboxed processes there as it does beside an executor, under the same DIPEO_EXECUTOR_CODE_*
variables, in the same image, with the project at the same path.
"""

import asyncio
from pathlib import Path
from typing import Any, NamedTuple

from dipeo_executor.nodes.base import CodeJob, CodeResult, NodeError
from dipeo_executor.sandbox import Sandbox, close_own_memory

_sandboxes: dict[str, Sandbox] = {}  # project folder -> its sandbox
_starting = asyncio.Lock()
_running: dict[str, "asyncio.Task[CodeResult]"] = {}


class Failed(NamedTuple):
    """A NodeError as it travels."""

    message: str
    kind: str
    details: str


async def run(key: str, execution_id: str, base: str, kind: str, job: CodeJob) -> CodeResult | Failed:
    """One job in this worker, on its event loop. `key` is for `cancel`."""
    workers = (await _sandbox(base)).workers(execution_id)
    methods = {"python": workers.run_python, "bash": workers.run_bash, "typescript": workers.run_typescript}
    task = asyncio.ensure_future(methods[kind](job))
    _running[key] = task
    try:
        return await task
    except NodeError as error:
        return Failed(str(error), error.kind, error.details)
    except asyncio.CancelledError:
        return Failed("cancelled", "Cancelled", "")
    finally:
        del _running[key]


def result_of(answer: CodeResult | Failed) -> CodeResult:
    """Raises NodeError."""
    if isinstance(answer, Failed):
        raise NodeError(answer.message, kind=answer.kind, details=answer.details)
    return answer


async def cancel(key: str) -> None:
    """Kill the process of a job, if it runs here."""
    if key in _running:
        _running[key].cancel()


async def end(execution_id: str, workspace: str) -> None:
    """Kill the processes of an execution and remove its scratch folders; end the sandbox of its workspace, if any."""
    if sandbox := _sandboxes.pop(workspace, None):
        await sandbox.__aexit__(None, None, None)
    for sandbox in list(_sandboxes.values()):
        await sandbox.end(execution_id)


async def _sandbox(base: str) -> Sandbox:
    from dipeo_executor.settings import Settings  # at the first job: it knows every setting of an executor

    async with _starting:
        if base not in _sandboxes:
            settings = Settings.load()
            made = Sandbox(
                Path(base), python=settings.python, node=settings.node,
                limits=settings.code_limits(), access=settings.code_access(),
            )  # fmt: skip
            _sandboxes[base] = await made.__aenter__()
        return _sandboxes[base]


# --- called by Dask --------------------------------------------------------------------------------------------------


def dask_setup(_: Any) -> None:
    close_own_memory()


async def dask_teardown(_: Any) -> None:
    for sandbox in list(_sandboxes.values()):
        await sandbox.__aexit__(None, None, None)
