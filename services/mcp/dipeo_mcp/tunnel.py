"""The ngrok tunnel to the public listener, and to nothing else (spec/mcp.md §4).

Refused before anything starts when a precondition fails. Once open, probed through its public address: an anonymous
POST /mcp that is not answered 401 closes it at once. It is watched, reopened, and torn down with this process.
"""

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import yaml
from pyngrok import conf, ngrok
from pyngrok import process as agents
from pyngrok.conf import PyngrokConfig
from pyngrok.exception import PyngrokError, PyngrokNgrokHTTPError

from dipeo_kit import logs
from dipeo_mcp.address import Address
from dipeo_mcp.auth import Gate
from dipeo_mcp.edge import COMPAT, DISCOVERY, HEALTH, INFO, MCP
from dipeo_mcp.errors import SettingsRefused
from dipeo_mcp.settings import Settings

log = logs.get(__name__)

NAME = "dipeo-mcp"
START_S = 20.0  # for the agent and its endpoint; pyngrok alone may wait for ever
WATCH_S = 5.0
STOP_S = 5.0
RETRY_S = (1.0, 60.0)
PROBE_S = 10.0
# the account, its plan or the wish is wrong: asking again changes nothing
PERMANENT = frozenset({"ERR_NGROK_105", "ERR_NGROK_106", "ERR_NGROK_107", "ERR_NGROK_108", "ERR_NGROK_313",
                       "ERR_NGROK_314", "ERR_NGROK_320", "ERR_NGROK_334"})  # fmt: skip
_CODE = re.compile(r"ERR_NGROK_\d+")
State = dict[str, Any]
Reach = Callable[[str], httpx2.AsyncClient]  # the public URL → a client that gets there


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


def planned(settings: Settings, gate: Gate) -> Plan:
    """Raises SettingsRefused naming the precondition that fails; nothing has been started then."""
    if not (gate.enabled and gate.required):
        raise SettingsRefused("a tunnel needs authentication: MCP_AUTH_ENABLED and MCP_AUTH_REQUIRED may not be false")
    if not gate.methods:
        raise SettingsRefused("a tunnel needs at least one credential that is accepted: set MCP_API_KEYS")
    return prepared(settings)


def prepared(settings: Settings) -> Plan:
    """The part that needs no credentials. Raises SettingsRefused."""
    if not settings.is_loopback:
        raise SettingsRefused(f"a tunnel needs the public listener on loopback, not on {settings.host}")
    token = settings.ngrok_authtoken.get_secret_value()
    config = Path(settings.ngrok_config) if settings.ngrok_config else None
    if config is not None and not config.is_file():
        raise SettingsRefused(f"MCP_NGROK_CONFIG: there is no file {config}")
    if not token and (config is None or "authtoken" not in config.read_text()):
        raise SettingsRefused("a tunnel needs the agent's token: set NGROK_AUTHTOKEN, from the ngrok dashboard")
    return Plan(
        agent=_agent(settings),
        token=token,
        config=config,
        domain=settings.ngrok_domain,
        pid_file=settings.ngrok_pid_file,
        probe=settings.ngrok_probe,
    )


def _agent(settings: Settings) -> Path:
    """The agent's program. Nothing is downloaded unless it is allowed."""
    given = settings.ngrok_path or shutil.which("ngrok") or conf.DEFAULT_NGROK_PATH
    path = Path(given)
    if path.is_file():
        if not os.access(path, os.X_OK):
            raise SettingsRefused(f"the ngrok agent {path} is not executable")
    elif settings.ngrok_path or not settings.ngrok_allow_download:
        raise SettingsRefused(
            f"there is no ngrok agent at {path}: install it, set MCP_NGROK_PATH, or allow the download with "
            "MCP_NGROK_ALLOW_DOWNLOAD=1"
        )
    return path


@asynccontextmanager
async def opened(plan: Plan, address: Address, state: State, *, reach: Reach | None = None) -> AsyncIterator[None]:
    """Keep the tunnel open meanwhile; `state` always says how it is. The service serves locally whatever happens."""
    reap(plan)
    state.update(state="starting", url=None, since=_now(), code=None)
    with _configured(plan) as config:
        keeper = asyncio.create_task(_keep(plan, config, address, state, reach or _directly), name="tunnel")
        try:
            yield
        finally:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STOP_S):
                    await asyncio.to_thread(_stop, config, address.tunnel_url)
            _kill(config)
            address.tunnel_closed()
            state.update(state="off", url=None, since=_now())
            if plan.pid_file:
                plan.pid_file.unlink(missing_ok=True)


