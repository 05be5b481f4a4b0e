"""Code jobs on a Dask cluster of 1, 2 and 4 workers, against the executor's own processes: items a second, cost of one.

    .venv/bin/python benchmarks/scale.py [--items 48] [--ms 100]

One batch of independent code jobs of `--ms` milliseconds of work each, through a whole store and executor. The cost of
an item is what it takes beyond its work: (time x workers / items) - work. The work sleeps, so that it needs no
core; the cost does. PYTHONDONTWRITEBYTECODE is taken out of the environment.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from dask_cluster import dask_cluster  # noqa: E402
from house import house  # noqa: E402


def diagram(items: int, work_s: float) -> str:
    jobs = range(items)
    lines = ["version: light", "nodes:", "  - {label: S, type: start}", "  - {label: E, type: endpoint}"]
    lines += [
        f'  - {{label: J{n}, type: code_job, code: "import time; time.sleep({work_s}); result = {n}"}}' for n in jobs
    ]
    lines += ["connections:", *(f"  - {{from: S, to: J{n}}}\n  - {{from: J{n}, to: E, label: j{n}}}" for n in jobs)]
    return "\n".join([*lines, ""])


def quiet() -> None:
    from dipeo_kit import logs

    logs.configure("ERROR", service="benchmark")


async def measure(base: Path, text: str, compute: str) -> float:
    """Seconds of a second run: the first starts the worker processes."""
    async with house(base, compute=compute) as running:
        for _ in range(2):
            started = time.perf_counter()
            done = await running.run(text)
            taken = time.perf_counter() - started
            assert done.status == "completed", done.execution.error
    return taken


def main(items: int, work_ms: float) -> None:
    quiet()
    text = diagram(items, work_ms / 1e3)
    own = 2 * len(os.sched_getaffinity(0))
    print(f"{items} items of {work_ms:g} ms")
    for workers in (0, 1, 2, 4):
        with tempfile.TemporaryDirectory(prefix="dipeo") as name:
            base, logs = Path(name), Path(name) / "dask"
            logs.mkdir()
            with dask_cluster(logs, base, workers=workers) if workers else nullcontext() as cluster:
                seconds = asyncio.run(measure(base, text, cluster.address if cluster else ""))
        at_once = workers or own  # each of the cluster's has one thread
        cost_ms = seconds * 1e3 * at_once / items - work_ms
        what = f"dask, {workers} workers" if workers else "no cluster"
        rate, beyond = items / seconds, f"{cost_ms:5.1f} ms an item beyond its work"
        print(f"  {what:16} {rate:8.1f} items/s, {at_once} at a time; {beyond}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=48)
    parser.add_argument("--ms", type=float, default=100)
    given = parser.parse_args()
    main(given.items, given.ms)
