"""Commands that start diagrams and look at their runs (spec/cli.md §14.1)."""

from typing import Annotated

import typer

from dipeo_cli import output
from dipeo_cli.app import (
    AUTHOR,
    RUN,
    AsJson,
    Execution,
    Light,
    Native,
    ProgressKind,
    Quiet,
    Readable,
    app,
    diagram_format,
    progress_kind,
    with_debug,
)
from dipeo_cli.errors import Usage


@app.command(rich_help_panel=RUN)
def run(
    context: typer.Context,
    diagram: Annotated[str, typer.Argument(metavar="DIAGRAM", help="Path, name, or - for stdin.")],
    light: Light = False,
    native: Native = False,
    readable: Readable = False,
    input: Annotated[
        list[str] | None, typer.Option("-i", "--input", metavar="K=V", help="key=text, key:=json, key=@file.")
    ] = None,
    inputs_file: Annotated[
        str, typer.Option("--inputs", metavar="FILE", help="Variables: JSON, YAML, TOML, or -.")
    ] = "",
    input_data: Annotated[str, typer.Option("--input-data", metavar="JSON", help="Variables as a JSON object.")] = "",
    timeout: Annotated[
        str, typer.Option("--timeout", metavar="S", help="90, 90s, 5m; default 300 in the foreground.")
    ] = "",
    background: Annotated[
        bool, typer.Option("--background", "-d", "--detach", help="Return once it is stored.")
    ] = False,
    mock_llm: Annotated[bool, typer.Option("--mock-llm", help="Deterministic answers, no model is called.")] = False,
    keep_going: Annotated[bool, typer.Option("--keep-going", help="Failed nodes do not fail the run.")] = False,
    answer: Annotated[
        list[str] | None, typer.Option("--answer", metavar="LABEL=TEXT", help="Answer in advance.")
    ] = None,
    answers: Annotated[str, typer.Option("--answers", metavar="FILE", help="The same, a JSON object.")] = "",
    no_interactive: Annotated[bool, typer.Option("--no-interactive", help='Questions are answered "".')] = False,
    as_json: AsJson = False,
    output_only: Annotated[bool, typer.Option("--output-only", help="The bare result, no verdict.")] = False,
    simple: Annotated[bool, typer.Option("--simple", help="Plain progress and report.")] = False,
    quiet: Quiet = False,
    progress: ProgressKind = "auto",
    debug: Annotated[bool, typer.Option("--debug", help="As -vv.")] = False,
    legacy: Annotated[bool, typer.Option("--legacy", "--no-browser", hidden=True)] = False,
) -> int:
    """Run a diagram."""
    from dipeo_cli import inputs
    from dipeo_cli.run import Request
    from dipeo_cli.run import run as command

    if as_json and output_only:
        raise Usage("--json is not allowed with --output-only")
    request = Request(
        diagram=diagram,
        format=diagram_format(light, native, readable),
        variables=inputs.variables(inputs_file, input_data, input or []),
        answers=inputs.answers(answers, answer or []),
        timeout_s=inputs.seconds(timeout, "--timeout") if timeout else None,
        mock_llm=mock_llm,
        keep_going=keep_going,
        interactive=not no_interactive,
        background=background,
        progress=progress_kind(progress, quiet=quiet, simple=simple),
        simple=simple,
        as_json=as_json,
        output_only=output_only,
    )
    if legacy:
        output.warning("--legacy and --no-browser have no effect any more")
    return command(with_debug(context.obj, debug), request)


@app.command(rich_help_panel=RUN)
def results(
    context: typer.Context,
    execution: Execution,
    verbose: Annotated[bool, typer.Option("--verbose", help="Outputs, conversation, every node run.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The verbose object.")] = False,
    exit_status: Annotated[bool, typer.Option("--exit-status", help="0 ended well, 1 not, 8 unfinished.")] = False,
    output_only: Annotated[bool, typer.Option("--output-only", help="The bare result.")] = False,
) -> int:
    """Show what a run produced, as JSON."""
    from dipeo_cli import executions

    return executions.results(
        context.obj, execution, verbose=verbose, as_json=as_json, exit_status=exit_status, output_only=output_only
    )


