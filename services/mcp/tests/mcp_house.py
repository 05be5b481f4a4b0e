"""A running MCP service in front of a real store and executor, and real clients of both eras over both transports."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import mcp_types as types
from command import chain
from house import House, house
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

from dipeo_cli.local.published import Folder
from dipeo_cli.push import FOLDER
from dipeo_kit import rpc
from dipeo_mcp.limits import Limits
from dipeo_mcp.main import Running, running
from dipeo_mcp.settings import Settings
from dipeo_protos.store.v1 import store_pb2

LEGACY, MODERN = "legacy", "auto"  # auto finds the modern era
HTTP, STDIO = "http", "stdio"
T = TypeVar("T")

HELLO = """version: light
metadata: {description: Greets somebody}
persons:
  Host: {service: mock, model: mock}
nodes:
  - {label: Start, type: start, trigger_mode: manual, custom_data: {name: world}}
  - {label: Greet, type: person_job, person: Host, default_prompt: "[[reply Hello, {{name}}!]]"}
  - {label: Done, type: endpoint}
connections:
  - {from: Start, to: Greet}
  - {from: Greet, to: Done}
"""
TYPED = """version: light
metadata:
  description: Says what it got
  mcp:
    input_schema:
      type: object
      required: [topic]
      properties: {topic: {type: string}, count: {type: integer}}
      additionalProperties: false
    output_schema: {type: string}
nodes:
  - {label: Start, type: start, trigger_mode: manual}
  - {label: Say, type: code_job, language: python, code: "result = f'{topic}!'"}
  - {label: Done, type: endpoint}
connections:
  - {from: Start, to: Say}
  - {from: Say, to: Done}
"""
ASK = chain("{label: Name, type: user_response, prompt: What is your name?}")
_TOPIC = ("{label: Start, type: start}", "{label: Start, type: start, trigger_mode: manual, custom_data: {topic: t}}")
ASK_ABOUT = chain("{label: Name, type: user_response, prompt: Which one?}").replace(*_TOPIC)
ASK_PLAINLY = chain("{label: Name, type: user_response, prompt: Which one?, show_context: false}").replace(*_TOPIC)
CHOOSE = chain("{label: Drink, type: user_response, prompt: Tea or coffee?, options: [tea, coffee]}")
SECRET = chain("{label: Key, type: user_response, prompt: Which key?, sensitive: true}")
ASK_TWICE = chain(
    "{label: First, type: user_response, prompt: One?}", "{label: Second, type: user_response, prompt: Two?}"
)
ASK_BOTH = """version: light
nodes:
  - {label: Start, type: start}
  - {label: Left, type: user_response, prompt: Left?}
  - {label: Right, type: user_response, prompt: Right?}
  - {label: Join, type: code_job, language: python, code: "result = f'{left}-{right}'"}
  - {label: Done, type: endpoint}
connections:
  - {from: Start, to: Left}
  - {from: Start, to: Right}
  - {from: Left, to: Join, label: left}
  - {from: Right, to: Join, label: right}
  - {from: Join, to: Done}
"""
SLOW = chain("{label: Nap, type: code_job, language: bash, code: 'sleep 30; echo rested'}")
BRIEF = chain("{label: Nap, type: code_job, language: bash, code: 'sleep 1.5; echo rested'}")
FORTY = chain("{label: Nap, type: code_job, language: bash, timeout: 60, code: 'sleep 40; echo rested'}")
MANY = 30
MANY_NODES = chain(*(f"{{label: N{n}, type: template_job, template_content: 'x{n}'}}" for n in range(MANY)))
LARGE = chain("{label: Big, type: code_job, language: python, code: 'result = \"x\" * 300000'}")
FAIL = chain("{label: Boom, type: code_job, language: python, code: 'raise RuntimeError(\"kaboom\")'}")
BROKEN = "version: light\nnodes:\n  - {label: Start, type: zebra}\n"
DIAGRAMS = {
    "hello": HELLO,
    "typed": TYPED,
    "ask": ASK,
    "ask_about": ASK_ABOUT,
    "ask_plainly": ASK_PLAINLY,
    "choose": CHOOSE,
    "secret": SECRET,
    "ask_twice": ASK_TWICE,
    "ask_both": ASK_BOTH,
    "slow": SLOW,
    "brief": BRIEF,
    "fail": FAIL,
    "forty": FORTY,
    "many": MANY_NODES,
    "large": LARGE,
}


@dataclass
class Place:
    """The service over HTTP, and what stands behind it. Published is what lies in the project's folder."""

    house: House
    running: Running

    @property
    def url(self) -> str:
        return self.running.url

    @property
    def origin(self) -> str:
        return self.url.removesuffix("/mcp")

    @property
    def addresses(self) -> dict[str, str]:
        sockets = self.house.store_address.rpartition("/")[0]
        return {"store": self.house.store_address, "executor": f"{sockets}/executor.sock"}

    def publish(self, name: str, text: str, suffix: str = ".light.yaml") -> None:
        publish(self.house.base, name, text, suffix)

    def unpublish(self, name: str) -> None:
        for path in (self.house.base / FOLDER).glob(f"{name}.*"):
            path.unlink()

    async def executions(self) -> list[store_pb2.Execution]:
        request = store_pb2.ListExecutionsRequest(page_size=1000)
        return list((await rpc.call(self.house.store.ListExecutions, request)).executions)

    async def execution(self, execution_id: str) -> store_pb2.Execution:
        request = store_pb2.GetExecutionRequest(execution_id=execution_id)
        return (await rpc.call(self.house.store.GetExecution, request)).execution

    async def status_of(self, execution_id: str) -> str:
        status = (await self.execution(execution_id)).status
        return store_pb2.ExecutionStatus.Name(status).removeprefix("EXECUTION_STATUS_").lower()

    async def ended(self, execution_id: str, within_s: float = 10) -> str:
        """Its status once it has ended."""
        async with asyncio.timeout(within_s):
            async for _ in self.house.watch(execution_id):
                pass
        return await self.status_of(execution_id)


