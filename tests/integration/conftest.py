"""Projects whose stack the tests of a session share, or have for themselves."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from command import Project, chain, wait_for

DIAGRAMS = {
    "ok": "{label: Calc, type: code_job, language: python, code: 'result = {\"sum\": 2 + 3}'}",
    "fail": "{label: Boom, type: code_job, language: python, code: 'raise RuntimeError(\"kaboom\")'}",
    "slow": "{label: Nap, type: code_job, language: bash, code: 'sleep 8; echo rested'}",
    "brief": "{label: Nap, type: code_job, language: bash, code: 'sleep 1; echo rested'}",
    "ask": "{label: Ask, type: user_response, prompt: What is your name?, timeout: 5}",
    "choose": "{label: Choose, type: user_response, prompt: Which?, options: [tea, coffee]}",
    "ask_on": "{label: Ask, type: user_response, prompt: What is your name?}",
    "unknown": "{label: Zoo, type: zebra}",
}
BAD = """version: light
nodes:
  - {label: Work, type: code_job, language: python, code: result = 1}
  - {label: Enough?, type: condition, condition_type: custom, expression: default > 0}
  - {label: Ask, type: person_job, default_prompt: hello}
connections:
  - {from: Work, to: Enough?}
"""


def make_house(base: Path) -> Project:
    house = Project(base)
    for name, middle in DIAGRAMS.items():
        house.write(f"{name}.light.yaml", chain(middle))
    house.write("bad.light.yaml", BAD)
    house.write("syntax.light.yaml", "nodes:\n  - {label: Start, type: start\nconnections: [\n")
    return house


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project whose stack all tests of a session share."""
    shared = make_house(tmp_path_factory.mktemp("house"))
    yield shared
    shared.stop()


@pytest.fixture
def own_house(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Project]:
    """A project for one test, which may treat its stack roughly; a parameter is the name of its folder."""
    own = make_house(tmp_path / getattr(request, "param", "own"))
    yield own
    own.stop()


@pytest.fixture
def eventually() -> Callable[..., Any]:
    return lambda condition, within_s=20: wait_for(condition, "what a test waits for", within_s)


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]
