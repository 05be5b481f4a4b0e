"""`dipeo integrations`: manifests of the services that integrated_api nodes ask (spec/cli.md §9).

Nothing here reads a manifest: texts go to the gateway and come back (decision 25).
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dipeo_cli import operations, output, stack, texts
from dipeo_cli.config import Config
from dipeo_cli.errors import EXIT_NEGATIVE, CliError, NotFound, Usage
from dipeo_cli.tables import columns

if TYPE_CHECKING:
    from dipeo_cli.client import Gateway

FOLDER = "integrations"  # under BASE, where the executor looks for manifests
MANIFESTS = ("provider.yaml", "provider.yml", "provider.json")
MAX_DOCUMENT_BYTES = 20 * 1024 * 1024
SAMPLE = """\
# A provider: a service that integrated_api nodes ask. `dipeo integrations validate` checks it.
name: example
version: 1.0.0
description: A sample to change
base_url: https://api.example.com/v1
auth:
  strategy: oauth2_bearer # none, api_key_header, api_key_query, basic, oauth2_client_credentials
  env: EXAMPLE_API_KEY # or give the node an api_key_id, see `dipeo keys add`
operations:
  get_item:
    description: One item by config.id
    method: GET
    path: /items/{{ config.id }}
    required: [id]
  create_item:
    description: A new item called config.name
    method: POST
    path: /items
    required: [name]
    request:
      body_template: { name: "{{ config.name }}", tags: "{{ config.tags }}" }
    response: { success_codes: [201] }