def publish(base: Path, name: str, text: str, suffix: str = ".light.yaml") -> None:
    folder = base / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".{name}.new"
    draft.write_text(text)
    draft.replace(folder / f"{name}{suffix}")


def settings_of(home: House, **given: Any) -> Settings:
    sockets = home.store_address.rpartition("/")[0]
    chosen = {"port": 0, "admin_port": -1, "auth_enabled": False} | given
    return Settings(store=home.store_address, executor=f"{sockets}/executor.sock", **chosen)


@asynccontextmanager
async def place(
    base: Path, *, limits: Limits | None = None, diagrams: dict[str, str] | None = None, **given: Any
) -> AsyncIterator[Place]:
    for name, text in (DIAGRAMS if diagrams is None else diagrams).items():
        publish(base, name, text)
    async with house(base) as home, serving(home, limits=limits, **given) as found:
        yield found


@asynccontextmanager
async def serving(home: House, *, limits: Limits | None = None, **given: Any) -> AsyncIterator[Place]:
    """The service alone, in front of a house that stands."""
    reach, stored = given.pop("reach", None), given.pop("stored", False)
    settings = settings_of(home, **given)
    catalogue = None if stored else Folder(home.base)  # stored: the store's, as in deployment
    async with running(settings, catalogue=catalogue, limits=limits, show_key=print, reach=reach) as served:
        yield Place(home, served)


@asynccontextmanager
async def client(
    url: str, era: str = MODERN, *, headers: dict[str, str] | None = None, **how: Any
) -> AsyncIterator[Client]:
    """A real SDK client over HTTP. Lists are not cached, so that every call is one."""
    http = httpx2.AsyncClient(headers=headers, timeout=60)
    transport = streamable_http_client(url, http_client=http)
    async with http, Client(transport, mode=era, cache=None, **how) as connected:
        yield connected


@asynccontextmanager
async def stdio(place: Place, era: str = MODERN, *, log: Any = sys.stderr, **how: Any) -> AsyncIterator[Client]:
    """A real SDK client of a child process that serves over standard input and output."""
    async with stdio_of(place.addresses, place.house.base, era, log=log, **how) as connected:
        yield connected


@asynccontextmanager
async def stdio_of(
    addresses: Mapping[str, str], base: Path, era: str = MODERN, *, log: Any = sys.stderr, **how: Any
) -> AsyncIterator[Client]:
    child = str(Path(__file__).parent / "stdio_child.py")
    words = [child, addresses["store"], addresses["executor"], str(base)]
    chosen = {name: value for name, value in os.environ.items() if name.startswith("MCP_")}
    parameters = StdioServerParameters(command=sys.executable, args=words, env=chosen)
    async with Client(stdio_client(parameters, errlog=log), mode=era, cache=None, **how) as connected:
        yield connected


def text_of(result: types.CallToolResult) -> str:
    """The first block."""
    block = result.content[0]
    assert isinstance(block, types.TextContent)
    return block.text


def json_of(result: types.ReadResourceResult) -> Any:
    contents = result.contents[0]
    assert isinstance(contents, types.TextResourceContents)
    return json.loads(contents.text)
