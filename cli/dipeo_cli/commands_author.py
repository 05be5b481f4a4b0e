"""Commands about diagrams as text (spec/cli.md §6-§8, §14.1)."""

from typing import Annotated

import typer

from dipeo_cli.app import AUTHOR, app
from dipeo_cli.errors import Usage
from dipeo_cli.options import AsJson, Format, grouped

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
@grouped
def compile_(
    context: typer.Context,
    diagrams: Annotated[
        list[str] | None, typer.Argument(metavar="DIAGRAM...", help="Paths, names, or - for stdin.")
    ] = None,
    *,
    format: Format,
    stdin: Annotated[bool, typer.Option("--stdin", help="Read the diagram from stdin.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings fail, too.")] = False,
    shape: Annotated[str, typer.Option("--format", metavar="FMT", help="text, or github: annotations.")] = "text",
    watch: Annotated[bool, typer.Option("--watch", help="Again each time a file is saved.")] = False,
    check_only: Annotated[bool, typer.Option("--check-only", hidden=True)] = False,
    push_as: Annotated[str | None, typer.Option("--push-as", metavar="NAME", help="Publish it if it is valid.")] = None,
    target_dir: Annotated[
        str, typer.Option("--target-dir", metavar="DIR", help="Write it there, publish nothing.")
    ] = "",
    no_clobber: Annotated[bool, typer.Option("--no-clobber", help="Never replace a published diagram.")] = False,
    as_json: AsJson = False,
) -> int:
    """Check diagrams, and publish one if asked to; nothing is run."""
    from dipeo_cli import compile

    names = ["-"] if stdin else diagrams or []
    if not names:
        raise Usage("Either diagram path or --stdin is required")
    if push_as is not None and (check_only or watch or len(names) > 1):
        raise Usage("--push-as publishes one diagram, without --check-only and --watch")
    if shape not in ("text", "github"):
        raise Usage(f"--format {shape}: text or github")
    if watch and (as_json or "-" in names):
        raise Usage("--watch needs files, and no --json")
    push = None if push_as is None else compile.Push(push_as, target_dir, clobber=not no_clobber)
    asked = compile.Asked(format.word, push=push, strict=strict, annotate=shape == "github", as_json=as_json)
    return compile.watch(context.obj, names, asked) if watch else compile.compile(context.obj, names, asked)


app.command("check", rich_help_panel=AUTHOR, hidden=True)(compile_)


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
@grouped
def graph(
    context: typer.Context,
    diagram: Diagram,
    picture: Annotated[str, typer.Option("--format", metavar="F", help="ascii, mermaid, dot or svg.")] = "ascii",
    to: Annotated[str, typer.Option("--output", "-o", metavar="FILE", help="Default: stdout.")] = "-",
    *,
    format: Format,
) -> int:
    """Draw a diagram."""
    from dipeo_cli import describe

    return describe.graph(context.obj, diagram, picture=picture, format=format.word, to=to)


@app.command(rich_help_panel=AUTHOR)
@grouped
def stats(
    context: typer.Context,
    diagram: Diagram,
    *,
    format: Format,
    as_json: AsJson = False,
) -> int:
    """Count what a diagram consists of."""
    from dipeo_cli import describe

    return describe.stats(context.obj, diagram, format=format.word, as_json=as_json)


@app.command(rich_help_panel=AUTHOR)
@grouped
def export(
    context: typer.Context,
    diagram: Diagram,
    target: Annotated[str, typer.Argument(metavar="OUT.py", help="- for stdout.")],
    force: Annotated[bool, typer.Option("--force", help="Replace the file.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail if the file is out of date.")] = False,
    *,
    format: Format,
) -> int:
    """Write a Python script that runs without DiPeO."""
    from dipeo_cli import export as command

    return command.export(context.obj, diagram, target, format=format.word, force=force, check=check)


@app.command("list", rich_help_panel=AUTHOR)
def list_(
    context: typer.Context,
    query: Annotated[str, typer.Argument(metavar="[QUERY]", help="Part of a path or description.")] = "",
    format: Annotated[str, typer.Option("--format", metavar="F", help="Only light, native or readable.")] = "",
    root: Annotated[str, typer.Option("--root", metavar="DIR", help="Only below this folder.")] = "",
    published: Annotated[bool, typer.Option("--published", help="Only what MCP clients are offered.")] = False,
    as_json: AsJson = False,
) -> int:
    """List the project's diagrams."""
    from dipeo_cli import diagrams

    if root and published:
        raise Usage("--root is not allowed with --published")
    return diagrams.list_(context.obj, query, root=root, published=published, format=format, as_json=as_json)


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