@app.command(rich_help_panel=RUN)
def ps(
    context: typer.Context,
    status: Annotated[str, typer.Option("--status", metavar="S", help="Only runs in this status.")] = "",
    diagram: Annotated[str, typer.Option("--diagram", metavar="D", help="Only runs of this diagram.")] = "",
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, max=1000, help="How many.")] = 20,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Ids only.")] = False,
    as_json: AsJson = False,
) -> int:
    """List runs, newest first."""
    from dipeo_cli import executions

    return executions.ps(context.obj, status=status, diagram=diagram, limit=limit, ids_only=quiet, as_json=as_json)


@app.command(rich_help_panel=RUN)
def watch(
    context: typer.Context,
    execution: Execution,
    progress: ProgressKind = "auto",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> int:
    """Follow a run started elsewhere, then print its result."""
    from dipeo_cli.run import watch as command

    kind = progress_kind(progress, quiet=quiet, simple=False)
    return command(context.obj, execution, kind=kind, as_json=as_json)


@app.command(rich_help_panel=RUN)
def logs(
    context: typer.Context,
    execution: Execution,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Until the run ends.")] = False,
    format: Annotated[str, typer.Option("-o", "--output", metavar="FMT", help="text or ndjson.")] = "text",
    as_json: Annotated[bool, typer.Option("--json", help="Every event, as one array.")] = False,
) -> int:
    """Show what happened in a run."""
    from dipeo_cli import executions

    if format not in ("text", "ndjson"):
        raise Usage(f"--output {format}: text or ndjson")
    return executions.logs(context.obj, execution, follow=follow, as_json=as_json, as_ndjson=format == "ndjson")


@app.command(rich_help_panel=RUN)
def cancel(
    context: typer.Context,
    execution: Annotated[list[str], typer.Argument(metavar="ID...")],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Kept with the run.")] = "",
    as_json: AsJson = False,
) -> int:
    """Abort runs."""
    from dipeo_cli import executions

    return executions.cancel(context.obj, execution, reason=reason, as_json=as_json)


@app.command(rich_help_panel=RUN)
def pause(
    context: typer.Context,
    execution: Execution,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Kept with the run.")] = "",
    as_json: AsJson = False,
) -> int:
    """Let no further node of a run start."""
    from dipeo_cli import executions

    return executions.pause(context.obj, execution, reason=reason, as_json=as_json)


@app.command(rich_help_panel=RUN)
def resume(context: typer.Context, execution: Execution, as_json: AsJson = False) -> int:
    """Let a paused run go on."""
    from dipeo_cli import executions

    return executions.resume(context.obj, execution, as_json=as_json)


@app.command(rich_help_panel=RUN)
def answer(
    context: typer.Context,
    execution: Execution,
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[NODE] [TEXT]", help="Without text: list questions.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Answer a question a run is waiting on."""
    from dipeo_cli import executions

    return executions.answer(context.obj, execution, words or [], as_json=as_json)


@app.command("compile", rich_help_panel=AUTHOR)
def compile_(
    context: typer.Context,
    diagram: Annotated[str, typer.Argument(metavar="DIAGRAM", help="Path, name, or - for stdin.")] = "",
    stdin: Annotated[bool, typer.Option("--stdin", help="Read the diagram from stdin.")] = False,
    check_only: Annotated[bool, typer.Option("--check-only", hidden=True)] = False,
    light: Light = False,
    native: Native = False,
    readable: Readable = False,
    as_json: AsJson = False,
) -> int:
    """Check a diagram; nothing is run or stored."""
    from dipeo_cli import compile

    format = diagram_format(light, native, readable)
    return compile.compile(context.obj, diagram, stdin=stdin, format=format, as_json=as_json)
