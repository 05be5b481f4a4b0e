"""Commands about runs that exist: results, ps, logs, cancel, answer (spec/cli.md §4, §14.1)."""

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from dipeo_cli import output, progress, prompts, refs, report, stack
from dipeo_cli import results as shapes
from dipeo_cli.client import Gateway
from dipeo_cli.config import Config
from dipeo_cli.errors import EXIT_NEGATIVE, EXIT_UNFINISHED, CliError, Conflict, Usage
from dipeo_cli.follow import events

Json = dict[str, Any]
PAGE = 1000
ABORT_S = 10.0


def results(
    config: Config, reference: str, *, verbose: bool, as_json: bool, exit_status: bool, output_only: bool
) -> int:
    """JSON always, also about what cannot be found: one line then, as scripts know it (spec/cli.md §4.2)."""
    try:
        refs.check(reference)
        with stack.connect(config) as gateway:
            execution = gateway.get_execution(refs.resolve(reference, gateway))
    except refs.BadReference as error:
        output.error(str(error), error.hint)
        output.line({"error": str(error), "expected_format": "exec_[32-char-hex]"})
        return error.exit_code
    except CliError as error:
        output.error(str(error), error.hint)
        message = str(error) if error.exit_code == EXIT_NEGATIVE else f"Failed to query execution: {error}"
        output.line({"error": message, "session_id": reference} | error.context | {"error_code": error.code})
        return error.exit_code
    if output_only:
        report.result(execution)
    else:
        output.document(shapes.verbose(execution) if verbose or as_json else shapes.summary(execution))
    return _exit_status(execution) if exit_status else 0


def _exit_status(execution: Json) -> int:
    if shapes.status_of(execution) not in shapes.TERMINAL:
        return EXIT_UNFINISHED
    return report.exit_code(execution)


# --- ps --------------------------------------------------------------------------------------------------------------


def ps(config: Config, *, status: str, diagram: str, limit: int, ids_only: bool, as_json: bool) -> int:
    filter = ({"status": status.upper()} if status else {}) | ({"diagram_id": diagram} if diagram else {})
    with stack.connect(config) as gateway:
        found = gateway.list_executions(limit=limit, filter=filter, summaries=True)
    if as_json:
        output.document([shapes.summary(execution) for execution in found])
    elif ids_only:
        for execution in found:
            output.answer(execution["id"])
    elif found:
        output.answer(table(found, datetime.now(UTC)))
    else:
        output.say("no runs yet")
    return 0


