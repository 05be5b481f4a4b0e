"""Commands about diagrams as text (spec/cli.md §6-§8, §14.1)."""

from typing import Annotated

import typer

from dipeo_cli.app import AUTHOR, AsJson, Light, Native, Readable, app, diagram_format


@app.command(rich_help_panel=AUTHOR)
def new(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the diagram.")],
    template: Annotated[str, typer.Option("--template", metavar="T", help="hello, code, branch or ask.")] = "hello",
) -> int:
    """Write a diagram to start from."""
    from dipeo_cli import project

    return project.new(context.obj, name, template=template)


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
