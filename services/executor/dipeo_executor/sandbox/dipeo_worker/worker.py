"""One worker: limits around it, then job after job of one execution."""

from __future__ import annotations

import contextlib
import ctypes
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

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 36, 38

_libc = ctypes.CDLL(None)
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


def be_born(channel: socket.socket, config: dict[str, Any], scratch: str, parent: int) -> None:
    """Become a worker, right after the fork. The worker leads its own session, so one kill reaches what it starts."""
    os.setsid()
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    if os.getppid() != parent:
        return  # the fork server died before it could take us along
    Path(scratch).mkdir(mode=0o700, parents=True, exist_ok=True)
    os.environ.update(HOME=scratch, TMPDIR=scratch)
    for number in (1, 2):
        path = Path(scratch, f".stream-{os.getpid()}")
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        path.unlink()
        os.dup2(fd, number)
        os.close(fd)
        _streams[number] = _open_stream(number)
    confine(config)
    work(channel, config)


def confine(config: dict[str, Any]) -> None:
    """What user code may not exceed. Walls around files and network belong here, after the limits."""
    for number, most in (
        (resource.RLIMIT_AS, config["memory_bytes"]),
        (resource.RLIMIT_FSIZE, config["file_bytes"]),
        (resource.RLIMIT_NPROC, config["processes"]),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(number)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(number, (most, most))


def prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        _libc.prctl(option, value, 0, 0, 0)
