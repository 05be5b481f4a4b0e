"""Published to a gateway elsewhere: the services as a deployment runs them, MCP reading the store's catalogue."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from cluster import Cluster, Service, cluster
from command import Project, chain
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.subscriptions import ResourceUpdated, ToolsListChanged

KEY = "a-key-of-the-test-that-is-long-enough"
GREET = chain("{label: Say, type: template_job, template_content: 'Hello, {{ name }}!'}").replace(
    "{label: Start, type: start}", "{label: Start, type: start, trigger_mode: manual, custom_data: {name: world}}"
)
WRITES = chain(
    "{label: Keep, type: db, operation: write, format: text, file: out.txt}",
    "{label: Say, type: template_job, template_content: kept}",
)
PROMPT = """version: light
persons:
  Writer: {service: mock, model: mock, api_key_id: none}
nodes:
  - {label: Start, type: start}
  - {label: Write, type: person_job, person: Writer, prompt_file: ask.txt}
  - {label: Done, type: endpoint}
connections:
  - {from: Start, to: Write}
  - {from: Write, to: Done}
"""
NAMING = {
    "prompts/ask.txt": PROMPT,
    "code/work.py": chain("{label: Work, type: code_job, language: python, file_path: code/work.py}"),
    "data/in.json": chain("{label: Load, type: db, operation: read, format: json, file: data/in.json}"),
    "part.light.yaml": chain("{label: Part, type: sub_diagram, diagram_name: part, diagram_format: light}"),
}


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A remote executor: it reads no disk but its own."""
    base = tmp_path_factory.mktemp("deployed")
    remote = {"DIPEO_EXECUTOR_REMOTE": "1", "DIPEO_EXECUTOR_WORKSPACES": str(base / "workspaces")}
    with cluster(base, executors=1, environment=remote) as running:
        yield running


@pytest.fixture(scope="module")
def mcp_url(deployed: Cluster) -> Iterator[str]:
    behind = deployed.gateways[0].environment
    own = {
        "MCP_STORE": behind["DIPEO_GATEWAY_STORE"],
        "MCP_EXECUTOR": behind["DIPEO_GATEWAY_EXECUTOR"],
        "MCP_PORT": "0",
        "MCP_ADMIN_PORT": "-1",
        "MCP_API_KEYS": KEY,
    }
    service = Service("dipeo_mcp.main", {**behind, **own}, deployed.project.base / "mcp.log").start()
    try:
        yield next(str(line["url"]) for line in service.lines() if line.get("event") == "mcp.ready")
    finally:
        service.stop()


@pytest.fixture
def client(tmp_path: Path, deployed: Cluster) -> Project:
    """A project of its own that uses the deployment."""
    made = Project(tmp_path / "client")
    made.environment |= {name: deployed.project.environment[name] for name in ("DIPEO_API_URL", "DIPEO_API_TOKEN")}
    for name, text in {"greet": GREET, "writes": WRITES, "invalid": chain("{label: Zoo, type: zebra}")}.items():
        made.write(f"{name}.light.yaml", text)
    return made


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Client]:
    async with (
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {KEY}"}, timeout=60) as http,
        Client(streamable_http_client(url, http_client=http), cache=None) as made,
    ):
        yield made


def names(client: Project) -> list[str]:
    return [it["name"] for it in client.json("mcp", "list", "--json")["diagrams"]]


