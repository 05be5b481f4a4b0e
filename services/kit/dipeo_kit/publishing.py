"""What may be published and what it is called: names of diagrams and of their tools (spec/mcp.md §3.4, S4, T9)."""

import hashlib
import re
from collections.abc import Iterable

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
URI = "dipeo://diagrams/"
PREFIX = "diagram_"
MAX_SLUG = 50
MAX_SOURCE_BYTES = 256 * 1024
MAX_NODES = 500
MAX_ALIASES = 50
_ALIAS = re.compile(r"(?m)(?:^|[\s,\[{:-])\*[A-Za-z0-9_-]+")
NAME_RULE = 'letters, digits, ".", "_" and "-", at most 100, beginning with a letter or digit, without ".."'


def is_name(text: str) -> bool:
    return NAME.fullmatch(text) is not None and ".." not in text


def excess(text: str) -> str:
    """What there is too much of in the text of a diagram, found before anything parses it; "" = nothing."""
    if len(text.encode()) > MAX_SOURCE_BYTES:
        return f"larger than {MAX_SOURCE_BYTES // 1024} KiB"
    if len(_ALIAS.findall(text)) > MAX_ALIASES:
        return f"more than {MAX_ALIASES} YAML aliases"
    return ""


def names_files(names: Iterable[str], *, remote: bool) -> str:
    """Why a diagram that names files its executor has not got is no tool: whoever calls it cannot send them."""
    listed = ", ".join(list(names)[:5])
    otherwise = "" if remote else ", or put them into the executor's project"
    return (
        f"the diagram names files, and files are not published with it: {listed}; "
        f"write what is in them into the diagram{otherwise}"
    )


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
