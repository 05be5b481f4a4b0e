"""Commands about diagrams as text (spec/cli.md §6-§8, §14.1)."""

from typing import Annotated

import typer

from dipeo_cli.app import AUTHOR, AsJson, Light, Native, Readable, app, diagram_format
from dipeo_cli.errors import Usage

Diagram = Annotated[str, typer.Argument(metavar="DIAGRAM", help="Path, name, or - for stdin.")]


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
    push_as: Annotated[str | None, typer.Option("--push-as", metavar="NAME", help="Publish it if it is valid.")] = None,
    target_dir: Annotated[
        str, typer.Option("--target-dir", metavar="DIR", help="Write it there, publish nothing.")
    ] = "",
    no_clobber: Annotated[bool, typer.Option("--no-clobber", help="Never replace a published diagram.")] = False,
    light: Light = False,
    native: Native = False,
    readable: Readable = False,
    as_json: AsJson = False,
) -> int:
    """Check a diagram, and publish it if asked to; nothing is run."""
    from dipeo_cli import compile

    if check_only and push_as is not None:
        raise Usage("--push-as is not allowed with --check-only")
    format = diagram_format(light, native, readable)
    push = None if push_as is None else compile.Push(push_as, target_dir, clobber=not no_clobber)
    return compile.compile(context.obj, diagram, stdin=stdin, format=format, push=push, as_json=as_json)


@app.command(rich_help_panel=AUTHOR)
def convert(
    context: typer.Context,
    source: Annotated[str, typer.Argument(metavar="IN", help="Path, name, or - for stdin.")],
    target: Annotated[str, typer.Argument(metavar="OUT", help="Its suffix tells the format; - for stdout.")],
    from_format: Annotated[str, typer.Option("--from-format", metavar="F", help="Default: detect.")] = "",
    to_format: Annotated[
        str, typer.Option("--to-format", "--format", metavar="F", help="native, light or readable.")
    ] = "",
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail if something would be lost.")] = False,
    as_json: AsJson = False,
) -> int:
    """Write a diagram in another format."""
    from dipeo_cli import convert as command

    return command.convert(context.obj, source, target, from_=from_format, to=to_format, check=check, as_json=as_json)


@app.command(rich_help_panel=AUTHOR)
def fmt(
    context: typer.Context,
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Paths; - for stdin to stdout.")],
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail if a file would change.")] = False,
) -> int:
    """Lay out the text of diagrams; comments stay."""
    from dipeo_cli import convert as command

    return command.tidy(context.obj, files, check=check)


@app.command(rich_help_panel=AUTHOR)
def graph(
    context: typer.Context,
    diagram: Diagram,
    picture: Annotated[str, typer.Option("--format", metavar="F", help="ascii, mermaid, dot or svg.")] = "ascii",
    to: Annotated[str, typer.Option("--output", "-o", metavar="FILE", help="Default: stdout.")] = "-",
    light: Light = False,
    native: Native = False,
    readable: Readable = False,
) -> int:
    """Draw a diagram."""
    from dipeo_cli import describe

    format = diagram_format(light, native, readable)
    return describe.graph(context.obj, diagram, picture=picture, format=format, to=to)


@app.command(rich_help_panel=AUTHOR)
def stats(
    context: typer.Context,
    diagram: Diagram,
    light: Light = False,
    native: Native = False,
    readable: Readable = False,
    as_json: AsJson = False,
) -> int:
    """Count what a diagram consists of."""
    from dipeo_cli import describe

    format = diagram_format(light, native, readable)
    return describe.stats(context.obj, diagram, format=format, as_json=as_json)


@app.command(rich_help_panel=AUTHOR)
def export(
    context: typer.Context,
    diagram: Diagram,
    target: Annotated[str, typer.Argument(metavar="OUT.py", help="- for stdout.")],
    force: Annotated[bool, typer.Option("--force", help="Replace the file.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail if the file is out of date.")] = False,
    light: Light = False,
    native: Native = False,
    readable: Readable = False,
) -> int:
    """Write a Python script that runs without DiPeO."""
    from dipeo_cli import export as command

    format = diagram_format(light, native, readable)
    return command.export(context.obj, diagram, target, format=format, force=force, check=check)


@app.command("list", rich_help_panel=AUTHOR)
def list_(
    context: typer.Context,
    query: Annotated[str, typer.Argument(metavar="[QUERY]", help="Part of a path or description.")] = "",
    format: Annotated[str, typer.Option("--format", metavar="F", help="Only light, native or readable.")] = "",
    root: Annotated[str, typer.Option("--root", metavar="DIR", help="Only below this folder.")] = "",
    as_json: AsJson = False,
) -> int:
    """List the project's diagrams."""
    from dipeo_cli import diagrams

    return diagrams.list_(context.obj, query, root=root, format=format, as_json=as_json)


@app.command(rich_help_panel=AUTHOR)
def nodes(
    context: typer.Context,
    type: Annotated[str, typer.Argument(metavar="[TYPE]", help="One node type, with its properties.")] = "",
    as_json: AsJson = False,
) -> int:
    """Show the node types and their properties."""
    from dipeo_cli import describe

    return describe.nodes(context.obj, type, as_json=as_json)


@app.command(rich_help_panel=AUTHOR)
def schema(
    context: typer.Context,
    to: Annotated[str, typer.Option("--output", "-o", metavar="FILE", help="Default: stdout.")] = "-",
) -> int:
    """Print the JSON Schema of light diagrams, for editors."""
    from dipeo_cli import describe

    return describe.schema(context.obj, to=to)
