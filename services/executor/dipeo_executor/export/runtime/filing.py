"""Files. Names are relative to the folder the script is started in."""

import csv
import glob
import io
import json
from pathlib import Path
from typing import Any

from dipeo_executor.export.runtime.kinds import Inputs
from dipeo_executor.export.runtime.running import NodeError, Run, warn
from dipeo_executor.export.runtime.texts import fill_path
from dipeo_executor.nodes.content import compact_json, cut_lines, get_path, with_keys
from dipeo_executor.templates import as_text


def read_text(name: str) -> str:
    path = Path(name)
    if not path.is_file():
        raise NodeError(f'there is no file "{name}"')
    return path.read_text(encoding="utf-8")


def write_text(name: str, text: str) -> int:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    return Path(name).write_bytes(text.encode())


def placed(name: str, format: str = "", writes: bool = False) -> str:
    """A bare name lives in dbs/; a name without a suffix gets the one of its format."""
    folder, _, last = name.rpartition("/")
    if "." not in last:
        if writes and format in ("json", "yaml"):
            name = f"{name}.{format}"
        elif not folder:
            name = f"{name}.json"
    return name if folder or name.startswith("/") else f"dbs/{name}"


def found_files(run: Run, inputs: Inputs, names: list[str], patterns: bool) -> list[str]:
    """File names with their {names} filled and patterns expanded."""
    found: list[str] = []
    for written in names:
        name = fill_path(written, run, inputs)
        if patterns and any(sign in name for sign in "*?[") and not Path(name).exists():
            matches = glob.glob(name, recursive=True)  # noqa: PTH207  # Path.glob reads ** otherwise
            found += sorted(it for it in matches if Path(it).is_file())
        elif name:
            found.append(placed(name))
    if not found:
        raise NodeError(f"there are no files to read: {', '.join(names)} matches nothing")
    return found


def read_files(
    run: Run,
    inputs: Inputs,
    *names: str,
    format: str = "json",
    rows: bool = False,
    keys: tuple[str, ...] = (),
    lines: Any = None,
    missing_ok: bool = False,
    patterns: bool = True,
) -> Any:
    """The content of a file, or of several by name."""
    found = found_files(run, inputs, list(names), patterns)
    if len(found) == 1:
        if missing_ok and not Path(found[0]).exists():
            return {}
        return content_of(found[0], format, rows, keys, lines)
    values: dict[str, Any] = {}
    for name in found:
        try:
            values[name] = content_of(name, format, rows, keys, lines)
        except NodeError as error:
            warn(f"{error}; its value is null")
            values[name] = None
    return values


def content_of(name: str, format: str, rows: bool, keys: tuple[str, ...], lines: Any) -> Any:
    text = read_text(name)
    if lines is not None:
        return cut_lines(text, lines).text
    value = parse_content(text, format, rows)
    if keys and isinstance(value, dict):
        picked = {key: get_path(value, key) for key in keys}
        return picked if len(keys) > 1 else picked[keys[0]]
    return value


def parse_content(text: str, format: str, rows: bool) -> Any:
    if format == "csv" and rows:
        return [dict(row) for row in csv.DictReader(io.StringIO(text, newline=""))]
    if format not in ("json", "yaml"):
        return text
    if not text.strip():
        return {}
    try:
        return json.loads(text)
    except ValueError:
        return from_yaml(text) if format == "yaml" else text


def from_yaml(text: str) -> Any:
    import yaml

    return json.loads(json.dumps(yaml.safe_load(text), default=str))


def dump_content(value: Any, name: str, format: str) -> str:
    """The text to write. Text goes out as it is, except that a .json file gets JSON."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False) if name.endswith(".json") and not is_json(value) else value
    if format == "yaml":
        return to_yaml(value)
    if format == "csv" and isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
        return to_csv(value)
    return as_text(value) if format == "text" else json.dumps(value, indent=2, ensure_ascii=False)


def to_yaml(value: Any) -> str:
    import yaml

    return str(yaml.safe_dump(value, allow_unicode=True))


def to_csv(rows: list[dict[str, Any]]) -> str:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(dict.fromkeys(column for row in rows for column in row)), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: compact_json(it) if isinstance(it, dict | list) else it for key, it in row.items()})
    return out.getvalue()


def is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def to_write(inputs: Inputs, unwrap: bool = True) -> Any:
    """The input that is meant: generated_code, content or value, else the first that is not empty."""
    meant = ("generated_code", "content", "value")
    value = next((inputs[name] for name in meant if inputs.get(name)), None) if unwrap else None
    if value is None:
        value = next((it for it in inputs.values() if it is not None), None)
    if unwrap and isinstance(value, dict) and len(value) == 1 and (only := next(iter(value))) in meant:
        value = value[only]
    if value is None:
        raise NodeError("there is nothing to write: no input has a value")
    return value


def write_file(run: Run, inputs: Inputs, name: str, format: str = "json") -> str:
    path = placed(fill_path(name, run, inputs), format, writes=True)
    size = write_text(path, dump_content(to_write(inputs), path, format))
    return f"Wrote to {path} ({size} bytes)"


def append_file(run: Run, inputs: Inputs, name: str) -> str:
    """A .json file is a list that grows; to any other a line is added."""
    path, value = placed(fill_path(name, run, inputs)), to_write(inputs, unwrap=False)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    if path.endswith(".json"):
        before = Path(path).read_text(encoding="utf-8") if Path(path).exists() else ""
        old = json.loads(before) if before.strip() else []
        items = old if isinstance(old, list) else [] if old == {} else [old]
        write_text(path, json.dumps([*items, value], indent=2, ensure_ascii=False))
        return f"Appended to {path} ({len(compact_json(value).encode())} bytes)"
    line = value if isinstance(value, str) else compact_json(value)
    data = (line if line.endswith("\n") else f"{line}\n").encode()
    with Path(path).open("ab") as file:
        file.write(data)
    return f"Appended to {path} ({len(data)} bytes)"


def update_file(run: Run, inputs: Inputs, name: str, *keys: str, format: str = "json") -> str:
    """Sets dotted keys of a JSON or YAML file."""
    if not keys:
        raise NodeError("operation update needs keys: the dotted paths to set")
    path, value = placed(fill_path(name, run, inputs), format, writes=True), to_write(inputs)
    form = "yaml" if path.endswith((".yaml", ".yml")) else "json"
    before = Path(path).read_text(encoding="utf-8") if Path(path).exists() else ""
    old = parse_content(before, form, False) or {}
    if not isinstance(old, dict):
        raise NodeError(f'"{path}" holds {type(old).__name__}; only a map has keys to update')
    size = write_text(path, dump_content(with_keys(old, keys, value), path, form))
    return f"Updated to {path} ({size} bytes)"


def save_result(value: Any, name: str, format: str = "") -> None:
    """The file of an endpoint."""
    if format in ("yaml", "yml"):
        text = to_yaml_in_order(value)
    elif isinstance(value, str):
        text = json.dumps(value) if format == "json" and not is_json(value) else value
    else:
        text = json.dumps(value, indent=2)
    write_text(name, text)


def to_yaml_in_order(value: Any) -> str:
    import yaml

    return str(yaml.safe_dump(value, sort_keys=False, allow_unicode=True))
