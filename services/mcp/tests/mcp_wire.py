"""Requests written by hand, for what a well-behaved client does not send, and answers as they are on the wire."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

VERSION = "2026-07-28"
BOTH = "application/json, text/event-stream"
HANDSHAKE = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}


def legacy(method: str = "tools/list", params: dict[str, Any] | None = None, id: int = 1) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id, "method": method, "params": params or {}}


def modern(method: str = "tools/list", params: dict[str, Any] | None = None, **capabilities: Any) -> dict[str, Any]:
    meta = {
        "io.modelcontextprotocol/protocolVersion": VERSION,
        "io.modelcontextprotocol/clientCapabilities": capabilities,
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    }
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**(params or {}), "_meta": meta}}


def headers_of(body: dict[str, Any]) -> dict[str, str]:
    """The routing headers a modern request carries."""
    headers = {"accept": BOTH, "mcp-protocol-version": VERSION, "mcp-method": body["method"]}
    name = body["params"].get("name") or body["params"].get("uri")
    return headers | ({"mcp-name": name} if name else {})


async def post(http: httpx2.AsyncClient, body: dict[str, Any], path: str = "/mcp", **headers: str) -> httpx2.Response:
    """A modern request as it should be, but for the headers given."""
    sent = headers_of(body) | {name.replace("_", "-"): value for name, value in headers.items()}
    return await http.post(path, json=body, headers=sent)


def result_of(response: httpx2.Response) -> Any:
    """The JSON-RPC message, out of JSON or out of a stream."""
    if response.headers["content-type"].startswith("application/json"):
        return response.json()
    lines = [line.removeprefix("data: ") for line in response.text.splitlines() if line.startswith("data: {")]
    return json.loads(lines[-1])


@dataclass(frozen=True)
class Lines:
    """A child process that serves over stdio, message by message."""

    process: asyncio.subprocess.Process

    def send(self, message: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write((json.dumps(message) + "\n").encode())

    async def received(self, within_s: float = 10) -> Any:
        """The next line, which has to be a message."""
        assert self.process.stdout is not None
        async with asyncio.timeout(within_s):
            return json.loads(await self.process.stdout.readline())

    async def ended(self) -> list[str]:
        """Close its input; the lines that still come until it has ended, in two seconds at most."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        async with asyncio.timeout(2):
            rest = await self.process.stdout.read()
            assert await self.process.wait() == 0
        return rest.decode().splitlines()


@asynccontextmanager
async def lines(addresses: Mapping[str, str], base: Path) -> AsyncIterator[Lines]:
    child = Path(__file__).parent / "stdio_child.py"
    pipe = asyncio.subprocess.PIPE
    words = [str(child), addresses["store"], addresses["executor"], str(base)]
    process = await asyncio.create_subprocess_exec(sys.executable, *words, stdin=pipe, stdout=pipe)
    try:
        yield Lines(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