async def test_C5_C6_what_is_pushed_there_is_a_tool_within_two_seconds_until_it_is_unpublished(
    client: Project, mcp_url: str
):
    async with connected(mcp_url) as agent:
        async with agent.listen(tools_list_changed=True) as changes:
            push = "compile", "greet", "--push-as", "hello", "--json"
            pushed = (await asyncio.to_thread(client.json, *push))["pushed"]
            async with asyncio.timeout(2):
                assert await anext(changes) == ToolsListChanged()
        assert pushed == {"name": "hello", "path": None, "uri": "dipeo://diagrams/hello", "replaced": False}
        assert "diagram_hello" in [tool.name for tool in (await agent.list_tools()).tools]
        ran = (await agent.call_tool("diagram_hello", {"name": "Ada"})).structured_content
        assert (ran["result"], ran["diagram"]) == ("Hello, Ada!", "hello")

        client.write("greet.light.yaml", GREET.replace("Hello", "Hi"))
        async with agent.listen(resource_subscriptions=[pushed["uri"]]) as changes:
            assert (await asyncio.to_thread(client.json, *push))["pushed"]["replaced"]
            async with asyncio.timeout(2):
                assert await anext(changes) == ResourceUpdated(pushed["uri"])
        assert (await agent.call_tool("diagram_hello", {})).structured_content["result"] == "Hi, world!"

        async with agent.listen(tools_list_changed=True) as changes:
            gone = await asyncio.to_thread(client.json, "mcp", "unpublish", "hello", "--json")
            async with asyncio.timeout(2):
                assert await anext(changes) == ToolsListChanged()
        assert gone == {"name": "hello", "removed": True}
        assert "diagram_hello" not in [tool.name for tool in (await agent.list_tools()).tools]
    assert not (client.base / "projects").exists() and not (client.base / ".dipeo").exists()


async def test_a_diagram_that_only_writes_files_is_published_and_runs(client: Project, mcp_url: str):
    await asyncio.to_thread(client, "compile", "writes", "--push-as", "writes", check=0)
    async with connected(mcp_url) as agent:
        ran = (await agent.call_tool("diagram_writes", {})).structured_content
    assert (ran["status"], ran["result"]) == ("completed", "kept")


def test_what_is_published_there_is_listed_with_its_tool(client: Project):
    told = client("compile", "greet", "--push-as", "Q3.report.light.yaml", check=0).out
    assert f"Pushed diagram to: {client.environment['DIPEO_API_URL']}\n   dipeo://diagrams/Q3.report\n" in told
    listed = {it["name"]: it for it in client.json("mcp", "list", "--json")["diagrams"]}
    expected = {"tool": "diagram_q3_report", "path": None, "uri": "dipeo://diagrams/Q3.report"}
    assert listed["Q3.report"] == {"name": "Q3.report"} | expected
    shown = client("mcp", "list", check=0)
    assert "diagram_q3_report  dipeo://diagrams/Q3.report" in shown.out
    assert client.environment["DIPEO_API_URL"] in shown.err
    published = client.json("list", "report", "--published", "--json")["diagrams"]
    assert [(it["name"], it["format"]) for it in published] == [("Q3.report", "light")]
    assert "dipeo://diagrams/Q3.report" in client("list", "--published", check=0).out


def test_no_clobber_keeps_what_is_there(client: Project):
    client("compile", "greet", "--push-as", "kept", "--no-clobber", check=0)
    refused = client("compile", "greet", "--push-as", "kept", "--no-clobber", "--json")
    assert (refused.code, refused.json["error_code"]) == (1, "conflict")
    assert "kept is published already" in refused.json["error"] and "--no-clobber" in refused.json["hint"]


def test_an_invalid_diagram_publishes_nothing(client: Project):
    refused = client("compile", "invalid", "--push-as", "invalid", "--json")
    assert refused.code == 1 and not refused.json["valid"] and "pushed" not in refused.json
    assert "invalid" not in names(client)


@pytest.mark.parametrize("file", NAMING)
def test_a_diagram_that_names_a_file_is_refused_with_the_file_and_publishes_nothing(client: Project, file: str):
    """It compiles, since compiling sends the file; whoever calls the tool could not."""
    contents = {"part.light.yaml": GREET, "code/work.py": "def main(**inputs):\n    return 1\n"}
    client.write(file, contents.get(file, "{}"))
    client.write("naming.light.yaml", NAMING[file])
    client("compile", "naming", check=0)
    refused = client("compile", "naming", "--push-as", "naming", "--json")
    assert (refused.code, refused.json["error_code"]) == (1, "diagram_invalid")
    assert file in refused.json["error"] and "not published with it" in refused.json["error"]
    assert "naming" not in names(client)


