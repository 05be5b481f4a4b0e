"""A real Dask scheduler and workers, as processes of their own on loopback."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from command import wait_for


@dataclass
class DaskCluster:
    address: str  # dask://…
    workers: list["subprocess.Popen[bytes]"] = field(default_factory=list)


@contextmanager
def dask_cluster(folder: Path, base: Path, *, workers: int) -> Iterator[DaskCluster]:
    """Started and complete; the workers run code in `base`. Ended at the end."""
    card = folder / "scheduler.json"
    with ExitStack() as stack:
        listening = "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--no-jupyter", "--no-show"
        start(stack, folder, base, "scheduler", "--scheduler-file", str(card), *listening)
        address = wait_for(lambda: address_of(card), f"the scheduler; see {folder}")
        joined = "--no-nanny", "--nthreads", "1", "--no-dashboard", "--host", "127.0.0.1"
        preloaded = "--preload", "dipeo_executor.compute_worker"
        cluster = DaskCluster(address.replace("tcp", "dask"))
        for number in range(workers):
            name = "--name", f"w{number}", "--local-directory", str(folder)
            cluster.workers.append(start(stack, folder, base, "worker", address, *joined, *preloaded, *name))
        wait_for(lambda: (folder / "worker.log").read_text().count("Registered to:") == workers, "the workers")
        yield cluster


def start(stack: ExitStack, folder: Path, base: Path, *words: str) -> "subprocess.Popen[bytes]":
    log = stack.enter_context((folder / f"{words[0]}.log").open("ab"))
    environment = {**os.environ, "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "false", "DIPEO_BASE_DIR": str(base)}
    command = [sys.executable, "-m", "dask", *words]
    process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, env=environment)

    def end() -> None:
        process.send_signal(signal.SIGKILL)
        process.wait(30)

    stack.callback(end)
    return process


def address_of(card: Path) -> str:
    try:
        described: dict[str, Any] = json.loads(card.read_text())
    except (FileNotFoundError, ValueError):
        return ""
    return str(described["address"])
