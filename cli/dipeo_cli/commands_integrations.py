"""Services that diagrams ask through integrated_api (spec/cli.md §9)."""

from typing import Annotated

import typer

from dipeo_cli.app import CONNECT, app
from dipeo_cli.errors import Usage
from dipeo_cli.options import AsJson, Input, Quiet

ProviderName = Annotated[str, typer.Argument(metavar="PROVIDER", help="As in `dipeo integrations list`.")]
Folder = Annotated[str, typer.Option("--path", metavar="DIR", help="Default: integrations of the project.")]

integrations_app = typer.Typer(help="Services that integrated_api nodes ask, by manifest.")
app.add_typer(integrations_app, name="integrations", rich_help_panel=CONNECT)


@integrations_app.command("init")
def integrations_init(context: typer.Context, path: Folder = "", as_json: AsJson = False) -> int:
    """Write a manifest to start from."""
    from dipeo_cli import integrations

    return integrations.init(context.obj, path, as_json=as_json)


@integrations_app.command("validate")
def integrations_validate(
    context: typer.Context,
    path: Folder = "",
    provider: Annotated[str, typer.Option("--provider", metavar="PROVIDER", help="Only this one.")] = "",
    as_json: AsJson = False,
) -> int:
    """Check the project's manifests."""
    from dipeo_cli import integrations

    return integrations.validate(context.obj, path, provider, as_json=as_json)


@integrations_app.command("openapi-import")
def integrations_openapi_import(
    context: typer.Context,
    spec: Annotated[str, typer.Argument(metavar="SPEC", help="OpenAPI 3 or Swagger 2: path, URL, or - for stdin.")],
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="Of the provider.")],
    to: Annotated[str, typer.Option("--output", metavar="DIR", help="Default: integrations of the project.")] = "",
    base_url: Annotated[str, typer.Option("--base-url", metavar="URL", help="Default: its first server.")] = "",
    include: Annotated[
        list[str] | None, typer.Option("--include", metavar="P", help="Only this tag, or paths like /pets*.")
    ] = None,
    exclude: Annotated[list[str] | None, typer.Option("--exclude", metavar="P", help="… without these.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the manifest.")] = False,
    as_json: AsJson = False,
) -> int:
    """Make a manifest of an OpenAPI document."""
    from dipeo_cli import integrations

    asked = integrations.Import(spec, name, to, base_url, tuple(include or ()), tuple(exclude or ()), force)
    return integrations.openapi_import(context.obj, asked, as_json=as_json)


@integrations_app.command("list")
def integrations_list(context: typer.Context, as_json: AsJson = False) -> int:
    """List the providers diagrams can ask here."""
    from dipeo_cli import integrations

    return integrations.list_(context.obj, as_json=as_json)


@integrations_app.command("show")
def integrations_show(context: typer.Context, provider: ProviderName, as_json: AsJson = False) -> int:
    """Show one provider with its operations."""
    from dipeo_cli import integrations

    return integrations.show(context.obj, provider, as_json=as_json)


@integrations_app.command("call")
def integrations_call(
    context: typer.Context,
    provider: ProviderName,
    operation: Annotated[str, typer.Argument(metavar="OPERATION", help="As `dipeo integrations show` lists it.")],
    input: Input = None,
    config: Annotated[str, typer.Option("--config", metavar="JSON", help="Instead of -i: its config.")] = "",
    key: Annotated[str, typer.Option("--key", metavar="KEY", help="Of `dipeo keys`; default: the environment.")] = "",
    timeout: Annotated[str, typer.Option("--timeout", metavar="S", help="Of one attempt.")] = "",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> int:
    """Call one operation, and print what the provider answers."""
    from dipeo_cli import calling, inputs
    from dipeo_cli.submit import Request

    node = {
        "config": inputs.variables("", config, input or [], option="--config"),
        "api_key_id": key,
        "timeout": round(inputs.seconds(timeout, "--timeout")) if timeout else None,
    }
    request = Request(
        "", name=f"{provider}.{operation}", interactive=False, progress="none", as_json=as_json, output_only=True
    )
    given = {name: value for name, value in node.items() if value}
    return calling.call(context.obj, provider, operation, given, request)


@integrations_app.command("test")
def integrations_test(
    context: typer.Context,
    provider: ProviderName,
    operation: Annotated[str, typer.Option("--operation", metavar="OPERATION", help="To call.")] = "",
    config: Annotated[str, typer.Option("--config", metavar="JSON", help="Its config.")] = "",
    key: Annotated[str, typer.Option("--key", metavar="KEY", help="Of `dipeo keys`; default: the environment.")] = "",
    as_json: AsJson = False,
) -> int:
    """Call one operation; only whether it went well is told."""
    from dipeo_cli import calling, inputs
    from dipeo_cli.submit import Request

    if not operation:
        raise Usage("--operation is needed", hint=f"`dipeo integrations show {provider}` lists them")
    node = {"config": inputs.variables("", config, [], option="--config"), "api_key_id": key}
    request = Request(
        "", name=f"{provider}.{operation}", interactive=False, progress="none", as_json=as_json, outputs="none"
    )
    given = {name: value for name, value in node.items() if value}
    return calling.call(context.obj, provider, operation, given, request)