"""
Json = dict[str, Any]


def init(config: Config, path: str, *, as_json: bool) -> int:
    """Write PATH/example/provider.yaml and print it. Nothing is overwritten."""
    file = _folder(config, path) / "example" / "provider.yaml"
    if file.exists():
        raise CliError(f"{file} exists already", code="conflict", exit_code=EXIT_NEGATIVE, hint="change that one")
    texts.write(file, SAMPLE)
    shown = _shown(file)
    output.document({"created": [shown]}) if as_json else output.answer(shown)
    output.say(f"change it, then: dipeo integrations validate{f' --path {path}' if path else ''}")
    return 0


def validate(config: Config, path: str, provider: str, *, as_json: bool) -> int:
    """One line per manifest below PATH. Exit code 1 when one has errors, or there is none."""
    folder = _folder(config, path)
    files = [file for file in _manifests(folder) if provider in ("", file.parent.name, file.parent.parent.name)]
    with stack.connect(config) as gateway:
        reports = [_checked(gateway, file) for file in files]
    if as_json:
        output.document(reports)
    if not reports:
        wanted = f"no manifest of {provider}" if provider else "no manifest"
        output.error(f"{wanted} in {_shown(folder)}", "`dipeo integrations init` writes one to start from")
    for report in reports:
        _tell(report, as_json=as_json)
    return 0 if reports and all(report["valid"] for report in reports) else EXIT_NEGATIVE


def _checked(gateway: "Gateway", file: Path) -> Json:
    variables = {"text": texts.text_of(file), "name": file.name}
    found: Json = gateway.execute(operations.CHECK_MANIFEST, variables)["checkManifest"]
    return found | {"provider": found["provider"] or file.parent.name, "path": _shown(file)}


def _tell(report: Json, *, as_json: bool) -> None:
    if not as_json:
        mark = output.symbol("✅", "OK:") if report["valid"] else output.symbol("❌", "FAILED:")
        count = len(report["operations"])
        words = f", {count} operation{'s' if count != 1 else ''}" if report["valid"] else ""
        output.answer(f"{mark} {report['provider']}: {report['path']}{words}")
    for problem in report["errors"]:
        place = ":".join(str(part) for part in (report["path"], problem.get("line"), problem.get("column")) if part)
        output.error(f"{place}: {problem['message']}")


@dataclass(frozen=True, slots=True)
class Import:
    """What `dipeo integrations openapi-import` was asked for."""

    document: str  # path, URL or -
    name: str
    output: str = ""  # folder; "" = BASE/integrations
    base_url: str = ""
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    force: bool = False


def openapi_import(config: Config, asked: Import, *, as_json: bool) -> int:
    """Make a manifest of an OpenAPI document, and print where it is."""
    if not asked.name.replace("-", "").replace("_", "").isalnum():
        raise Usage(f"--name {asked.name}: letters, digits, - and _ are needed")
    file = _folder(config, asked.output) / asked.name / "provider.yaml"
    if file.exists() and not asked.force:
        raise CliError(f"{file} exists", code="conflict", exit_code=EXIT_NEGATIVE, hint="--force replaces it")
    variables = {
        "document": _document(asked.document),
        "name": asked.name,
        "base_url": asked.base_url or None,
        "include": list(asked.include),
        "exclude": list(asked.exclude),
    }
    with stack.connect(config) as gateway:
        try:
            made = gateway.execute(operations.IMPORT_OPEN_API, variables)["importOpenApi"]
        except CliError as error:
            if error.code != "bad_input":
                raise
            raise CliError(f"{asked.document}: {error}", code="bad_input", exit_code=EXIT_NEGATIVE) from error
    texts.write(file, made["manifest"])
    for note in made["notes"]:
        output.warning(note)
    if as_json:
        output.document({"path": _shown(file), "operations": made["operations"], "notes": made["notes"]})
    else:
        output.answer(_shown(file))
        output.say(f"{len(made['operations'])} operations; `dipeo integrations show {asked.name}` lists them")
    return 0


def _document(name: str) -> str:
    if name == "-":
        return sys.stdin.read()
    if not name.startswith(("http://", "https://")):
        return texts.text_of(Path(name))
    import httpx2

    try:
        response = httpx2.get(name, follow_redirects=True, timeout=30.0)
        response.raise_for_status()
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise CliError(f"cannot read {name}: {error}", code="bad_input", exit_code=EXIT_NEGATIVE) from error
    if len(response.content) > MAX_DOCUMENT_BYTES:
        raise CliError(f"{name} has more than {MAX_DOCUMENT_BYTES:,} bytes", code="bad_input", exit_code=EXIT_NEGATIVE)
    return response.text


def list_(config: Config, *, as_json: bool) -> int:
    """What integrated_api nodes can ask here; manifests that cannot be used are warnings."""
    with stack.connect(config) as gateway:
        found = gateway.execute(operations.LIST_PROVIDERS, {})
    providers: list[Json] = found["listProviders"]
    for problem in found["providerProblems"]:
        output.warning(problem)
    if as_json:
        output.document(providers)
        return 0
    rows = [("NAME", "OPERATIONS", "AUTH", "MANIFEST", "")]
    for it in providers:
        about = it["metadata"]
        place = about["manifest_path"] or "comes with DiPeO"
        rows.append(
            (it["name"], str(len(it["operations"])), it["auth_config"]["strategy"], place, about["description"] or "")
        )
    output.answer(columns(rows, right=[1]))
    return 0


def show(config: Config, name: str, *, as_json: bool) -> int:
    """One provider with its operations. Raises NotFound."""
    with stack.connect(config) as gateway:
        providers: list[Json] = gateway.execute(operations.LIST_PROVIDERS, {})["listProviders"]
    it = next((each for each in providers if each["name"] == name.lower()), None)
    if it is None:
        raise NotFound(
            f"there is no provider {name}", hint=f"there are {', '.join(each['name'] for each in providers)}"
        )
    output.document(it) if as_json else output.answer("\n".join(_described(it)))
    return 0


def _described(it: Json) -> Iterator[str]:
    about, auth = it["metadata"], it["auth_config"]
    yield f"{it['name']} {about['version']}: {about['description'] or 'no description'}"
    yield f"Address: {it['base_url']}"
    yield f"Auth: {auth['strategy']}" + (f" ({auth['header']})" if auth["header"] else "")
    yield ""
    rows = [("OPERATION", "METHOD", "NEEDS", "")]
    rows += [
        (each["name"], each["method"], ", ".join(each["required"]), each["description"] or "")
        for each in it["operations"]
    ]
    yield columns(rows)


# --- files -----------------------------------------------------------------------------------------------------------


def _folder(config: Config, path: str) -> Path:
    return Path(path) if path else config.base / FOLDER


def _manifests(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise NotFound(f"there is no folder {folder}", hint="`dipeo integrations init` makes it")
    return sorted(file for name in MANIFESTS for file in folder.rglob(name))


def _shown(path: Path) -> str:
    """Relative to the working directory where it lies below it."""
    absolute, here = path.absolute(), Path.cwd()
    return str(absolute.relative_to(here)) if absolute.is_relative_to(here) else str(path)
