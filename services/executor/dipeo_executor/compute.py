"""Where user code runs: in worker processes here, or on a Dask cluster (architecture §5, DIPEO_COMPUTE).

Dask distributes, and runs elsewhere what a lost worker had; compute_worker.py is its side. It keeps nothing durable:
a job the cluster loses is a failed attempt, which the run's journal knows and tries again.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dipeo_executor import compute_worker
from dipeo_executor.nodes.base import CodeJob, CodeResult, NodeError
from dipeo_kit import ids, logs
from dipeo_kit.errors import BadInput, Unavailable

if TYPE_CHECKING:
    from distributed import Client

log = logs.get(__name__)

SCHEME = "dask://"
CONNECT_S = 10


class ComputeLost(NodeError):
    """The cluster lost the job; another attempt may find it well."""

    retryable = True


class Cluster:
    """A connection to a scheduler; `workers` gives each execution its own."""

    def __init__(self, client: "Client", base: Path) -> None:
        self._client, self._base = client, base

    def workers(self, execution_id: str, workspace: Path | None) -> "ClusterWorkers":
        return ClusterWorkers(self._client, execution_id, self._base, workspace)


@asynccontextmanager
async def connected(address: str, base: Path) -> AsyncIterator[Cluster]:
    """The cluster at dask://host:port, whose workers find the project, `base`, where we do.

    Raises BadInput, Unavailable.
    """
    if not address.startswith(SCHEME) or address == SCHEME:
        raise BadInput(f'DIPEO_COMPUTE: "{address}" is not dask://host:port')
    try:
        from distributed import Client
    except ModuleNotFoundError as error:
        raise Unavailable('DIPEO_COMPUTE needs Dask: install "dipeo-executor[dask]"') from error
    scheduler = address.replace(SCHEME, "tcp://", 1)
    connect: Any = Client  # untyped in distributed
    try:
        client = await connect(scheduler, asynchronous=True, timeout=CONNECT_S, set_as_default=False, name="dipeo")
    except OSError as error:
        raise Unavailable(f"no Dask scheduler answers at {address}; start it, or unset DIPEO_COMPUTE") from error
    log.info("compute.connected", scheduler=scheduler)
    try:
        yield Cluster(client, base)
    finally:
        await client.close()


class ClusterWorkers:
    """nodes.base.Workers of one execution on the cluster."""

    def __init__(self, client: "Client", execution_id: str, base: Path, workspace: Path | None) -> None:
        self._client, self._execution_id = client, execution_id
        self._base, self._workspace = str(workspace or base), str(workspace or "")
        self._used = False

    async def run_python(self, job: CodeJob) -> CodeResult:
        return await self._run("python", job)

    async def run_bash(self, job: CodeJob) -> CodeResult:
        return await self._run("bash", job)

    async def run_typescript(self, job: CodeJob) -> CodeResult:
        return await self._run("typescript", job)

    async def close(self) -> None:
        """Let the cluster forget the execution: its worker processes end, its scratch folders go."""
        if self._used:
            await self._everywhere(compute_worker.end, self._execution_id, self._workspace)

    async def _run(self, kind: str, job: CodeJob) -> CodeResult:
        """Raises NodeError as sandbox.ExecutionWorkers does, and ComputeLost."""
        from distributed.scheduler import KilledWorker

        self._used = True
        key = f"{kind}-{ids.new_hex()}"  # not the node run's: a second attempt is another task
        future: Any = self._client.submit(
            compute_worker.run, key, self._execution_id, self._base, kind, job, key=key, pure=False,
        )  # fmt: skip
        try:
            return compute_worker.result_of(await future)
        except KilledWorker as error:
            raise ComputeLost("every worker of the cluster that took the job ended", kind="WorkerDied") from error
        except asyncio.CancelledError:
            if future.cancelled():
                raise ComputeLost("the cluster was lost while it ran the job") from None
            await asyncio.shield(self._everywhere(compute_worker.cancel, key))
            raise
        finally:
            future.release()

    async def _everywhere(self, function: Any, *arguments: str) -> None:
        try:
            await self._client.run(function, *arguments, on_error="ignore")
        except OSError as error:
            log.warning("compute.unreachable", error=str(error))
