"""`dipeo` commands against the imports they cannot avoid; whole processes, measured in turn in one run.

    .venv/bin/python benchmarks/cli.py [--rounds 7]

Warm: a stack is running. Cold: the stack is down, the command starts it. PYTHONDONTWRITEBYTECODE is taken out of the
environment of all, since it makes every start compile anew.
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
IMPORTS = {
    "import typer": "import typer",
    "import typer, httpx2": "import typer, httpx2",
    "import fastapi, strawberry, grpc": "import fastapi, strawberry, grpc",
}


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


def main(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(Path(name))
        hello = ("run", "hello.light.yaml", "--mock-llm")
        measured: dict[str, Callable[[], float]] = {
            name: (lambda code=code: bench.ms([sys.executable, "-c", code])) for name, code in IMPORTS.items()
        }
        measured |= {
            "dipeo --help": lambda: bench.dipeo("--help"),
            "dipeo --version": lambda: bench.dipeo("--version"),
            "dipeo ps (warm)": lambda: bench.dipeo("ps"),
            "dipeo complete-line, live ids (warm)": lambda: bench.dipeo("complete-line", "dipeo results exec_"),
            "dipeo run hello (warm)": lambda: bench.dipeo(*hello),
            "dipeo run hello (cold)": lambda: bench.cold(*hello),
        }
        figures: dict[str, list[float]] = {name: [] for name in measured}
        try:
            bench.dipeo(*hello)
            for _ in range(rounds):
                for name, measure in measured.items():
                    figures[name].append(measure())
        finally:
            bench.dipeo("down")
    middle = {name: statistics.median(values) for name, values in figures.items()}
    print(f"ms, median of {rounds} rounds")
    for name, value in middle.items():
        print(f"  {name:34} {value:8.0f}   (min {min(figures[name]):.0f}, max {max(figures[name]):.0f})")
    for name, peer, goal in (
        ("dipeo --help", "import typer", 1.5),
        ("dipeo --version", "import typer", 1.5),
        ("dipeo ps (warm)", "import typer, httpx2", 2),
        ("dipeo complete-line, live ids (warm)", "import typer", 2),
        ("dipeo run hello (warm)", "import typer, httpx2", 4),
        ("dipeo run hello (cold)", "import fastapi, strawberry, grpc", 4),
    ):
        print(f"{name:24} = {middle[name] / middle[peer]:5.2f} x `{peer}`   (goal <= {goal})")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    main(parser.parse_args().rounds)
