"""A running MCP service in front of a real store and executor, and real clients of both eras."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
from command import chain
from house import House, house
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from dipeo_kit import errors
from dipeo_mcp.catalogue import Entry
from dipeo_mcp.limits import Limits
from dipeo_mcp.main import Running, running
from dipeo_mcp.settings import Settings

LEGACY, MODERN = "legacy", "2026-07-28"
ERAS = (LEGACY, MODERN)

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
FAIL = chain("{label: Boom, type: code_job, language: python, code: 'raise RuntimeError(\"kaboom\")'}")
BROKEN = "version: light\nnodes:\n  - {label: Start, type: zebra}\n"
DIAGRAMS = {
    "hello": HELLO,
    "typed": TYPED,
    "ask": ASK,
    "ask_twice": ASK_TWICE,
    "ask_both": ASK_BOTH,
    "slow": SLOW,
    "brief": BRIEF,
    "fail": FAIL,
}


@dataclass
class MemoryCatalogue:
    """A Catalogue in a dictionary; `unpublished` are found by authors only."""

    entries: dict[str, Entry] = field(default_factory=dict)
    unpublished: dict[str, Entry] = field(default_factory=dict)
    puts: int = 0
    _bell: asyncio.Event = field(default_factory=asyncio.Event)

    def publish(self, name: str, text: str, format: str = "light") -> None:
        self.puts += 1
        self.entries[name] = Entry(name, text, format, str(self.puts), datetime.now(UTC))
        self._ring()

    def unpublish(self, name: str) -> None:
        del self.entries[name]
        self._ring()

    async def published(self) -> Sequence[Entry]:
        return list(self.entries.values())

    async def find(self, name: str) -> Entry | None:
        return self.unpublished.get(name)

    async def put(self, name: str, text: str, format: str, *, overwrite: bool) -> bool:
        if name in self.entries and not overwrite:
            raise errors.AlreadyExists(f"{name} exists")
        replaced = name in self.entries
        self.publish(name, text, format)
        return replaced

    async def remove(self, name: str) -> bool:
        there = name in self.entries
        self.entries.pop(name, None)
        self._ring()
        return there

    async def changes(self) -> AsyncIterator[None]:
        while True:
            await self._bell.wait()
            self._bell = asyncio.Event()
            yield None

    def _ring(self) -> None:
        self._bell.set()


@dataclass
class Place:
    """The service, what stands behind it, and its catalogue."""

    house: House
    running: Running
    catalogue: MemoryCatalogue

    @property
    def url(self) -> str:
        return self.running.url

    @property
    def origin(self) -> str:
        return self.url.removesuffix("/mcp")

    async def execution_count(self) -> int:
        from dipeo_kit import rpc
        from dipeo_protos.store.v1 import store_pb2

        found = await rpc.call(self.house.store.ListExecutions, store_pb2.ListExecutionsRequest(page_size=1000))
        return len(found.executions)


def settings_of(home: House, **given: Any) -> Settings:
    sockets = home.store_address.removeprefix("unix:").rpartition("/")[0]
    chosen = {"port": 0, "admin_port": -1, "auth_enabled": False} | given
    return Settings(store=home.store_address, executor=f"unix:{sockets}/executor.sock", **chosen)


@asynccontextmanager
async def place(
    base: Path, *, limits: Limits | None = None, diagrams: dict[str, str] | None = None, **given: Any
) -> AsyncIterator[Place]:
    catalogue = MemoryCatalogue()
    for name, text in (DIAGRAMS if diagrams is None else diagrams).items():
        catalogue.publish(name, text)
    async with house(base) as home:
        async with running(settings_of(home, **given), catalogue=catalogue, limits=limits, show_key=print) as served:
            yield Place(home, served, catalogue)


@asynccontextmanager
async def client(
    url: str, era: str = MODERN, *, headers: dict[str, str] | None = None, **how: Any
) -> AsyncIterator[Client]:
    """A real SDK client. Lists are not cached, so that every call is one."""
    async with httpx2.AsyncClient(headers=headers, timeout=60) as http:
        async with Client(streamable_http_client(url, http_client=http), mode=era, cache=None, **how) as connected:
            yield connected


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}
