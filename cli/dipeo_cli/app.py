"""The command itself, and its global options (spec/cli.md §14.1-2).

Commands stand in commands_*.py, one module per group of the help, and import what they need when they are called.
"""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from dipeo_cli import __version__, config, output
from dipeo_cli.errors import Usage

HELP_OPTIONS = {"-h", "--help"}
SETTINGLESS = ("help", "version", "completion", "complete-line", "init", "doctor")
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
    context_settings={"help_option_names": sorted(HELP_OPTIONS, key=len), "max_content_width": 100},
    help="""Run AI-agent diagrams, and look at their runs.

    \b
    dipeo run hello                  run a diagram and print its result
    dipeo run report -d              start it in the background
    dipeo results @last              what the newest run produced
    """,
)


@app.callback(invoke_without_command=True)
def dipeo(
    context: typer.Context,
    project: Annotated[str, typer.Option("-C", "--project", metavar="DIR", help="Project root.")] = "",
    api_url: Annotated[str, typer.Option("--api-url", metavar="URL", help="Gateway; default: the local stack.")] = "",
    token: Annotated[str, typer.Option("--token", metavar="TOKEN", help="Of that gateway.")] = "",
    context_name: Annotated[
        str, typer.Option("--context", metavar="CONTEXT", help="Gateway by name: `dipeo context`.")
    ] = "",
    no_autostart: Annotated[bool, typer.Option("--no-autostart", help="Never start the local stack.")] = False,
    no_input: Annotated[bool, typer.Option("--no-input", help="Never ask on the terminal.")] = False,
    color: Annotated[str, typer.Option("--color", metavar="WHEN", help="auto, always or never.")] = "",
    no_emoji: Annotated[bool, typer.Option("--no-emoji", help="Words instead of symbols.")] = False,
    form: Annotated[
        str, typer.Option("-o", "--output", metavar="FMT", help="text, json, yaml, ndjson or raw (the bare result).")
    ] = "",
    jq: Annotated[str, typer.Option("--jq", metavar="EXPR", help="Filter JSON output.")] = "",
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No progress, notes or warnings.")] = False,
    verbose: Annotated[int, typer.Option("-v", count=True, help="Details; -vv: tracebacks.")] = 0,
    version: Annotated[bool, typer.Option("-V", "--version", help="Show the version.")] = False,
    server: Annotated[bool, typer.Option("--server", hidden=True)] = False,
    host: Annotated[str, typer.Option("--host", hidden=True)] = "127.0.0.1",
    port: Annotated[int | None, typer.Option("--port", hidden=True)] = None,
) -> None:
    if version:
        output.answer(f"dipeo {__version__}")
        raise typer.Exit
    flags = config.Flags(
        project, api_url, token, context_name, no_autostart, no_input, color, no_emoji, verbose, form, quiet
    )
    context.obj = _config(flags, context)
    form = str(context.obj.settings["output"].value)
    output.use(color=context.obj.color, emoji=context.obj.emoji, jq=jq, form=form, quiet=quiet)
    context.default_map = _defaults(context.command, form, quiet=quiet)
    if server or (context.invoked_subcommand is None and port is not None):
        from dipeo_cli import system

        raise typer.Exit(system.serve(context.obj, host=host, port=port))
    if context.invoked_subcommand is None:
        output.answer(context.get_help())


def _config(flags: config.Flags, context: typer.Context) -> config.Config:
    """What needs no setting works with settings that cannot be read, too. `context.obj`: all arguments."""
    try:
        return config.load(flags)
    except Usage:
        if context.invoked_subcommand not in SETTINGLESS and not HELP_OPTIONS & set(context.obj or ()):
            raise
        return config.load(flags, read_files=False)


def _defaults(command: Any, form: str, *, quiet: bool) -> dict[str, Any]:
    """What -o and -q of the program mean to each command that has such an option of its own."""
    known = {"as_json": form in output.DOCUMENTS, "output_only": form == "raw", "quiet": quiet}
    given = {name: True for name, on in known.items() if on}
    if not given:
        return {}
    return {
        name: _defaults(each, form, quiet=quiet)
        if hasattr(each, "commands")
        else {option.name: True for option in each.params if option.name in given}
        for name, each in command.commands.items()
    }
