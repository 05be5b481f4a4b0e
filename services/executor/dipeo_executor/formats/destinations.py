"""Where a readable flow leads: three ways to write it. (spec/formats.md §5.1, §5.2)"""

import re
from collections.abc import Container
from dataclasses import dataclass, field
from typing import Any

from dipeo_executor.formats.diagnostics import shown
from dipeo_executor.formats.model import CONTENT_TYPES

OLD_TYPES = {"json": "object"} | {word: word for word in CONTENT_TYPES}
GROUP = re.compile(r"^(.*?)\s*\(([^()]*)\)\s*$", re.DOTALL)
NEW_STYLE = re.compile(r'^\s*(?:from|to|in|as|naming)\s+"')
PART = re.compile(r'\s*(?:(?P<word>from|to|in|as|naming)\s+"(?P<text>(?:[^"\\]|\\.)*)"|(?P<dash>-)(?=\s))', re.DOTALL)
FIELDS = {"from": "from_handle", "to": "to", "in": "in_handle", "as": "content_type", "naming": "naming"}
KEYS = (*FIELDS, "priority", "data", "id")


@dataclass(frozen=True, slots=True)
class Destination:
    """One arrow's far end as written. "" = not given."""

    to: str
    from_handle: str = ""
    in_handle: str = ""
    content_type: str = ""
    naming: str = ""
    priority: Any = 0
    data: Any = field(default_factory=dict)
    id: str = ""


def destination_of(value: Any, names: Container[str]) -> list[Destination] | str:
    """The destinations in one entry, or what is wrong with it."""
    if isinstance(value, dict):
        return _from_map(value)
    if not isinstance(value, str) or not value.strip():
        return f"a destination is a name, a text or a map with `to`, not {shown(value)}"
    if value in names:
        return [Destination(value)]
    return _new_style(value) if NEW_STYLE.match(value) else _old_style(value, names)


def _from_map(value: dict[Any, Any]) -> list[Destination] | str:
    odd = [key for key in value if key not in KEYS]
    if odd:
        return f"{shown(odd[0])} is no part of a destination; there are {', '.join(KEYS)}"
    texts: dict[str, str] = {}
    for key in (*FIELDS, "id"):
        text = value.get(key)
        if text is not None and not isinstance(text, str):
            return f"{key} must be text, not {shown(text)}; quote it"
        texts[FIELDS.get(key, key)] = text or ""
    if not texts["to"]:
        return f"{shown(value)} does not say `to`"
    return [Destination(**texts, priority=value.get("priority") or 0, data=value.get("data") or {})]


def _new_style(text: str) -> list[Destination] | str:
    found: list[dict[str, str]] = [{}]
    at = 0
    while text[at:].strip():
        part = PART.match(text, at)
        if part is None:
            return f'cannot read {shown(text[at:].strip())}; write to "NAME", then from, in, as, naming as needed'
        at = part.end()
        if part["dash"]:
            found.append({})
        elif FIELDS[part["word"]] in found[-1]:
            return f'"{part["word"]}" stands twice in {shown(text)}'
        else:
            found[-1][FIELDS[part["word"]]] = re.sub(r"\\(.)", r"\1", part["text"])
    if not all(one.get("to") for one in found):
        return f'{shown(text)} does not say to "NAME"'
    return [Destination(**one) for one in found]


def _old_style(text: str, names: Container[str]) -> list[Destination] | str:
    """`Name (content_type)(label)`; what is in parentheses may also belong to the name."""
    content_type, naming, rest = "", "", text.strip()
    while rest not in names and (group := GROUP.match(rest)):
        rest, word = group[1], group[2].strip()
        if word in OLD_TYPES and not content_type:
            content_type = OLD_TYPES[word]
        elif word and not naming:
            naming = word
        else:
            return f"{shown(text)} has more than a content type and a label in parentheses"
    return [Destination(rest, content_type=content_type, naming=naming)] if rest else f"{shown(text)} names no node"
