"""`dipeo run` with its options, a group of them per concern (spec/cli.md §3.1, §14.4)."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from dipeo_cli import inputs, output
from dipeo_cli.app import RUN, app
from dipeo_cli.config import Config
from dipeo_cli.errors import Usage
from dipeo_cli.options import OUTPUTS, Background, Debug, Format, Input, Labels, Shown, grouped, progress_kind
from dipeo_cli.settings import Setting


@dataclass(frozen=True, slots=True)
class Given:
    """What the diagram gets."""

    input: Input = None
    inputs_file: Annotated[str, typer.Option("--inputs", metavar="FILE", help="Variables: JSON, YAML, TOML, or -.")] = (
        ""
    )
    input_data: Annotated[str, typer.Option("--input-data", metavar="JSON", help="Variables as a JSON object.")] = ""
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="N.P=V", help="Another value for a node's property.")
    ] = None
    answer: Annotated[list[str] | None, typer.Option("--answer", metavar="LABEL=TEXT", help="Answer in advance.")] = (
        None
    )
    answers: Annotated[str, typer.Option("--answers", metavar="FILE", help="The same, a JSON object.")] = ""
    no_interactive: Annotated[bool, typer.Option("--no-interactive", help='Questions are answered "".')] = False
    mock_llm: Annotated[bool, typer.Option("--mock-llm", help="Deterministic answers, no model is called.")] = False
    mock_llm_file: Annotated[
        str, typer.Option("--mock-llm-file", metavar="F", help="The same, by a script: JSON or YAML.")
    ] = ""
    env_file: Annotated[str, typer.Option("--env-file", metavar="F", help="Variables for the stack it starts.")] = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """When to stop."""

    timeout: Annotated[
        str, typer.Option("--timeout", metavar="S", help="90, 90s, 5m; default 300 in the foreground.")
    ] = ""
    wait_timeout: Annotated[
        str, typer.Option("--wait-timeout", metavar="S", help="Wait no longer; the run goes on (exit code 124).")
    ] = ""
    max_cost: Annotated[
        float | None, typer.Option("--max-cost", metavar="USD", help="Stop before model calls cost more.")
    ] = None
    max_tokens: Annotated[int | None, typer.Option("--max-tokens", metavar="N", help="Stop before they use more.")] = (
        None
    )
    keep_going: Annotated[bool, typer.Option("--keep-going", help="Failed nodes do not fail the run.")] = False
    strict: Annotated[bool, typer.Option("--strict", help="Any failed node means exit code 1.")] = False
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="… and aborts the run at once.")] = False


@dataclass(frozen=True, slots=True)
class How:
    """What kind of a run it is."""

    background: Background = False
    dry_run: Annotated[bool, typer.Option("--dry-run", "--validate-only", help="Check it, run nothing.")] = False
    rerun: Annotated[str, typer.Option("--rerun", metavar="ID", help="Run an ended run again, as `retry`.")] = ""
    from_node: Annotated[str, typer.Option("--from", metavar="NODE", help="… from this node on.")] = ""
    watch_file: Annotated[bool, typer.Option("--watch-file", help="Run it again when its file is saved.")] = False
    name: Annotated[str, typer.Option("--name", metavar="TEXT", help="What this run is about.")] = ""
    label: Labels = None
    legacy: Annotated[bool, typer.Option("--legacy", "--no-browser", hidden=True)] = False


@dataclass(frozen=True, slots=True)
class Report:
    """What is told at the end."""

    outputs: Annotated[str, typer.Option("--outputs", metavar="WHICH", help="final, all nodes' or none.")] = "final"
    save: Annotated[str, typer.Option("--save", metavar="FILE", help="Write the result there, too.")] = ""
    timing: Annotated[bool, typer.Option("--timing", help="Where the time went, at the end on stderr.")] = False
    simple: Annotated[bool, typer.Option("--simple", help="Plain progress and report.")] = False
    browser: Annotated[bool, typer.Option("--browser", "--open", help="Show it in the browser.")] = False


@app.command(rich_help_panel=RUN)
@grouped
def run(
    context: typer.Context,
    diagram: Annotated[str, typer.Argument(metavar="DIAGRAM", help="Path, name, or - for stdin.")] = "",
    *,
    format: Format,
    given: Given,
    limits: Limits,
    how: How,
    shown: Shown,
    report: Report,
    debug: Debug = False,
) -> int:
    """Run a diagram."""
    from dipeo_cli import run as command
    from dipeo_cli import submit

    _refuse_contradictions(diagram, given, limits, how, shown, report)
    if how.legacy:
        output.warning("--legacy and --no-browser have no effect any more")
    config: Config = context.obj
    config = dataclasses.replace(config, verbosity=2 if debug else config.verbosity, env_file=given.env_file)
    if how.dry_run:
        from dipeo_cli import compile

        changes = inputs.changes(given.set_ or [])
        return compile.compile(config, [diagram], compile.Asked(format.word, changes=changes, as_json=shown.as_json))
    request = submit.Request(
        diagram=diagram,
        format=format.word,
        background=how.background,
        name=how.name,
        labels=inputs.labels(how.label or []),
        **_what(given),
        **_limits(limits, config.settings),
        **_shown(shown, report, str(config.settings["progress"].value)),
    )
    if how.rerun:
        return command.retry(config, how.rerun, how.from_node, request)
    return command.again_and_again(config, request) if how.watch_file else command.run(config, request)


def _refuse_contradictions(diagram: str, given: Given, limits: Limits, how: How, shown: Shown, report: Report) -> None:
    """Raises Usage."""
    shown.checked()
    if not diagram and not how.rerun:
        raise Usage("Missing argument 'DIAGRAM'", hint="see `dipeo run --help`")
    if how.rerun and (diagram or given != dataclasses.replace(Given(), no_interactive=given.no_interactive)):
        raise Usage("--rerun runs the diagram of that run with its inputs and options; give no others")
    if how.from_node and not how.rerun:
        raise Usage("--from needs --rerun ID")
    if report.outputs not in OUTPUTS:
        raise Usage(f"--outputs {report.outputs}: {', '.join(OUTPUTS)}")
    if how.background and (limits.fail_fast or limits.wait_timeout or report.save or report.timing or how.watch_file):
        raise Usage("--fail-fast, --wait-timeout, --save, --timing and --watch-file need a run in the foreground")
    if how.watch_file and (diagram == "-" or how.rerun or shown.as_json):
        raise Usage("--watch-file needs a file, and no --json")


def _what(given: Given) -> dict[str, Any]:
    return {
        "variables": inputs.variables(given.inputs_file, given.input_data, given.input or []),
        "changes": inputs.changes(given.set_ or []),
        "answers": inputs.answers(given.answers, given.answer or []),
        "interactive": not given.no_interactive,
        "mock_llm": given.mock_llm or bool(given.mock_llm_file),
        "mock_script": inputs.script(given.mock_llm_file),
    }


def _limits(limits: Limits, settings: Mapping[str, Setting]) -> dict[str, Any]:
    return {
        "timeout_s": inputs.seconds(limits.timeout, "--timeout") if limits.timeout else None,
        "default_timeout_s": inputs.seconds(str(settings["timeout"].value), "setting timeout"),
        "wait_s": inputs.seconds(limits.wait_timeout, "--wait-timeout") if limits.wait_timeout else None,
        "max_cost_usd": limits.max_cost,
        "max_tokens": limits.max_tokens,
        "keep_going": limits.keep_going,
        "strict": limits.strict or limits.fail_fast or settings["strict"].value is True,
        "fail_fast": limits.fail_fast,
    }


def _shown(shown: Shown, report: Report, progress: str) -> dict[str, Any]:
    return {
        "progress": progress_kind(shown.progress or progress, quiet=shown.quiet, simple=report.simple),
        "as_json": shown.as_json,
        "output_only": shown.output_only,
        "simple": report.simple,
        "outputs": report.outputs,
        "save": report.save,
        "timing": report.timing,
        "browser": report.browser,
    }
