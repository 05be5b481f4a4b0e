"""What a client of the stdio tests launches: the service over stdio in front of a house that already stands.

It prints while it serves, warns at import and crashes when a diagram named crash is looked for: nothing of that may
reach the client.
"""

import asyncio
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from dipeo_cli.local.published import Folder
from dipeo_kit import logs
from dipeo_mcp.catalogue import Entry
from dipeo_mcp.main import stdio
from dipeo_mcp.settings import Settings


class Noisy(Folder):
    async def published(self) -> Sequence[Entry]:
        print("a print in a handler")
        return await super().published()

    async def find(self, name: str) -> Entry | None:
        if name == "crash":
            raise RuntimeError("a crash in a handler")
        return await super().find(name)


store, executor, base = sys.argv[1:4]
warnings.warn("a warning at import", stacklevel=1)
logs.configure("WARNING", service="mcp")
asyncio.run(stdio(Settings(store=store, executor=executor), catalogue=Noisy(Path(base))))
