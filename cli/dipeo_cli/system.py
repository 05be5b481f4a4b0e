"""Commands about the local stack and this program: up, down, status, serve, version (spec/cli.md §11)."""

import sys
from typing import Any

from dipeo_cli import __version__, output, releases, stack
from dipeo_cli.config import Config
from dipeo_cli.errors import EXIT_UNAVAILABLE, CliError, Usage


def up(config: Config, *, as_json: bool) -> int:
    """Start the stack unless it runs."""
    _local_only(config, "up")
    with stack.running(config.layout()) or stack.start(config.layout()) as gateway:
        url = gateway.url
    if as_json:
        output.document(stack.status(config))
    else:
        output.answer(url)
    return 0


def down(config: Config, *, as_json: bool) -> int:
    """Stop the stack; its runs continue when it is up again."""
    _local_only(config, "down")
    stopped = stack.stop(config.layout())
    if as_json:
        output.document({"running": False, "stopped": stopped, "base": str(config.base)})
    else:
        output.say(f"{'stopped' if stopped else 'no'} local stack for {config.base}{'' if stopped else ' is running'}")
    return 0


def status(config: Config, *, as_json: bool) -> int:
    """Exit code 3 when nothing answers."""
    found = stack.status(config)
    subject = found.get("url") or f"no local stack for {config.base}"
    if as_json:
        output.document(found)
    elif found["running"]:
        output.answer("\n".join(f"{key:<9} {value}" for key, value in found.items()))
    if not found["running"]:
        output.error(
            f"{subject} does not answer" if config.api_url else f"{subject} is running", "start it: `dipeo up`"
        )
    return 0 if found["running"] else EXIT_UNAVAILABLE


def serve(config: Config, *, host: str, port: int | None) -> int:
    """The local stack in the foreground, until SIGTERM or Ctrl-C."""
    layout = config.layout()
    pid = stack.holder(layout)
    if pid is not None:
        raise CliError(
            f"a stack for {config.base} is running already (pid {pid})",
            code="conflict",
            exit_code=1,
            hint="use it, or stop it with `dipeo down`",
        )
    from dipeo_cli.local import host as stack_host

    return stack_host.serve(layout, host=host, port=port)


def version(config: Config, *, as_json: bool) -> int:
    """With --json also that of the gateway, if one answers; nothing is started for the question."""
    if not as_json:
        output.answer(f"dipeo {__version__}")
        return 0
    found = stack.status(config)
    server = found.get("version") if found["running"] else None
    known = stack.described(config.layout())
    document: dict[str, Any] = {
        "version": __version__,
        "python": ".".join(map(str, sys.version_info[:3])),
        "stack_version": known.version if known else None,
        "gateway": {"url": found["url"], "version": server} if server else None,
        "compatible": None if server is None else releases.fits(str(server)),
    }
    output.document(document)
    return 0


def _local_only(config: Config, command: str) -> None:
    if config.api_url:
        raise Usage(f"`dipeo {command}` is about the local stack, but the gateway is set to {config.api_url}")
