"""Questions to a human."""

import asyncio
import sys

from dipeo_executor.export.runtime.running import NodeError, Run, warn


async def answer_of(run: Run, label: str, prompt: str, timeout_s: float = 0, required: bool = False) -> str:
    """Given in advance, else from the terminal or a pipe; "" when nobody answers."""
    if label in run.answers:
        return run.answers[label]
    line = ""
    if run.interactive:
        print(f"{prompt} ", file=sys.stderr, end="", flush=True)
        reading = asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        try:
            line = await asyncio.wait_for(reading, timeout_s or None)
        except TimeoutError:
            warn(f"nobody answered within {timeout_s} seconds")
    if not line and required:
        raise NodeError("nobody answered, and the node requires an answer")
    return line.rstrip("\n")
