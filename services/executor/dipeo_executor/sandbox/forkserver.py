"""The executor's ends of the fork server and of its workers. Never blocks the loop, starts no thread."""

import asyncio
import json
import os
import signal
import socket
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any

from dipeo_executor import values
from dipeo_executor.nodes.base import NodeError

START_S = 30.0  # an interpreter that has not said a word by then never will
DYING_S = 0.2  # from the end of its socket to its exit code
GONE_S = 5.0  # a killed process is reported within milliseconds
LOST_ITS_WAY, WITHOUT_WALLS = 70, 71  # exit codes that dipeo_worker/forkserver.py gives
MAX_FRAME_BYTES = 4 * values.MAX_BYTES  # one value, two streams and JSON's escapes fit well

_HERE = Path(__file__).parent
# by way of the path, not `-m`: the interpreter may be one that has nothing of ours installed
_BOOT = """import sys
if sys.version_info < (3, 9): sys.exit("code jobs need Python 3.9 or newer, this is " + sys.version)
sys.path.insert(0, sys.argv[1])
from dipeo_worker.forkserver import main
del sys.path[0]
main(int(sys.argv[2]), sys.argv[3])"""
_KEPT_VARIABLES = ("PATH", "TZ")  # everything else of our environment stays with us: it holds secrets


class SandboxUnavailable(NodeError):
    """User code cannot be run at all here; the message says what to change."""


class WorkerDied(NodeError):
    """The process ended while it ran the code; the message names the signal or the exit code."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Per worker process, but the last two. A job's timeout sets its CPU time."""

    memory_bytes: int = 2 * 1024**3  # of address space; of Node.js the heap
    file_bytes: int = 1024**3  # of each file written
    processes: int = 4096  # of our user, threads included, as the kernel counts them; root is exempt
    run_memory_bytes: int = 4 * 1024**3  # of all workers of a run; only where there is a cgroup
    run_processes: int = 512


@dataclass(frozen=True, slots=True)
class Access:
    """What the walls let through, besides the project and the run's own scratch folder."""

    network: bool = True
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    cgroup: str = ""  # a folder of cgroup v2 that hands on memory and pids; "" = our own, if it does


class Worker:
    """The executor's end of one worker: one call at a time. `pid` is 0 until the fork server has told it."""

    def __init__(
        self, number: int, execution_id: str, runtime: str, channel: socket.socket, server: "ForkServer"
    ) -> None:
        self.number, self.execution_id, self.runtime, self.pid = number, execution_id, runtime, 0
        self._channel, self._server = channel, server
        self._received = bytearray()
        self._loop = asyncio.get_running_loop()
        self._reply: asyncio.Future[bytes] | None = None
        self.gone: asyncio.Future[str] = self._loop.create_future()  # how it ended
        self._loop.add_reader(channel, self._readable)

    async def call(self, job: bytes) -> bytes:
        """The answer to a job. Raises WorkerDied. A caller that gives up must kill the worker."""
        reply: asyncio.Future[bytes] = self._loop.create_future()
        self._reply = reply
        try:
            if self.gone.done():
                raise WorkerDied(f"the worker process {self.gone.result()}")
            with suppress(OSError):  # it is dying, and the fork server will say how
                await self._loop.sock_sendall(self._channel, len(job).to_bytes(4, "big") + job)
            return await reply
        finally:
            reply.cancel()
            self._reply = None
            if self.gone.done():
                self._close()

    def kill(self) -> None:
        """It and everything it started; `gone` tells when."""
        self._server.kill(self)

    async def killed(self) -> None:
        self.kill()
        await asyncio.wait([self.gone], timeout=GONE_S)
        if not self.gone.done():  # the fork server is stopped, or stuck
            _kill_group(self.pid)
            self.ended("was killed")

    def ended(self, how: str) -> None:
        """The fork server says so, or is gone itself."""
        if self.gone.done():
            return
        self.gone.set_result(how)
        while self._receive():  # what it wrote before it died
            pass
        if self._reply is None:
            self._close()
        elif not self._reply.done():
            self._reply.set_exception(WorkerDied(f"the worker process {how}"))

    def _close(self) -> None:
        if self._channel.fileno() >= 0:
            self._loop.remove_reader(self._channel)
            self._channel.close()

    def _readable(self) -> None:
        if not self._receive():
            self._loop.remove_reader(self._channel)
            self.kill()  # it closed its end, or writes what is no answer

    def _receive(self) -> bool:
        """Whether there may be more to come."""
        try:
            data = self._channel.recv(1 << 18)
        except BlockingIOError:
            return not self.gone.done()
        except OSError:
            return False
        self._received += data
        size = int.from_bytes(self._received[:4], "big")
        if not data or self._reply is None or size > MAX_FRAME_BYTES:
            return False
        if len(self._received) >= 4 + size > 4:
            if not self._reply.done():
                self._reply.set_result(bytes(self._received[4:]))
            self._received.clear()
        return True


