"""Questions to a human."""

import asyncio
import sys

from dipeo_executor.export.runtime.running import NodeError, Run, in_thread, warn

ASKING = asyncio.Lock()  # one question at a time
UNREAD: list["asyncio.Future[str]"] = []  # a line that a question no longer waits for: the next one's


async def answer_of(run: Run, label: str, prompt: str, timeout_s: float = 0, required: bool = False) -> str:
    """Given in advance, else from the terminal or a pipe; "" when nobody answers."""
    if label in run.answers:
        return run.answers[label]
    line = ""
    if run.interactive:
        async with ASKING:
            print(f"{prompt} ", file=sys.stderr, end="", flush=True)
            try:
                line = await asyncio.wait_for(next_line(), timeout_s or None)
            except TimeoutError:
                warn(f"nobody answered within {timeout_s} seconds")
    if not line and required:
        raise NodeError("nobody answered, and the node requires an answer")
    return line.rstrip("\n")


async def next_line() -> str:
    if not UNREAD:
        UNREAD.append(in_thread(sys.stdin.readline))
    line = await asyncio.shield(UNREAD[0])
    UNREAD.clear()
    return line
