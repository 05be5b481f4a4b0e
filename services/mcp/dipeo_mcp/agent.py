"""The ngrok agent, a child of this process: started and asked through pyngrok, and ended for certain (spec/mcp.md §4).

pyngrok waits for a silent agent for ever, does not tell when one dies, and leaves it behind when we are killed.
"""

import asyncio
import contextlib
import json
import os
import re
import shlex
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import yaml
from pyngrok import ngrok
from pyngrok import process as agents
from pyngrok.conf import PyngrokConfig
from pyngrok.exception import PyngrokError, PyngrokNgrokHTTPError

from dipeo_kit import logs
from dipeo_mcp.edge import COMPAT, DISCOVERY, HEALTH, INFO, MCP

log = logs.get(__name__)

NAME = "dipeo-mcp"
START_S = 20.0  # for the agent and its endpoint
WATCH_S = 5.0
STOP_S = 5.0
# the account, its plan or the wish is wrong: asking again changes nothing
PERMANENT = frozenset({"ERR_NGROK_105", "ERR_NGROK_106", "ERR_NGROK_107", "ERR_NGROK_108", "ERR_NGROK_313",
                       "ERR_NGROK_314", "ERR_NGROK_320", "ERR_NGROK_334"})  # fmt: skip
_CODE = re.compile(r"ERR_NGROK_\d+")
# Becomes the agent after it asked the kernel to be killed with its parent: whoever kills us with SIGKILL takes the
# public address down too. The pid stays the agent's.
_LEASH = """import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
if os.getppid() != {parent}:
    sys.exit(1)  # it died before we asked
os.execv({agent!r}, [{agent!r}, *sys.argv[1:]])
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything has been checked. `token` "" = it stands in `config`."""

    agent: Path
    token: str
    config: Path | None
    domain: str
    pid_file: Path | None
    probe: bool
    watch_s: float = WATCH_S
    start_s: float = START_S


class Failed(Exception):
    """The tunnel is not up. `code` as ngrok says it, "" = it said none."""

    def __init__(self, message: str, code: str = "", *, permanent: bool = False) -> None:
        super().__init__(message)
        self.code, self.permanent = code, permanent or code in PERMANENT


async def start(plan: Plan, config: PyngrokConfig, port: int) -> str:
    """The public URL of our port. Raises Failed, after `start_s` at the latest."""
    work = asyncio.create_task(asyncio.to_thread(_connect, plan, config, port))
    try:
        async with asyncio.timeout(plan.start_s):
            url = await asyncio.shield(work)
    except TimeoutError:
        kill(config)  # its end of the pipe closes, so the thread ends
        await asyncio.gather(work, return_exceptions=True)
        raise Failed(f"the agent said nothing for {plan.start_s:g} s") from None
    except asyncio.CancelledError:
        kill(config)
        await asyncio.gather(work, return_exceptions=True)
        raise
    if plan.pid_file and (running := _running(config)):
        plan.pid_file.parent.mkdir(parents=True, exist_ok=True)
        plan.pid_file.write_text(json.dumps({"pid": running.proc.pid, "agent": str(plan.agent)}))
    return url


def _connect(plan: Plan, config: PyngrokConfig, port: int) -> str:
    options: dict[str, Any] = {"url": f"https://{plan.domain}"} if plan.domain else {}
    try:
        tunnel = ngrok.connect(
            f"http://127.0.0.1:{port}", name=NAME, pyngrok_config=config, traffic_policy=_fence(), **options
        )
    except PyngrokNgrokHTTPError as error:  # the code is in the body only
        raise Failed("ngrok refused the endpoint", _code(error.body or "")) from error
    except PyngrokError as error:
        raise Failed("the ngrok agent did not start", _code(str(error))) from error
    except OSError as error:
        raise Failed(f"the ngrok agent cannot be run: {error.strerror}") from error
    url = tunnel.public_url or ""
    if not url.startswith("https://"):
        raise Failed("ngrok gave an address that is not https", permanent=True)
    return url


