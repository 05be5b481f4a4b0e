"""Drive the real `dipeo` command in a project folder of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Project:
    """A project folder and the command run in it. `env` is added to the environment."""

    base: Path
    env: Mapping[str, str] = field(default_factory=dict)

    def dipeo(
        self, *words: str, stdin: str | None = None, timeout_s: float = 60, check: int | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run to the end; with `check`, fail the test unless it exits so."""
        done = subprocess.run(
            self.command(*words), cwd=self.base, env=self.environment, capture_output=True, text=True,
            input=stdin, stdin=subprocess.DEVNULL if stdin is None else None, timeout=timeout_s,
        )  # fmt: skip
        if check is not None:
            assert done.returncode == check, f"exit {done.returncode}\nstdout: {done.stdout}\nstderr: {done.stderr}"
        return done

    def json(self, *words: str, check: int | None = 0, **how: Any) -> Any:
        return json.loads(self.dipeo(*words, check=check, **how).stdout)

    def start(self, *words: str, **how: Any) -> subprocess.Popen[str]:
        """Start without waiting; the caller ends it."""
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | how
        return subprocess.Popen(self.command(*words), cwd=self.base, env=self.environment, text=True, **pipes)

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "dipeo_cli", *words]

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("DIPEO_", "PYTHONDONTWRITE"))}
        return {**kept, "DIPEO_BASE_DIR": str(self.base), **self.env}

    def write(self, name: str, text: str) -> str:
        path = self.base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return name

    def background(self, diagram: str, *words: str) -> str:
        """Start a run in the background; its execution id."""
        session: str = self.json("run", diagram, "--background", "--mock-llm", *words)["session_id"]
        return session

    def results(self, execution_id: str) -> Any:
        return self.json("results", execution_id, "--verbose")

    def events(self, execution_id: str) -> list[Any]:
        """The journal so far."""
        events: list[Any] = self.json("logs", execution_id, "--json")
        return events

    def stack_pid(self) -> int:
        return int(json.loads((self.base / ".dipeo" / "run" / "gateway.json").read_text())["pid"])

    def kill_stack(self) -> None:
        """SIGKILL the stack's process and wait until it is gone."""
        pid = self.stack_pid()
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not alive(pid), "the stack to be gone")

    def stop(self) -> None:
        self.dipeo("down")


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for(reached: Callable[[], Any], what: str, timeout_s: float = 30) -> Any:
    """Poll until it holds; what it returned."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if found := reached():
            return found
        time.sleep(0.02)
    raise AssertionError(f"waited {timeout_s:g} s in vain for {what}")
