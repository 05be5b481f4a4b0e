"""One worker: walls around it, then job after job of one execution."""

from __future__ import annotations

import contextlib
import json
import math
import os
import resource
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any, TextIO

from .answers import STREAM_BYTES, encode, failure
from .bash_code import run_bash
from .python_code import run_python
from .syscalls import PR_SET_CHILD_SUBREAPER, PR_SET_PDEATHSIG, prctl
from .walls import Walls

_streams: dict[int, TextIO] = {}


def work(channel: socket.socket, config: dict[str, Any]) -> None:
    """Answer jobs until the executor closes its end."""
    me = os.getpid()
    while True:
        head = channel.recv(4, socket.MSG_WAITALL)
        if len(head) < 4:
            return
        job = json.loads(_receive(channel, int.from_bytes(head, "big")))
        answer = _answer(job, config)
        if os.getpid() != me:  # user code forked and its child came back here
            return
        channel.sendall(len(answer).to_bytes(4, "big") + answer)


def _receive(channel: socket.socket, size: int) -> bytearray:
    data = bytearray()
    while len(data) < size:
        part = channel.recv(min(size - len(data), 1 << 20), socket.MSG_WAITALL)
        if not part:
            raise EOFError
        data += part
    return data


def _answer(job: dict[str, Any], config: dict[str, Any]) -> bytes:
    for number in _streams:
        if _streams[number].closed:
            _streams[number] = _open_stream(number)
    sys.stdout, sys.stderr = _streams[1], _streams[2]
    _limit_cpu(job["timeout_s"])
    try:
        if job["kind"] == "bash":
            answer = run_bash(job, config)
        else:
            answer = {"value": run_python(job, config), "stdout": _printed(1), "stderr": _printed(2)}
        return encode(answer, config["max_value_bytes"])
    except BaseException as error:  # noqa: BLE001 - the boundary around user code, SystemExit included
        return failure(error, job, _printed(1) + _printed(2), config["memory_bytes"])
    finally:
        for number in _streams:
            if os.fstat(number).st_size:
                os.ftruncate(number, 0)


def _open_stream(number: int) -> TextIO:
    return open(number, "w", encoding="utf-8", errors="backslashreplace", closefd=False)


def _printed(number: int) -> str:
    """Also what child processes wrote: descriptors 1 and 2 are unlinked files in the scratch folder."""
    stream = _streams[number]
    with contextlib.suppress(OSError, ValueError):  # the file is as large as it may get, or the code closed it
        stream.flush()
    return os.pread(number, STREAM_BYTES, 0).decode("utf-8", "replace") if os.fstat(number).st_size else ""


def _limit_cpu(timeout_s: float) -> None:
    """A backstop for the executor's clock: all cores for as long as the job may take."""
    spent, (_, hard) = time.process_time(), resource.getrlimit(resource.RLIMIT_CPU)
    soft = math.ceil(spent + timeout_s * (os.cpu_count() or 1)) + 2
    resource.setrlimit(resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


def be_born(channel: socket.socket, walls: Walls, order: dict[str, Any], parent: int) -> None:
    """Become a worker, right after the fork. The worker leads its own session, so one kill reaches what it starts.

    It returns to do the work, or becomes the program of `order` ("node") that does. Raises OSError.
    """
    os.setsid()
    scratch, program = order["scratch"], order.get("node")
    group = walls.group(order["run"])
    if group:
        group.enter()
    walls.give_up_power()
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # after the change of user, which would clear it
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    if os.getppid() != parent:
        os._exit(0)  # the fork server died before it could take us along
    os.environ.update(HOME=scratch, TMPDIR=scratch)
    for number in (1, 2):
        path = Path(scratch, f".stream-{os.getpid()}")
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        path.unlink()
        os.dup2(fd, number)
        os.close(fd)
        _streams[number] = _open_stream(number)
    if program:
        # V8 reserves far more addresses than it fills
        walls.close(scratch, program["reads"], {resource.RLIMIT_DATA: program["data_bytes"]})
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.set_inheritable(channel.fileno(), True)
        os.execve(program["argv"][0], [*program["argv"], str(channel.fileno())], os.environ)
    walls.close(scratch, [], {resource.RLIMIT_AS: walls.config["memory_bytes"]})
