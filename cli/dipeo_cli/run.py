"""`dipeo run` and `dipeo watch` (spec/cli.md §3, §14.4)."""

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from dipeo_cli import diagnostics, follow, lookup, output, progress, prompts, refs, report, results, stack
from dipeo_cli.client import Gateway
from dipeo_cli.config import Config
from dipeo_cli.errors import EXIT_NEGATIVE, CliError, Conflict, Stopped, Usage
from dipeo_kit import ids

Json = dict[str, Any]
DEFAULT_TIMEOUT_S = 300.0  # foreground only (decision 36)
GRACE_S = 10.0  # beyond the run's own deadline, and after Ctrl-C


@dataclass(frozen=True, slots=True)
class Request:
    """What `dipeo run` was asked."""

    diagram: str
    format: str = ""
    variables: Json = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)
    timeout_s: float | None = None
    mock_llm: bool = False
    keep_going: bool = False
    interactive: bool = True
    background: bool = False
    progress: str = "auto"
    simple: bool = False
    as_json: bool = False
    output_only: bool = False


def run(config: Config, request: Request) -> int:
    """Run a diagram and return the exit code."""
    from_stdin = request.diagram == "-"
    diagram = _stdin_diagram(request) if from_stdin else lookup.load(request.diagram, request.format, config.base)
    execution_id = _execution_id()
    if request.background:
        with follow.signals_raise(), stack.connect(config) as gateway:
            _submit(gateway, diagram, request, execution_id, request.timeout_s, request.interactive)
        output.line({"session_id": execution_id, "status": "started"})
        return 0
    timeout_s = request.timeout_s or DEFAULT_TIMEOUT_S
    lines = prompts.stdin_lines(may_prompt=config.may_prompt) if request.interactive and not from_stdin else None
    with follow.signals_raise():
        gateway = stack.connect(config)
        started = _submit(gateway, diagram, request, execution_id, timeout_s, lines is not None)
        _warn(started, diagram, request)
        view = progress.choose(request.progress, diagram.name)
        desk = prompts.Desk(execution_id, lines, verbose=config.verbosity > 0, pause=view.pause)
        follower = follow.Follower(_reuse_first(gateway, config), execution_id, view, desk)
        try:
            _to_end(follower, view, config, timeout_s + GRACE_S)
        except follow.GaveUp as error:
            raise _no_end(request, execution_id, timeout_s) from error
    with stack.connect(config) as gateway:
        execution = gateway.get_execution(execution_id)
    return _report(execution, request, timeout_s)


def watch(config: Config, reference: str, *, kind: str, as_json: bool) -> int:
    """Follow a run started elsewhere; Ctrl-C only detaches."""
    with stack.connect(config) as gateway:
        execution_id = refs.resolve(reference, gateway)
        execution = gateway.get_execution(execution_id)
    if results.status_of(execution) not in results.TERMINAL:
        view = progress.choose(kind, execution.get("diagram_name") or execution_id)
        desk = prompts.Desk(execution_id, None, verbose=False, pause=view.pause)
        try:
            follow.Follower(lambda: stack.connect(config), execution_id, view, desk).to_end()
        finally:
            view.close()
        with stack.connect(config) as gateway:
            execution = gateway.get_execution(execution_id)
    return _report(execution, Request("", as_json=as_json), None)


def _stdin_diagram(request: Request) -> lookup.Diagram:
    text = sys.stdin.read()
    if not text.strip():
        raise CliError("No content received from stdin", code="diagram_invalid", exit_code=1)
    return lookup.Diagram(text, "", request.format, "stdin")


def _execution_id() -> str:
    given = os.environ.get("DIPEO_EXECUTION_ID")
    if given and not ids.is_execution_id(given):
        raise Usage(f"DIPEO_EXECUTION_ID={given}: an execution id is exec_ + 32 lower-case hex digits")
    return given or ids.new_execution_id()


def _submit(
    gateway: Gateway,
    diagram: lookup.Diagram,
    request: Request,
    execution_id: str,
    timeout_s: float | None,
    interactive: bool,
) -> Json:
    """Store and start the run. Diagnostics are shown before the error leaves; then nothing was stored."""
    options = {
        "mock_llm": request.mock_llm,
        "keep_going": request.keep_going,
        "interactive": interactive,
        "answers": request.answers,
    } | ({"timeout_s": timeout_s} if timeout_s else {})
    try:
        return gateway.execute_diagram(
            {
                "diagram_source": diagram.text,
                "diagram_format": diagram.format.upper() or None,
                "diagram_path": diagram.path,
                "variables": request.variables,
                "options": options,
                "execution_id": execution_id,
            }
        )
    except Stopped:
        with contextlib.suppress(CliError):  # it may not have been stored yet
            gateway.abort(execution_id, "interrupted at the command line")
        raise
    except CliError as error:
        if error.code == "diagram_invalid" and error.context.get("errors"):
            problems = error.context.get("errors", []), error.context.get("warnings", [])
            output.say(diagnostics.text(*problems, path=diagram.path))
        raise


def _warn(started: Json, diagram: lookup.Diagram, request: Request) -> None:
    warnings = (started.get("envelope") or {}).get("warnings") or []
    if warnings and request.progress != "none":
        output.say(diagnostics.text([], warnings, path=diagram.path))


def _reuse_first(gateway: Gateway, config: Config) -> Callable[[], Gateway]:
    """The open connection the first time, a new one after a loss."""
    first = [gateway]
    return lambda: first.pop() if first else stack.connect(config)


def _to_end(follower: follow.Follower, view: progress.View, config: Config, patience_s: float) -> None:
    """Follow the run; a signal cancels it first, except a hang-up, which only detaches."""
    try:
        follower.to_end(patience_s)
    except Stopped as stopped:
        stopped.context = {"session_id": follower.execution_id}
        if stopped.signal_number != signal.SIGHUP:
            _cancel(follower, config)
        raise
    finally:
        view.close()


def _no_end(request: Request, execution_id: str, timeout_s: float) -> CliError:
    """The executor should have ended the run at its deadline and has not."""
    if not request.as_json:
        output.answer(report.timed_out(timeout_s))
    return CliError(
        f"Execution timed out after {timeout_s:g} seconds, and did not end",
        code="timeout",
        exit_code=EXIT_NEGATIVE,
        hint=f"see `dipeo results {execution_id}`",
        context={"session_id": execution_id},
    )


def _cancel(follower: follow.Follower, config: Config) -> None:
    """Ask for the abort and wait a little for its end. A second signal leaves at once."""
    output.say("\ncancelling; once more to leave at once")
    try:
        with stack.connect(config) as gateway:
            gateway.abort(follower.execution_id, "interrupted at the command line")
        follower.to_end(GRACE_S)
    except Conflict:
        return  # it had just ended
    except (CliError, follow.GaveUp, Stopped):
        output.say(f"see `dipeo results {follower.execution_id}`")


def _report(execution: Json, request: Request, timeout_s: float | None) -> int:
    code = report.exit_code(execution, keep_going=request.keep_going)
    if request.as_json:
        output.document(results.verbose(execution))
    elif not request.output_only:
        output.answer(report.verdict(execution, code, timeout_s))
    report.failures(execution, code)
    if not request.as_json and results.status_of(execution) in ("completed", "maxiter_reached"):
        report.simple(execution) if request.simple else report.result(execution)
    return code