def test_of_an_executor_over_a_project_of_its_own_the_files_are_those_of_that_project(client: Project, tmp_path: Path):
    """As docker compose has it. What the diagram writes itself, or may be missing, need not be there."""
    reads = "{label: Load, type: db, operation: read, format: json, file: data/in.json}"
    keeps = "{label: Keep, type: db, operation: write, format: json, file: kept.json}"
    back = "{label: Back, type: db, operation: read, format: json, file: ./kept.json}"
    state = "{label: State, type: db, operation: read, format: json, file: state.json, missing_ok: true}"
    client.write("data/in.json", "{}")
    client.write("naming.light.yaml", chain(reads, keeps, back, state))
    (tmp_path / "there").mkdir()
    with cluster(tmp_path / "there", executors=1) as there:
        client.environment |= {name: there.project.environment[name] for name in ("DIPEO_API_URL", "DIPEO_API_TOKEN")}
        refused = client("compile", "naming", "--push-as", "naming", "--json", check=1).json
        assert refused["error_code"] == "diagram_invalid"
        assert ": data/in.json; " in refused["error"] and "the executor's project" in refused["error"]
        assert names(client) == []
        there.project.write("data/in.json", "{}")
        client("compile", "naming", "--push-as", "naming", check=0)
        assert names(client) == ["naming"]


def test_too_large_a_diagram_is_refused(client: Project):
    client.write("large.light.yaml", chain(f"{{label: Say, type: template_job, template_content: {'x' * 300_000}}}"))
    refused = client("compile", "large", "--push-as", "large", "--json")
    assert refused.code == 2 and "larger than 256 KiB" in refused.json["error"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"name": "../x"}, 'name "../x"'),
        ({"name": "my report"}, "letters, digits"),
        ({}, 'name ""'),  # as a client of the original asks
        ({"name": "x", "file": 5}, "the text of the diagram"),
        ({"name": "x", "file": "a: &a 1\nb: [" + "*a, " * 60 + "1]"}, "50 YAML aliases"),
    ],
)
def test_the_gateway_itself_checks_what_it_is_given(client: Project, given: dict[str, object], said: str):
    query = """mutation U($file: Upload!, $format: DiagramFormatGraphQL!, $name: String) {
      uploadDiagram(file: $file, format: $format, name: $name)
    }"""
    answer = httpx2.post(
        f"{client.environment['DIPEO_API_URL']}/graphql",
        json={"query": query, "variables": {"file": GREET, "format": "LIGHT"} | given},
        headers={"Authorization": f"Bearer {client.environment['DIPEO_API_TOKEN']}"},
    ).json()["data"]["uploadDiagram"]
    assert (answer["success"], answer["error_type"]) == (False, "BAD_INPUT")
    assert said in answer["error"]
    assert not {"x", "my report"} & set(names(client))


def test_without_the_token_nothing_is_published_listed_or_taken_away(client: Project):
    client.environment["DIPEO_API_TOKEN"] = "wrong"
    for words in (("compile", "greet", "--push-as", "x"), ("mcp", "list"), ("mcp", "unpublish", "x")):
        refused = client(*words)
        assert refused.code == 4 and "DIPEO_API_TOKEN" in refused.err


def test_what_is_not_published_cannot_be_taken_away(client: Project):
    refused = client("mcp", "unpublish", "nothing", "--json")
    assert (refused.code, refused.json["error_code"]) == (1, "not_found")
    assert "nothing is not published" in refused.json["error"]


def test_a_gateway_that_belongs_to_a_project_says_where_its_published_diagrams_are(house: Project, client: Project):
    house("up", check=0)
    described = json.loads((house.base / ".dipeo/run/gateway.json").read_text())
    client.environment |= {"DIPEO_API_URL": described["url"], "DIPEO_API_TOKEN": described["token"]}
    refused = client("compile", "greet", "--push-as", "x", "--json")
    assert (refused.code, refused.json["error_code"]) == (1, "not_supported")
    assert "projects/mcp-diagrams" in refused.json["error"]
