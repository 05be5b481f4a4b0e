"""A small web server of our own on loopback, for tests of what goes out. It keeps what it was asked."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from dipeo_executor.http import Outgoing


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]  # names in lower case
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def one(self, name: str) -> str:
        return self.query.get(name, [""])[0]


@dataclass(frozen=True)
class Said:
    """An answer. `body`: bytes and text as they are, the rest as JSON."""

    body: Any = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class WebServer:
    """`routes` come before the ones every server has: /web/echo, json, list, text, status/<code>, slow, flaky …"""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    routes: dict[str, Callable[[Asked], Said]] = field(default_factory=dict)
    released: asyncio.Event = field(default_factory=asyncio.Event)  # ends the waiting of /web/hang
    failures: dict[str, int] = field(default_factory=dict)

    async def answer(self, asked: Asked) -> Said:
        self.asked.append(asked)
        if asked.path in self.routes:
            return self.routes[asked.path](asked)
        name, _, rest = asked.path.removeprefix("/web/").partition("/")
        match name:
            case "echo":
                query = {key: found[0] if len(found) == 1 else found for key, found in asked.query.items()}
                body = asked.body.decode()
                parsed = json.loads(body) if "json" in asked.headers.get("content-type", "") else body
                return Said({"method": asked.method, "query": query, "headers": asked.headers, "body": parsed})
            case "json":
                return Said({"ok": True, "n": 1})
            case "list":
                return Said([1, 2, 3])
            case "text":
                return Said("plain")
            case "status":
                return Said({"status": int(rest)}, int(rest))
            case "slow":
                await asyncio.sleep(int(asked.one("ms")) / 1000)
                return Said({"ok": True})
            case "hang":
                await self.released.wait()
                return Said()
            case "flaky":
                key = asked.one("key")
                self.failures[key] = self.failures.get(key, 0) + 1
                failed = self.failures[key] <= int(asked.one("fail"))
                return Said({"ok": not failed}, 503 if failed else 200)
            case "basic":
                wanted = "Basic " + base64.b64encode(b"u:p").decode()
                ok = asked.headers.get("authorization") == wanted
                return Said({"ok": ok}, 200 if ok else 401)
            case "bearer":
                ok = asked.headers.get("authorization") == "Bearer tkn"
                return Said({"ok": ok}, 200 if ok else 401)
        return Said({"error": "no such page"}, 404)


@asynccontextmanager
async def serving(host: str = "127.0.0.1") -> AsyncIterator[WebServer]:
    web = WebServer()
    server = await asyncio.start_server(lambda reader, writer: _connection(web, reader, writer), host, 0)
    try:
        web.url = f"http://{host}:{server.sockets[0].getsockname()[1]}"
        yield web
    finally:
        web.released.set()
        server.close()
        await server.wait_closed()


async def _connection(web: WebServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One request per connection; whatever the client does to it is the client's test's business."""
    try:
        asked = await _asked(reader)
        said = await web.answer(asked)
        await _say(writer, said, with_body=asked.method != "HEAD")
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def _asked(reader: asyncio.StreamReader) -> Asked:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): text.strip() for name, _, text in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    parts = urlsplit(target)
    return Asked(method, parts.path, parse_qs(parts.query, keep_blank_values=True), headers, body)


async def _say(writer: asyncio.StreamWriter, said: Said, *, with_body: bool) -> None:
    body, content_type = said.body, "application/octet-stream"
    if isinstance(body, str):
        body, content_type = body.encode(), "text/plain"
    elif not isinstance(body, bytes):
        body, content_type = json.dumps(body).encode(), "application/json"
    headers = {"Content-Type": content_type, "Content-Length": str(len(body)), "Connection": "close", **said.headers}
    head = f"HTTP/1.1 {said.status} X\r\n" + "".join(f"{name}: {text}\r\n" for name, text in headers.items())
    writer.write(head.encode() + b"\r\n" + (body if with_body else b""))
    await writer.drain()


@asynccontextmanager
async def outgoing(**how):
    """An Outgoing that notes its waits instead of waiting."""
    waits: list[float] = []

    async def wait(seconds: float) -> None:
        waits.append(seconds)

    http = Outgoing(**{"allow_private": True, "env": {}, "sleep": wait} | how)
    http.waits = waits
    try:
        yield http
    finally:
        await http.aclose()
