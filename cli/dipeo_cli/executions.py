"""Commands about one run that exists, or a few: results, cancel, pause, resume, answer (spec/cli.md §4, §14.1)."""

import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dipeo_cli import output, prompts, refs, report, show, stack, uploads, waiting
from dipeo_cli import results as shapes
from dipeo_cli.client import Gateway
from dipeo_cli.config import Config
from dipeo_cli.errors import (
    EXIT_NEGATIVE,
    EXIT_UNAVAILABLE,
    EXIT_UNFINISHED,
    CliError,
    Conflict,
    NotFound,
    Usage,
)

Json = dict[str, Any]
ABORT_S = 10.0


@dataclass(frozen=True, slots=True)
class Asked:
    """What `dipeo results` was asked for."""

    verbose: bool = False
    exit_status: bool = False
    output_only: bool = False
    node: str = ""  # label or id: its output alone
    format: str = "json"  # json, yaml, text
    wait: bool = False
    timeout_s: float | None = None  # of waiting
    files: str = ""  # folder that gets what the run wrote on a remote executor


def results(config: Config, reference: str, asked: Asked) -> int:
    """JSON unless told otherwise, also about what cannot be found: one line then, as scripts know it (§4.2)."""
    try:
        refs.check(reference)
        with stack.connect(config) as gateway:
            execution_id = refs.resolve(reference, gateway)
            execution = gateway.get_execution(execution_id)
        if asked.wait and shapes.status_of(execution) not in shapes.TERMINAL:
            waiting.until_ended(config, execution_id, asked.timeout_s)
            with stack.connect(config) as gateway:
                execution = gateway.get_execution(execution_id)
        if asked.files:
            _fetch_files(config, execution_id, asked)
        else:
            _print_results(execution, asked)
    except refs.BadReference as error:
        output.error(str(error), error.hint)
        output.line({"error": str(error), "expected_format": "exec_[32-char-hex]"})
        return error.exit_code
    except Usage:
        raise
    except CliError as error:
        output.error(str(error), error.hint)
        store_fault = error.exit_code == EXIT_UNAVAILABLE
        message = f"Failed to query execution: {error}" if store_fault else str(error)
        output.line({"error": message, "session_id": reference} | error.context | {"error_code": error.code})
        return error.exit_code
    return _exit_status(execution) if asked.exit_status else 0


def _fetch_files(config: Config, execution_id: str, asked: Asked) -> None:
    """Print where each file is now."""
    with stack.connect(config) as gateway:
        files = gateway.files(execution_id)
        for path in uploads.fetch(files, lambda name: gateway.file(execution_id, name), Path(asked.files)):
            output.answer(path)
    if not files:
        output.say("the run wrote no files")


def _print_results(execution: Json, asked: Asked) -> None:
    if asked.node:
        output.answer(output.value_text(_output_of(execution, asked.node)))
    elif asked.output_only:
        report.result(execution)
    elif asked.format == "text":
        output.answer(show.text(execution, datetime.now(UTC)))
    else:
        document = shapes.verbose(execution) if asked.verbose else shapes.summary(execution)
        output.yaml(document) if asked.format == "yaml" else output.document(document)


def _output_of(execution: Json, node: str) -> Any:
    """The latest output of a node, by label, "Parent/Child" or id. Raises NotFound naming those there are."""
    outputs = execution.get("outputs") or {}
    by_id = execution.get("node_outputs") or {}
    if node in outputs:
        return outputs[node]
    if node in by_id:
        return shapes.body(by_id[node])
    raise NotFound(
        f"{execution['id']} has no output of a node {node}", hint=f"there are {', '.join(outputs) or 'none'}"
    )


def _exit_status(execution: Json) -> int:
    if shapes.status_of(execution) not in shapes.TERMINAL:
        return EXIT_UNFINISHED
    return report.exit_code(execution)


# --- cancel and answer -----------------------------------------------------------------------------------------------


def cancel(config: Config, references: list[str], *, all_running: bool, yes: bool, reason: str, as_json: bool) -> int:
    """Abort runs and print the status each ends in; one that had ended stays as it is."""
    with stack.connect(config) as gateway:
        if all_running:
            active = gateway.list_executions(limit=1000, filter={"statuses": ["PENDING", "RUNNING", "PAUSED"]})
            ids = [str(execution["id"]) for execution in active]
            if ids and not yes:
                prompts.confirm(f"abort {len(ids)} run{'s' if len(ids) > 1 else ''}?", may_prompt=config.may_prompt)
        else:
            ids = [refs.resolve(reference, gateway) for reference in references]
        ended = [_cancel_one(gateway, execution_id, reason) for execution_id in ids]
    if as_json:
        output.document(ended[0] if len(ended) == 1 and not all_running else ended)
        return 0
    for each in ended:
        output.answer(f"{each['session_id']} {each['status']}" if all_running else each["status"])
    if not ended:
        output.say("no run is in progress")
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
        text = question.choice(words[-1]) if words[-1] else ""
        if text is None:
            raise Usage(f'"{question.label}" is answered with one of {", ".join(question.options)}')
        gateway.respond(execution_id, question.node_id, text, question.prompt_id)
    told = {"session_id": execution_id, "node": question.label, "status": "answered"}
    output.document(told) if as_json else output.answer(f'answered "{question.label}"')
    return 0


def _list_questions(execution: Json, questions: list[prompts.Question], *, as_json: bool) -> int:
    if as_json:
        output.document(execution.get("pending_interactions") or [])
    for question in questions:
        if not as_json:
            options = f" (one of: {', '.join(question.options)})" if question.options else ""
            output.answer(f"{question.label}: {question.prompt}{options}")
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