def table(executions: list[Json], now: datetime) -> str:
    """Running first, then newest first."""
    rows = [("ID", "STATUS", "DIAGRAM", "AGE", "TIME", "NODES", "TOKENS", "")]
    for execution in sorted(executions, key=lambda each: shapes.status_of(each) in shapes.TERMINAL):
        usage = execution.get("llm_usage") or {}
        begun = execution.get("created_at") or execution.get("started_at")
        took = execution.get("duration_ms")
        rows.append(
            (
                refs.short(execution["id"]),
                shapes.status_of(execution),
                str(execution.get("diagram_id") or execution.get("diagram_name") or "-"),
                span((now - datetime.fromisoformat(begun)).total_seconds()) if begun else "-",
                span(took / 1000) if took is not None else "-",
                str(len(execution.get("executed_nodes") or ())),
                str(int(usage.get("total") or 0)),
                "waiting for an answer" if execution.get("waiting") else "",
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def span(seconds: float) -> str:
    """1.4s, 12m, 3h, 2d."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{max(seconds, 0):.1f}s"


# --- logs ------------------------------------------------------------------------------------------------------------


def logs(config: Config, reference: str, *, follow: bool, as_json: bool, as_ndjson: bool) -> int:
    """The run's journal: lines, one JSON array, or NDJSON as it comes. Ctrl-C only detaches."""
    with stack.connect(config) as gateway:
        execution_id = refs.resolve(reference, gateway)
        if as_json:
            output.document(list(_journal(config, gateway, execution_id, follow)))
            return 0
        for event in _journal(config, gateway, execution_id, follow):
            text = json.dumps(event, ensure_ascii=False) if as_ndjson else progress.describe(event)
            if text:
                output.answer(text)
    return 0


def _journal(config: Config, gateway: Gateway, execution_id: str, follow: bool) -> Iterator[Json]:
    if not follow:
        yield from _pages(gateway, execution_id)
        return
    gateway.get_execution(execution_id)  # an unknown id is an error now, not a stream that never begins
    for _, event in events(lambda: stack.connect(config), execution_id):
        if event is not None:
            yield event


def _pages(gateway: Gateway, execution_id: str) -> Iterator[Json]:
    seq = 0
    while True:
        page = gateway.events(execution_id, seq, PAGE)
        yield from page["events"]
        if not page["events"] or page["events"][-1]["seq"] >= page["head_seq"]:
            return
        seq = page["events"][-1]["seq"]


# --- cancel and answer -----------------------------------------------------------------------------------------------


def cancel(config: Config, references: list[str], *, reason: str, as_json: bool) -> int:
    """Abort runs and print the status each ends in; one that had ended stays as it is."""
    with stack.connect(config) as gateway:
        ended = [_cancel_one(gateway, refs.resolve(reference, gateway), reason) for reference in references]
    if as_json:
        output.document(ended if len(ended) > 1 else ended[0])
    else:
        for each in ended:
            output.answer(each["status"])
    return 0


def _cancel_one(gateway: Gateway, execution_id: str, reason: str) -> Json:
    if shapes.status_of(gateway.get_execution(execution_id)) in shapes.TERMINAL:
        output.say(f"{execution_id} had ended already")
    else:
        with suppress(Conflict):
            gateway.abort(execution_id, reason)
    deadline = time.monotonic() + ABORT_S
    while True:
        status = shapes.status_of(gateway.get_execution(execution_id))
        if status in shapes.TERMINAL or time.monotonic() > deadline:
            return {"session_id": execution_id, "status": status}
        time.sleep(0.05)


def pause(config: Config, reference: str, *, reason: str, as_json: bool) -> int:
    """Print the status; it is paused once the nodes that run have ended."""
    return _control(config, reference, "pause", reason, "it pauses once the nodes that run have ended", as_json)


def resume(config: Config, reference: str, *, as_json: bool) -> int:
    return _control(config, reference, "resume", "", "it goes on as soon as an executor has it", as_json)


def _control(config: Config, reference: str, action: str, reason: str, pending: str, as_json: bool) -> int:
    with stack.connect(config) as gateway:
        execution_id = refs.resolve(reference, gateway)
        status = shapes.status_of(gateway.control(execution_id, action, reason))
    if status not in shapes.TERMINAL and (status == "paused") is not (action == "pause"):
        output.say(pending)
    output.document({"session_id": execution_id, "status": status}) if as_json else output.answer(status)
    return 0


def answer(config: Config, reference: str, words: list[str], *, as_json: bool) -> int:
    """`ID` lists the open questions, `ID TEXT` answers the only one, `ID NODE TEXT` that of a node."""
    with stack.connect(config) as gateway:
        execution_id = refs.resolve(reference, gateway)
        execution = gateway.get_execution(execution_id)
        questions = [prompts.Question.from_data(each) for each in execution.get("pending_interactions") or ()]
        if not words:
            return _list_questions(execution, questions, as_json=as_json)
        question = _choose(questions, words, execution_id)
        gateway.respond(execution_id, question.node_id, words[-1], question.prompt_id)
    told = {"session_id": execution_id, "node": question.label, "status": "answered"}
    output.document(told) if as_json else output.answer(f'answered "{question.label}"')
    return 0


def _list_questions(execution: Json, questions: list[prompts.Question], *, as_json: bool) -> int:
    if as_json:
        output.document(execution.get("pending_interactions") or [])
    for question in questions:
        if not as_json:
            output.answer(f"{question.label}: {question.prompt}")
    if not questions:
        output.error(f"{execution['id']} asks nothing")
    return 0 if questions else EXIT_NEGATIVE


def _choose(questions: list[prompts.Question], words: list[str], execution_id: str) -> prompts.Question:
    if len(words) > 2:
        raise Usage("answer takes an execution, a node where several ask, and one text; quote the text")
    fitting = [each for each in questions if len(words) == 1 or words[0] in (each.label, each.node_id)]
    if len(fitting) == 1 or (fitting and len(words) == 2):
        return fitting[0]
    labels = ", ".join(question.label for question in questions)
    if fitting:
        raise Usage(f"several nodes ask: {labels}", hint=f"dipeo answer {execution_id} NODE TEXT")
    asked = f"; open: {labels}" if questions else ""
    raise CliError(
        f"{execution_id} asks nothing{f' at {words[0]}' if len(words) == 2 else ''}{asked}",
        code="not_found",
        exit_code=1,
    )
