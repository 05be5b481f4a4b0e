"""Questions to a human."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from dipeo_executor.export.runtime.running import NodeError, Run, in_thread, warn

ASKING = asyncio.Lock()  # one question at a time
UNREAD: list["asyncio.Future[str]"] = []  # a line that a question no longer waits for: the next one's


async def answer_of(
    run: Run,
    label: str,
    prompt: str,
    timeout_s: float = 0,
    required: bool = False,
    options: tuple[str, ...] = (),
    typing: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> str:
    """Given in advance, else from the terminal or a pipe; "" when nobody answers."""
    if label in run.answers:
        if (given := run.answers[label]) and options and given not in options:
            raise NodeError(f"the answer is none of its options: {', '.join(options)}")
        return given
    line = ""
    if run.interactive:
        async with ASKING:
            try:
                with typing():
                    line = await asyncio.wait_for(typed_answer(prompt, options), timeout_s or None)
            except TimeoutError:
                warn(f"nobody answered within {timeout_s} seconds")
    if not line and required:
        raise NodeError("nobody answered, and the node requires an answer")
    return line.rstrip("\n")


async def typed_answer(prompt: str, options: tuple[str, ...]) -> str:
    """A line; with options, one of them, which may be given by its number."""
    choices = {str(number): option for number, option in enumerate(options, 1)} | {it: it for it in options}
    listed = "".join(f"\n  {number}) {option}" for number, option in enumerate(options, 1)) + "\n>" * bool(options)
    while True:
        print(f"{prompt}{listed} ", file=sys.stderr, end="", flush=True)
        line = await next_line()
        if not (line and options):
            return line
        if (text := line.rstrip("\n")) in choices:
            return choices[text]
        print(f"that is none of {', '.join(options)}", file=sys.stderr)


@contextmanager
def unseen() -> Iterator[None]:
    """A terminal shows nothing of what is typed but the end of the line."""
    if not sys.stdin.isatty():
        yield
        return
    import termios

    kept = termios.tcgetattr(sys.stdin)
    hidden = [*kept]
    hidden[3] = (kept[3] & ~termios.ECHO) | termios.ECHONL
    termios.tcsetattr(sys.stdin, termios.TCSADRAIN, hidden)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, kept)


async def next_line() -> str:
    if not UNREAD:
        UNREAD.append(in_thread(sys.stdin.readline))
    line = await asyncio.shield(UNREAD[0])
    UNREAD.clear()
    return line
