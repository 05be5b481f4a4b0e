"""API keys: named, scoped, kept as hashes (spec/mcp.md §3.11)."""

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dipeo_kit import errors
from dipeo_mcp.errors import SettingsRefused
from dipeo_mcp.principals import READ, RUN, SCOPES, WRITE, Principal

PREFIX = "dmk_"
MIN_CHARS = 22  # 128 bits in base64
MIN_KINDS = 10  # different characters; a real key of 22 has about 18
DEFAULT_SCOPES = (READ, RUN, WRITE)
FIRST_NAME = "default"
# what people copy out of documentation, the original's included
SAMPLES = (
    "your",
    "example",
    "sample",
    "changeme",
    "change-me",
    "secret-key",
    "test-key",
    "dev-key",
    "placeholder",
    "xxxx",
)


@dataclass(frozen=True, slots=True)
class Key:
    name: str
    scopes: frozenset[str]
    digest: str  # SHA-256 in hex

    def principal(self) -> Principal:
        return Principal(f"key:{self.name}", self.scopes)


def new() -> str:
    return PREFIX + secrets.token_urlsafe(32)


def digest_of(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def find(keys: Iterable[Key], secret: str) -> Key | None:
    """All are compared, so that the time says nothing."""
    digest = digest_of(secret)
    found = None
    for key in keys:
        if hmac.compare_digest(key.digest, digest):
            found = key
    return found


def parsed(text: str) -> list[Key]:
    """MCP_API_KEYS: a comma list of KEY or name:scope+scope:KEY. Raises SettingsRefused; never repeats a key."""
    found = []
    for number, item in enumerate(filter(None, (part.strip() for part in text.split(","))), 1):
        name, scopes, secret = _parts(item, number)
        check_strength(secret, f"MCP_API_KEYS: key {number}")
        found.append(Key(name, frozenset(scopes), digest_of(secret)))
    if len({key.name for key in found}) != len(found):
        raise SettingsRefused("MCP_API_KEYS: every key has a name of its own")
    return found


def check_strength(secret: str, what: str) -> None:
    lower = secret.lower()
    if any(sample in lower for sample in SAMPLES):
        raise SettingsRefused(
            f"{what} is a sample from documentation; `dipeo mcp config CLIENT --http` makes a real one"
        )
    if len(secret) < MIN_CHARS or len(set(secret)) < MIN_KINDS:
        raise SettingsRefused(f"{what} is too weak: at least {MIN_CHARS} random characters (128 bits) are needed")


def _parts(item: str, number: int) -> tuple[str, Iterable[str], str]:
    parts = item.split(":")
    if len(parts) == 1:
        return f"key{number}", DEFAULT_SCOPES, item
    if len(parts) != 3:
        raise SettingsRefused(f"MCP_API_KEYS: key {number}: KEY or name:scope+scope:KEY is needed")
    name, words, secret = parts
    scopes = [word if word.startswith("dipeo:") else f"dipeo:{word}" for word in words.split("+")]
    if unknown := [scope for scope in scopes if scope not in SCOPES]:
        raise SettingsRefused(f"MCP_API_KEYS: key {number}: no scope {unknown[0]}; there are {', '.join(SCOPES)}")
    return name, scopes, secret


# --- the file --------------------------------------------------------------------------------------------------------


def load(path: Path) -> list[Key]:
    """Raises Unavailable, SettingsRefused."""
    try:
        kept = json.loads(path.read_text())
        return [Key(name, frozenset(it["scopes"]), it["sha256"]) for name, it in kept.items()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise errors.Unavailable(f"keys file {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SettingsRefused(f"keys file {path} is broken; remove it to begin with a fresh key") from error


def add(path: Path, name: str, scopes: Iterable[str] = DEFAULT_SCOPES) -> str:
    """Make a key, replacing one of the same name, and keep its hash. The key itself is nowhere but in the answer."""
    secret = new()
    kept = {key.name: key for key in load(path)} | {name: Key(name, frozenset(scopes), digest_of(secret))}
    _write(path, kept.values())
    return secret


def revoke(path: Path, name: str) -> bool:
    """False when there is none of this name."""
    kept = load(path)
    _write(path, [key for key in kept if key.name != name])
    return any(key.name == name for key in kept)


def _write(path: Path, keys: Iterable[Key]) -> None:
    """Whole and with mode 0600, or not at all."""
    text = json.dumps({key.name: {"scopes": sorted(key.scopes), "sha256": key.digest} for key in keys}, indent=2)
    draft = path.with_suffix(".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
        draft.replace(path)
    except OSError as error:
        raise errors.Unavailable(f"keys file {path}: {error.strerror}") from error
