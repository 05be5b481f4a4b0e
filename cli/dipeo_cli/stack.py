"""The local stack seen from outside: find it, start it, stop it (spec/cli.md §11.2, decisions 24, 36-38).

The stack is one process (dipeo_cli.local) that holds a lock on run/stack.pid as long as it lives and describes itself
in run/gateway.json once it serves. Whoever wants to start one holds run/lock meanwhile.
"""

import fcntl
import json
import os
import select
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dipeo_cli import __version__, output
from dipeo_cli.config import Config, Layout
from dipeo_cli.errors import CliError, Unreachable, Usage

if TYPE_CHECKING:
    from dipeo_cli.client import Gateway

READY_S = 60.0
STOP_S = 40.0
LOG_LINES = 20


@dataclass(frozen=True, slots=True)
class Stack:
    """What run/gateway.json says."""

    pid: int
    url: str
    token: str
    version: str
    base: str
    started_at: str  # RFC 3339, UTC
    sockets: str = ""  # folder of store.sock and executor.sock

    @classmethod
    def from_json(cls, text: str) -> "Stack | None":
        """None when the file is broken, e.g. by a full disk."""
        try:
            return cls(**json.loads(text))
        except (ValueError, TypeError):
            return None

    def uptime_s(self) -> float:
        return round((datetime.now(UTC) - datetime.fromisoformat(self.started_at)).total_seconds(), 1)


def connect(config: Config) -> "Gateway":
    """The gateway to talk to: the one given, else this project's stack, started when allowed. Raises Unreachable."""
    if config.api_url:
        if config.env_file:
            raise Usage(f"--env-file is about the local stack, but the gateway is set to {config.api_url}")
        return _connect_to(config)
    gateway = running(config.layout())
    if gateway:
        if config.env_file:
            output.warning(
                f"--env-file {config.env_file}: a stack runs already and keeps its variables; `dipeo down` first"
            )
        return gateway
    if not config.autostart:
        raise Unreachable(f"no local stack is running for {config.base}", hint="start it with `dipeo up`")
    return start(config.layout(), _variables(config.env_file))


def _variables(env_file: str) -> dict[str, str]:
    """Raises Usage."""
    if not env_file:
        return {}
    from dotenv import dotenv_values

    if not Path(env_file).is_file():
        raise Usage(f"--env-file: there is no file {env_file}")
    return {name: value or "" for name, value in dotenv_values(env_file).items()}


def _connect_to(config: Config) -> "Gateway":
    from dipeo_cli.client import Gateway

    known = described(config.layout())
    own_token = known.token if known and known.url == config.api_url else ""
    return Gateway(config.api_url, config.token or own_token)


def described(layout: Layout) -> Stack | None:
    """What the last stack wrote about itself; it may be gone."""
    try:
        return Stack.from_json(layout.gateway.read_text())
    except OSError:
        return None


def running(layout: Layout) -> "Gateway | None":
    """The stack of this project if it answers as itself; one of another version is replaced when idle."""
    known = described(layout)
    if known is None or holder(layout) is None:
        return None
    from dipeo_cli.client import Gateway

    gateway = Gateway(known.url, known.token)
    health = gateway.health()
    if health is None or Path(str(health.get("base"))).resolve() != layout.base.resolve():
        return None
    if known.version != __version__:
        _replace_when_idle(gateway, known, layout)
        return None
    return gateway


def _replace_when_idle(gateway: "Gateway", known: Stack, layout: Layout) -> None:
    """Raises CliError when the other stack has work."""
    sentence = f"the running stack is version {known.version}, this dipeo is {__version__}"
    if gateway.list_executions(limit=1, filter={"statuses": ["PENDING", "RUNNING", "PAUSED"]}):
        raise CliError(
            f"{sentence}, and it has runs in progress",
            code="unavailable",
            exit_code=3,
            hint="wait for them, or restart it with `dipeo down && dipeo up`; they continue",
        )
    output.say(f"{sentence}; it is idle and will be restarted")
    stop(layout)


def holder(layout: Layout) -> int | None:
    """Pid of the live stack process, whether it serves yet or not; None when there is none."""
    try:
        with layout.alive.open("r+") as file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return int(file.read() or 0)
    except (OSError, ValueError):
        return None
    return None


