"""What can be typed (spec/cli.md §14.1). Each command imports what it needs when it is called: --help stays fast."""

import dataclasses
from typing import Annotated

import typer

from dipeo_cli import __version__, config, output
from dipeo_cli.errors import Usage

app = typer.Typer(
    name="dipeo",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help="""Run AI-agent diagrams, and look at their runs.

    \b
    dipeo run hello                  run a diagram and print its result
    dipeo run report -d              start it in the background
    dipeo results @last              what the newest run produced
    """,
)

AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, in every outcome.")]
Execution = Annotated[str, typer.Argument(metavar="ID", help="Execution id, unique prefix, @last or @last~N.")]
Light = Annotated[bool, typer.Option("--light", help="The diagram is in light format.")]
Native = Annotated[bool, typer.Option("--native", help="… in native format.")]
Readable = Annotated[bool, typer.Option("--readable", help="… in readable format. Default: detect.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no warnings.")]
ProgressKind = Annotated[str, typer.Option("--progress", metavar="KIND", help="auto, tty, plain, json or none.")]


@app.callback(invoke_without_command=True)
def dipeo(
    context: typer.Context,
    project: Annotated[str, typer.Option("-C", "--project", metavar="DIR", help="Project root.")] = "",
    api_url: Annotated[str, typer.Option("--api-url", metavar="URL", help="Gateway; default: the local stack.")] = "",
    token: Annotated[str, typer.Option("--token", metavar="TOKEN", help="Of that gateway.")] = "",
    no_autostart: Annotated[bool, typer.Option("--no-autostart", help="Never start the local stack.")] = False,
    no_input: Annotated[bool, typer.Option("--no-input", help="Never ask on the terminal.")] = False,
    verbose: Annotated[int, typer.Option("-v", count=True, help="Details; -vv: tracebacks.")] = 0,
    version: Annotated[bool, typer.Option("-V", "--version", help="Show the version.")] = False,
    server: Annotated[bool, typer.Option("--server", hidden=True)] = False,
    host: Annotated[str, typer.Option("--host", hidden=True)] = "127.0.0.1",
    port: Annotated[int | None, typer.Option("--port", hidden=True)] = None,
) -> None:
    context.obj = config.load(project, api_url, token, no_autostart, no_input, verbose)
    if version:
        output.answer(f"dipeo {__version__}")
        raise typer.Exit
    if server or (context.invoked_subcommand is None and port is not None):
        from dipeo_cli import system

        raise typer.Exit(system.serve(context.obj, host=host, port=port))
    if context.invoked_subcommand is None:
        output.answer(context.get_help())


@app.command()
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
        format=_format(light, native, readable),
        variables=inputs.variables(inputs_file, input_data, input or []),
        answers=inputs.answers(answers, answer or []),
        timeout_s=inputs.seconds(timeout, "--timeout") if timeout else None,
        mock_llm=mock_llm,
        keep_going=keep_going,
        interactive=not no_interactive,
        background=background,
        progress=_progress(progress, quiet=quiet, simple=simple),
        simple=simple,
        as_json=as_json,
        output_only=output_only,
    )
    if legacy:
        output.warning("--legacy and --no-browser have no effect any more")
    return command(_verbose(context, debug), request)


@app.command()
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


@app.command()
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


@app.command()
def watch(
    context: typer.Context,
    execution: Execution,
    progress: ProgressKind = "auto",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> int:
    """Follow a run started elsewhere, then print its result."""
    from dipeo_cli.run import watch as command

    kind = _progress(progress, quiet=quiet, simple=False)
    return command(context.obj, execution, kind=kind, as_json=as_json)


@app.command()
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


@app.command()
def cancel(
    context: typer.Context,
    execution: Annotated[list[str], typer.Argument(metavar="ID...")],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Kept with the run.")] = "",
    as_json: AsJson = False,
) -> int:
    """Abort runs."""
    from dipeo_cli import executions

    return executions.cancel(context.obj, execution, reason=reason, as_json=as_json)


@app.command()
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


@app.command("compile")
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

    format = _format(light, native, readable)
    return compile.compile(context.obj, diagram, stdin=stdin, format=format, as_json=as_json)


@app.command()
def serve(
    context: typer.Context,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int | None, typer.Option("--port", help="Default: 8000, or a free one.")] = None,
) -> int:
    """Run the local stack in the foreground."""
    from dipeo_cli import system

    return system.serve(context.obj, host=host, port=port)


@app.command()
def up(context: typer.Context, as_json: AsJson = False) -> int:
    """Start the local stack."""
    from dipeo_cli import system

    return system.up(context.obj, as_json=as_json)


@app.command()
def down(context: typer.Context, as_json: AsJson = False) -> int:
    """Stop the local stack; its runs continue when it is up again."""
    from dipeo_cli import system

    return system.down(context.obj, as_json=as_json)


@app.command()
def status(context: typer.Context, as_json: AsJson = False) -> int:
    """Is the stack running, and where."""
    from dipeo_cli import system

    return system.status(context.obj, as_json=as_json)


@app.command()
def version(context: typer.Context, as_json: AsJson = False) -> int:
    """Show the version."""
    from dipeo_cli import system

    return system.version(context.obj, as_json=as_json)


def _format(light: bool, native: bool, readable: bool) -> str:
    chosen = [name for name, on in (("light", light), ("native", native), ("readable", readable)) if on]
    if len(chosen) > 1:
        raise Usage(f"--{chosen[1]} is not allowed with --{chosen[0]}")
    return chosen[0] if chosen else ""


def _progress(kind: str, *, quiet: bool, simple: bool) -> str:
    if kind not in ("auto", "tty", "plain", "json", "none"):
        raise Usage(f"--progress {kind}: auto, tty, plain, json or none")
    return "none" if quiet else "plain" if simple and kind == "auto" else kind


def _verbose(context: typer.Context, debug: bool) -> config.Config:
    given: config.Config = context.obj
    return dataclasses.replace(given, verbosity=2) if debug else given
