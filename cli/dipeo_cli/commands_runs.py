"""Commands about runs that exist (spec/cli.md §14.1)."""

import dataclasses
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from dipeo_cli.app import OBSERVE, RUN, app
from dipeo_cli.errors import Usage
from dipeo_cli.options import (
    AsJson,
    Background,
    Execution,
    Executions,
    Labels,
    Shown,
    grouped,
    progress_kind,
)

if TYPE_CHECKING:
    from dipeo_cli import submit

Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Kept with the run.")]


def _seconds(timeout: str) -> float | None:
    from dipeo_cli import inputs

    return inputs.seconds(timeout, "--timeout") if timeout else None


def _since(text: str) -> datetime | None:
    from dipeo_cli import inputs

    return inputs.moment(text, "--since", datetime.now(UTC)) if text else None


@app.command(rich_help_panel=RUN)
def results(
    context: typer.Context,
    execution: Execution,
    verbose: Annotated[bool, typer.Option("--verbose", help="Outputs, conversation, every node run.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The verbose object.")] = False,
    exit_status: Annotated[bool, typer.Option("--exit-status", help="0 ended well, 1 not, 8 unfinished.")] = False,
    output_only: Annotated[bool, typer.Option("--output-only", help="The bare result.")] = False,
    node: Annotated[str, typer.Option("--node", metavar="NODE", help="The bare output of one node.")] = "",
    format: Annotated[str, typer.Option("--format", metavar="FMT", help="json, yaml or text.")] = "json",
    wait: Annotated[bool, typer.Option("--wait", help="Until the run has ended; --wait=S: at most so long.")] = False,
    timeout: Annotated[str, typer.Option("--timeout", metavar="S", help="Of --wait; then exit code 124.")] = "",
    files: Annotated[
        str, typer.Option("--files", metavar="DIR", help="Get the files it wrote on a remote executor.")
    ] = "",
) -> int:
    """Show what a run produced, as JSON."""
    from dipeo_cli import executions

    if format not in ("json", "yaml", "text"):
        raise Usage(f"--format {format}: json, yaml or text")
    asked = executions.Asked(verbose or as_json, exit_status, output_only, node, format, wait, _seconds(timeout), files)
    return executions.results(context.obj, execution, asked)


@app.command(rich_help_panel=RUN)
def show(context: typer.Context, execution: Execution, as_json: AsJson = False) -> int:
    """Show a run to people: its nodes, failures, result."""
    from dipeo_cli import show

    return show.show(context.obj, execution, as_json=as_json)


@app.command(rich_help_panel=RUN)
def wait(
    context: typer.Context,
    execution: Executions,
    timeout: Annotated[str, typer.Option("--timeout", metavar="S", help="Then exit code 124.")] = "",
    as_json: AsJson = False,
) -> int:
    """Wait for runs to end; the exit code tells how they did."""
    from dipeo_cli import waiting

    return waiting.wait(context.obj, execution, timeout_s=_seconds(timeout), as_json=as_json)


@app.command(rich_help_panel=RUN)
def ps(
    context: typer.Context,
    everything: Annotated[bool, typer.Option("--all", "-a", help="Not only the newest 20.")] = False,
    status: Annotated[str, typer.Option("--status", metavar="S", help="Only runs in this status.")] = "",
    diagram: Annotated[str, typer.Option("--diagram", metavar="DIAGRAM", help="Only runs of this diagram.")] = "",
    since: Annotated[str, typer.Option("--since", metavar="T", help="Started since 2h ago, or since a time.")] = "",
    name: Annotated[str, typer.Option("--name", metavar="TEXT", help="Only runs of this name.")] = "",
    label: Labels = None,
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, max=1000, help="How many.")] = 20,
    watch: Annotated[bool, typer.Option("--watch", help="Draw it again each second.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Ids only.")] = False,
    as_json: AsJson = False,
) -> int:
    """List runs, those in progress first."""
    from dipeo_cli import inputs, listing

    asked = listing.Asked(
        status=status,
        diagram=diagram,
        since=_since(since),
        name=name,
        labels=inputs.labels(label or []),
        limit=listing.ALL if everything else limit,
        ids_only=quiet,
        as_json=as_json,
    )
    return listing.watch(context.obj, asked) if watch else listing.ps(context.obj, asked)


@app.command(rich_help_panel=RUN)
@grouped
def watch(context: typer.Context, execution: Execution, *, shown: Shown) -> int:
    """Follow a run started elsewhere, then print its result; -o ndjson: its events."""
    from dipeo_cli import journal, run

    shown.checked()
    if context.obj.settings["output"].value == "ndjson":
        return journal.logs(context.obj, execution, journal.Asked(follow=True, format="ndjson"))
    return run.watch(context.obj, execution, _shown(shown))


