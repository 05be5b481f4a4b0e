"""The ngrok tunnel to the public listener, and to nothing else (spec/mcp.md §4).

Refused before anything starts when a precondition fails. Once open, probed through its public address: an anonymous
POST /mcp that is not answered 401 closes it at once. It is watched, reopened, and torn down with this process.
"""

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
from pyngrok import conf
from pyngrok.conf import PyngrokConfig

from dipeo_kit import logs
from dipeo_mcp import agent
from dipeo_mcp.address import Address
from dipeo_mcp.agent import Failed, Plan
from dipeo_mcp.auth import Gate
from dipeo_mcp.edge import HEALTH, MCP
from dipeo_mcp.errors import SettingsRefused
from dipeo_mcp.settings import Settings

log = logs.get(__name__)

RETRY_S = (1.0, 60.0)
PROBE_S = 10.0
State = dict[str, Any]
Reach = Callable[[str], httpx2.AsyncClient]  # the public URL → a client that gets there


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
    agent.reap(plan)
    state.update(state="starting", url=None, since=_now(), code=None)
    with agent.configured(plan) as config:
        keeper = asyncio.create_task(_keep(plan, config, address, state, reach or _directly), name="tunnel")
        try:
            yield
        finally:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
            await agent.stop(config, address.tunnel_url)
            address.tunnel_closed()
            state.update(state="off", url=None, since=_now())
            if plan.pid_file:
                plan.pid_file.unlink(missing_ok=True)


async def _keep(plan: Plan, config: PyngrokConfig, address: Address, state: State, reach: Reach) -> None:
    """Until cancelled, or until it makes no sense to go on."""
    pause_s = RETRY_S[0]
    while True:
        try:
            url = await agent.start(plan, config, address.port)
            address.tunnel_opened(url)
            if plan.probe:
                await _probe(url, reach)
            state.update(state="online", url=url, since=_now(), code=None)
            log.info("mcp.tunnel_online", url=url)
            pause_s = RETRY_S[0]
            await agent.until_lost(plan, config, url)
            failed = Failed("the agent or its endpoint is gone")
        except Failed as error:
            failed = error
        address.tunnel_closed()
        agent.kill(config)
        word = "failed" if failed.permanent else "degraded"
        state.update(state=word, url=None, since=_now(), code=failed.code or None, error=str(failed))
        log.warning("mcp.tunnel_lost", state=word, code=failed.code, error=str(failed))
        if failed.permanent:
            return
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, RETRY_S[1])


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


def _directly(url: str) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=url, timeout=PROBE_S, follow_redirects=False)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
