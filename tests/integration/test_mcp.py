"""`dipeo mcp` with the real command: publish, list, configure, serve over stdio and HTTP, unpublish."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from command import Project, chain, wait_for
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.subscriptions import ToolsListChanged

STAND_IN = Path(__file__).parents[2] / "services/mcp/tests/stand_in_agent.py"
HELLO = chain("{label: Say, type: code_job, language: python, code: 'result = name'}").replace(
    "{label: Start, type: start}", "{label: Start, type: start, trigger_mode: manual, custom_data: {name: world}}"
)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    own = Project(tmp_path / "own")
    own.write("hello.light.yaml", HELLO)
    yield own
    own.stop()


def test_what_is_pushed_is_listed_and_can_be_taken_away(project: Project):
    assert project.json("mcp", "list", "--json") == {"diagrams": [], "url": None}
    pushed = project.json("compile", "hello", "--push-as", "greet", "--json")["pushed"]
    assert pushed["uri"] == "dipeo://diagrams/greet"
    listed = project.json("mcp", "list", "--json")["diagrams"]
    assert listed == [
        {
            "name": "greet",
            "tool": "diagram_greet",
            "path": "projects/mcp-diagrams/greet.yaml",
            "uri": "dipeo://diagrams/greet",
        }
    ]
    assert project.json("mcp", "unpublish", "greet", "--json") == {"name": "greet", "removed": True}
    assert project("mcp", "unpublish", "greet").code == 1


@pytest.mark.parametrize("client", ["claude-desktop", "claude-code", "cursor", "vscode"])
def test_settings_for_every_client_start_the_service(project: Project, client: str):
    settings = project.json("mcp", "config", client)
    (root,) = settings
    server = settings[root]["dipeo"]
    assert root == ("servers" if client == "vscode" else "mcpServers")
    assert server["args"][-5:] == ["-C", str(project.base), "mcp", "serve", "--stdio"]
    assert Path(server["command"]).exists()
    over_http = project.json("mcp", "config", client, "--http")[root]["dipeo"]
    assert "dmk_" in json.dumps(over_http) and "8010/mcp" in json.dumps(over_http)
    assert "dmk_" not in (project.base / ".dipeo/mcp-keys.json").read_text()
    assert project("mcp", "config", client, "--revoke").code == 0
    assert project("mcp", "config", client, "--revoke").code == 1


def test_a_name_that_could_be_no_tool_is_refused_before_anything_is_written(project: Project):
    for name in ("my report", "über", "-rf", "a/b"):
        refused = project("compile", "hello", f"--push-as={name}")
        assert refused.code == 2 and "--push-as" in refused.err
    assert not (project.base / "projects").exists()
    project("compile", "hello", "--push-as", "my report", "--target-dir", "out", check=0)  # a file, and no tool
    assert (project.base / "out/my report.yaml").exists()


def test_what_cannot_be_meant_is_refused(project: Project):
    assert project("mcp", "config", "netscape").code == 2
    assert project("mcp", "serve", "--stdio", "--ngrok").code == 2
    assert project("mcp", "serve", "--ngrok").code == 78  # no token of the agent
    assert not project.serves()


async def test_a_pushed_diagram_is_a_tool_of_the_command_over_stdio(project: Project):
    await asyncio.to_thread(project, "compile", "hello", "--push-as", "greet", check=0)
    words = ["-m", "dipeo_cli", "-C", str(project.base), "mcp", "serve", "--stdio"]
    parameters = StdioServerParameters(command=sys.executable, args=words, env=project.environment)
    with (project.base / "stderr").open("w") as log:
        async with Client(stdio_client(parameters, errlog=log)) as client:
            answer = await client.call_tool("diagram_greet", {"name": "Ada"})
            assert answer.structured_content["result"] == "Ada"
            execution_id = answer.structured_content["execution_id"]
            async with client.listen(tools_list_changed=True) as changes:
                await asyncio.to_thread(project, "compile", "hello", "--push-as", "more", check=0)
                async with asyncio.timeout(2):
                    assert await anext(changes) == ToolsListChanged()
            more = next(it for it in (await client.list_tools()).tools if it.name == "diagram_more")
            assert more.input_schema["properties"]["name"] == {"type": "string", "default": "world"}
            assert (await client.call_tool("diagram_more", {})).structured_content["result"] == "world"
    # the same run, on the command line
    shown = await asyncio.to_thread(project.json, "results", execution_id, "--verbose")
    assert shown["status"] == "completed"
    log_lines = (project.base / "stderr").read_text().splitlines()
    assert any(json.loads(line).get("event") == "mcp.call" for line in log_lines if line.startswith("{"))


async def test_the_command_serves_over_http_with_a_key(project: Project):
    project.write("projects/mcp-diagrams/greet.yaml", HELLO)
    key = project.json("mcp", "config", "cursor", "--http")["mcpServers"]["dipeo"]["headers"]["Authorization"]
    serving = project.start("mcp", "serve", "--port", "0")
    state = project.base / ".dipeo/run/mcp.json"
    try:
        found: Any = await asyncio.to_thread(
            wait_for, lambda: state.exists() and state.read_text() and json.loads(state.read_text()), "the service"
        )
        assert (await asyncio.to_thread(project.json, "mcp", "list", "--json"))["url"] == found["url"]
        async with (
            httpx2.AsyncClient(headers={"Authorization": key}) as http,
            Client(streamable_http_client(found["url"], http_client=http)) as client,
        ):
            answer = await client.call_tool("diagram_greet", {"name": "Ada"})
            assert answer.structured_content["result"] == "Ada"
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{found['admin_port']}") as admin:
            assert (await admin.get("/ready")).json()["checks"] == {"store": True, "executor": True}
            assert (await admin.get("/tunnel")).json() == {"state": "off"}
    finally:
        serving.terminate()
        _, err = await asyncio.to_thread(serving.communicate, timeout=20)
    assert serving.returncode == 0
    assert "serving MCP" in err and "Traceback" not in err
    assert not state.exists()


def test_the_command_opens_a_tunnel_tells_its_address_and_takes_it_down(project: Project, tmp_path: Path):
    traces = tmp_path / "agent"
    traces.mkdir()
    agent = traces / "ngrok"
    agent.write_text(f"#!{sys.executable}\n{STAND_IN.read_text()}")
    agent.chmod(0o755)
    project.environment |= {
        "STAND_IN_FOLDER": str(traces),
        "NGROK_AUTHTOKEN": "2abcDEFghiJKLmnoPQRstuVWXyz_0123456789",
        "MCP_NGROK_PATH": str(agent),
        "MCP_NGROK_PROBE": "false",  # the stand-in's address leads nowhere
    }
    assert project("mcp", "config", "chatgpt").out == "http://127.0.0.1:8010/mcp\n"
    serving = project.start("mcp", "serve", "--port", "0", "--ngrok")
    try:
        assert serving.stderr is not None
        while "tunnel online" not in (line := serving.stderr.readline()):
            assert line, "it ended"
        assert "https://stand-in-1.ngrok.test/mcp" in line
        assert project("mcp", "config", "chatgpt").out == "https://stand-in-1.ngrok.test/mcp\n"
    finally:
        serving.terminate()
        serving.communicate(timeout=20)
    assert serving.returncode == 0
    assert (traces / "deleted").exists()
    pid = json.loads((traces / "argv.jsonl").read_text())["pid"]
    assert not Path(f"/proc/{pid}").exists()


def test_nothing_of_it_is_loaded_on_other_paths():
    heavy = {"mcp", "pyngrok", "dipeo_mcp", "dipeo_mcp.server"}
    for module in ("dipeo_cli.main", "dipeo_cli.local.host", "dipeo_gateway.main", "dipeo_executor.main"):
        program = f"import {module}, sys; print(*sys.modules)"
        loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
        assert not heavy & set(loaded.split()), module
    light = "import dipeo_mcp.main, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", light], capture_output=True, text=True, check=True).stdout
    assert "pyngrok" not in loaded.split()
