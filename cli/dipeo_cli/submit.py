"""From a command line to a stored run: what is sent, and what comes back at once (spec/cli.md §3.8)."""

import contextlib
import os
import sys
from dataclasses import dataclass, field
from typing import Any

from dipeo_cli import diagnostics, lookup, output, uploads
from dipeo_cli.client import Gateway
from dipeo_cli.config import Config
from dipeo_cli.errors import CliError, Stopped, Usage
from dipeo_kit import ids

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """What `dipeo run` was asked."""

    diagram: str
    format: str = ""
    variables: Json = field(default_factory=dict)
    changes: Json = field(default_factory=dict)  # "NODE.property" -> another value than the diagram's
    answers: dict[str, str] = field(default_factory=dict)
    timeout_s: float | None = None
    default_timeout_s: float = 300.0  # foreground only (decision 36)
    wait_s: float | None = None  # for its end, then it goes on without us
    mock_llm: bool = False
    mock_script: list[Any] = field(default_factory=list)
    name: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    max_cost_usd: float | None = None
    max_tokens: int | None = None
    keep_going: bool = False
    strict: bool = False
    fail_fast: bool = False
    interactive: bool = True
    background: bool = False
    progress: str = "auto"
    simple: bool = False
    as_json: bool = False
    output_only: bool = False
    outputs: str = "final"  # final, all, none
    save: str = ""
    timing: bool = False
    browser: bool = False


def from_stdin(request: Request) -> lookup.Diagram:
    text = sys.stdin.read()
    if not text.strip():
        raise CliError("No content received from stdin", code="diagram_invalid", exit_code=1)
    return lookup.Diagram(text, "", request.format, "stdin")


def execution_id() -> str:
    given = os.environ.get("DIPEO_EXECUTION_ID")
    if given and not ids.is_execution_id(given):
        raise Usage(f"DIPEO_EXECUTION_ID={given}: an execution id is exec_ + 32 lower-case hex digits")
    return given or ids.new_execution_id()


def submit(
    config: Config,
    gateway: Gateway,
    diagram: lookup.Diagram,
    request: Request,
    execution_id: str,
    timeout_s: float | None,
    interactive: bool,
) -> Json:
    """Store and start the run. Diagnostics are shown before the error leaves; then nothing was stored."""
    input = {
        "diagram_source": diagram.text,
        "diagram_format": diagram.format.upper() or None,
        "diagram_path": diagram.path,
        "variables": request.variables,
        "changes": request.changes or None,
        "options": _options(request, timeout_s, interactive),
        "execution_id": execution_id,
    }
    try:
        return uploads.with_files(
            config, lambda sent: gateway.execute_diagram(input | ({"uploads": sent} if sent else {}))
        )
    except Stopped:
        with contextlib.suppress(CliError):  # it may not have been stored yet
            gateway.abort(execution_id, "interrupted at the command line")
        raise
    except CliError as error:
        if error.code == "diagram_invalid" and error.context.get("errors"):
            problems = error.context.get("errors", []), error.context.get("warnings", [])
            output.tell(diagnostics.text(*problems, path=diagram.path))
        raise


def _options(request: Request, timeout_s: float | None, interactive: bool) -> Json:
    """What the executor is told beyond the diagram; what is not set is left out, so that older gateways understand."""
    always = {
        "mock_llm": request.mock_llm,
        "keep_going": request.keep_going,
        "interactive": interactive,
        "answers": request.answers,
    }
    more = {
        "timeout_s": timeout_s,
        "name": request.name or None,
        "labels": request.labels or None,
        "mock_script": request.mock_script or None,
        "max_cost_usd": request.max_cost_usd,
        "max_tokens": request.max_tokens,
    }
    return always | {name: value for name, value in more.items() if value is not None}


def warn(started: Json, diagram: lookup.Diagram, request: Request) -> None:
    warnings = (started.get("envelope") or {}).get("warnings") or []
    if warnings and request.progress != "none":
        output.say(diagnostics.text([], warnings, path=diagram.path))
