"""A GraphQL client as small as the protocol allows."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from httpx2.websockets import WebSocketDisconnect

FOLLOW = """subscription ExecutionUpdates($id: String!, $last_seq: Int) {
  executionUpdates(execution_id: $id, last_seq: $last_seq) {
    type execution_id seq node_id node_name node_type status result error timestamp tokens data
  }
}"""

SUMMARIES = """subscription Summaries($filter: ExecutionFilterInput) {
  executionSummaries(filter: $filter) { id status }
}"""


async def ask(http: httpx2.AsyncClient, query: str, /, headers: dict[str, str] | None = None, **variables: Any) -> Any:
    """The whole answer: {data, errors?}."""
    response = await http.post("/graphql", json={"query": query, "variables": variables}, headers=headers)
    assert response.status_code == 200, response.text
    return response.json()


class Socket:
    """One graphql-transport-ws connection."""

    def __init__(self, raw: Any) -> None:
        self.raw = raw

    async def init(self, token: str | None = None) -> None:
        payload = {"Authorization": f"Bearer {token}"} if token else {}
        await self.raw.send_json({"type": "connection_init", "payload": payload})
        assert (await self.raw.receive_json())["type"] == "connection_ack"

    async def follow(self, execution_id: str, last_seq: int = 0, *, operation: str = "1") -> None:
        payload = {"query": FOLLOW, "variables": {"id": execution_id, "last_seq": last_seq}}
        await self.raw.send_json({"id": operation, "type": "subscribe", "payload": payload})

    async def summaries(self, filter: dict[str, Any] | None = None) -> AsyncIterator[dict[str, str]]:
        """Execution id → status, each time something has changed."""
        payload = {"query": SUMMARIES, "variables": {"filter": filter}}
        await self.raw.send_json({"id": "s", "type": "subscribe", "payload": payload})
        while True:
            message = await self.message()
            assert message["type"] == "next", message
            yield {each["id"]: each["status"] for each in message["payload"]["data"]["executionSummaries"]}

    async def message(self) -> Any:
        return await self.raw.receive_json()

    async def update(self) -> Any:
        """The next update; anything else is a failure."""
        message = await self.message()
        assert message["type"] == "next", message
        return message["payload"]["data"]["executionUpdates"]

    async def rest(self) -> list[Any]:
        """Updates until `complete`."""
        updates = []
        while (message := await self.message())["type"] == "next":
            updates.append(message["payload"]["data"]["executionUpdates"])
        assert message["type"] == "complete", message
        return updates


@asynccontextmanager
async def socket(
    http: httpx2.AsyncClient, *, token: str | None = None, init: bool = True, **options: Any
) -> AsyncIterator[Socket]:
    async with http.websocket("/graphql", subprotocols=["graphql-transport-ws"], **options) as raw:
        connection = Socket(raw)
        if init:
            await connection.init(token)
        yield connection


async def close_code(raw: Any) -> int:
    """The code with which the server closes the socket, whatever it still sends before."""
    try:
        while True:
            await raw.receive_json()
    except WebSocketDisconnect as closed:
        return closed.code