async def until_lost(plan: Plan, config: PyngrokConfig, url: str) -> None:
    """Return when the agent is gone, or its endpoint is, or has another address."""
    while True:
        await asyncio.sleep(plan.watch_s)
        running = _running(config)
        if running is None or running.proc.poll() is not None:
            return
        try:
            async with httpx2.AsyncClient(timeout=config.request_timeout) as http:
                listed = (await http.get(f"{running.api_url}/api/endpoints")).json()
        except (httpx2.HTTPError, ValueError):
            return
        endpoints = listed.get("endpoints", listed) if isinstance(listed, dict) else listed
        if url not in {it.get("url") or it.get("public_url") for it in endpoints if isinstance(it, dict)}:
            return


async def stop(config: PyngrokConfig, url: str) -> None:
    """Take the endpoint away, then the agent; in any case within `STOP_S` and a moment."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(STOP_S):
            await asyncio.to_thread(_disconnect, config, url)
    kill(config)


def _disconnect(config: PyngrokConfig, url: str) -> None:
    running = _running(config)
    if url and running is not None and running.proc.poll() is None:
        with contextlib.suppress(PyngrokError):
            ngrok.disconnect(url, pyngrok_config=config)


def kill(config: PyngrokConfig) -> None:
    """Not ngrok.kill: its lock is held while an agent starts, and a silent one starts for ever."""
    running = agents._current_processes.pop(config.ngrok_path, None)
    ngrok._current_tunnels.clear()
    if running is None:
        return
    reader = running._monitor_thread
    running.proc.kill()
    running.proc.wait()
    if reader is not None:
        reader.join(STOP_S)
        if running.proc.stdout is not None and not reader.is_alive():
            running.proc.stdout.close()


def reap(plan: Plan) -> None:
    """Kill an agent that outlived a service that was killed: it keeps the public address."""
    if plan.pid_file is None or not plan.pid_file.exists():
        return
    try:
        left = json.loads(plan.pid_file.read_text())
        words = Path(f"/proc/{left['pid']}/cmdline").read_bytes().split(b"\0")
        is_agent = left["agent"].encode() in words
    except (OSError, ValueError, KeyError, TypeError):
        is_agent = False
    if is_agent:
        log.warning("mcp.agent_reaped", pid=left["pid"])
        with contextlib.suppress(ProcessLookupError):
            os.kill(left["pid"], signal.SIGKILL)
    plan.pid_file.unlink(missing_ok=True)


def _running(config: PyngrokConfig) -> agents.NgrokProcess | None:
    return agents._current_processes.get(config.ngrok_path)


# --- what the agent is told ------------------------------------------------------------------------------------------


@contextmanager
def configured(plan: Plan) -> Iterator[PyngrokConfig]:
    """The token goes into a private file, never into an argument; requests are not kept for inspection."""
    with tempfile.TemporaryDirectory(prefix="dipeo-ngrok-") as folder:
        path = plan.config
        if path is None:
            path = Path(folder) / "ngrok.yml"
            told = {
                "authtoken": plan.token,
                "web_addr": f"127.0.0.1:{_free_port()}",
                "inspect_db_size": -1,
                "update_check": False,
                "log_level": "info",
            }
            path.touch(mode=0o600)
            path.write_text(yaml.safe_dump({"version": "3", "agent": told}))
        config = PyngrokConfig(
            ngrok_path=str(_leashed(plan.agent, Path(folder))),
            config_path=str(path),
            startup_timeout=max(1, int(plan.start_s)),
        )
        config.auth_token = None  # pyngrok took it from the environment and would put it into the agent's arguments
        yield config


def _leashed(agent: Path, folder: Path) -> Path:
    """The program to start. The agent itself where it is still to be downloaded, or the kernel is not Linux."""
    if sys.platform != "linux" or not agent.is_file():
        return agent
    leash = folder / "ngrok"
    leash.touch(mode=0o700)
    words = [sys.executable, "-IS", "-c", _LEASH.format(parent=os.getpid(), agent=str(agent))]
    leash.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
    return leash


def _fence() -> dict[str, Any]:
    """A second fence, at ngrok's edge: what is not a route of ours is refused there. Nothing relies on it."""
    paths = ", ".join(f"'{path}'" for path in (MCP, COMPAT, INFO, HEALTH))
    ours = f"req.url.path in [{paths}] || req.url.path.startsWith('{DISCOVERY}')"
    deny = {"type": "deny", "config": {"status_code": 404}}
    return {"on_http_request": [{"expressions": [f"!({ours})"], "actions": [deny]}]}


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _code(text: str) -> str:
    found = _CODE.search(text)
    return found.group() if found else ""
