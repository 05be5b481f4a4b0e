"""What a client of the stdio tests launches: the service over stdio in front of a house that already stands."""

import asyncio
import sys
from pathlib import Path

from dipeo_cli.local.published import Folder
from dipeo_kit import logs
from dipeo_mcp.main import stdio
from dipeo_mcp.settings import Settings

store, executor, base = sys.argv[1:4]
print("a print at import must not reach the client")
logs.configure("WARNING", service="mcp")
asyncio.run(stdio(Settings(store=store, executor=executor), catalogue=Folder(Path(base))))
