"""The MCP service against what it cannot avoid: the bare SDK for a call that does nothing, the command for a run.

    .venv/bin/python benchmarks/mcp.py [--rounds 200]

Real processes over loopback HTTP, a connected client of each era, measured in turn in one run. `dipeo run` is warm: its
stack is up, and its time is that of the whole process.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

del sys.path[0]  # this folder: in it, this file would be the package mcp

import mcp_types as types  # noqa: E402
import uvicorn  # noqa: E402
from mcp import Client  # noqa: E402
from mcp.server import Server  # noqa: E402

from dipeo_cli.stack import Stack  # noqa: E402
from dipeo_mcp.backend import connected  # noqa: E402
from dipeo_protos.diagram.v1 import diagram_pb2  # noqa: E402
from dipeo_protos.executor.v1 import executor_pb2  # noqa: E402

ROOT = Path(__file__).parent.parent
DIPEO = [sys.executable, "-m", "dipeo_cli"]
ERAS = {"older": "legacy", "modern": "auto"}
AT_ONCE, BURSTS = 50, 5
STRAIGHT, BARE, OURS = "the run, straight", "nothing, bare SDK", "dipeo_run hello"


def bare() -> None:
    """A server of the SDK with one tool that does nothing; prints its URL."""

    async def list_tools(ctx: Any, params: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[types.Tool(name="nothing", input_schema={"type": "object"})])

    async def call_tool(ctx: Any, params: Any) -> types.CallToolResult:
        return types.CallToolResult(content=[types.TextContent(type="text", text="{}")])

    app = Server("bare", on_list_tools=list_tools, on_call_tool=call_tool).streamable_http_app()
    config = uvicorn.Config(app, port=0, log_level="error", http="h11")
    server = uvicorn.Server(config)

    async def run() -> None:
        serving = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        print(f"http://127.0.0.1:{port}/mcp", flush=True)
        await serving

    asyncio.run(run())


@contextmanager
def child(words: list[str], **how: Any) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(words, text=True, **how)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def served(base: Path, env: dict[str, str]) -> Iterator[str]:
    """The URL of `dipeo mcp serve` for a project."""
    words = [*DIPEO, "mcp", "serve", "--port", "0"]
    with child(words, cwd=base, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        state = base / ".dipeo/run/mcp.json"
        deadline = time.monotonic() + 60
        while not state.exists() or not state.read_text():
            if time.monotonic() > deadline:
                raise SystemExit("dipeo mcp serve did not start")
            time.sleep(0.05)
        yield json.loads(state.read_text())["url"]


@asynccontextmanager
async def clients(url: str) -> AsyncIterator[dict[str, Client]]:
    async with AsyncExitStack() as stack:
        yield {name: await stack.enter_async_context(Client(url, mode=mode, cache=None)) for name, mode in ERAS.items()}


async def timed(work: Callable[[], Awaitable[Any]]) -> float:
    began = time.perf_counter()
    await work()
    return (time.perf_counter() - began) * 1e3


async def measured(
    ours_url: str, bare_url: str, base: Path, env: dict[str, str], rounds: int
) -> dict[str, list[float]]:
    figures: dict[str, list[float]] = {}

    def command() -> Awaitable[Any]:
        words = [*DIPEO, "run", "hello", "--output-only"]
        return asyncio.to_thread(subprocess.run, words, cwd=base, env=env, capture_output=True, check=True)

    async with clients(ours_url) as ours, clients(bare_url) as plain:
        work: dict[str, Callable[[], Awaitable[Any]]] = {}
        for era in ERAS:
            work[f"nothing, bare SDK, {era}"] = lambda era=era: plain[era].call_tool("nothing", {})
            work[f"nothing, ours, {era}"] = lambda era=era: ours[era].call_tool("search", {"query": "zebra"})
            work[f"dipeo_run hello, {era}"] = lambda era=era: ours[era].call_tool("dipeo_run", {"diagram": "hello"})
        for call in work.values():
            await call()
        for number in range(rounds):
            for name, call in work.items():
                figures.setdefault(name, []).append(await timed(call))
            if number % 20 == 0:
                figures.setdefault("dipeo run hello (warm)", []).append(await timed(command))
    return figures


async def burst(ours_url: str, bare_url: str, base: Path) -> dict[str, list[float]]:
    """AT_ONCE calls at once through MCP; the same runs straight to the executor and followed in the store; and as many
    calls of the bare SDK, which do nothing."""
    stack = Stack.from_json((base / ".dipeo/run/gateway.json").read_text())
    addresses = [f"unix:{stack.sockets}/{name}.sock" for name in ("store", "executor")]
    source = diagram_pb2.Source(text=(base / "hello.light.yaml").read_text(), path="hello.light.yaml")
    figures: dict[str, list[float]] = {STRAIGHT: [], BARE: [], OURS: []}

    async with (
        Client(ours_url, cache=None) as client,
        Client(bare_url, cache=None) as plain,
        connected(*addresses) as backend,
    ):

        async def through_mcp() -> None:
            began = time.perf_counter()
            answer = await client.call_tool("dipeo_run", {"diagram": "hello"})
            assert not answer.is_error, answer
            figures[OURS].append((time.perf_counter() - began) * 1e3)

        async def straight() -> None:
            began = time.perf_counter()
            request = executor_pb2.SubmitRequest(source=source, origin="benchmark")
            submitted = await backend.executor.write(backend.executor.rpc.Submit, request)
            async for _ in backend.watch(submitted.execution_id, 0):
                pass
            await backend.execution(submitted.execution_id)
            figures[STRAIGHT].append((time.perf_counter() - began) * 1e3)

        async def nothing() -> None:
            began = time.perf_counter()
            await plain.call_tool("nothing", {})
            figures[BARE].append((time.perf_counter() - began) * 1e3)

        for one in (through_mcp, straight, nothing):
            await one()
        figures = {name: [] for name in figures}
        for _ in range(BURSTS):
            for one in (straight, nothing, through_mcp):
                await asyncio.gather(*(one() for _ in range(AT_ONCE)))
    return figures


def report_burst(figures: dict[str, list[float]]) -> None:
    high = {name: statistics.quantiles(values, n=20)[-1] for name, values in figures.items()}
    print(f"{AT_ONCE} calls at once, ms, median (95th percentile), {BURSTS} times in turn")
    for name, values in figures.items():
        print(f"  {name:32} {statistics.median(values):8.2f}   ({high[name]:.2f})")
    floor = high[STRAIGHT] + high[BARE]
    print(f"  at the 95th percentile {high[OURS] / floor:.2f} times the run and the SDK, {high[OURS] - floor:+.2f} ms")


def report(figures: dict[str, list[float]]) -> None:
    middle = {name: statistics.median(values) for name, values in figures.items()}
    print("ms, median (95th percentile) of calls")
    for name, values in figures.items():
        high = statistics.quantiles(values, n=20)[-1] if len(values) > 1 else values[0]
        print(f"  {name:32} {middle[name]:8.2f}   ({high:.2f})")
    for era in ERAS:
        ours, plain = middle[f"nothing, ours, {era}"], middle[f"nothing, bare SDK, {era}"]
        print(f"  a call that does nothing, {era}: {ours / plain:.2f} times the bare SDK, {ours - plain:+.2f} ms")
        share = middle[f"dipeo_run hello, {era}"] / middle["dipeo run hello (warm)"]
        print(f"  dipeo_run hello, {era}: {share:.3f} times `dipeo run hello`")


def main(rounds: int) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("DIPEO_", "MCP_"))}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    env |= {"MCP_AUTH_ENABLED": "false", "MCP_MAX_CONCURRENT_RUNS": str(2 * AT_ONCE)}
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        (base / "dipeo.toml").touch()
        (base / "hello.light.yaml").write_text((ROOT / "examples/hello.light.yaml").read_text())
        subprocess.run(
            [*DIPEO, "compile", "hello", "--push-as", "hello"], cwd=base, env=env, check=True, capture_output=True
        )
        try:
            with (
                served(base, env) as ours,
                child([sys.executable, __file__, "--bare"], stdout=subprocess.PIPE) as other,
            ):
                assert other.stdout is not None
                plain = other.stdout.readline().strip()
                report(asyncio.run(measured(ours, plain, base, env, rounds)))
                report_burst(asyncio.run(burst(ours, plain, base)))
        finally:
            subprocess.run([*DIPEO, "down"], cwd=base, env=env, capture_output=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--bare", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    bare() if given.bare else main(given.rounds)
