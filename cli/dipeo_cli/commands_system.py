"""Commands about the local stack, this project and this program (spec/cli.md §11, §14.1)."""

from importlib import import_module
from typing import Annotated

import typer

from dipeo_cli.app import CONNECT, SYSTEM, app
from dipeo_cli.options import AsJson

SettingName = Annotated[str, typer.Argument(metavar="SETTING", help="`dipeo config list` shows them.")]
ContextName = Annotated[str, typer.Argument(metavar="CONTEXT", help="Name of a gateway.")]


@app.command(rich_help_panel=SYSTEM)
def serve(
    context: typer.Context,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int | None, typer.Option("--port", help="Default: 8000, or a free one.")] = None,
) -> int:
    """Run the local stack in the foreground."""
    from dipeo_cli import system

    return system.serve(context.obj, host=host, port=port)


def _plain(module: str, name: str, help: str) -> None:
    """A command that takes nothing but --json: the function of that name in its module."""

    def command(context: typer.Context, as_json: AsJson = False) -> int:
        code: int = getattr(import_module(f"dipeo_cli.{module}"), name)(context.obj, as_json=as_json)
        return code

    app.command(name, rich_help_panel=SYSTEM, help=help)(command)


_plain("system", "up", "Start the local stack.")
_plain("system", "down", "Stop the local stack; its runs continue when it is up again.")
_plain("system", "status", "Is the stack running, and where.")
_plain("system", "version", "Show the version.")
_plain("project", "init", "Make this folder a project.")
_plain("doctor", "doctor", "Look for what could keep a run from working here.")


@app.command(rich_help_panel=SYSTEM)
def completion(shell: Annotated[str, typer.Argument(metavar="SHELL", help="bash, zsh or fish.")]) -> int:
    """Print a script: source <(dipeo completion bash)."""
    from dipeo_cli import completion

    return completion.script(shell)


@app.command("complete-line", hidden=True)
def complete_line(context: typer.Context, line: str) -> int:
    from dipeo_cli import completion

    return completion.complete(context.find_root().command, line)


@app.command("help", rich_help_panel=SYSTEM)
def help_(
    context: typer.Context,
    topic: Annotated[
        str, typer.Argument(metavar="[TOPIC]", help="formats, inputs, exit-codes, environment, or a command.")
    ] = "",
) -> int:
    """Explain a topic, or a command."""
    from dipeo_cli import helping

    return helping.help(context.find_root(), topic)


config_app = typer.Typer(help="Show or change settings.")
app.add_typer(config_app, name="config", rich_help_panel=SYSTEM)


@config_app.command("get")
def config_get(context: typer.Context, name: SettingName) -> int:
    """Print what a setting is."""
    from dipeo_cli import configuring

    return configuring.get(context.obj, name)


@config_app.command("set")
def config_set(
    context: typer.Context,
    name: SettingName,
    value: Annotated[str, typer.Argument(metavar="VALUE")],
    user: Annotated[bool, typer.Option("--user", help="For all projects of this user.")] = False,
) -> int:
    """Set it, in dipeo.toml of this project."""
    from dipeo_cli import configuring

    return configuring.set_(context.obj, name, value, user=user)


@config_app.command("list")
def config_list(
    context: typer.Context,
    show_origin: Annotated[bool, typer.Option("--show-origin", help="And where each comes from.")] = False,
    as_json: AsJson = False,
) -> int:
    """Print every setting."""
    from dipeo_cli import configuring

    return configuring.list_(context.obj, show_origin=show_origin, as_json=as_json)


context_app = typer.Typer(help="Gateways by name.")
app.add_typer(context_app, name="context", rich_help_panel=CONNECT)


@context_app.command("add")
def context_add(
    context: typer.Context,
    name: ContextName,
    url: Annotated[str, typer.Option("--url", metavar="URL", help="Of the gateway.")],
    use: Annotated[bool, typer.Option("--use", help="And use it from now on.")] = False,
) -> int:
    """Remember a gateway, and its --token; --token - reads it from stdin."""
    from dipeo_cli import configuring

    return configuring.add_context(context.obj, name, url, use=use)


@context_app.command("use")
def context_use(name: ContextName) -> int:
    """Use it from now on; `local` is the project's own stack."""
    from dipeo_cli import configuring

    return configuring.use_context(name)


@context_app.command("list")
def context_list(context: typer.Context, as_json: AsJson = False) -> int:
    """Show those there are."""
    from dipeo_cli import configuring

    return configuring.list_contexts(context.obj, as_json=as_json)


@context_app.command("remove")
def context_remove(name: ContextName) -> int:
    """Forget it."""
    from dipeo_cli import configuring

    return configuring.remove_context(name)
