"""Commands about the local stack, this project and this program (spec/cli.md §11, §14.1)."""

from typing import Annotated

import typer

from dipeo_cli.app import SYSTEM, AsJson, app


@app.command(rich_help_panel=SYSTEM)
def serve(
    context: typer.Context,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int | None, typer.Option("--port", help="Default: 8000, or a free one.")] = None,
) -> int:
    """Run the local stack in the foreground."""
    from dipeo_cli import system

    return system.serve(context.obj, host=host, port=port)


@app.command(rich_help_panel=SYSTEM)
def up(context: typer.Context, as_json: AsJson = False) -> int:
    """Start the local stack."""
    from dipeo_cli import system

    return system.up(context.obj, as_json=as_json)


@app.command(rich_help_panel=SYSTEM)
def down(context: typer.Context, as_json: AsJson = False) -> int:
    """Stop the local stack; its runs continue when it is up again."""
    from dipeo_cli import system

    return system.down(context.obj, as_json=as_json)


@app.command(rich_help_panel=SYSTEM)
def status(context: typer.Context, as_json: AsJson = False) -> int:
    """Is the stack running, and where."""
    from dipeo_cli import system

    return system.status(context.obj, as_json=as_json)


@app.command(rich_help_panel=SYSTEM)
def version(context: typer.Context, as_json: AsJson = False) -> int:
    """Show the version."""
    from dipeo_cli import system

    return system.version(context.obj, as_json=as_json)
