"""`dipeo run` and `dipeo watch` (spec/cli.md §3, §14.4)."""

import signal
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from dipeo_cli import follow, lookup, output, progress, prompts, refs, report, results, saving, stack, submit, waiting
from dipeo_cli.client import Gateway
from dipeo_cli.config import Config
from dipeo_cli.errors import EXIT_NEGATIVE, CliError, Conflict, Stopped
from dipeo_cli.submit import Request

Json = dict[str, Any]
GRACE_S = 10.0  # beyond the run's own deadline, and after Ctrl-C


def run(config: Config, request: Request, diagram: lookup.Diagram | None = None) -> int:
    """Run a diagram, by default the one that the request names, and return the exit code."""
    from_stdin = request.diagram == "-"
    diagram = diagram or (
        submit.from_stdin(request) if from_stdin else lookup.load(request.diagram, request.format, config.base)
    )
    execution_id = submit.execution_id()
    if request.background:
        with follow.signals_raise(), stack.connect(config) as gateway:
            submit.submit(config, gateway, diagram, request, execution_id, request.timeout_s, request.interactive)
            _browse(gateway, request, execution_id)
        output.line({"session_id": execution_id, "status": "started"})
        return 0
    timeout_s = request.timeout_s or request.default_timeout_s
    lines = prompts.stdin_lines(may_prompt=config.may_prompt) if request.interactive and not from_stdin else None
    with follow.signals_raise(), stack.connect(config) as gateway:
        started = submit.submit(config, gateway, diagram, request, execution_id, timeout_s, lines is not None)
        submit.warn(started, diagram, request)
        _browse(gateway, request, execution_id)
        execution = _followed(config, gateway, request, execution_id, diagram.name, lines, timeout_s)
    code = _report(execution, request, timeout_s)
    if request.timing:
        from dipeo_cli import metrics

        with stack.connect(config) as gateway:
            output.tell(f"\n{metrics.breakdown(gateway, execution_id)}")
    return code


def again_and_again(config: Config, request: Request) -> int:
    """Run now and each time the file is saved, whatever comes of it, until a signal."""
    path = lookup.find(request.diagram, request.format, config.base, Path.cwd())
    while True:
        seen = saving.stamp(path)
        try:
            run(config, request)
        except CliError as error:
            if error.exit_code != EXIT_NEGATIVE:
                raise
            output.error(str(error), error.hint)
        output.say(f"waiting for {request.diagram} to be saved; Ctrl-C ends it")
        saving.wait([path], [seen])


def retry(config: Config, reference: str, from_node: str, request: Request) -> int:
    """Run an ended run again from a node, or from what failed in it; its own options hold, its deadline begins anew."""
    execution_id = submit.execution_id()
    lines = prompts.stdin_lines(may_prompt=config.may_prompt) if request.interactive else None
    with follow.signals_raise(), stack.connect(config) as gateway:
        started = gateway.retry(refs.resolve(reference, gateway), from_node, execution_id)
        if request.background:
            output.line({"session_id": execution_id, "status": "started"})
            return 0
        if request.progress != "none":
            kept, label = started["envelope"]["kept"], started["envelope"]["from"]
            where = f'node "{label}"' if label else "where it ended" if kept else "the beginning"
            output.say(f"from {where}; {kept} finished node runs are kept")
        name = started["data"].get("diagram_name") or execution_id
        execution = _followed(config, gateway, request, execution_id, name, lines, None)
    return _report(execution, request, None)


def _followed(
    config: Config,
    gateway: Gateway,
    request: Request,
    execution_id: str,
    title: str,
    lines: prompts.Lines | None,
    timeout_s: float | None,
) -> Json:
    """Show a run and answer its questions until its end; the execution as it ended."""
    view = progress.choose(request.progress, title)
    desk = prompts.Desk(execution_id, lines, verbose=config.verbosity > 0, pause=view.pause)
    connect = _reuse_first(gateway, config)
    follower = follow.Follower(connect, execution_id, view, desk, fail_fast=request.fail_fast)
    patience_s = timeout_s and timeout_s + GRACE_S
    try:
        with closing(desk):
            _to_end(follower, view, config, patience_s, request.wait_s)
    except follow.GaveUp as error:
        raise _no_end(request, execution_id, timeout_s or 0) from error
    except follow.WaitedLongEnough as error:
        raise waiting.still_running(execution_id) from error
    with stack.connect(config) as again:
        return again.get_execution(execution_id)


def watch(config: Config, reference: str, request: Request) -> int:
    """Follow a run started elsewhere; Ctrl-C only detaches. `request`: how it is shown."""
    with stack.connect(config) as gateway:
        execution_id = refs.resolve(reference, gateway)
        execution = gateway.get_execution(execution_id)
    if results.status_of(execution) not in results.TERMINAL:
        view = progress.choose(request.progress, execution.get("diagram_name") or execution_id)
        desk = prompts.Desk(execution_id, None, verbose=False, pause=view.pause)
        try:
            follow.Follower(lambda: stack.connect(config), execution_id, view, desk).to_end()
        finally:
            view.close()
        with stack.connect(config) as gateway:
            execution = gateway.get_execution(execution_id)
    return _report(execution, request, None)


def _reuse_first(gateway: Gateway, config: Config) -> Callable[[], Gateway]:
    """The open connection the first time, a new one after a loss."""
    first = [gateway]
    return lambda: first.pop() if first else stack.connect(config)


def _to_end(
    follower: follow.Follower, view: progress.View, config: Config, patience_s: float | None, wait_s: float | None
) -> None:
    """Follow the run; a signal cancels it first, except a hang-up, which only detaches."""
    try:
        follower.to_end(patience_s, wait_s)
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
        output.tell(f"see `dipeo results {follower.execution_id}`")


def _browse(gateway: Gateway, request: Request, execution_id: str) -> None:
    if request.browser:
        from dipeo_cli import browser

        browser.show(browser.page(gateway.url, execution_id))


def _report(execution: Json, request: Request, timeout_s: float | None) -> int:
    code = report.exit_code(execution, keep_going=request.keep_going, strict=request.strict)
    if request.as_json:
        output.document(results.verbose(execution))
    elif not request.output_only:
        output.answer(report.verdict(execution, code, timeout_s))
    report.failures(execution, code)
    ended_well = results.status_of(execution) in ("completed", "maxiter_reached")
    if ended_well and not request.as_json and request.outputs != "none":
        if request.outputs == "all":
            output.answer(output.value_text(execution.get("outputs") or {}))
        else:
            report.simple(execution) if request.simple else report.result(execution)
    if request.save and results.has_result(execution):
        _save(request.save, execution)
    return code


def _save(name: str, execution: Json) -> None:
    text = output.value_text(execution.get("result"))
    try:
        Path(name).write_text(text if text.endswith("\n") else f"{text}\n", encoding="utf-8")
    except OSError as error:
        reason = f"cannot write {name}: {error.strerror}"
        hint = f"`dipeo results {execution['id']} --output-only` prints it"
        raise CliError(reason, code="bad_input", exit_code=EXIT_NEGATIVE, hint=hint) from error
