"""Build every image, start the house with docker compose, and check that nothing is lost: `make verify-compose`.

Examples run through the composed gateway, and one is published to MCP clients; then every container is killed in turn
during a run; then a hundred runs are in flight while every service is restarted; then a Dask cluster runs the code.
Skips where no Docker engine answers. BASE_IMAGE and POSTGRES_IMAGE choose other base images; what it starts has names
of its own and is removed at the end.
"""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

ROOT = Path(__file__).parent.parent
PROJECT = "dipeo-verify"
SERVICES = ("gateway", "mcp", "executor", "store", "postgres")
EXAMPLES = {
    "hello": ("run", "examples/hello.light.yaml", "--mock-llm"),
    "branch_and_merge": ("run", "examples/branch_and_merge.light.yaml", "-i", "amount:=40"),
    "csv_pipeline": ("run", "examples/csv_pipeline.light.yaml"),
    "debate": ("run", "examples/debate.light.yaml", "--mock-llm"),
    "typescript": ("run", "typescript.light.yaml"),
}
STEPS, STEP_S = 12, 0.5
LOAD = 100
END_S = 240.0
UNFINISHED = {"pending", "running", "paused"}


NAP = f'type: code_job, code: "import time; time.sleep({STEP_S}); result = 1"'
TYPESCRIPT = 'type: code_job, language: typescript, code: "return 6 * 7"'
ASK = "type: user_response, prompt: Go on?"


def chain(*middle: str) -> str:
    """A light diagram of these nodes, n1, n2 …, in a row."""
    steps = len(middle)
    lines = ["version: light", "nodes:", "  - {label: n0, type: start}"]
    lines += [f"  - {{label: n{n}, {node}}}" for n, node in enumerate(middle, 1)]
    lines += [f"  - {{label: n{steps + 1}, type: endpoint}}", "connections:"]
    lines += [f"  - {{from: n{n}, to: n{n + 1}}}" for n in range(steps + 1)]
    return "\n".join([*lines, ""])


@dataclass(frozen=True)
class House:
    """The composed stack, a command line that talks to it and a folder of diagrams."""

    environment: dict[str, str]
    folder: Path

    def compose(self, *words: str) -> str:
        command = ["docker", "compose", "--project-name", PROJECT, "--project-directory", str(ROOT), *words]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
        return done.stdout

    def containers(self, service: str) -> list[str]:
        return self.compose("ps", "--all", "--quiet", service).split()

    def dipeo(self, *words: str) -> str:
        command = [sys.executable, "-m", "dipeo_cli", *words]
        done = subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"dipeo {' '.join(words)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def begin(self, diagram: str) -> str:
        return str(json.loads(self.dipeo("run", diagram, "--background"))["session_id"])

    def results(self, execution_id: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.dipeo("results", execution_id, "--verbose"))
        return found

    def journal(self, execution_id: str) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = json.loads(self.dipeo("logs", execution_id, "--json"))
        return events


@contextmanager
def composed() -> Iterator[House]:
    """The house, built, up and healthy; gone at the end with all it kept."""
    with tempfile.TemporaryDirectory(prefix="dipeo-verify-") as name:
        folder = Path(name)
        shutil.copytree(ROOT / "examples", folder / "examples")
        subprocess.run([ROOT / "deploy/make_secrets.sh", folder / "secrets"], check=True, stdout=subprocess.DEVNULL)
        port, mcp_port = free_port(), free_port()
        kept = {name: value for name, value in os.environ.items() if not name.startswith("DIPEO_")}
        own = {
            "DIPEO_SECRETS": str(folder / "secrets"),
            "DIPEO_PORT": str(port),
            "DIPEO_MCP_PORT": str(mcp_port),
            "DIPEO_EXECUTORS": "2",
            "DIPEO_API_URL": f"http://127.0.0.1:{port}",
            "DIPEO_API_TOKEN": (folder / "secrets/dipeo_gateway_token").read_text(),
            "DIPEO_BASE_DIR": str(folder),
            "BUILDX_GIT_INFO": "false",
        }
        house = House(kept | own, folder)
        (folder / "chain.light.yaml").write_text(chain(*[NAP] * STEPS))
        (folder / "typescript.light.yaml").write_text(chain(TYPESCRIPT))
        (folder / "ask.light.yaml").write_text(chain(NAP, ASK, NAP))
        try:
            timed("images built", lambda: house.compose("build", "--quiet"))
            timed("everything healthy", lambda: house.compose("up", "--detach", "--wait", "--no-build"))
            yield house
        except BaseException:
            print(house.compose("logs", "--tail", "30"), file=sys.stderr)
            raise
        finally:
            house.compose("--profile", "dask", "down", "--volumes", "--timeout", "5")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> int:
    if shutil.which("docker") is None or subprocess.run(["docker", "info"], capture_output=True).returncode:
        print("skipped: no Docker engine answers (`docker info`); start one and try again")
        return 0
    with composed() as house:
        for line in house.compose("images", "--format", "json").splitlines():
            for image in json.loads(line):
                print(f"  {image['Repository']}:{image['Tag']}  {image['Size'] / 1e6:.0f} MB")
        check("postgres" in house.compose("logs", "--no-log-prefix", "store"), "the store does not use Postgres")
        for name, words in EXAMPLES.items():
            print(f"{name}: {house.dipeo(*words).splitlines()[0]}")
        published_as_a_tool(house)
        for service in SERVICES:
            killed_during_a_run(house, service)
        restarted_under_load(house)
        computed_by_dask(house)
    print("nothing was lost")
    return 0


