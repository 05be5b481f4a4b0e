"""The MCP service of this project: beside the local stack, whose store and executor it talks to (spec/mcp.md §3.1).

Started by hand only; nothing else of the local stack loads it.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from dipeo_cli import output, stack
from dipeo_cli.config import Config
from dipeo_cli.errors import EXIT_NEGATIVE, EXIT_UNAVAILABLE, CliError
from dipeo_cli.local.host import load_env
from dipeo_cli.local.published import Folder
from dipeo_kit import errors as kit
from dipeo_kit import publishing
from dipeo_mcp import keys
from dipeo_mcp import settings as rules
from dipeo_mcp.errors import EXIT_CONFIG, SettingsRefused
from dipeo_mcp.settings import Settings

KEEP_S = 30.0  # the stack leaves when it is idle: we are a reason to stay


def serve(config: Config, *, stdio: bool, port: int | None, ngrok: bool) -> int:
    """In the foreground, until SIGTERM, Ctrl-C or, over stdio, the client's end."""
    load_env(config.base)
    settings = _settings(config, port=port, ngrok=ngrok)
    try:
        rules.check(settings)
        rules.warn_unknown()
        if settings.expose == "ngrok":
            from dipeo_mcp import tunnel

            tunnel.prepared(settings)  # before the stack is started for nothing
        _use_stack(config)
        return _run(_stdio(config, settings) if stdio else _http(config, settings))
    except SettingsRefused as error:
        raise CliError(str(error), code="config", exit_code=EXIT_CONFIG) from error
    except kit.DipeoError as error:
        raise CliError(str(error), code=error.code.lower(), exit_code=EXIT_NEGATIVE) from error


def published(config: Config) -> list[dict[str, Any]]:
    """Name, tool and file of every published diagram, by name."""
    entries = asyncio.run(_entries(config))
    tools = publishing.tool_names(entry.name for entry in entries)
    return [
        {"name": it.name, "tool": tools[it.name], "path": it.path, "uri": f"{publishing.URI}{it.name}"}
        for it in sorted(entries, key=lambda it: it.name)
    ]


def unpublish(config: Config, name: str) -> bool:
    return asyncio.run(Folder(config.base).remove(name))


def make_key(config: Config, name: str) -> str:
    """A fresh key of this name, shown by the caller once."""
    return keys.add(_keys_file(config), name)


def revoke_key(config: Config, name: str) -> bool:
    return keys.revoke(_keys_file(config), name)


async def _entries(config: Config) -> Any:
    return await Folder(config.base).published()


def _keys_file(config: Config) -> Path:
    return config.layout().root / "mcp-keys.json"


def _settings(config: Config, *, port: int | None, ngrok: bool) -> Settings:
    """What the environment says, and what this project adds."""
    found = Settings.load()
    known: dict[str, Any] = {
        "keys_file": found.keys_file or _keys_file(config),
        "ngrok_pid_file": found.ngrok_pid_file or config.layout().run / "ngrok.json",
        "admin_port": found.admin_port if "MCP_ADMIN_PORT" in os.environ else 0,
    }
    if port is not None:
        known["port"] = port
    if ngrok:
        known["expose"] = "ngrok"
    return found.model_copy(update=known)


def _use_stack(config: Config) -> None:
    """Start the local stack unless it runs. Raises Unreachable."""
    with stack.connect(config):
        return


def _addresses(config: Config) -> dict[str, str]:
    known = stack.described(config.layout())
    if known is None or not known.sockets:
        raise CliError("the local stack does not say where it listens", code="unavailable", exit_code=EXIT_UNAVAILABLE)
    return {name: f"unix:{known.sockets}/{name}.sock" for name in ("store", "executor")}


def _run(work: Coroutine[Any, Any, None]) -> int:
    from dipeo_kit import logs

    logs.configure(os.environ.get("DIPEO_LOG_LEVEL", "INFO" if not sys.stderr.isatty() else "WARNING"), service="mcp")
    asyncio.run(work)
    return 0


async def _stdio(config: Config, settings: Settings) -> None:
    from dipeo_kit import process
    from dipeo_mcp import main

    given = settings.model_copy(update=_addresses(config))
    async with _stack_kept(config):
        serving = asyncio.create_task(main.stdio(given, catalogue=Folder(config.base)))
        stopped = asyncio.create_task(process.wait_for_stop())
        await asyncio.wait({serving, stopped}, return_when=asyncio.FIRST_COMPLETED)
        for task in (serving, stopped):
            task.cancel()
        results = await asyncio.gather(serving, stopped, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result


async def _http(config: Config, settings: Settings) -> None:
    from dipeo_kit import process
    from dipeo_mcp import main

    given = settings.model_copy(update=_addresses(config))
    if given.port == Settings.model_fields["port"].default and not main.is_free(given.host, given.port):
        given = given.model_copy(update={"port": 0})
    state = config.layout().run / "mcp.json"
    async with _stack_kept(config), main.running(given, catalogue=Folder(config.base), show_key=_show_key) as running:
        state.write_text(json.dumps({"pid": os.getpid(), "url": running.url, "admin_port": running.admin_port}))
        try:
            output.say(f"serving MCP for {config.base} at {running.url}; Ctrl-C stops it")
            teller = asyncio.create_task(_tell_tunnel(running))
            await process.wait_for_stop()
            teller.cancel()
            await asyncio.gather(teller, return_exceptions=True)
        finally:
            state.unlink(missing_ok=True)


async def _tell_tunnel(running: Any) -> None:
    """A line whenever the tunnel has another state."""
    told: tuple[Any, ...] = ("off", None)
    while True:
        state = running.tunnel()
        now = (state["state"], state.get("url"))
        if now != told:
            told = now
            where = (
                f" at {state['url']}/mcp" if state.get("url") else f": {state['error']}" if state.get("error") else ""
            )
            output.say(f"tunnel {state['state']}{where}")
        await asyncio.sleep(0.2)


@asynccontextmanager
async def _stack_kept(config: Config) -> AsyncIterator[None]:
    """The stack stays while we are here, and comes back when it was stopped."""

    async def keep() -> None:
        while True:
            await asyncio.sleep(KEEP_S)
            try:
                await asyncio.to_thread(_use_stack, config)
            except CliError as error:
                output.warning(str(error))

    keeper = asyncio.create_task(keep())
    try:
        yield
    finally:
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)


def _show_key(secret: str) -> None:
    output.say(f"API key, shown once: {secret}")
