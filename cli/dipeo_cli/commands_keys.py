"""Keys of model services and APIs (spec/cli.md §14.1)."""

from typing import Annotated

import typer

from dipeo_cli.app import CONNECT, app
from dipeo_cli.options import AsJson

KeyName = Annotated[str, typer.Argument(metavar="KEY", help="Name or id; diagrams use it as api_key_id.")]

keys_app = typer.Typer(help="Keys of model services and APIs, encrypted.")
app.add_typer(keys_app, name="keys", rich_help_panel=CONNECT)


@keys_app.command("add")
def keys_add(
    context: typer.Context,
    name: KeyName,
    service: Annotated[str, typer.Option("--service", metavar="S", help="openai, anthropic, gemini, groq, notion …")],
    base_url: Annotated[str, typer.Option("--base-url", metavar="URL", help="The only address it is sent to.")] = "",
    as_json: AsJson = False,
) -> int:
    """Keep a key; it is read from stdin, or asked for without echo."""
    from dipeo_cli import keys

    return keys.add(context.obj, name, service, base_url, as_json=as_json)


@keys_app.command("list")
def keys_list(
    context: typer.Context,
    service: Annotated[str, typer.Option("--service", metavar="S", help="Only of this service.")] = "",
    as_json: AsJson = False,
) -> int:
    """Show which keys there are, never the keys."""
    from dipeo_cli import keys

    return keys.list_(context.obj, service, as_json=as_json)


@keys_app.command("test")
def keys_test(context: typer.Context, name: KeyName, as_json: AsJson = False) -> int:
    """Ask the service whether it accepts a key; costs nothing."""
    from dipeo_cli import keys

    return keys.test(context.obj, name, as_json=as_json)


@keys_app.command("remove")
def keys_remove(context: typer.Context, name: KeyName, as_json: AsJson = False) -> int:
    """Forget a key."""
    from dipeo_cli import keys

    return keys.remove(context.obj, name, as_json=as_json)


@app.command(rich_help_panel=CONNECT)
def models(
    context: typer.Context,
    service: Annotated[str, typer.Argument(metavar="[SERVICE]", help="Without: the services there are.")] = "",
    key: Annotated[str, typer.Option("--key", metavar="KEY", help="Of `dipeo keys`; default: the only one.")] = "",
    as_json: AsJson = False,
) -> int:
    """List the models a service offers; the service itself is asked."""
    from dipeo_cli import models

    return models.models(context.obj, service, key, as_json=as_json)