class ForkServer:
    """One process that forks the workers; when it ends, so do they, and its owner starts another."""

    def __init__(self, python: str, base: Path, scratch: Path, limits: Limits, access: Access) -> None:
        """Raises SandboxUnavailable."""
        self.alive, self.walls = True, {}  # type: bool, Mapping[str, Any]
        self.workers: dict[int, Worker] = {}
        self._python, self._scratch = python, scratch
        self._numbers = count(1)
        self._lines = b""
        self._loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[None] = self._loop.create_future()
        config = {"base": str(base), "scratch": str(scratch), "max_value_bytes": values.MAX_BYTES}
        config |= asdict(limits) | asdict(access)
        self._control, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = subprocess.Popen(
                    [python, "-I", "-c", _BOOT, str(_HERE), str(theirs.fileno()), json.dumps(config)],
                    pass_fds=[theirs.fileno()], env=_environment(python, scratch, base), cwd=base,
                    start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                )  # fmt: skip
            except OSError as error:
                self._control.close()
                raise SandboxUnavailable(
                    f'the Python of code jobs, "{python}", cannot be started: {error.strerror}; '
                    "set DIPEO_EXECUTOR_PYTHON to the path of an interpreter"
                ) from error
        self._control.setblocking(False)
        self._loop.add_reader(self._control, self._readable)

    async def ready(self) -> None:
        """Returns once it answers. Raises SandboxUnavailable."""
        if not self._ready.done():
            await asyncio.wait([self._ready], timeout=START_S)
        if not self.alive or not self._ready.done():
            self._lost()
            raise SandboxUnavailable(
                f'the Python of code jobs, "{self._python}", ended (code {self._process.returncode}) before it could '
                "run anything; it must be Python 3.9 or newer. Its own words are in the executor's log"
            )

    def spawn(self, execution_id: str, runtime: str, program: Mapping[str, Any] | None = None) -> Worker:
        """A fresh worker, of `program` if there is one; it may be given its job at once. Raises SandboxUnavailable."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        number = next(self._numbers)
        with theirs:
            order = {"fork": number, "run": execution_id, "scratch": str(self._scratch / execution_id)}
            if program:
                order["node"] = program
            try:
                socket.send_fds(self._control, [json.dumps(order).encode() + b"\n"], [theirs.fileno()])
            except OSError as error:
                ours.close()
                raise SandboxUnavailable(f"no worker process can be had: {error.strerror}") from error
        worker = self.workers[number] = Worker(number, execution_id, runtime, ours, self)
        return worker

    def kill(self, worker: Worker) -> None:
        with suppress(OSError):  # the fork server is dying, and its workers with it
            if worker.number in self.workers:
                self._control.send(json.dumps({"kill": worker.number}).encode() + b"\n")

    def end_run(self, execution_id: str) -> None:
        """After its workers: what the kernel still holds for it."""
        if self.alive and self.walls.get("cgroup"):
            with suppress(OSError):  # it is dying, and the group empty
                self._control.send(json.dumps({"over": execution_id}).encode() + b"\n")

    async def close(self) -> None:
        """End it with everything it started; it removes the scratch folder on its way."""
        if not self.alive:
            return
        self._loop.remove_reader(self._control)
        self._control.shutdown(socket.SHUT_WR)
        try:
            await asyncio.to_thread(self._process.wait, GONE_S)
        except subprocess.TimeoutExpired:
            pass  # it is killed below
        finally:
            self._lost()

    def _readable(self) -> None:
        try:
            data = self._control.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lost()
            return
        *whole, self._lines = (self._lines + data).split(b"\n")
        for line in whole:
            self._hear(json.loads(line))

    def _hear(self, report: Mapping[str, Any]) -> None:
        if "ready" in report:
            self.walls = report["walls"]
            self._ready.set_result(None)
        elif "born" in report:
            self.workers[report["born"]].pid = report["pid"]
        else:
            worker = self.workers.pop(report["ended"])
            worker.ended(report.get("error") or _how(report["status"]))

    def _lost(self) -> None:
        """It ended, or is made to: its workers died with it, what they started must be killed from here."""
        if not self.alive:
            return
        self.alive = False
        self._loop.remove_reader(self._control)
        self._control.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(DYING_S)
        self._process.kill()
        self._process.wait()
        if not self._ready.done():
            self._ready.set_result(None)
        for worker in self.workers.values():
            _kill_group(worker.pid)
            worker.ended("was lost together with the fork server that started it")
        self.workers.clear()


def _kill_group(pid: int) -> None:
    if pid:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)


def _environment(python: str, scratch: Path, base: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    path = os.pathsep.join([str(Path(python).parent), kept.pop("PATH", os.defpath)])
    folders = {"HOME": str(scratch), "TMPDIR": str(scratch), "DIPEO_BASE_DIR": str(base)}
    return {**kept, "PATH": path, "LANG": "C.UTF-8", **folders}


def _how(status: int) -> str:
    if status == LOST_ITS_WAY:
        return f"ended itself with exit code {status}, as when the code closed files it had not opened"
    if status == WITHOUT_WALLS:
        return "could not be walled in, so it ended; docs/sandbox.md says what it takes"
    if status >= 0:
        return f"ended itself with exit code {status}"
    if -status == signal.SIGKILL:
        return "was killed by SIGKILL: the machine ran out of memory, or the code closed files it had not opened"
    if -status == signal.SIGXCPU:
        return "was killed by SIGXCPU: it used more CPU time than its timeout allows"
    if -status in (signal.SIGABRT, signal.SIGTRAP):
        name = signal.Signals(-status).name
        return f"was killed by {name}: Node.js ends so when it needs more memory than it may use"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"
