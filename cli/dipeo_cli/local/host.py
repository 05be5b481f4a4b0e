"""The local stack's process: one event loop for store, executor and gateway (spec/cli.md §11.2, decisions 20, 36-38).

It holds the lock on run/stack.pid from before the store opens its database until everything is closed, describes
itself in run/gateway.json while it serves, and leaves at SIGTERM, when idle, or when its project folder is gone.
"""

import asyncio
import contextlib
import fcntl
import json
import os
import secrets
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dipeo_cli import __version__, output
from dipeo_cli.config import Layout
from dipeo_cli.errors import CliError
from dipeo_cli.stack import Stack
from dipeo_kit import errors as kit

if TYPE_CHECKING:
    from dipeo_gateway.main import Running

FIRST_PORT = 8000
IDLE_S = 600.0
SOCKET_PATH_LIMIT = 100  # bytes; the kernel takes 107
PREDECESSOR_S = 40.0
LOG_LIMIT_BYTES = 5 * 1024 * 1024
LOG_GENERATIONS = 5
EXIT_FAILED = 1


def serve(layout: Layout, *, host: str, port: int | None) -> int:
    """In the foreground, until SIGTERM or Ctrl-C."""
    _make_folders(layout)

    def ready(stack: Stack) -> None:
        output.say(f"serving {layout.base} at {stack.url}; Ctrl-C stops it")

    try:
        return _host(layout, _listen(host, port), ready, idle_s=None)
    except ModuleNotFoundError as error:
        raise _not_installed(error) from error
    except kit.DipeoError as error:
        raise CliError(str(error), code=error.code.lower(), exit_code=EXIT_FAILED) from error


def background(layout: Layout, ready_fd: int) -> int:
    """Detached: standard output and error are run/logs/stack.log, rotated here; leaves when idle."""
    os.set_inheritable(ready_fd, False)
    _rotate(layout.stack_log)

    def ready(stack: Stack) -> None:
        with contextlib.suppress(BrokenPipeError):  # whoever started us may have been interrupted
            os.write(ready_fd, b"1")
        os.close(ready_fd)

    idle_s = float(os.environ.get("DIPEO_IDLE_S") or IDLE_S)
    try:
        return _host(layout, _listen("127.0.0.1", None), ready, idle_s=idle_s)
    except (kit.DipeoError, CliError, ModuleNotFoundError, OSError) as error:
        told = _not_installed(error) if isinstance(error, ModuleNotFoundError) else error
        print(f"error: {told}", file=sys.stderr)
        return EXIT_FAILED


def _not_installed(error: ModuleNotFoundError) -> CliError:
    return CliError(
        f"the services are not installed here: {error.name} is missing",
        code="not_supported",
        exit_code=EXIT_FAILED,
        hint='install "dipeo-cli[local]", or set DIPEO_API_URL to a gateway elsewhere',
    )


def _host(layout: Layout, listener: socket.socket, ready: Callable[[Stack], None], *, idle_s: float | None) -> int:
    load_env(layout.base)
    with listener, _alive(layout), _socket_folder(layout) as sockets:
        asyncio.run(_run(layout, listener, sockets, ready, idle_s))
    return 0


async def _run(
    layout: Layout, listener: socket.socket, sockets: Path, ready: Callable[[Stack], None], idle_s: float | None
) -> None:
    from dipeo_kit import logs, telemetry

    logs.configure(os.environ.get("DIPEO_LOG_LEVEL", "INFO").upper(), service="stack")
    with telemetry.exporting("dipeo-stack"):
        await _serve(layout, listener, sockets, ready, idle_s)


async def _serve(
    layout: Layout, listener: socket.socket, sockets: Path, ready: Callable[[Stack], None], idle_s: float | None
) -> None:
    from dipeo_kit import process

    token = _token(layout)
    async with _services(layout, listener, sockets, token) as (gateway, has_work):
        stack = Stack(
            pid=os.getpid(),
            url=gateway.url,
            token=token,
            version=__version__,
            base=str(layout.base),
            started_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
            sockets=str(sockets),
        )
        _write_private(layout.gateway, json.dumps(asdict(stack)))
        ready(stack)
        try:
            watcher = asyncio.create_task(_until_useless(layout, gateway, has_work, idle_s))
            stopped = asyncio.create_task(process.wait_for_stop())
            await asyncio.wait({watcher, stopped}, return_when=asyncio.FIRST_COMPLETED)
            for task in (watcher, stopped):
                task.cancel()
            await asyncio.gather(watcher, stopped, return_exceptions=True)
        finally:
            layout.gateway.unlink(missing_ok=True)


@asynccontextmanager
async def _services(
    layout: Layout, listener: socket.socket, sockets: Path, token: str
) -> AsyncIterator[tuple["Running", Callable[[], Any]]]:
    """All three, in the order in which they need each other; and a question: is any run unfinished?"""
    from pydantic import SecretStr

    from dipeo_executor import main as executor
    from dipeo_executor.settings import Settings as ExecutorSettings
    from dipeo_gateway import main as gateway
    from dipeo_gateway.settings import Settings as GatewaySettings
    from dipeo_store import main as store
    from dipeo_store.settings import Settings as StoreSettings

    addresses = {name: f"unix:{sockets / name}.sock" for name in ("store", "executor")}
    for address in addresses.values():
        Path(address.removeprefix("unix:")).unlink(missing_ok=True)  # left by a stack that was killed
    layout.database.parent.mkdir(parents=True, exist_ok=True)
    stored = StoreSettings(url=f"sqlite:///{layout.database}", listen=addresses["store"], **_master_key_file(layout))
    executed = ExecutorSettings(listen=addresses["executor"], store=addresses["store"], base_dir=layout.base)
    served_by = GatewaySettings(
        store=addresses["store"],
        executor=addresses["executor"],
        token=SecretStr(token),
        base=str(layout.base),
        published="files",
    )
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        await enter(store.running(stored))
        await enter(executor.running(executed))
        served = await enter(gateway.running(served_by, listen_socket=listener))
        channel = await enter(_channel(addresses["store"]))
        yield served, lambda: _has_unfinished(channel)


