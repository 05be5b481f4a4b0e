"""Conformance cases C40 to C42 of spec/mcp.md §6 and what §4 says of the tunnel, with a stand-in for ngrok's agent."""

import asyncio
import dataclasses
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp_house import HELLO, Place, place
from mcp_keys import bearer
from mcp_wire import modern, post

from dipeo_mcp import keys, tunnel
from dipeo_mcp.agent import Plan
from dipeo_mcp.errors import SettingsRefused

# pyngrok drops the pipe of an agent that did not start
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")

KEY = keys.new()
TOKEN = "2abcDEFghiJKLmnoPQRstuVWXyz_0123456789"
AGENT = Path(__file__).parent / "stand_in_agent.py"


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An executable, in a folder of its own where it leaves its traces."""
    folder = tmp_path / "agent"
    folder.mkdir()
    program = folder / "ngrok"
    program.write_text(f"#!{sys.executable}\n{AGENT.read_text()}")
    program.chmod(0o755)
    monkeypatch.setenv("STAND_IN_FOLDER", str(folder))
    monkeypatch.setenv("NGROK_AUTHTOKEN", TOKEN)
    return program


def settings(agent: Path, **more: Any) -> dict[str, Any]:
    known = {"auth_enabled": True, "api_keys": f"me:read+run+write:{KEY}", "expose": "ngrok", "ngrok_path": str(agent)}
    return known | {"ngrok_authtoken": TOKEN, "ngrok_pid_file": agent.parent / "pid.json"} | more


def reach(agent: Path) -> Callable[[str], httpx2.AsyncClient]:
    """The way to the public address: through what stands in for it."""

    def client(url: str) -> httpx2.AsyncClient:
        forward = (agent.parent / "forward").read_text()
        headers = {"host": url.removeprefix("https://")}
        return httpx2.AsyncClient(base_url=f"http://{forward}", headers=headers, timeout=20)

    return client


@asynccontextmanager
async def tunnelled(base: Path, agent: Path, **more: Any) -> AsyncIterator[Place]:
    async with place(base / "project", diagrams={"hello": HELLO}, reach=reach(agent), **settings(agent, **more)) as it:
        yield it


async def becomes(place: Place, word: str, within_s: float = 15) -> dict[str, Any]:
    """The tunnel's state once it is so. Another process has to move, so it is asked again and again."""
    async with asyncio.timeout(within_s):
        while place.running.tunnel()["state"] != word:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return dict(place.running.tunnel())


def starts(agent: Path) -> list[dict[str, Any]]:
    log = agent.parent / "argv.jsonl"
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    return tmp_path


async def test_case_40_a_call_through_the_tunnel(project: Path, agent: Path):
    async with tunnelled(project, agent) as place:
        state = await becomes(place, "online")
        assert state["url"] == "https://stand-in-1.ngrok.test"
        async with reach(agent)(state["url"]) as public:
            call = modern("tools/call", {"name": "diagram_hello", "arguments": {"name": "Bo"}})
            answer = await post(public, call, **bearer(KEY))
            assert answer.json()["result"]["structuredContent"]["result"] == "Hello, Bo!"
            assert (await post(public, call)).status_code == 401
            for path in ("/graphql", "/metrics", "/docs", "/webhooks/x", "/ready", "/tunnel"):
                assert (await public.get(path, headers=bearer(KEY))).status_code == 404
        started = starts(agent)
        assert len(started) == 1
        pid = started[0]["pid"]
        asked = json.loads((agent.parent / "endpoint.json").read_text())
        assert asked["upstream"]["url"] == f"http://127.0.0.1:{place.running.port}"
        assert asked["name"] == "dipeo-mcp"
        assert "deny" in json.dumps(asked["traffic_policy"])
    assert place.running.tunnel()["state"] == "off"
    assert (agent.parent / "deleted").exists()
    assert not alive(pid)
    assert not (agent.parent / "pid.json").exists()