def published_as_a_tool(house: House) -> None:
    """What the command line publishes through the gateway, the MCP service offers."""
    house.dipeo("compile", "examples/hello.light.yaml", "--push-as", "hello")
    wait_for(lambda: "diagram_hello" in tools(house), "the published diagram to be a tool")
    house.dipeo("mcp", "unpublish", "hello")
    wait_for(lambda: "diagram_hello" not in tools(house), "the tool to be gone")


def tools(house: House) -> list[str]:
    async def asked() -> list[str]:
        async with (
            httpx2.AsyncClient(headers={"Authorization": f"Bearer {key}"}) as http,
            Client(streamable_http_client(url, http_client=http), cache=None) as client,
        ):
            return [tool.name for tool in (await client.list_tools()).tools]

    url = f"http://127.0.0.1:{house.environment['DIPEO_MCP_PORT']}/mcp"
    key = (house.folder / "secrets/mcp_api_keys").read_text().strip()
    return asyncio.run(asked())


def killed_during_a_run(house: House, service: str) -> None:
    """SIGKILL to every container of a service once the run is on its way, and a new start."""
    execution_id = house.begin("chain.light.yaml")
    wait_for(lambda: len(completed(house.journal(execution_id))) >= 3, "the first nodes")
    before = house.journal(execution_id)
    containers = house.containers(service)
    subprocess.run(["docker", "kill", *containers], check=True, capture_output=True)
    subprocess.run(["docker", "start", *containers], check=True, capture_output=True)
    house.compose("up", "--detach", "--wait", "--no-build")
    seconds = timed(f"{service} killed; the run", lambda: ended(house, execution_id))
    check(seconds < END_S, f"{service}: the run took {seconds:.0f} s")
    after = house.journal(execution_id)
    check([it["seq"] for it in after] == list(range(1, len(after) + 1)), f"{service}: the journal has a gap")
    check(after[: len(before)] == before, f"{service}: an event that had been seen is gone or changed")
    again = {it["node_id"] for it in after[len(before) :] if it["type"] == "NODE_STARTED"} & completed(before)
    check(not again, f"{service}: nodes that had completed ran again: {again}")
    counts = Counter(it["node_id"] for it in after if it["type"] == "NODE_COMPLETED")
    check(set(counts.values()) == {1} and len(counts) == STEPS + 2, f"{service}: completions {counts}")


def restarted_under_load(house: House) -> None:
    """LOAD runs that ask a question, every container stopped as a rollout does and started again, then the answers."""
    with ThreadPoolExecutor(4) as pool:
        runs = list(pool.map(house.begin, ["ask.light.yaml"] * LOAD))
        started = time.monotonic()
        for service in SERVICES:
            for container in house.containers(service):
                subprocess.run(["docker", "restart", container], check=True, capture_output=True)
                house.compose("up", "--detach", "--wait", "--no-build")
        print(f"every service restarted with {LOAD} runs in flight: {time.monotonic() - started:.1f} s", flush=True)
        for _ in pool.map(lambda it: answered(house, it), runs):
            pass
    wait_for(lambda: not UNFINISHED & set(statuses(house).values()), "every run to end")
    found = Counter(status for execution_id, status in statuses(house).items() if execution_id in runs)
    check(found == {"completed": LOAD}, f"of {LOAD} runs: {dict(found)}")
    print(f"{LOAD} of {LOAD} runs completed")


def statuses(house: House) -> dict[str, str]:
    shown = json.loads(house.dipeo("ps", "--all", "--limit", "1000", "--json"))
    return {it["session_id"]: it["status"] for it in shown}


def answered(house: House, execution_id: str) -> None:
    wait_for(lambda: bool(house.results(execution_id).get("pending_prompts")), f"the question of {execution_id}")
    house.dipeo("answer", execution_id, "n2", "yes")


def computed_by_dask(house: House) -> None:
    """The same run with its code on a Dask cluster beside."""
    house.environment["DIPEO_COMPUTE"] = "dask://scheduler:8786"
    house.compose("--profile", "dask", "up", "--detach", "--wait", "--no-build")
    seconds = timed("code on a Dask cluster", lambda: ended(house, house.begin("chain.light.yaml")))
    check(seconds >= STEPS * STEP_S, "the steps took less than their time")
    check("Registered to" in house.compose("--profile", "dask", "logs", "worker"), "no worker of Dask joined")


def completed(events: list[dict[str, Any]]) -> set[str]:
    return {it["node_id"] for it in events if it["type"] == "NODE_COMPLETED"}


def is_over(house: House, execution_id: str) -> bool:
    return house.results(execution_id)["status"] not in UNFINISHED


def ended(house: House, execution_id: str) -> None:
    """Wait for the end, which must be a good one."""
    wait_for(lambda: is_over(house, execution_id), f"{execution_id} to end")
    found = house.results(execution_id)
    check(found["status"] == "completed", f"{execution_id} {found['status']}: {found.get('error')}")


def wait_for(reached: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + END_S
    while not reached():
        check(time.monotonic() < deadline, f"waited {END_S:g} s in vain for {what}")
        time.sleep(0.2)


def timed(what: str, work: Callable[[], object]) -> float:
    started = time.monotonic()
    work()
    seconds = time.monotonic() - started
    print(f"{what}: {seconds:.1f} s", flush=True)
    return seconds


def check(holds: bool, otherwise: str) -> None:
    if not holds:
        raise SystemExit(f"failed: {otherwise}")


if __name__ == "__main__":
    sys.exit(main())
