"""Requests written by hand, for what a well-behaved client does not send."""

import json
from typing import Any

import httpx2

VERSION = "2026-07-28"
BOTH = "application/json, text/event-stream"


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