async def test_case_40_discovery_names_the_address_the_client_used(project: Path, agent: Path):
    oauth = {"oauth_server_url": "https://issuer.example", "oauth_jwks_uri": "https://issuer.example/jwks"}
    async with tunnelled(project, agent, **oauth) as place:
        state = await becomes(place, "online")
        async with reach(agent)(state["url"]) as public:
            for path in ("", "/mcp"):
                told = (await public.get(f"/.well-known/oauth-protected-resource{path}")).json()
                assert told["resource"] == f"{state['url']}/mcp"
                assert told["authorization_servers"] == ["https://issuer.example"]
            refused = await public.post("/mcp", json={})
            assert f'resource_metadata="{state["url"]}/.well-known' in refused.headers["www-authenticate"]


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"auth_enabled": False}, "MCP_AUTH_ENABLED"),
        ({"auth_required": False}, "MCP_AUTH_REQUIRED"),
        ({"api_keys": "", "api_key_enabled": False}, "authenticate"),
        ({"host": "0.0.0.0"}, "loopback"),
        ({"ngrok_authtoken": ""}, "NGROK_AUTHTOKEN"),
        ({"ngrok_path": "/nowhere/ngrok"}, "MCP_NGROK_PATH"),
        ({"ngrok_path": __file__}, "not executable"),
    ],
)
async def test_case_41_a_broken_precondition_starts_nothing(
    project: Path, agent: Path, broken: dict[str, Any], said: str
):
    with pytest.raises(SettingsRefused) as refused:
        async with tunnelled(project, agent, **broken):
            raise AssertionError("it should have been refused")
    assert said in str(refused.value)
    assert starts(agent) == []


def test_case_41_the_command_refuses_with_exit_code_78(project: Path, agent: Path):
    environment = os.environ | {"MCP_NGROK_PATH": str(agent), "MCP_AUTH_ENABLED": "false", "DIPEO_IDLE_S": "5"}
    words = [sys.executable, "-m", "dipeo_cli", "-C", str(project / "project"), "mcp", "serve", "--ngrok"]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 78
    assert "MCP_AUTH_ENABLED" in done.stderr and len(done.stderr.strip().splitlines()) <= 2
    assert starts(agent) == []


@pytest.mark.parametrize(
    ("mode", "word", "code"),
    [
        ("bad_token", "failed", "ERR_NGROK_105"),
        ("crash", "degraded", None),
        ("endpoint_error", "failed", "ERR_NGROK_334"),
        ("silent", "degraded", None),
    ],
)
async def test_case_42_a_tunnel_that_fails_leaves_the_service_serving(
    project: Path, agent: Path, monkeypatch: pytest.MonkeyPatch, mode: str, word: str, code: str | None
):
    monkeypatch.setenv("STAND_IN_MODE", mode)
    monkeypatch.setattr(tunnel, "planned", _impatient(tunnel.planned))
    async with tunnelled(project, agent) as place:
        state = await becomes(place, word)
        assert state["code"] == code
        assert state["url"] is None
        async with httpx2.AsyncClient(base_url=place.origin) as local:
            assert (await post(local, modern(), **bearer(KEY))).status_code == 200
    assert not any(alive(it["pid"]) for it in starts(agent))


def _impatient(planned: Callable[..., Plan]) -> Callable[..., Plan]:
    """Deadlines for tests: 1.5 s to start, a look every 0.1 s."""
    return lambda *given: dataclasses.replace(planned(*given), start_s=1.5, watch_s=0.1)


