"""The real command, run as a process in an empty project; and a small gateway of scripted answers."""

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from dipeo_cli import __version__

EXECUTION_ID = "exec_" + "0123456789abcdef" * 2
Json = dict[str, Any]


@dataclass
class ScriptedGateway:
    """Answers by operation; each subscription gets the next script of events, then its connection is closed."""

    answers: dict[str, Any] = field(default_factory=dict)
    scripts: list[list[Json]] = field(default_factory=list)
    asked: list[tuple[str, Json]] = field(default_factory=list)
    subscribed_from: list[int] = field(default_factory=list)
    wait_for: dict[str, asyncio.Event] = field(default_factory=dict)  # operation that opens the next script
    url: str = ""
    version: str = __version__
    execution_id: str = EXECUTION_ID

    @staticmethod
    def event(seq: int, kind: str, **fields: Any) -> Json:
        at = "2026-01-02T03:04:05+00:00"
        return {"type": kind, "execution_id": EXECUTION_ID, "seq": seq, "timestamp": at, "data": {}} | fields

    def node(self, seq: int, kind: str, name: str, **data: Any) -> Json:
        return self.event(seq, kind, node_id=f"id_{name}", node_name=name, data={"node_id": f"id_{name}", **data})

    def final(self, seq: int, status: str = "completed") -> Json:
        kind = "EXECUTION_COMPLETED" if status in ("completed", "maxiter_reached") else "EXECUTION_ERROR"
        return self.event(seq, kind, data={"is_final": True, "status": status})

    @staticmethod
    def execution(status: str = "completed", **fields: Any) -> Json:
        """An ExecutionStateType as the gateway sends it."""
        return {
            "id": EXECUTION_ID,
            "status": status.upper(),
            "diagram_id": "ok.light.yaml",
            "created_at": "2026-01-02T03:04:05+00:00",
            "started_at": "2026-01-02T03:04:05+00:00",
            "ended_at": "2026-01-02T03:04:06+00:00",
            "duration_ms": 1000,
            "llm_usage": {"input": 1.0, "output": 2.0, "cached": 0.0, "total": 3.0},
            "executed_nodes": ["n1"],
            "result": {"sum": 5},
            "outputs": {"Done": {"sum": 5}},
            "node_outputs": {"n1": {"envelope_format": True, "body": {"sum": 5}}},
            "node_runs": [{"node_id": "n1", "label": "Done", "type": "endpoint", "status": "completed"}],
        } | fields

    async def __call__(self, scope: Json, receive: Callable[[], Any], send: Callable[[Json], Any]) -> None:
        if scope["type"] == "websocket":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)

    async def _answer(self, scope: Json, receive: Callable[[], Any], send: Callable[[Json], Any]) -> None:
        if scope["path"] == "/health":
            body: Json = {"status": "ok", "service": "dipeo-gateway", "version": self.version, "base": "/elsewhere"}
        else:
            request = json.loads((await receive())["body"])
            name = next(name for name in self.answers if re.search(rf"\b{name}\b", request["query"]))
            self.asked.append((name, request["variables"]))
            given = self.answers[name]
            body = given if isinstance(given, dict) and "errors" in given else {"data": {name: given}}
            self.wait_for.setdefault(name, asyncio.Event()).set()
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(body).encode()})

    async def _live(self, receive: Callable[[], Any], send: Callable[[Json], Any]) -> None:
        async def say(message: Json) -> None:
            await send({"type": "websocket.send", "text": json.dumps(message)})

        await receive()
        await send({"type": "websocket.accept", "subprotocol": "graphql-transport-ws"})
        await receive()  # connection_init
        await say({"type": "connection_ack"})
        subscribe = json.loads((await receive())["text"])
        self.subscribed_from.append(subscribe["payload"]["variables"]["last_seq"])
        for item in self.scripts.pop(0):
            if "until" in item:
                await self.wait_for.setdefault(item["until"], asyncio.Event()).wait()
            else:
                await say({"type": "next", "id": "1", "payload": {"data": {"executionUpdates": item}}})
        await send({"type": "websocket.close", "code": 1012})


@pytest.fixture
def gateway() -> Iterator[ScriptedGateway]:
    scripted = ScriptedGateway()
    listener = socket.create_server(("127.0.0.1", 0))
    scripted.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    config = uvicorn.Config(
        scripted, http="h11", ws="wsproto", lifespan="off", log_config=None, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])))
    thread.start()
    yield scripted
    server.should_exit = True
    thread.join()
    listener.close()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project root with one diagram; nobody here parses it."""
    (tmp_path / ".dipeo").mkdir()
    (tmp_path / "ok.light.yaml").write_text("nodes: []\n")
    return tmp_path


@dataclass
class Command:
    project: Path
    environment: dict[str, str]

    def start(self, *arguments: str, stdin: Any = subprocess.DEVNULL) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "dipeo_cli", *arguments],
            cwd=self.project,
            env=self.environment,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *arguments: str, stdin: str | None = None) -> "subprocess.CompletedProcess[str]":
        with self.start(*arguments, stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL) as process:
            out, err = process.communicate(stdin, timeout=60)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)


@pytest.fixture
def dipeo(project: Path) -> Command:
    """`dipeo(...)` runs the command; no stack is ever started."""
    keep = {
        name: value for name, value in os.environ.items() if not name.startswith(("DIPEO_", "XDG_")) and name != "CI"
    }
    return Command(project, keep | {"DIPEO_AUTOSTART": "0", "XDG_CONFIG_HOME": str(project / ".config")})


@pytest.fixture
def remote(dipeo: Command, gateway: ScriptedGateway) -> Command:
    """The same, talking to the scripted gateway."""
    dipeo.environment["DIPEO_API_URL"] = gateway.url
    return dipeo
