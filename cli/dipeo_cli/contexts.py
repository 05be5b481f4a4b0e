"""Gateways by name, in contexts.json of the user's folder, mode 0600: it holds their tokens (spec/cli.md §14.2)."""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

from dipeo_cli.errors import CliError, NotFound, Usage
from dipeo_cli.settings import config_home

LOCAL = "local"  # always there: the stack of the project


@dataclass(frozen=True, slots=True)
class Context:
    url: str
    token: str = ""


@dataclass(slots=True)
class Book:
    active: str = ""  # "" = local
    contexts: dict[str, Context] = field(default_factory=dict)


def path() -> Path:
    return config_home() / "contexts.json"


def load() -> Book:
    try:
        raw = json.loads(path().read_text(encoding="utf-8"))
        return Book(raw["active"], {name: Context(**each) for name, each in raw["contexts"].items()})
    except FileNotFoundError:
        return Book()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CliError(f"cannot read {path()}: {error}", code="bad_input", exit_code=1) from error


def save(book: Book) -> None:
    text = json.dumps(asdict(book), indent=2)
    draft = path().with_suffix(".new")
    try:
        draft.parent.mkdir(parents=True, exist_ok=True)
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        draft.replace(path())
    except OSError as error:
        raise CliError(f"cannot write {path()}: {error.strerror}", code="bad_input", exit_code=1) from error


def named(name: str) -> Context | None:
    """None is the local stack. Raises NotFound."""
    if name == LOCAL:
        return None
    known = load().contexts
    if name not in known:
        raise NotFound(f"there is no context {name}", hint=f"there are {', '.join([LOCAL, *sorted(known)])}")
    return known[name]


def active() -> Context | None:
    if not path().exists():
        return None
    book = load()
    return book.contexts.get(book.active)


def token_of(url: str) -> str:
    """The token kept for an address, "" for none."""
    if not path().exists():
        return ""
    return next((each.token for each in load().contexts.values() if each.url == url), "")


def add(name: str, url: str, token: str) -> None:
    """Raises Usage for a name or address that makes no sense."""
    if name == LOCAL or not name.replace("-", "").replace("_", "").isalnum():
        raise Usage(f"context {name}: a name of letters, digits, - and _ is needed, other than {LOCAL}")
    if not url.startswith(("http://", "https://")):
        raise Usage(f"--url {url}: an address like https://dipeo.example.com is needed")
    book = load()
    book.contexts[name] = Context(url.rstrip("/"), token)
    save(book)


def use(name: str) -> None:
    named(name)
    book = load()
    book.active = "" if name == LOCAL else name
    save(book)


def remove(name: str) -> None:
    if named(name) is None:
        raise Usage(f"{LOCAL} is the project's own stack; it cannot be removed")
    book = load()
    del book.contexts[name]
    book.active = "" if book.active == name else book.active
    save(book)