# --- start and stop --------------------------------------------------------------------------------------------------


def start(layout: Layout, variables: Mapping[str, str] | None = None) -> "Gateway":
    """Start the stack unless somebody else just did. Raises Unreachable with the end of its log when it fails.

    `variables`: of its environment; what this process has wins.
    """
    with _starting(layout):
        gateway = running(layout)
        if gateway:
            return gateway
        log_size = layout.stack_log.stat().st_size if layout.stack_log.exists() else 0
        pid, ready = _spawn(layout, variables or {})
        import dipeo_cli.client  # noqa: F401  # loads while the stack comes up

        if not _wait_ready(ready):
            _terminate(pid)
            raise Unreachable(_failure(layout, log_size), hint=f"the whole log: {layout.stack_log}")
        gateway = running(layout)
    if gateway is None:
        raise Unreachable(f"the stack started but does not answer; see {layout.stack_log}")
    return gateway


@contextmanager
def _starting(layout: Layout) -> Iterator[None]:
    try:
        for folder in (layout.run, layout.stack_log.parent):
            folder.mkdir(parents=True, exist_ok=True)
        file = layout.starting.open("w")
    except OSError as error:
        raise CliError(
            f"cannot write {error.filename or layout.root}: {error.strerror}",
            code="unavailable",
            exit_code=3,
            hint="the local stack keeps its state there; choose another project root with -C or DIPEO_BASE_DIR",
        ) from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _spawn(layout: Layout, variables: Mapping[str, str]) -> tuple[int, int]:
    """Start the process, detached; its pid and the pipe on which it says that it is ready."""
    import subprocess

    read_end, write_end = os.pipe()
    with layout.stack_log.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "dipeo_cli.local", "--base", str(layout.base), "--ready-fd", str(write_end)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=layout.base,
            env={**variables, **os.environ},
            start_new_session=True,
            pass_fds=[write_end],
        )
    os.close(write_end)
    process.returncode = 0  # it outlives us on purpose: Popen must not warn about it
    return process.pid, read_end


def _wait_ready(pipe: int) -> bool:
    """False when the process ended, or was not ready in time."""
    try:
        readable, _, _ = select.select([pipe], [], [], READY_S)
        return bool(readable) and os.read(pipe, 1) != b""
    finally:
        os.close(pipe)


def _failure(layout: Layout, log_size: int) -> str:
    with layout.stack_log.open("rb") as log:
        log.seek(log_size)
        lines = log.read().decode(errors="replace").splitlines()[-LOG_LINES:]
    return "\n".join(["the local stack did not start; the end of its log:", *(f"  {line}" for line in lines)])


def stop(layout: Layout) -> bool:
    """Ask the stack to leave and wait until it has; False when none was running. Runs it holds continue later."""
    pid = holder(layout)
    if pid is None:
        return False
    _terminate(pid)
    deadline = time.monotonic() + STOP_S
    while holder(layout) == pid:
        if time.monotonic() > deadline:
            output.warning(f"the stack (pid {pid}) did not stop in {STOP_S:g} s; it is killed, its runs continue later")
            _terminate(pid, signal.SIGKILL)
            deadline += STOP_S
        time.sleep(0.02)
    return True


def _terminate(pid: int, number: int = signal.SIGTERM) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def status(config: Config) -> dict[str, Any]:
    """Of the given gateway or this project's stack (decision 37); asks, starts nothing."""
    if config.api_url:
        with _connect_to(config) as gateway:
            health = gateway.health()
        found = {"url": config.api_url, "version": health["version"], "base": health["base"]} if health else {}
        return {"running": health is not None, "url": config.api_url} | found
    stopped = {"running": False, "base": str(config.base)}
    known = described(config.layout())
    if known is None or holder(config.layout()) is None:
        return stopped
    from dipeo_cli.client import Gateway

    with Gateway(known.url, known.token) as gateway:
        if gateway.health() is None:
            return stopped
    return {
        "running": True,
        "pid": known.pid,
        "url": known.url,
        "version": known.version,
        "base": known.base,
        "uptime_s": known.uptime_s(),
    }
