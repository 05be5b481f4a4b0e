"""`dipeo wait`: silent until runs have ended (spec/cli.md §14.1)."""

import time
from contextlib import closing

from dipeo_cli import follow, output, refs, report, stack
from dipeo_cli import results as shapes
from dipeo_cli.config import Config
from dipeo_cli.errors import EXIT_STILL_RUNNING, CliError


def wait(config: Config, references: list[str], *, timeout_s: float | None, as_json: bool) -> int:
    """The worst exit code of the runs. Raises CliError (124) when one still runs at the deadline."""
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    with stack.connect(config) as gateway:
        ids = [refs.resolve(reference, gateway) for reference in references]
        for execution_id in ids:
            gateway.get_execution(execution_id)  # an unknown one is an error before anything is waited for
    for execution_id in ids:
        left_s = None if deadline is None else max(deadline - time.monotonic(), 0)
        until_ended(config, execution_id, left_s)
    with stack.connect(config) as gateway:
        ended = [gateway.get_execution(execution_id) for execution_id in ids]
    if as_json:
        output.document([{"session_id": each["id"], "status": shapes.status_of(each)} for each in ended])
    codes = [report.exit_code(execution) for execution in ended]
    for execution, code in zip(ended, codes, strict=True):
        if code:
            output.error(f"{execution['id']} is {shapes.status_of(execution)}")
    return max(codes)


def until_ended(config: Config, execution_id: str, timeout_s: float | None) -> None:
    """Return once the run has ended. Raises CliError (124) when it has not in time; it goes on."""
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    with closing(
        follow.events(lambda: stack.connect(config), execution_id, poll_s=lambda: _pause_s(deadline))
    ) as steps:
        for _, event in steps:
            if event is None and deadline is not None and time.monotonic() >= deadline:
                raise still_running(execution_id)


def still_running(execution_id: str) -> CliError:
    return CliError(
        f"{execution_id} is still running",
        code="timeout",
        exit_code=EXIT_STILL_RUNNING,
        hint=f"it goes on: `dipeo watch {execution_id}`",
        context={"session_id": execution_id},
    )


def _pause_s(deadline: float | None) -> float:
    left_s = follow.IDLE_POLL_S if deadline is None else deadline - time.monotonic()
    return min(max(left_s, 0.01), follow.IDLE_POLL_S)
