"""`dipeo` commands against the imports they cannot avoid; whole processes, measured in turn in one run.

    .venv/bin/python benchmarks/cli.py [--rounds 7]

Warm: a stack is running. Cold: the stack is down, the command starts it; below, where that time goes. A goal that is
missed ends it with exit code 1. PYTHONDONTWRITEBYTECODE is taken out of the environment of all, since it makes every
start compile anew.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parent.parent
DIPEO = [sys.executable, "-m", "dipeo_cli"]
TYPER, CLIENT, SERVERS = "import typer", "import typer, httpx2", "import fastapi, strawberry, grpc"  # cannot be avoided
STACK = (
    "import os, dipeo_store.main, dipeo_executor.main, dipeo_gateway.main; os._exit(0)"  # a stack does not end there
)
GOALS = (
    ("dipeo --help", TYPER, 1.5),
    ("dipeo --version", TYPER, 1.5),
    ("dipeo ps (warm)", CLIENT, 2.0),
    ("dipeo complete-line, live ids (warm)", TYPER, 2.0),
    ("dipeo run hello (warm)", CLIENT, 3.0),
    ("dipeo run hello (cold)", SERVERS, 3.0),
)


class Bench:
    """Commands run in one temporary project."""

    def __init__(self, base: Path) -> None:
        self.base = base
        kept = {name: value for name, value in os.environ.items() if not name.startswith("DIPEO_")}
        kept.pop("PYTHONDONTWRITEBYTECODE", None)
        self.env = {**kept, "DIPEO_BASE_DIR": str(base)}
        shutil.copy(ROOT / "examples" / "hello.light.yaml", base)

    def ms(self, command: list[str]) -> float:
        started = time.perf_counter()
        done = subprocess.run(command, cwd=self.base, env=self.env, capture_output=True, stdin=subprocess.DEVNULL)
        taken = (time.perf_counter() - started) * 1e3
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return taken

    def dipeo(self, *words: str) -> float:
        return self.ms([*DIPEO, *words])

    def cold(self, *words: str) -> float:
        self.dipeo("down")
        return self.dipeo(*words)


def main(rounds: int) -> bool:
    """Whether every goal is met."""
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(Path(name))
        middle = measured(bench, rounds)
    for name, peer, goal in GOALS:
        print(f"{name:36} = {middle[name] / middle[peer]:5.2f} x `{peer}`   (goal <= {goal:g})")
    print("the cold run, ms")
    for name, value in phases(middle).items():
        print(f"  {name:44} {value:8.0f}")
    return all(middle[name] <= goal * middle[peer] for name, peer, goal in GOALS)


def measured(bench: Bench, rounds: int) -> dict[str, float]:
    """Medians, in ms; all are measured in turn, so that a busy machine slows them alike."""
    hello = ("run", "hello.light.yaml", "--mock-llm")
    codes = {"pass": "pass", TYPER: TYPER, CLIENT: CLIENT, SERVERS: SERVERS, "imports of the stack": STACK}
    commands: dict[str, Callable[[], float]] = {
        name: (lambda code=code: bench.ms([sys.executable, "-c", code])) for name, code in codes.items()
    }
    commands |= {
        "dipeo --help": lambda: bench.dipeo("--help"),
        "dipeo --version": lambda: bench.dipeo("--version"),
        "dipeo ps (warm)": lambda: bench.dipeo("ps"),
        "dipeo complete-line, live ids (warm)": lambda: bench.dipeo("complete-line", "dipeo results exec_"),
        "dipeo run hello (warm)": lambda: bench.dipeo(*hello),
        "dipeo up (cold)": lambda: bench.cold("up"),
        "dipeo run hello (cold)": lambda: bench.cold(*hello),
    }
    figures: dict[str, list[float]] = {name: [] for name in commands}
    try:
        bench.dipeo(*hello)
        for _ in range(rounds):
            for name, measure in commands.items():
                figures[name].append(measure())
    finally:
        bench.dipeo("down")
    print(f"ms, median of {rounds} rounds")
    for name, values in figures.items():
        low, high = min(values), max(values)
        print(f"  {name:36} {statistics.median(values):8.0f}   (min {low:.0f}, max {high:.0f})")
    return {name: statistics.median(values) for name, values in figures.items()}


def phases(middle: dict[str, float]) -> dict[str, float]:
    """Where the time of the cold run goes, as differences of what was measured."""
    interpreter, imports = middle["pass"], middle["imports of the stack"] - middle["pass"]
    command, up, run = (middle[f"dipeo {words}"] for words in ("--version", "up (cold)", "run hello (cold)"))
    return {
        "the command: interpreter and its imports": command,
        "the stack's process: interpreter": interpreter,
        "the stack's process: imports": imports,
        "the stack's process: database, services, socket": up - command - imports - interpreter,
        "the run, asked for, followed and printed": run - up,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    sys.exit(0 if main(parser.parse_args().rounds) else 1)
