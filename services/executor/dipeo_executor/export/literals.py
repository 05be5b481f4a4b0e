"""Values and calls as Python that people would write."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

WIDTH = 100


def literal(value: Any) -> str:
    """A value as a Python expression: double quotes, long texts over several lines."""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, tuple):
        return "(" + ", ".join(map(literal, value)) + ("," if len(value) == 1 else "") + ")"
    if isinstance(value, list):
        return _wrapped("[", [literal(item) for item in value], "]")
    if isinstance(value, dict):
        return _wrapped("{", [f"{literal(key)}: {literal(item)}" for key, item in value.items()], "}")
    return repr(value)


def _text(value: str) -> str:
    if not value.isprintable() and not all(line.isprintable() for line in value.split("\n")):
        return repr(value)
    lines = value.split("\n")
    if len(lines) == 1:
        return json.dumps(value, ensure_ascii=False)
    parts = [json.dumps(f"{line}\n", ensure_ascii=False) for line in lines[:-1]]
    if lines[-1]:
        parts.append(json.dumps(lines[-1], ensure_ascii=False))
    return "(\n" + "\n".join(f"    {part}" for part in parts) + "\n)"


def block(text: str) -> str:
    """A text of several lines as it stands, between triple quotes; "" where that cannot be. Not to be indented."""
    if "\n" not in text or not all(line.replace("\t", "").isprintable() for line in text.split("\n")):
        return ""
    raw = "\\" in text
    for quotes in ('"""', "'''"):
        if quotes not in text and not text.endswith((quotes[0], "\\")):
            return f"r{quotes}{text}{quotes}" if raw else f"{quotes}\\\n{text}{quotes}"
    return ""


def call(name: str, arguments: Sequence[str], more: Mapping[str, str] | None = None) -> str:
    return _wrapped(f"{name}(", [*arguments, *(f"{key}={value}" for key, value in (more or {}).items())], ")")


def _wrapped(opening: str, parts: Sequence[str], closing: str) -> str:
    """In one line where it fits, else a line for each part."""
    short = f"{opening}{', '.join(parts)}{closing}"
    if "\n" not in short and len(short) <= WIDTH:
        return short
    lines = [f"    {part},".replace("\n", "\n    ") for part in parts]
    return "\n".join([opening, *lines, closing])