async def _keep(plan: Plan, config: PyngrokConfig, address: Address, state: State, reach: Reach) -> None:
    """Until cancelled, or until it makes no sense to go on."""
    pause_s = RETRY_S[0]
    while True:
        try:
            url = await _open(plan, config, address)
            address.tunnel_opened(url)
            if plan.probe:
                await _probe(url, reach)
            state.update(state="online", url=url, since=_now(), code=None)
            log.info("mcp.tunnel_online", url=url)
            pause_s = RETRY_S[0]
            await _until_lost(plan, config, url)
            failed = Failed("the agent or its endpoint is gone")
        except Failed as error:
            failed = error
        address.tunnel_closed()
        _kill(config)
        word = "failed" if failed.permanent else "degraded"
        state.update(state=word, url=None, since=_now(), code=failed.code or None, error=str(failed))
        log.warning("mcp.tunnel_lost", state=word, code=failed.code, error=str(failed))
        if failed.permanent:
            return
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, RETRY_S[1])


async def _open(plan: Plan, config: PyngrokConfig, address: Address) -> str:
    """The public URL. Raises Failed, after `start_s` at the latest: pyngrok would wait for a silent agent for ever."""
    work = asyncio.create_task(asyncio.to_thread(_connect, plan, config, address.port))
    try:
        async with asyncio.timeout(plan.start_s):
            url = await asyncio.shield(work)
    except TimeoutError:
        _kill(config)  # its end of the pipe closes, so the thread ends
        await asyncio.gather(work, return_exceptions=True)
        raise Failed(f"the agent said nothing for {plan.start_s:g} s") from None
    except asyncio.CancelledError:
        _kill(config)
        await asyncio.gather(work, return_exceptions=True)
        raise
    if plan.pid_file and (running := agents._current_processes.get(config.ngrok_path)):
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


async def _probe(url: str, reach: Reach) -> None:
    """Ask as a stranger. Raises Failed: whatever answers there is not fit to be public."""
    try:
        async with reach(url) as http:
            health = await http.get(HEALTH)
            anonymous = await http.post(MCP, json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
            other = await http.get("/graphql")
    except httpx2.HTTPError as error:
        raise Failed(f"the public address does not answer: {type(error).__name__}") from error
    found = (health.status_code, anonymous.status_code, other.status_code)
    if found != (200, 401, 404):
        raise Failed(
            f"probing the public address gave {found} for {HEALTH}, {MCP} and /graphql, not (200, 401, 404)",
            permanent=True,
        )


async def _until_lost(plan: Plan, config: PyngrokConfig, url: str) -> None:
    """pyngrok does not tell when the agent dies, or when its endpoint has another address."""
    while True:
        await asyncio.sleep(plan.watch_s)
        running = agents._current_processes.get(config.ngrok_path)
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


def _stop(config: PyngrokConfig, url: str) -> None:
    running = agents._current_processes.get(config.ngrok_path)
    if url and running is not None and running.proc.poll() is None:
        with contextlib.suppress(PyngrokError):
            ngrok.disconnect(url, pyngrok_config=config)


def _kill(config: PyngrokConfig) -> None:
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


# --- what the agent is told ------------------------------------------------------------------------------------------


@contextmanager
def _configured(plan: Plan) -> Iterator[PyngrokConfig]:
    """The token goes into a private file, never into an argument; requests are not kept for inspection."""
    with tempfile.TemporaryDirectory(prefix="dipeo-ngrok-") as folder:
        path = plan.config
        if path is None:
            path = Path(folder) / "ngrok.yml"
            agent = {
                "authtoken": plan.token,
                "web_addr": f"127.0.0.1:{_free_port()}",
                "inspect_db_size": -1,
                "update_check": False,
                "log_level": "info",
            }
            path.touch(mode=0o600)
            path.write_text(yaml.safe_dump({"version": "3", "agent": agent}))
        config = PyngrokConfig(
            ngrok_path=str(plan.agent), config_path=str(path), startup_timeout=max(1, int(plan.start_s))
        )
        config.auth_token = None  # pyngrok took it from the environment and would put it into the agent's arguments
        yield config


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


def _directly(url: str) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=url, timeout=PROBE_S, follow_redirects=False)


def _code(text: str) -> str:
    found = _CODE.search(text)
    return found.group() if found else ""


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
