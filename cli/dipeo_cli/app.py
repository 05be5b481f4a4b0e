"""The command itself: its global options, and what the options of its commands have in common (spec/cli.md §14.1-2).

Commands stand in commands_*.py, one module per group of the help, and import what they need when they are called.
"""

import dataclasses
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from dipeo_cli import __version__, config, output
from dipeo_cli.errors import Usage

GROUPS = RUN, AUTHOR, OBSERVE, CONNECT, SYSTEM = ("Run", "Author", "Observe", "Connect", "System")  # of the help


class Grouped(TyperGroup):
    """Lists the commands by group: rich_help_panel without rich."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        shown = [command for command in self.commands.values() if not command.hidden]
        limit = formatter.width - 6 - max(len(command.name or "") for command in shown)
        for group in GROUPS:
            rows = [
                (command.name or "", command.get_short_help_str(limit))
                for command in shown
                if getattr(command, "rich_help_panel", AUTHOR) == group
            ]
            if rows:
                with formatter.section(group):
                    formatter.write_dl(rows)


app = typer.Typer(
    name="dipeo",
    cls=Grouped,
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
Executions = Annotated[list[str], typer.Argument(metavar="ID...", help="The same, one or more.")]
Labels = Annotated[list[str] | None, typer.Option("--label", metavar="K=V", help="Mark the run; `ps` finds it by it.")]
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
    context_name: Annotated[
        str, typer.Option("--context", metavar="NAME", help="Gateway by name: `dipeo context`.")
    ] = "",
    no_autostart: Annotated[bool, typer.Option("--no-autostart", help="Never start the local stack.")] = False,
    no_input: Annotated[bool, typer.Option("--no-input", help="Never ask on the terminal.")] = False,
    color: Annotated[str, typer.Option("--color", metavar="WHEN", help="auto, always or never.")] = "",
    no_emoji: Annotated[bool, typer.Option("--no-emoji", help="Words instead of symbols.")] = False,
    jq: Annotated[str, typer.Option("--jq", metavar="EXPR", help="Filter JSON output.")] = "",
    verbose: Annotated[int, typer.Option("-v", count=True, help="Details; -vv: tracebacks.")] = 0,
    version: Annotated[bool, typer.Option("-V", "--version", help="Show the version.")] = False,
    server: Annotated[bool, typer.Option("--server", hidden=True)] = False,
    host: Annotated[str, typer.Option("--host", hidden=True)] = "127.0.0.1",
    port: Annotated[int | None, typer.Option("--port", hidden=True)] = None,
) -> None:
    context.obj = config.load(
        config.Flags(project, api_url, token, context_name, no_autostart, no_input, color, no_emoji, verbose)
    )
    output.use(color=context.obj.color, emoji=context.obj.emoji, jq=jq)
    if version:
        output.answer(f"dipeo {__version__}")
        raise typer.Exit
    if server or (context.invoked_subcommand is None and port is not None):
        from dipeo_cli import system

        raise typer.Exit(system.serve(context.obj, host=host, port=port))
    if context.invoked_subcommand is None:
        output.answer(context.get_help())


def diagram_format(light: bool, native: bool, readable: bool) -> str:
    """Raises Usage when more than one is given; "" = detect."""
    chosen = [name for name, on in (("light", light), ("native", native), ("readable", readable)) if on]
    if len(chosen) > 1:
        raise Usage(f"--{chosen[1]} is not allowed with --{chosen[0]}")
    return chosen[0] if chosen else ""


def progress_kind(kind: str, *, quiet: bool, simple: bool) -> str:
    if kind not in ("auto", "tty", "plain", "json", "none"):
        raise Usage(f"--progress {kind}: auto, tty, plain, json or none")
    return "none" if quiet else "plain" if simple and kind == "auto" else kind


def with_debug(given: config.Config, debug: bool) -> config.Config:
    return dataclasses.replace(given, verbosity=2) if debug else given
