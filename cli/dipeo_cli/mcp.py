"""`dipeo mcp`: serve published diagrams, connect clients, list and unpublish (spec/mcp.md §3.13).

Everything that needs the service itself is in dipeo_cli.local.
"""

import json
import os
import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dipeo_cli import output, stack
from dipeo_cli.config import Config, Layout
from dipeo_cli.errors import EXIT_NEGATIVE, CliError, Usage

SERVER = "dipeo"
REMOTE_BRIDGE = "mcp-remote@0.15.1"
DEFAULT_URL = "http://127.0.0.1:8010/mcp"
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Client:
    """`root`: the key of the settings under which servers stand; `typed`: it wants the transport named."""

    where: str
    root: str
    typed: bool = False
    bridged: bool = False  # launches commands only: HTTP through a bridge


CLIENTS = {
    "claude-desktop": Client(
        "claude_desktop_config.json (Settings → Developer → Edit Config)", "mcpServers", bridged=True
    ),
    "claude-code": Client(".mcp.json in the project, or the command below", "mcpServers", typed=True),
    "chatgpt": Client("Settings → Connectors → Create", ""),
    "cursor": Client("~/.cursor/mcp.json", "mcpServers"),
    "vscode": Client(".vscode/mcp.json", "servers", typed=True),
}


def serve(config: Config, *, stdio: bool, port: int | None, ngrok: bool) -> int:
    if stdio and (port is not None or ngrok):
        raise Usage(f"--stdio is not allowed with {'--ngrok' if ngrok else '--port'}")
    code: int = _local(config).serve(config, stdio=stdio, port=port, ngrok=ngrok)
    return code


def config(config: Config, client: str, *, http: bool, url: str, revoke: bool) -> int:
    """The settings on stdout, where they go and what else to do on stderr."""
    if client not in CLIENTS:
        raise Usage(f"{client}: there are {', '.join(CLIENTS)}")
    it, local = CLIENTS[client], _local(config)
    if revoke:
        if not local.revoke_key(config, client):
            raise CliError(f"{client} has no key", code="not_found", exit_code=EXIT_NEGATIVE)
        output.say(f"the key of {client} is revoked")
        return 0
    if client == "chatgpt":
        return _chatgpt(url or public_url(config.layout()))
    url = url or running_url(config.layout()) or DEFAULT_URL
    command = _command(config)
    if http or url != (running_url(config.layout()) or DEFAULT_URL):
        key = local.make_key(config, client)
        settings = _over_http(it, url, key)
        output.say(f"a key named {client} was made for it; it is shown here only. `--revoke` takes it away")
        words = ["claude", "mcp", "add", "--transport", "http", SERVER, url, "--header", f"Authorization: Bearer {key}"]
    else:
        settings = ({"type": "stdio"} if it.typed else {}) | {"command": command[0], "args": command[1:]}
        words = ["claude", "mcp", "add", SERVER, "--", *command]
    output.answer(json.dumps({it.root: {SERVER: settings}}, indent=2, ensure_ascii=False))
    output.say(f"put it into {it.where}")
    if client == "claude-code":
        output.say(shlex.join(words))
    return 0


def list_(config: Config, *, as_json: bool) -> int:
    found, url = (_elsewhere(config), "") if config.api_url else _here(config)
    if as_json:
        output.document({"diagrams": found, "url": url or None})
        return 0
    if not found:
        output.say("nothing is published; `dipeo compile DIAGRAM --push-as NAME` does it")
    width = max((len(it["name"]) for it in found), default=0)
    for it in found:
        output.answer(f"{it['name']:<{width}}  {it['tool']}  {it['path'] or it['uri']}")
    if config.api_url:
        output.say(f"served by the MCP service beside {config.api_url}")
    else:
        output.say(f"served at {url}" if url else "not served; `dipeo mcp serve` does it")
    return 0


def _here(config: Config) -> tuple[list[Json], str]:
    """Also the address of the service; "" when none runs."""
    return _local(config).published(config), running_url(config.layout())


def _elsewhere(config: Config) -> list[Json]:
    with stack.connect(config) as gateway:
        return [{"name": it["name"], "tool": it["tool"], "path": None, "uri": it["uri"]} for it in gateway.published()]


def unpublish(config: Config, name: str, *, as_json: bool) -> int:
    if config.api_url:
        with stack.connect(config) as gateway:
            gateway.unpublish(name)
    elif not _local(config).unpublish(config, name):
        raise CliError(
            f"{name} is not published", code="not_found", exit_code=EXIT_NEGATIVE, hint="see `dipeo mcp list`"
        )
    if as_json:
        output.document({"name": name, "removed": True})
    else:
        output.answer(f"{name} is not published any more")
    return 0


def running_url(layout: Layout) -> str:
    """Of this project's service over HTTP; "" when none runs."""
    try:
        known = json.loads((layout.run / "mcp.json").read_text())
        os.kill(known["pid"], 0)
        return str(known["url"])
    except (OSError, ValueError, KeyError):
        return ""


def public_url(layout: Layout) -> str:
    """Of the tunnel of this project's service; "" when there is none."""
    import httpx2

    try:
        known = json.loads((layout.run / "mcp.json").read_text())
        told = httpx2.get(f"http://127.0.0.1:{known['admin_port']}/tunnel", timeout=2).json()
    except (OSError, ValueError, KeyError, httpx2.HTTPError):
        return ""
    return f"{told['url']}/mcp" if told.get("url") else ""


def _local(config: Config) -> Any:
    if config.api_url:
        raise CliError(
            "this command is about this project's own service, not about a gateway elsewhere",
            code="not_supported",
            exit_code=EXIT_NEGATIVE,
            hint="there, run dipeo-mcp beside the gateway",
        )
    try:
        from dipeo_cli.local import mcp
    except ModuleNotFoundError as error:
        raise CliError(
            f"the MCP service is not installed here: {error.name} is missing",
            code="not_supported",
            exit_code=EXIT_NEGATIVE,
            hint='install "dipeo-cli[local,mcp]"',
        ) from error
    return mcp


def _over_http(it: Client, url: str, key: str) -> Json:
    if it.bridged:
        return {
            "command": "npx",
            "args": ["-y", REMOTE_BRIDGE, url, "--header", "Authorization:${DIPEO_MCP_AUTHORIZATION}"],
            "env": {"DIPEO_MCP_AUTHORIZATION": f"Bearer {key}"},
        }
    headers = {"headers": {"Authorization": f"Bearer {key}"}}
    return ({"type": "http"} if it.typed else {}) | {"url": url} | headers


def _chatgpt(url: str) -> int:
    output.answer(url or DEFAULT_URL)
    if not url:
        output.warning("this address is of this machine alone: start `dipeo mcp serve --ngrok`, and ask again")
    output.say(f"put it into {CLIENTS['chatgpt'].where}")
    output.say(
        "ChatGPT comes from its own servers: the address has to be public (`dipeo mcp serve --ngrok`), and its "
        "connectors sign in with OAuth (MCP_OAUTH_SERVER_URL, MCP_OAUTH_JWKS_URI). It uses the tools search and fetch"
    )
    return 0


def _command(config: Config) -> list[str]:
    """The words that serve this project over stdio, from anywhere."""
    program = shutil.which("dipeo")
    start = [str(Path(program).resolve())] if program else [sys.executable, "-m", "dipeo_cli"]
    return [*start, "-C", str(config.base), "mcp", "serve", "--stdio"]
