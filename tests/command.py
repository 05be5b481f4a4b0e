"""Drive the real `dipeo` command in a project folder of its own, with the real local stack behind it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def clean_environment() -> dict[str, str]:
    """Ours without what would steer the command; CI would forbid it to ask."""
    dropped = ("DIPEO_", "PYTHONDONTWRITE", "XDG_")
    return {name: value for name, value in os.environ.items() if not name.startswith(dropped) and name != "CI"}


@dataclass
class Project:
    """A project folder; calling it runs the command there. `environment` may be changed between commands."""

    base: Path
    environment: dict[str, str] = field(default_factory=clean_environment)

    def __post_init__(self) -> None:
        self.base.mkdir(parents=True, exist_ok=True)
        (self.base / "dipeo.toml").touch()
        self.environment.setdefault("XDG_CONFIG_HOME", str(self.base / ".config"))  # nobody's own settings

    def __call__(self, *words: str, stdin: str | None = None, timeout_s: float = 60, check: int | None = None) -> Done:
        """Run to the end; with `check`, fail the test unless it exits so."""
        with self.start(*words, stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE) as process:
            try:
                out, err = process.communicate(stdin, timeout=timeout_s)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        if check is not None:
            assert process.returncode == check, f"exit {process.returncode}\nstdout: {out}\nstderr: {err}"
        return Done(process.returncode, out, err)

    def json(self, *words: str, check: int | None = 0, **how: Any) -> Any:
        return self(*words, check=check, **how).json

    def start(self, *words: str, **how: Any) -> "subprocess.Popen[str]":
        """Start without waiting; the caller ends it."""
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        settings = {"env": self.environment, **pipes, **how}
        return subprocess.Popen(self.command(*words), cwd=self.base, text=True, **settings)

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "dipeo_cli", *words]

    def write(self, name: str, text: str) -> str:
        path = self.base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return name

    def background(self, diagram: str, *words: str) -> str:
        """Start a run in the background; its execution id."""
        return str(self.json("run", diagram, "--background", "--mock-llm", *words)["session_id"])

    def results(self, execution_id: str) -> Any:
        return self.json("results", execution_id, "--verbose")

    def events(self, execution_id: str) -> list[Any]:
        """The journal so far."""
        events: list[Any] = self.json("logs", execution_id, "--json")
        return events

    # --- its stack ---------------------------------------------------------------------------------------------------

    def serves(self) -> bool:
        """A stack says that it serves; asks nobody."""
        return (self.base / ".dipeo/run/gateway.json").exists()

    def stack_pid(self) -> int:
        return int((self.base / ".dipeo/run/stack.pid").read_text())

    def kill_stack(self) -> None:
        """SIGKILL the stack's process and wait until it is gone."""
        pid = self.stack_pid()
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not alive(pid), "the stack to be gone")

    def stop(self) -> None:
        self("down")
        assert self("status").code == 3
        shutil.rmtree(self.base / ".dipeo", ignore_errors=True)


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for(reached: Callable[[], Any], what: str, timeout_s: float = 30) -> Any:
    """Poll until it holds, since another process has to move; what it returned."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if found := reached():
            return found
        time.sleep(0.02)
    raise AssertionError(f"waited {timeout_s:g} s in vain for {what}")


def chain(*middle: str) -> str:
    """A light diagram: start -> the nodes given as flow mappings, e.g. `{label: Nap, type: …}` -> endpoint."""
    nodes = ["{label: Start, type: start}", *(node.strip().removeprefix("- ") for node in middle)]
    nodes.append("{label: Done, type: endpoint}")
    labels = [node.split("label: ")[1].split(",")[0] for node in nodes]
    arrows = [f"  - {{from: {source}, to: {target}}}" for source, target in pairwise(labels)]
    return "\n".join(["version: light", "nodes:", *(f"  - {node}" for node in nodes), "connections:", *arrows, ""])
