"""`dipeo run` with its options (spec/cli.md §3.1, §14.4)."""

from typing import Annotated

import typer

from dipeo_cli import output
from dipeo_cli.app import (
    RUN,
    AsJson,
    Labels,
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

_OUTPUTS = ("final", "all", "none")


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
    dry_run: Annotated[bool, typer.Option("--dry-run", "--validate-only", help="Check it, run nothing.")] = False,
    mock_llm: Annotated[bool, typer.Option("--mock-llm", help="Deterministic answers, no model is called.")] = False,
    name: Annotated[str, typer.Option("--name", metavar="TEXT", help="What this run is about.")] = "",
    label: Labels = None,
    max_cost: Annotated[
        float | None, typer.Option("--max-cost", metavar="USD", help="Stop before model calls cost more.")
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option("--max-tokens", metavar="N", help="Stop before they use more.")
    ] = None,
    keep_going: Annotated[bool, typer.Option("--keep-going", help="Failed nodes do not fail the run.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Any failed node means exit code 1.")] = False,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="… and aborts the run at once.")] = False,
    answer: Annotated[
        list[str] | None, typer.Option("--answer", metavar="LABEL=TEXT", help="Answer in advance.")
    ] = None,
    answers: Annotated[str, typer.Option("--answers", metavar="FILE", help="The same, a JSON object.")] = "",
    no_interactive: Annotated[bool, typer.Option("--no-interactive", help='Questions are answered "".')] = False,
    as_json: AsJson = False,
    output_only: Annotated[bool, typer.Option("--output-only", help="The bare result, no verdict.")] = False,
    outputs: Annotated[str, typer.Option("--outputs", metavar="WHICH", help="final, all nodes' or none.")] = "final",
    save: Annotated[str, typer.Option("--save", metavar="FILE", help="Write the result there, too.")] = "",
    timing: Annotated[bool, typer.Option("--timing", help="Where the time went, at the end on stderr.")] = False,
    simple: Annotated[bool, typer.Option("--simple", help="Plain progress and report.")] = False,
    quiet: Quiet = False,
    progress: ProgressKind = "",
    browser: Annotated[bool, typer.Option("--browser", "--open", help="Show it in the browser.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="As -vv.")] = False,
    legacy: Annotated[bool, typer.Option("--legacy", "--no-browser", hidden=True)] = False,
) -> int:
    """Run a diagram."""
    from dipeo_cli import inputs
    from dipeo_cli.run import run as command
    from dipeo_cli.submit import Request

    settings = context.obj.settings
    if as_json and output_only:
        raise Usage("--json is not allowed with --output-only")
    if outputs not in _OUTPUTS:
        raise Usage(f"--outputs {outputs}: {', '.join(_OUTPUTS)}")
    if background and (fail_fast or save or timing):
        raise Usage("--fail-fast, --save and --timing need a run in the foreground")
    if legacy:
        output.warning("--legacy and --no-browser have no effect any more")
    format = diagram_format(light, native, readable)
    if dry_run:
        from dipeo_cli import compile

        return compile.compile(context.obj, diagram, stdin=False, format=format, as_json=as_json)
    request = Request(
        diagram=diagram,
        format=format,
        variables=inputs.variables(inputs_file, input_data, input or []),
        answers=inputs.answers(answers, answer or []),
        timeout_s=inputs.seconds(timeout, "--timeout") if timeout else None,
        default_timeout_s=inputs.seconds(str(settings["timeout"].value), "setting timeout"),
        mock_llm=mock_llm,
        name=name,
        labels=inputs.labels(label or []),
        max_cost_usd=max_cost,
        max_tokens=max_tokens,
        keep_going=keep_going,
        strict=strict or fail_fast or settings["strict"].value is True,
        fail_fast=fail_fast,
        interactive=not no_interactive,
        background=background,
        progress=progress_kind(progress or str(settings["progress"].value), quiet=quiet, simple=simple),
        simple=simple,
        as_json=as_json,
        output_only=output_only,
        outputs=outputs,
        save=save,
        timing=timing,
        browser=browser,
    )
    return command(with_debug(context.obj, debug), request)