def _channel(address: str) -> Any:
    from dipeo_kit import rpc

    return rpc.open_channel(address)


async def _has_unfinished(channel: Any) -> bool:
    from dipeo_kit import rpc
    from dipeo_protos.store.v1 import store_pb2 as pb
    from dipeo_protos.store.v1.store_pb2_grpc import StoreServiceStub

    statuses = [pb.EXECUTION_STATUS_PENDING, pb.EXECUTION_STATUS_RUNNING, pb.EXECUTION_STATUS_PAUSED]
    request = pb.ListExecutionsRequest(statuses=statuses, page_size=1)
    response = await rpc.call(StoreServiceStub(channel).ListExecutions, request)
    return bool(response.executions)


async def _until_useless(layout: Layout, gateway: "Running", has_work: Callable[[], Any], idle_s: float | None) -> None:
    """Return when nobody has used the stack for `idle_s` and no run is unfinished, or when its files are gone."""
    pause_s = min(5.0, idle_s / 4) if idle_s is not None else 5.0
    while True:
        await asyncio.sleep(pause_s)
        if not layout.gateway.exists():
            return
        if idle_s is None:
            continue
        _rotate(layout.stack_log)
        activity = gateway.activity
        quiet_s = time.monotonic() - activity.last_request_at
        if quiet_s > idle_s and not activity.subscribers and not await has_work():
            return


# --- files -----------------------------------------------------------------------------------------------------------


def _make_folders(layout: Layout) -> None:
    try:
        for folder in (layout.run, layout.stack_log.parent):
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CliError(
            f"cannot write {error.filename or layout.root}: {error.strerror}", code="unavailable", exit_code=3
        ) from error


@contextmanager
def _alive(layout: Layout) -> Iterator[None]:
    """Hold run/stack.pid, after a predecessor that is leaving. A POSIX lock: forked workers do not inherit it."""
    deadline = time.monotonic() + PREDECESSOR_S
    with layout.alive.open("a+") as file:
        while True:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if time.monotonic() > deadline:
                    file.seek(0)
                    raise CliError(
                        f"another stack (pid {file.read().strip()}) holds {layout.root} and does not end",
                        code="conflict",
                        exit_code=EXIT_FAILED,
                    ) from error
                time.sleep(0.05)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


@contextmanager
def _socket_folder(layout: Layout) -> Iterator[Path]:
    """run/, or a short private folder where the path of a socket would be too long for the kernel."""
    if len(os.fsencode(layout.run / "executor.sock")) <= SOCKET_PATH_LIMIT:
        yield layout.run
        return
    folder = Path(tempfile.mkdtemp(prefix="dipeo-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _token(layout: Layout) -> str:
    """The project's token, made at the first start."""
    try:
        if token := layout.token.read_text().strip():
            return token
    except FileNotFoundError:
        pass
    token = secrets.token_urlsafe(32)
    _write_private(layout.token, token)
    return token


def _master_key_file(layout: Layout) -> dict[str, Any]:
    """The project's own master key, made at the first start, unless the environment has one."""
    if os.environ.get("DIPEO_STORE_MASTER_KEY") or os.environ.get("DIPEO_STORE_MASTER_KEY_FILE"):
        return {}
    if not layout.master_key.exists():
        _write_private(layout.master_key, secrets.token_hex(32))
    return {"master_key_file": layout.master_key}


def _write_private(path: Path, text: str) -> None:
    """Whole and with mode 0600, or not at all."""
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)


def load_env(base: Path) -> None:
    """BASE/.env, where people keep their provider keys; the real environment wins."""
    if (base / ".env").is_file():
        from dotenv import load_dotenv

        load_dotenv(base / ".env", override=False)


def _listen(host: str, port: int | None) -> socket.socket:
    """The port asked for, else 8000, else a free one (decision 37). Raises CliError when an explicit port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for candidate in (FIRST_PORT, 0) if port is None else (port,):
        try:
            return socket.create_server((host, candidate), family=family, backlog=2048)
        except OSError as error:
            refused = error
    raise CliError(
        f"cannot listen on {host}:{port if port is not None else FIRST_PORT}: {refused.strerror}",
        code="unavailable",
        exit_code=EXIT_FAILED,
        hint="choose another --port, or leave it out to get a free one",
    ) from refused


def _rotate(log: Path) -> None:
    """Move a log that has grown too large aside, and let this process write to a new one."""
    if not log.exists() or log.stat().st_size < LOG_LIMIT_BYTES:
        return
    for number in range(LOG_GENERATIONS - 1, 0, -1):
        older = log.with_suffix(f".{number}.log")
        if older.exists():
            older.replace(log.with_suffix(f".{number + 1}.log"))
    log.replace(log.with_suffix(".1.log"))
    with log.open("ab") as fresh:
        for stream in (1, 2):
            os.dup2(fresh.fileno(), stream)
