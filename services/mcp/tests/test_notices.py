"""Notices to sessions of the handshake era: each thing once, and nobody waits for who does not read (threat T14)."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from dipeo_mcp.notices import Notices
from dipeo_mcp.principals import LOCAL

URI = "dipeo://diagrams/a"


@dataclass
class Connection:
    """The SDK's side of a session, whose client reads, or does not."""

    reads: bool
    told: list[str] = field(default_factory=list)
    bell: asyncio.Event = field(default_factory=asyncio.Event)

    async def send_resource_updated(self, uri: str) -> None:
        if not self.reads:
            await asyncio.Event().wait()
        self.told.append(uri)
        self.bell.set()

    async def heard(self) -> list[str]:
        async with asyncio.timeout(2):
            await self.bell.wait()
        return self.told


def connected(notices: Notices, name: str, *, reads: bool) -> Any:
    connection: Any = Connection(reads)
    notices.remember(LOCAL, name, connection).uris.update({URI, f"{URI}/graph"})
    return connection


async def test_a_session_that_does_not_read_keeps_no_other_waiting():
    notices = Notices()
    connected(notices, "stuck", reads=False)
    other = connected(notices, "other", reads=True)
    async with asyncio.timeout(2):
        await notices.catalogue_changed(lists=False, bodies=["a"])
        await notices.updated(URI)
    assert URI in await other.heard()
    await notices.close()


async def test_what_waits_for_a_session_waits_once():
    notices = Notices()
    stuck = notices.remember(LOCAL, "stuck", connected(notices, "stuck", reads=False))
    for _ in range(1000):
        await notices.updated(URI)
        await notices.updated(f"{URI}/graph")
    assert len(stuck._waiting) <= 2
    notices.forget("stuck")
    await notices.close()


async def test_what_was_unsubscribed_meanwhile_is_not_told():
    notices = Notices()
    other = connected(notices, "other", reads=True)
    session = notices.remember(LOCAL, "other", other)
    await notices.updated(f"{URI}/graph")
    session.uris.discard(f"{URI}/graph")
    await notices.updated(URI)
    assert await other.heard() == [URI]
    await notices.close()
