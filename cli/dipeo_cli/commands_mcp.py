"""Diagrams as tools of other applications (spec/cli.md §14.1, spec/mcp.md §3.13)."""

from typing import Annotated

import typer

from dipeo_cli.app import CONNECT, app
from dipeo_cli.options import AsJson

mcp_app = typer.Typer(help="Offer published diagrams to Claude, ChatGPT and others.")
app.add_typer(mcp_app, name="mcp", rich_help_panel=CONNECT)


@mcp_app.command("serve")
def mcp_serve(
    context: typer.Context,
    stdio: Annotated[bool, typer.Option("--stdio", help="For one client, over standard input and output.")] = False,
    port: Annotated[int | None, typer.Option("--port", metavar="N", help="Default: 8010, or a free one.")] = None,
    ngrok: Annotated[bool, typer.Option("--ngrok", help="Publish it through an ngrok tunnel.")] = False,
) -> int:
    """Serve this project's published diagrams in the foreground."""
    from dipeo_cli import mcp

    return mcp.serve(context.obj, stdio=stdio, port=port, ngrok=ngrok)


@mcp_app.command("config")
def mcp_config(
    context: typer.Context,
    client: Annotated[
        str, typer.Argument(metavar="CLIENT", help="claude-desktop, claude-code, chatgpt, cursor or vscode.")
    ],
    http: Annotated[bool, typer.Option("--http", help="Over HTTP, with a key made for it; default: stdio.")] = False,
    url: Annotated[str, typer.Option("--url", metavar="URL", help="Of the service; default: the one that runs.")] = "",
    revoke: Annotated[bool, typer.Option("--revoke", help="Take this client's key away.")] = False,
) -> int:
    """Print settings ready to paste."""
    from dipeo_cli import mcp

    return mcp.config(context.obj, client, http=http, url=url, revoke=revoke)


@mcp_app.command("list")
def mcp_list(context: typer.Context, as_json: AsJson = False) -> int:
    """List published diagrams and their tools."""
    from dipeo_cli import mcp

    return mcp.list_(context.obj, as_json=as_json)


@mcp_app.command("unpublish")
def mcp_unpublish(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="PUBLISHED", help="As in `dipeo mcp list`.")],
    as_json: AsJson = False,
) -> int:
    """Take a published diagram away."""
    from dipeo_cli import mcp

    return mcp.unpublish(context.obj, name, as_json=as_json)
