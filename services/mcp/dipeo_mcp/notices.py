"""Telling clients that something changed: listen streams of the modern era, sessions of the older one (§3.7).

Every principal has a bus of its own, so that nobody learns from a notice what others do.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from mcp.server.session import ServerSession
from mcp.server.subscriptions import (
    InMemorySubscriptionBus,
    ListenHandler,
    PromptsListChanged,
    ResourcesListChanged,
    ResourceUpdated,
    ServerEvent,
    ToolsListChanged,
)

from dipeo_kit import publishing
from dipeo_mcp import limits
from dipeo_mcp.live import Live
from dipeo_mcp.principals import Principal
from dipeo_mcp.result import EXECUTIONS

ALL_EXECUTIONS = EXECUTIONS.rstrip("/")
ALL_DIAGRAMS = publishing.URI.rstrip("/")
EVERY_S = 0.5  # at most two updates a second for one resource


@dataclass(slots=True)
class Audience:
    """One principal: whoever of it listens."""

    principal: Principal
    bus: InMemorySubscriptionBus = field(default_factory=InMemorySubscriptionBus)
    listen: ListenHandler = field(init=False)
    streams: int = 0
    sessions: dict[str, "Session"] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.listen = ListenHandler(self.bus, max_subscriptions=limits.MAX_STREAMS)


@dataclass(slots=True)
class Session:
    """One connection of the handshake era. Sending to one that is gone is dropped by the SDK.

    What is to be told waits here, each thing once, for a task of its own: a client that does not read keeps nobody
    else waiting, and no more waits for it than it may subscribe to.
    """

    proxy: ServerSession
    uris: set[str] = field(default_factory=set)
    _waiting: dict[ServerEvent, None] = field(default_factory=dict)
    _teller: asyncio.Task[None] | None = None

    def tell(self, event: ServerEvent) -> None:
        self._waiting[event] = None
        if self._teller is None or self._teller.done():
            self._teller = asyncio.create_task(self._tell(), name="tell a session")

    def forget(self) -> None:
        if self._teller is not None:
            self._teller.cancel()

    async def _tell(self) -> None:
        while self._waiting:
            event = next(iter(self._waiting))
            del self._waiting[event]
            match event:
                case ToolsListChanged():
                    await self.proxy.send_tool_list_changed()
                case PromptsListChanged():
                    await self.proxy.send_prompt_list_changed()
                case ResourcesListChanged():
                    await self.proxy.send_resource_list_changed()
                case ResourceUpdated(uri=uri) if uri in self.uris:
                    await self.proxy.send_resource_updated(uri)


@dataclass(slots=True)
class Notices:
    audiences: dict[str, Audience] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def audience(self, principal: Principal) -> Audience:
        return self.audiences.setdefault(principal.id, Audience(principal))

    @property
    def streams(self) -> int:
        return sum(audience.streams for audience in self.audiences.values())

    def remember(self, principal: Principal, session_id: str, proxy: ServerSession) -> Session:
        sessions = self.audience(principal).sessions
        if session_id not in sessions:
            sessions[session_id] = Session(proxy)
        return sessions[session_id]

    def forget(self, session_id: str) -> None:
        for audience in self.audiences.values():
            if session := audience.sessions.pop(session_id, None):
                session.forget()

    # --- what happened ---------------------------------------------------------------------------------------------

    async def catalogue_changed(self, lists: bool, bodies: Iterable[str]) -> None:
        if lists:
            await self._tell_all(ToolsListChanged())
            await self._tell_all(ResourcesListChanged())
            await self.updated(ALL_DIAGRAMS)
        for name in bodies:
            for part in ("", "/schema", "/graph"):
                await self.updated(f"{publishing.URI}{name}{part}")

    async def updated(self, uri: str, owner: str | None = None) -> None:
        """`owner` None: everybody may know; else the owner, and who sees everything."""
        for audience in list(self.audiences.values()):
            if owner is not None and not audience.principal.sees(owner):
                continue
            await audience.bus.publish(ResourceUpdated(uri))
            for session in audience.sessions.values():
                if uri in session.uris:
                    session.tell(ResourceUpdated(uri))

    def watch(self, live: Live) -> None:
        """Tell of an execution as it goes on, until it ends."""
        task = asyncio.create_task(self._announce(live), name=f"announce {live.execution_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def end_streams(self) -> None:
        """Listeners get the proper end of their stream."""
        for audience in self.audiences.values():
            audience.listen.close()

    async def close(self) -> None:
        self.end_streams()
        for audience in self.audiences.values():
            for session in audience.sessions.values():
                session.forget()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _announce(self, live: Live) -> None:
        uri = f"{EXECUTIONS}{live.execution_id}"
        told_nodes = 0
        await self.updated(ALL_EXECUTIONS, live.owner)
        while True:
            seen, ended = live.version, live.ended
            for part in ("", "/events", "/conversation"):
                await self.updated(f"{uri}{part}", live.owner)
            fresh, told_nodes = live.ended_nodes[told_nodes:], len(live.ended_nodes)
            for node_id in dict.fromkeys(fresh):
                await self.updated(f"{uri}/nodes/{node_id}", live.owner)
            if ended:
                await self.updated(ALL_EXECUTIONS, live.owner)
                return
            await asyncio.sleep(EVERY_S)
            await live.changed(seen)

    async def _tell_all(self, event: ServerEvent) -> None:
        for audience in list(self.audiences.values()):
            await audience.bus.publish(event)
            for session in audience.sessions.values():
                session.tell(event)
