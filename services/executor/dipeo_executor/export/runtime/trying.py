"""Second tries, and limits of time: decorators of node functions."""

import asyncio
import functools
from collections.abc import Callable
from typing import Any

from dipeo_executor.export.runtime.kinds import Inputs, Output
from dipeo_executor.export.runtime.running import NodeError, Run, carried_out, warn


def retried(
    attempts: int = 3,
    delay_s: float = 1,
    strategy: str = "exponential",
    max_delay_s: float = 60,
    errors: tuple[str, ...] = (),
) -> Callable[..., Any]:
    """Try a failing node again; `attempts` counts the first. `errors`: only after these classes of failure."""

    def decorate(work: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(work)
        async def trying(run: Run, inputs: Inputs) -> Output:
            for attempt in range(1, attempts):
                try:
                    return await carried_out(work, run, inputs)
                except Exception as error:
                    kind = error.kind if isinstance(error, NodeError) else type(error).__name__
                    if (errors and kind not in errors) or is_final(error):
                        raise
                    factor = {"exponential": 2 ** (attempt - 1), "linear": attempt}.get(strategy, 1)
                    wait_s = min(delay_s * factor, max_delay_s)
                    warn(f"{error}; attempt {attempt + 1} of {attempts} in {wait_s:g} s")
                    await asyncio.sleep(wait_s)
            return await carried_out(work, run, inputs)

        return trying

    return decorate


def is_final(error: Exception) -> bool:
    """Whether a model's service said that asking again is of no use."""
    status = getattr(error, "status_code", None)
    return status is not None and status < 500 and status not in (408, 409, 429)


def limited(seconds: float) -> Callable[..., Any]:
    """A node that takes longer fails; with `retried` above it, each attempt has this time."""

    def decorate(work: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(work)
        async def limiting(run: Run, inputs: Inputs) -> Output:
            try:
                async with asyncio.timeout(seconds) as limit:
                    return await carried_out(work, run, inputs)
            except TimeoutError:
                if limit.expired():
                    raise NodeError(f"timed out after {seconds:g} seconds", "TimeoutError") from None
                raise

        return limiting

    return decorate