def _shown(shown: Shown) -> "submit.Request":
    """A request that only says how a run that exists is shown."""
    from dipeo_cli import submit

    kind = progress_kind(shown.progress or "auto", quiet=shown.quiet)
    return submit.Request("", progress=kind, as_json=shown.as_json, output_only=shown.output_only)


@app.command(rich_help_panel=RUN)
def logs(
    context: typer.Context,
    execution: Execution,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Until the run ends.")] = False,
    node: Annotated[str, typer.Option("--node", metavar="NODE", help="Of this node only.")] = "",
    tail: Annotated[int | None, typer.Option("--tail", metavar="N", min=0, help="The last N.")] = None,
    since: Annotated[str, typer.Option("--since", metavar="T", help="Since 10m ago, or since a time.")] = "",
    level: Annotated[str, typer.Option("--level", metavar="L", help="debug, info, warning or error, and worse.")] = "",
    everything: Annotated[bool, typer.Option("--events", help="Every event of the journal.")] = False,
    timestamps: Annotated[bool, typer.Option("--timestamps", help="Whole times, in UTC.")] = False,
    format: Annotated[str, typer.Option("-o", "--output", metavar="FMT", help="text or ndjson.")] = "text",
    as_json: Annotated[bool, typer.Option("--json", help="The events, as one array.")] = False,
) -> int:
    """Show what happened in a run."""
    from dipeo_cli import journal

    if format not in ("text", "ndjson"):
        raise Usage(f"--output {format}: text or ndjson")
    kind = "json" if as_json else format
    asked = journal.Asked(follow, node, tail, _since(since), level, everything, timestamps, kind)
    return journal.logs(context.obj, execution, asked)


@app.command(rich_help_panel=RUN)
def cancel(
    context: typer.Context,
    execution: Annotated[list[str] | None, typer.Argument(metavar="ID...")] = None,
    all_running: Annotated[bool, typer.Option("--all-running", help="Every run in progress.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> int:
    """Abort runs."""
    from dipeo_cli import executions

    if bool(execution) is all_running:
        raise Usage("name the runs to abort, or say --all-running")
    return executions.cancel(
        context.obj, execution or [], all_running=all_running, yes=yes, reason=reason, as_json=as_json
    )


@app.command(rich_help_panel=RUN)
@grouped
def retry(
    context: typer.Context,
    execution: Execution,
    from_node: Annotated[str, typer.Option("--from", metavar="NODE", help="Default: what failed first.")] = "",
    background: Background = False,
    *,
    shown: Shown,
) -> int:
    """Run an ended run again; what finished before stays."""
    from dipeo_cli import run

    shown.checked()
    request = dataclasses.replace(_shown(shown), background=background)
    return run.retry(context.obj, execution, from_node, request)


@app.command(rich_help_panel=RUN)
def pause(
    context: typer.Context,
    execution: Execution,
    reason: Reason = "",
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


@app.command("open", rich_help_panel=OBSERVE)
def open_(
    context: typer.Context,
    subject: Annotated[str, typer.Argument(metavar="[ID|DIAGRAM]", help="What to show.")] = "",
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only print the address.")] = False,
) -> int:
    """Show runs in the browser; prints the address."""
    from dipeo_cli import browser

    return browser.open_(context.obj, subject, no_browser=no_browser)


app.command("monitor", rich_help_panel=OBSERVE, hidden=True)(open_)


@app.command(rich_help_panel=OBSERVE)
def metrics(
    context: typer.Context,
    execution: Annotated[str, typer.Argument(metavar="[ID]", help="Default: the newest run.")] = "",
    latest: Annotated[bool, typer.Option("--latest", help="The newest run.")] = False,
    diagram: Annotated[str, typer.Option("--diagram", metavar="DIAGRAM", help="The newest run of this diagram.")] = "",
    breakdown: Annotated[bool, typer.Option("--breakdown", help="Every node run.")] = False,
    bottlenecks: Annotated[bool, typer.Option("--bottlenecks", help="Only what was slow.")] = False,
    threshold: Annotated[float | None, typer.Option("--threshold", metavar="MS", help="Slow from; 1000.")] = None,
    critical_path: Annotated[bool, typer.Option("--critical-path", help="On what the end waited.")] = False,
    optimizations: Annotated[bool, typer.Option("--optimizations", help="What could be better, and why.")] = False,
    history: Annotated[bool, typer.Option("--history", help="The runs of --diagram over time.")] = False,
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, max=1000, help="… how many.")] = 20,
    compare: Annotated[
        tuple[str, str] | None, typer.Option("--compare", metavar="ID ID", help="Two runs, node by node.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Show where the time and the tokens of a run went."""
    from dipeo_cli import figures, metrics

    asked = metrics.Asked(
        execution="" if latest else execution,
        diagram=diagram,
        compare=compare,
        history=history,
        limit=limit,
        threshold_ms=threshold,
        views=figures.Views(breakdown, bottlenecks, critical_path, optimizations),
        as_json=as_json,
    )
    return metrics.metrics(context.obj, asked)
