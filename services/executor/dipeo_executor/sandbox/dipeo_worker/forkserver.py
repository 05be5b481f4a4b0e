"""The fork server: holds no run's data, forks a worker when the executor asks for one, and buries it.

Lines of JSON on the control socket. From the executor: {"fork": id, "run": execution, "scratch": folder} with the
worker's end of its channel attached, {"kill": id}, {"over": execution}. To the executor: {"ready": version, "walls":
report}, {"born": id, "pid": pid}, {"ended": id, "status": exit code or -signal} or {"ended": id, "error": text}. When
the executor's end closes, everything that was started here is killed.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import shutil
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

from .syscalls import PR_SET_CHILD_SUBREAPER, prctl
from .walls import Walls
from .worker import be_born, work

WITHOUT_WALLS, LOST_ITS_WAY = 71, 70  # exit codes of workers; forkserver.py of the executor knows them
LAST_S = 5.0  # for the last children to go


class ForkServer:
    def __init__(self, control: socket.socket, config: dict[str, Any]) -> None:
        self.control, self.config = control, config
        self.walls = Walls(config)
        self.pids: dict[int, int] = {}  # worker id -> pid, of the living
        self.wake_read, self.wake_write = os.pipe()
        os.set_blocking(self.wake_write, False)

    def serve(self) -> None:
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self.wake_write, warn_on_full_buffer=False)
        self._say(ready=sys.version.split()[0], walls=self.walls.report())
        lines, channels = b"", []  # type: tuple[bytes, list[int]]
        while True:
            readable, _, _ = select.select([self.control.fileno(), self.wake_read], [], [])
            if self.wake_read in readable:
                os.read(self.wake_read, 4096)
                self._bury()
            if self.control.fileno() in readable:
                data, fds, _, _ = socket.recv_fds(self.control, 65536, 64)
                if not data:
                    return
                channels += fds
                *whole, lines = (lines + data).split(b"\n")
                for line in whole:
                    self._obey(json.loads(line), channels)

    def _obey(self, order: dict[str, Any], channels: list[int]) -> None:
        if "kill" in order:
            pid = self.pids.get(order["kill"])
            if pid is not None:
                _kill(pid)
            return
        if "over" in order:
            group = self.walls.group(order["over"])
            if group:
                group.end()
            return
        channel = socket.socket(fileno=channels.pop(0))
        with channel:
            self._fork(order["fork"], order, channel)

    def _fork(self, worker: int, order: dict[str, Any], channel: socket.socket) -> None:
        parent = os.getpid()
        try:
            self._prepare(order)
            pid = os.fork()
        except OSError as error:
            self._say(ended=worker, error=f"could not be started: {error.strerror}")
            return
        if pid == 0:
            self._leave_to_child(channel, order, parent)
        self.pids[worker] = pid
        self._say(born=worker, pid=pid)

    def _prepare(self, order: dict[str, Any]) -> None:
        """Raises OSError."""
        self.walls.hide_state()
        self.walls.scratch(order["scratch"])
        group = self.walls.group(order["run"])
        if group:
            group.make(self.config["run_memory_bytes"], self.config["run_processes"])

    def _leave_to_child(self, channel: socket.socket, order: dict[str, Any], parent: int) -> NoReturn:
        code = WITHOUT_WALLS
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.close(self.wake_read)
            os.close(self.wake_write)
            self.control.close()
            be_born(channel, self.walls, order, parent)
            code = LOST_ITS_WAY
            work(channel, self.config)
            code = 0
        finally:
            os._exit(code)  # whatever happens, the child does not go on as a second fork server

    def _bury(self) -> None:
        """Reap who died, and kill what dead workers left behind in their group, or handed to us by leaving it."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            worker = next((worker for worker, at in self.pids.items() if at == pid), None)
            if worker is not None:
                del self.pids[worker]
                _kill_group(pid)  # no new process can have this number while the group has members
            for orphan in _children().difference(self.pids.values()):
                _kill(orphan)
            if worker is not None:
                self._say(ended=worker, status=os.waitstatus_to_exitcode(status))

    def _say(self, **fields: Any) -> None:
        with contextlib.suppress(OSError):  # the executor is gone; serve() sees it next
            self.control.sendall(json.dumps(fields).encode() + b"\n")

    def end(self) -> None:
        """Kill everything and leave no file. The executor is closing, or dead."""
        until = time.monotonic() + LAST_S
        while time.monotonic() < until:
            for pid in {*self.pids.values(), *_children()}:
                _kill(pid)
            try:
                pid, _ = os.waitpid(-1, 0)
            except ChildProcessError:
                break
            self.pids = {worker: at for worker, at in self.pids.items() if at != pid}
        shutil.rmtree(self.config["scratch"], ignore_errors=True)


def _kill(pid: int) -> None:
    """One of our own children, dead or alive but not yet reaped, and the group it leads."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)  # a newborn does not lead its group yet
    _kill_group(pid)


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _children() -> set[int]:
    """All of ours: a process whose parent died falls to us, we are their subreaper."""
    try:
        return {int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()}
    except OSError:
        return set()


def main(fd: int, config: str) -> None:
    server = ForkServer(socket.socket(fileno=fd), {**json.loads(config), "path": list(sys.path)})
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    gc.freeze()  # what is loaded now stays shared with the workers
    try:
        server.serve()
    finally:
        server.end()
