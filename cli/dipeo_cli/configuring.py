"""`dipeo config` and `dipeo context` (spec/cli.md §14.1-2)."""

import sys

from dipeo_cli import contexts, output, settings
from dipeo_cli.config import Config
from dipeo_cli.tables import columns


def get(config: Config, name: str) -> int:
    output.answer(_text(config.settings[settings.checked_name(name)].value))
    return 0


def list_(config: Config, *, show_origin: bool, as_json: bool) -> int:
    if as_json:
        output.document(
            {name: {"value": each.value, "origin": each.origin} for name, each in config.settings.items()}
            if show_origin
            else {name: each.value for name, each in config.settings.items()}
        )
        return 0
    rows = [
        (name, _text(each.value), *([f"({each.origin})"] if show_origin else []))
        for name, each in config.settings.items()
    ]
    output.answer(columns(rows))
    return 0


def set_(config: Config, name: str, text: str, *, user: bool) -> int:
    """Write to the project's dipeo.toml, or to the user's file."""
    value = settings.value_of(name, text)
    path = settings.config_home() / "config.toml" if user else config.base / "dipeo.toml"
    settings.write(path, name, value)
    output.say(f"{name} = {_text(value)} in {path}")
    holds = settings.resolve(config.base, {})[name]
    if holds.value != value:
        output.warning(f"{name} is {_text(holds.value)} all the same, from {holds.origin}")
    return 0


def _text(value: settings.Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


# --- contexts --------------------------------------------------------------------------------------------------------


def add_context(config: Config, name: str, url: str, *, use: bool) -> int:
    """The token "-" is read from stdin: arguments can be seen by other users of the machine."""
    token = config.typed_token
    contexts.add(name, url, sys.stdin.readline().strip() if token == "-" else token)
    if use:
        contexts.use(name)
    output.say(f"context {name} is {url}" + (", and used from now on" if use else f"; `dipeo context use {name}`"))
    return 0


def list_contexts(config: Config, *, as_json: bool) -> int:
    """Never with tokens."""
    book = contexts.load()
    local = {"name": contexts.LOCAL, "url": "", "active": not book.active, "token": False}
    known = [
        {"name": name, "url": each.url, "active": name == book.active, "token": bool(each.token)}
        for name, each in sorted(book.contexts.items())
    ]
    if as_json:
        output.document([local, *known])
        return 0
    rows = [
        ("*" if each["active"] else "", str(each["name"]), str(each["url"] or config.base)) for each in (local, *known)
    ]
    output.answer(columns(rows))
    return 0


def use_context(name: str) -> int:
    contexts.use(name)
    output.say(f"context {name} is used from now on")
    return 0


def remove_context(name: str) -> int:
    contexts.remove(name)
    output.say(f"context {name} is removed")
    return 0