async def test_case_42_an_agent_that_dies_is_replaced_and_its_new_address_is_followed(
    project: Path, agent: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("STAND_IN_MODE", "die")
    monkeypatch.setattr(tunnel, "planned", _impatient(tunnel.planned))
    async with tunnelled(project, agent) as place:
        first = await becomes(place, "online")
        (agent.parent / "die").touch()
        await becomes(place, "degraded")
        async with httpx2.AsyncClient(base_url=place.origin) as local:
            old = {"host": first["url"].removeprefix("https://")}
            assert (await local.get("/healthz", headers=old)).status_code == 421
        second = await becomes(place, "online")
        assert second["url"] != first["url"]
        async with reach(agent)(second["url"]) as public:
            assert (await public.get("/healthz")).status_code == 200


async def test_case_42_an_agent_that_takes_its_time_is_waited_for(
    project: Path, agent: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("STAND_IN_MODE", "slow")
    async with tunnelled(project, agent) as place:
        await becomes(place, "starting")
        (agent.parent / "go").touch()
        assert (await becomes(place, "online"))["url"]
    assert len(starts(agent)) == 1


async def test_case_42_an_address_that_changes_under_a_living_agent_is_followed(
    project: Path, agent: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("STAND_IN_MODE", "rotate")
    monkeypatch.setattr(tunnel, "planned", _impatient(tunnel.planned))
    async with tunnelled(project, agent) as place:
        first = await becomes(place, "online")
        (agent.parent / "rotate").touch()
        await becomes(place, "degraded")
        second = await becomes(place, "online")
        assert second["url"] != first["url"]
        async with reach(agent)(second["url"]) as public:
            assert (await public.get("/healthz")).status_code == 200
    assert not any(alive(it["pid"]) for it in starts(agent))


async def test_what_is_not_answered_401_is_closed_at_once(project: Path, agent: Path, monkeypatch: pytest.MonkeyPatch):
    """As if the tunnel led to something else: the probe says so."""

    def elsewhere(url: str) -> httpx2.AsyncClient:
        answer = httpx2.MockTransport(lambda request: httpx2.Response(200, json={}))
        return httpx2.AsyncClient(base_url=url, transport=answer)

    diagrams = {"hello": HELLO}
    async with place(project / "project", diagrams=diagrams, reach=elsewhere, **settings(agent)) as there:
        state = await becomes(there, "failed")
        assert "401" in state["error"]
    assert not any(alive(it["pid"]) for it in starts(agent))


async def test_threat_19_no_token_is_among_the_agents_arguments(project: Path, agent: Path):
    async with tunnelled(project, agent) as place:
        await becomes(place, "online")
        started = starts(agent)[0]
        assert TOKEN not in json.dumps(started["argv"])
        command = Path(f"/proc/{started['pid']}/cmdline").read_bytes()
        assert TOKEN.encode() not in command and KEY.encode() not in command
        config = Path(started["argv"][started["argv"].index("--config") + 1])
        assert config.stat().st_mode & 0o777 == 0o600
        assert "inspect_db_size: -1" in config.read_text()
    assert not config.exists()


async def test_threat_20_an_agent_that_outlived_its_service_is_reaped(project: Path, agent: Path):
    async with tunnelled(project, agent) as place:
        await becomes(place, "online")
        pid_file = agent.parent / "pid.json"
        left = json.loads(pid_file.read_text())
    orphan = await asyncio.create_subprocess_exec(agent, "start", "--none", stdout=subprocess.DEVNULL)
    pid_file.write_text(json.dumps(left | {"pid": orphan.pid}))
    bystander = await asyncio.create_subprocess_exec(sys.executable, "-c", "import time; time.sleep(60)")
    async with tunnelled(project, agent) as place:
        assert await orphan.wait() == -9
        await becomes(place, "online")
    pid_file.write_text(json.dumps(left | {"pid": bystander.pid}))  # the number belongs to something else by now
    async with tunnelled(project, agent) as place:
        await becomes(place, "online")
    assert alive(bystander.pid)
    bystander.kill()
    await bystander.wait()


async def gone(pid: int, within_s: float = 5) -> None:
    async with asyncio.timeout(within_s):
        while alive(pid):  # noqa: ASYNC110  # another process has to end
            await asyncio.sleep(0.02)


@asynccontextmanager
async def service(agent: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """The service as a process of its own, and the pid of its agent once the tunnel is up."""
    chosen = {
        "MCP_PORT": "0",
        "MCP_ADMIN_PORT": "-1",
        "MCP_STORE": "127.0.0.1:1",
        "MCP_EXECUTOR": "127.0.0.1:1",
        "MCP_API_KEYS": KEY,
        "MCP_EXPOSE": "ngrok",
        "MCP_NGROK_PATH": str(agent),
        "MCP_NGROK_PID_FILE": str(agent.parent / "pid.json"),
        "MCP_NGROK_PROBE": "false",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "dipeo_mcp.main", env=os.environ | chosen, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    async with asyncio.timeout(20):
        while b"mcp.tunnel_online" not in (line := await process.stderr.readline()):
            assert line, "it ended"
    try:
        yield process, starts(agent)[-1]["pid"]
    finally:
        if process.returncode is None:
            process.kill()
        for it in starts(agent):
            with suppress(OSError):  # one that is left would keep the pipe open
                if str(agent).encode() in Path(f"/proc/{it['pid']}/cmdline").read_bytes().split(b"\0"):
                    os.kill(it["pid"], signal.SIGKILL)
        await process.communicate()


async def test_threat_20_a_service_that_is_killed_takes_its_agent_with_it(agent: Path):
    async with service(agent) as (process, first):
        process.kill()
        await process.wait()
        await gone(first)
    async with service(agent) as (process, second):
        assert [alive(it["pid"]) for it in starts(agent)] == [False, True]
        process.terminate()
        await process.wait()
        await gone(second)


@pytest.mark.skipif("NGROK_LIVE_TOKEN" not in os.environ, reason="needs a token of ngrok, in NGROK_LIVE_TOKEN")
async def test_the_real_agent(project: Path):
    live = {"auth_enabled": True, "api_keys": KEY, "expose": "ngrok", "ngrok_allow_download": True}
    token = os.environ["NGROK_LIVE_TOKEN"]
    async with place(project / "project", diagrams={"hello": HELLO}, ngrok_authtoken=token, **live) as there:
        state = await becomes(there, "online", within_s=60)
        async with httpx2.AsyncClient(base_url=state["url"]) as public:
            assert (await post(public, modern(), **bearer(KEY))).status_code == 200
