"""What is in files: text <-> values, dotted keys, line ranges. Pure. (node contract 9.2, 9.3)"""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import yaml

from dipeo_executor.nodes.base import NodeError
from dipeo_executor.templates import as_text

MAX_ITEMS = 1_000_000  # of one YAML file, aliases counted as often as they are used
_JSON_MISSING = object()


class ContentError(NodeError):
    """The file or the value does not have the form the node asks for."""


class _YamlLoader(yaml.CSafeLoader):
    """Dates stay text: JSON has none."""


_YamlLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def format_of(name: str) -> str:
    return "yaml" if name.endswith((".yaml", ".yml")) else "json"


def parse(text: str, file_format: str, *, csv_rows: bool = False) -> Any:
    """json: the value, or the text when it is no JSON. yaml: the value. csv: text, or maps. Others: text."""
    if file_format == "csv" and csv_rows:
        return [dict(row) for row in csv.DictReader(io.StringIO(text, newline=""))]
    if file_format not in ("json", "yaml"):
        return text
    if not text.strip():
        return {}
    value = _json(text)
    if value is not _JSON_MISSING:
        return value
    return _yaml(text) if file_format == "yaml" else text


def parse_strictly(text: str, name: str) -> Any:
    """The value of a .yaml file, else of a JSON file. Raises ContentError."""
    value = _yaml(text) if format_of(name) == "yaml" else _json(text)
    if value is _JSON_MISSING:
        raise ContentError(f'"{name}" does not hold JSON, so nothing can be added to it')
    return value


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return _JSON_MISSING


def _yaml(text: str) -> Any:
    try:
        # _YamlLoader is a safe loader
        return _plain(yaml.load(text, Loader=_YamlLoader), iter(range(MAX_ITEMS)))
    except yaml.YAMLError as error:
        raise ContentError(f"the file is not YAML: {error}") from None
    except RecursionError:
        raise ContentError("the file's YAML is nested too deep") from None


def _plain(value: Any, budget: Iterator[int]) -> Any:
    """YAML's value as JSON has it. The budget stops a file whose aliases multiply."""
    if next(budget, None) is None:
        raise ContentError(f"the file's YAML has more than {MAX_ITEMS:,} items, aliases unfolded")
    if isinstance(value, dict):
        return {key if isinstance(key, str) else compact_json(key): _plain(v, budget) for key, v in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(item, budget) for item in value]
    return value.isoformat() if isinstance(value, date) else value


def dump(value: Any, name: str, file_format: str) -> str:
    """The text to write. Text goes out as it is, except that a .json file gets JSON."""
    if isinstance(value, str):
        as_json = name.endswith(".json") and _json(value) is _JSON_MISSING
        return json.dumps(value, ensure_ascii=False) if as_json else value
    if file_format == "yaml":
        return yaml.safe_dump(value, allow_unicode=True)
    if file_format == "csv" and isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
        return _csv(value)
    if file_format == "text":
        return as_text(value)
    return json.dumps(value, indent=2, ensure_ascii=False)


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    columns = dict.fromkeys(column for row in rows for column in row)
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(columns), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: compact_json(v) if isinstance(v, dict | list) else v for key, v in row.items()})
    return out.getvalue()


def compact_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def key_list(keys: Any) -> list[str]:
    """ "a, b.c" or a list -> dotted paths. Raises ContentError."""
    parts = keys.split(",") if isinstance(keys, str) else keys
    if parts is None:
        return []
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise ContentError(f"keys must be a text such as a.b or a list of such texts, not {keys!r}")
    return [part.strip() for part in parts if part.strip()]


def get_path(value: Any, path: str) -> Any:
    """Through maps only; null when there is nothing."""
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def with_keys(data: Mapping[str, Any], keys: Sequence[str], value: Any) -> dict[str, Any]:
    """A copy with the dotted paths set: one key to the value itself, several each to its part of the value."""
    if len(keys) == 1:
        return _with_path(data, keys[0].split("."), value)
    if not isinstance(value, Mapping):
        raise ContentError("an update of several keys needs a map with a value for each of them")
    updated = dict(data)
    for key in keys:
        source = next((name for name in (key, key.rsplit(".", 1)[-1]) if name in value), None)
        if source is None:
            raise ContentError(f'the value has no "{key}"; it has {", ".join(value) or "nothing"}')
        updated = _with_path(updated, key.split("."), value[source])
    return updated


def _with_path(data: Any, path: Sequence[str], value: Any) -> dict[str, Any]:
    base = dict(data) if isinstance(data, Mapping) else {}
    base[path[0]] = value if len(path) == 1 else _with_path(base.get(path[0]), path[1:], value)
    return base


@dataclass(frozen=True, slots=True)
class Cut:
    """`ranges`: start and end as asked (from 1, null = open) and as found (null = outside the file)."""

    text: str
    ranges: list[dict[str, int | None]]
    total_lines: int


def cut_lines(text: str, lines: Any) -> Cut:
    """The asked lines in the asked order, none twice. Raises ContentError."""
    all_lines = text.splitlines(keepends=True)
    total = len(all_lines)
    ranges: list[dict[str, int | None]] = []
    chosen: dict[int, None] = {}
    for start, end in _ranges(lines):
        first, last = start or 1, min(end or total, total)
        found = first <= last
        resolved = {"resolved_start": first if found else None, "resolved_end": last if found else None}
        ranges.append({"start": start, "end": end, **resolved})
        chosen.update(dict.fromkeys(range(first, last + 1)))
    return Cut("".join(all_lines[number - 1] for number in chosen), ranges, total)


def _ranges(lines: Any) -> Iterator[tuple[int | None, int | None]]:
    if isinstance(lines, str):
        for part in lines.split(","):
            start, colon, end = part.partition(":")
            yield _range(start.strip() or None, (end.strip() or None) if colon else start.strip(), lines)
    elif isinstance(lines, Mapping):
        yield _range(lines.get("start", lines.get("from")), lines.get("end", lines.get("to")), lines)
    elif isinstance(lines, list):
        for item in lines:
            if isinstance(item, list) and len(item) == 2:
                yield _range(item[0], item[1], lines)
            else:
                yield from _ranges(item)
    else:
        yield _range(lines, lines, lines)


def _range(start: Any, end: Any, asked: Any) -> tuple[int | None, int | None]:
    first, last = (None if bound is None else _line_number(bound, asked) for bound in (start, end))
    if first and last and last < first:
        raise ContentError(f"lines {asked!r}: {last} comes before {first}")
    return first, last


def _line_number(bound: Any, asked: Any) -> int:
    is_number = (isinstance(bound, int) and not isinstance(bound, bool)) or (
        isinstance(bound, str) and bound.isdecimal()
    )
    if not is_number or int(bound) < 1:
        raise ContentError(f'lines {asked!r}: {bound!r} is not a line number; write "2:3", ":5", "4:" or 7')
    return int(bound)
