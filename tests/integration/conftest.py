"""The real command in a project of its own, with the real local stack behind it."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

DIAGRAMS = {
    "ok": """
        - {label: Calc, type: code_job, language: python, code: 'result = {"sum": 2 + 3}'}
        """,
    "fail": """
        - {label: Boom, type: code_job, language: python, code: 'raise RuntimeError("kaboom")'}
        """,
    "slow": """
        - {label: Nap, type: code_job, language: bash, code: 'sleep 8; echo rested'}
        """,
    "brief": """
        - {label: Nap, type: code_job, language: bash, code: 'sleep 1; echo rested'}
        """,
    "ask": """
        - {label: Ask, type: user_response, prompt: What is your name?, timeout: 5}
        """,
    "ask_on": """
        - {label: Ask, type: user_response, prompt: What is your name?}
        """,
    "unknown": """
        - {label: Zoo, type: zebra}
        """,
}
BAD = """version: light
nodes:
  - {label: Work, type: code_job, language: python, code: result = 1}
  - {label: Enough?, type: condition, condition_type: custom, expression: default > 0}
  - {label: Ask, type: person_job, default_prompt: hello}
connections:
  - {from: Work, to: Enough?}
"""


def diagram(middle: str) -> str:
    """start -> the one node of `middle` -> endpoint"""
    node = middle.strip()
    label = node.split("label: ")[1].split(",")[0]
    return (
        "version: light\nnodes:\n"
        f"  - {{label: Start, type: start}}\n  {node}\n  - {{label: Done, type: endpoint}}\n"
        f"connections:\n  - {{from: Start, to: {label}}}\n  - {{from: {label}, to: Done}}\n"
    )


@dataclass
class House:
    """One project and its stack. Calling it runs the command; the answer has `.json`."""

    base: Path
    environment: dict[str, str] = field(default_factory=dict)

    def start(self, *arguments: str, stdin: Any = subprocess.DEVNULL, **more: Any) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "dipeo_cli", *arguments],
            cwd=self.base,
            env=self.environment,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **more,
        )

    def __call__(self, *arguments: str, stdin: str | None = None, timeout: float = 60) -> "Done":
        with self.start(*arguments, stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE) as process:
            try:
                out, err = process.communicate(stdin, timeout=timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        return Done(process.returncode, out, err)

    def write(self, name: str, text: str) -> None:
        (self.base / name).write_text(text)

    def background(self, *arguments: str) -> str:
        return str(self("run", *arguments, "--background").json["session_id"])

    def serves(self) -> bool:
        """A stack says that it serves; asks nobody."""
        return (self.base / ".dipeo/run/gateway.json").exists()

    def pid(self) -> int:
        return int((self.base / ".dipeo/run/stack.pid").read_text())


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def make_house(base: Path) -> House:
    base.mkdir(parents=True, exist_ok=True)
    (base / "dipeo.toml").touch()
    keep = {name: value for name, value in os.environ.items() if not name.startswith("DIPEO_") and name != "CI"}
    house = House(base, keep)
    for name, middle in DIAGRAMS.items():
        house.write(f"{name}.light.yaml", diagram(middle))
    house.write("bad.light.yaml", BAD)
    house.write("syntax.light.yaml", "nodes:\n  - {label: Start, type: start\nconnections: [\n")
    return house


def tear_down(house: House) -> None:
    house("down")
    assert house("status").code == 3
    shutil.rmtree(house.base / ".dipeo", ignore_errors=True)


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A project whose stack all tests of a session share."""
    shared = make_house(tmp_path_factory.mktemp("house"))
    yield shared
    tear_down(shared)


@pytest.fixture
def own_house(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[House]:
    """A project for one test, which may treat its stack roughly; a parameter is the name of its folder."""
    own = make_house(tmp_path / getattr(request, "param", "own"))
    yield own
    tear_down(own)


@pytest.fixture
def eventually() -> Callable[..., Any]:
    def wait(condition: Callable[[], Any], *, within_s: float = 20) -> Any:
        """The first true answer of `condition`; asks again, since another process has to move."""
        deadline = time.monotonic() + within_s
        while not (found := condition()):
            assert time.monotonic() < deadline, "it did not happen in time"
            time.sleep(0.05)
        return found

    return wait


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def kill() -> Callable[[int], None]:
    return lambda pid: os.kill(pid, signal.SIGKILL)
