"""Names of diagrams and of the tools made of them, checked once at the edge (spec/mcp.md §3.4, S4)."""

import hashlib
import re
from collections.abc import Iterable

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
URI = "dipeo://diagrams/"
PREFIX = "diagram_"
MAX_SLUG = 50
NAME_RULE = 'letters, digits, ".", "_" and "-", at most 100, beginning with a letter or digit, without ".."'


def is_name(text: str) -> bool:
    return NAME.fullmatch(text) is not None and ".." not in text


def of_reference(text: str) -> str | None:
    """The name in "NAME" or "dipeo://diagrams/NAME"; None when it is none. Nothing is decoded or resolved."""
    name = text.removeprefix(URI)
    return name if is_name(name) else None


def slug(name: str) -> str:
    """ "simple_iter.light" → "simple_iter"; the part of a tool's name after the prefix."""
    plain = re.sub(r"[^a-z0-9_-]+", "_", name.removesuffix(".light").lower())
    return re.sub(r"_{2,}", "_", plain)[:MAX_SLUG].strip("_") or "diagram"


def tool_names(names: Iterable[str]) -> dict[str, str]:
    """name → tool. Names with the same slug all get a suffix of their own, so that none depends on who came first."""
    by_slug: dict[str, list[str]] = {}
    for name in names:
        by_slug.setdefault(slug(name), []).append(name)
    tools = {}
    for base, sharing in by_slug.items():
        for name in sharing:
            # the name itself keeps the plain tool: it was there before a namesake could be published
            plain = len(sharing) == 1 or name == base
            tools[name] = PREFIX + (base if plain else f"{base}_{hashlib.sha256(name.encode()).hexdigest()[:6]}")
    return tools
