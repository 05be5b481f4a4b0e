"""Connected clients of each kind that stay connected over many tests."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import mcp_types as types
from mcp import Client
from mcp_house import LEGACY, STDIO, Place, client, stdio

T = TypeVar("T")


class Held:
    """Keeps a context open in a task of its own, as fixtures cannot: they leave in another task than they came."""

    async def open(self, context: AbstractAsyncContextManager[T]) -> T:
        opened: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._leave = asyncio.Event()

        async def hold() -> None:
            try:
                async with context as value:
                    opened.set_result(value)
                    await self._leave.wait()
            except BaseException as error:
                if opened.done():
                    raise
                opened.set_exception(error)

        self._task = asyncio.create_task(hold())
        return await opened

    async def close(self) -> None:
        self._leave.set()
        await self._task


@dataclass
class Seat:
    """One connected client, whose human says what a test wants."""

    place: Place
    transport: str
    era: str
    client: Client = field(init=False)
    asked: list[str] = field(default_factory=list)
    answer: Callable[[str], types.ElicitResult] = field(init=False)
    heard: list[Any] = field(default_factory=list)
    _bell: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def modern(self) -> bool:
        return self.era != LEGACY

    def fresh(self) -> None:
        self.asked, self.heard = [], []
        self.answer = lambda _: types.ElicitResult(action="accept", content={"response": "Ada"})

    @property
    def how(self) -> dict[str, Any]:
        return {"elicitation_callback": self._elicit, "message_handler": self.hear}

    def connecting(self, **how: Any) -> AbstractAsyncContextManager[Client]:
        """Another client of the same kind."""
        if self.transport == STDIO:
            return stdio(self.place, self.era, **how)
        return client(self.place.url, self.era, **how)

    async def call(self, tool: str, arguments: dict[str, Any] | None = None, **how: Any) -> types.CallToolResult:
        return await self.client.call_tool(tool, arguments or {}, **how)

    async def data(self, tool: str, arguments: dict[str, Any] | None = None, **how: Any) -> Any:
        return (await self.call(tool, arguments, **how)).structured_content

    async def tools(self) -> dict[str, types.Tool]:
        """All pages."""
        found: dict[str, types.Tool] = {}
        cursor = None
        while True:
            page = await self.client.list_tools(cursor=cursor)
            found |= {tool.name: tool for tool in page.tools}
            cursor = page.next_cursor
            if cursor is None:
                return found

    async def hears(self, kind: type, within_s: float = 4, uri: str = "") -> Any:
        """The first notification of this kind."""
        return await self.hears_nth(kind, 1, within_s, uri)

    async def hears_nth(self, kind: type, number: int, within_s: float = 4, uri: str = "") -> Any:
        async with asyncio.timeout(within_s):
            while True:
                found = [it for it in self.heard if isinstance(it, kind) and (not uri or str(it.params.uri) == uri)]
                if len(found) >= number:
                    return found[number - 1]
                self._bell.clear()
                await self._bell.wait()

    async def _elicit(self, context: Any, params: Any) -> types.ElicitResult:
        self.asked.append(params.message)
        return self.answer(params.message)

    async def hear(self, message: Any) -> None:
        self.heard.append(message)
        self._bell.set()
