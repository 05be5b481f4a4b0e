"""db: reads and writes the project's files; its name is history. (node contract 9)"""

from typing import Any, Literal

from pydantic import AliasChoices, Field

from dipeo_executor import templates
from dipeo_executor.nodes import base, content

UNWRAPPED = ("generated_code", "content", "value")


class Props(base.Props):
    file: str | list[str] = Field(
        default_factory=list, validation_alias=AliasChoices("file", "source_details", "sourceDetails")
    )
    operation: Literal["prompt", "read", "write", "append", "update"] = "read"
    format: Literal["json", "yaml", "csv", "text", "xml"] = "json"
    keys: Any = None  # "a.b", "a, c.d" or a list of them
    lines: Any = None  # "1:20", 7, a list of such, {"start": 1, "end": 20}
    glob: bool = True
    csv: Literal["text", "rows"] = "text"
    missing_ok: bool = False  # a missing file reads as {}
    sub_type: Literal["fixed_prompt", "file", "code", "api_tool"] = "fixed_prompt"  # from here on: read, without effect
    data: dict[str, Any] = Field(default_factory=dict)
    query: str = ""
    collection: str = ""
    serialize_json: bool = False


class DbError(base.NodeError):
    """The node's properties and inputs do not make an operation that can be done."""


async def run(props: Props, inputs: base.Inputs, ctx: base.Context) -> base.Output:
    """read: the content, or {name: content} of several files. Else a sentence that says what was written."""
    if props.operation == "prompt":
        raise DbError("operation prompt does nothing; use read, write, append or update")
    keys = content.key_list(props.keys)
    if props.lines is not None and (keys or props.operation != "read"):
        raise DbError("lines goes with operation read, and not together with keys")
    names = _names(props, inputs, ctx)
    if props.operation == "read":
        return _read(props, names, keys, ctx)
    if len(names) > 1:
        raise DbError(f"operation {props.operation} takes one file, not {len(names)}")
    if props.operation == "update" and not keys:
        raise DbError("operation update needs keys: the dotted paths to set")
    value = _value(inputs, unwrap=props.operation != "append")
    return _write(props, names[0], keys, value, ctx)


def _names(props: Props, inputs: base.Inputs, ctx: base.Context) -> list[str]:
    """Names relative to BASE, placeholders filled and patterns expanded."""
    scopes = templates.scopes_of(inputs, ctx.variables, ctx.custom_data)
    names: list[str] = []
    for written in [props.file] if isinstance(props.file, str) else props.file:
        filled = templates.render_path(written.strip(), scopes)
        if filled.missing:
            ctx.log("warning", f'file name "{written}" names {", ".join(filled.missing)}, for which there is no value')
        name = filled.text
        is_pattern = props.operation == "read" and props.glob and any(sign in name for sign in "*?[")
        if is_pattern and not ctx.files.exists(name):  # a file that is really called [id].tsx comes first
            found = ctx.files.glob(name)
            if not found:
                ctx.log("warning", f'no file matches "{name}"')
            names += found
        elif name:
            names.append(_placed(name, props))
    if not names:
        raise DbError(f"there are no files to {props.operation}: {props.file or 'file is not given'!r} matches nothing")
    return names


def _placed(name: str, props: Props) -> str:
    """A bare name lives in dbs/; a name without a suffix gets the one of its format."""
    folder, _, last = name.rpartition("/")
    if "." not in last:
        if props.operation in ("write", "update") and props.format in ("json", "yaml"):
            name = f"{name}.{props.format}"
        elif not folder:
            name = f"{name}.json"
    return name if folder or name.startswith("/") else f"dbs/{name}"


def _read(props: Props, names: list[str], keys: list[str], ctx: base.Context) -> base.Output:
    meta: dict[str, Any] = {"operation": "read", "format": props.format}
    if len(names) == 1:
        if props.missing_ok and not ctx.files.exists(names[0]):
            return base.Output({}, meta=meta)
        value, details = _content(props, ctx.files.read_text(names[0]), keys, ctx)
        return base.Output(value, meta=meta | details)
    values: dict[str, Any] = {}
    for name in names:
        try:
            values[name], _ = _content(props, ctx.files.read_text(name), keys, ctx)
        except base.NodeError as error:
            ctx.log("warning", f"{error}; its value is null")
            values[name] = None
    return base.Output(values, meta=meta | {"multiple_files": True, "file_count": len(names)})


def _content(props: Props, text: str, keys: list[str], ctx: base.Context) -> tuple[Any, dict[str, Any]]:
    """(value, what meta says of it)"""
    if props.lines is not None:
        cut = content.cut_lines(text, props.lines)
        return cut.text, {"line_ranges": cut.ranges, "partial": True, "total_lines": cut.total_lines}
    value = content.parse(text, props.format, csv_rows=props.csv == "rows")
    if keys and not isinstance(value, dict):
        ctx.log("warning", "keys is not applied: the file does not hold a map")
    elif keys:
        picked = {key: content.get_path(value, key) for key in keys}
        value = picked if len(keys) > 1 else picked[keys[0]]
    return value, {}


def _value(inputs: base.Inputs, *, unwrap: bool) -> Any:
    """What is to be written: the inputs generated_code, content or value first, else the first that is not null."""
    value = next((inputs[port] for port in UNWRAPPED if inputs.get(port)), None) if unwrap else None
    if value is None:
        value = next((each for each in inputs.values() if each is not None), None)
    if unwrap and isinstance(value, dict) and len(value) == 1 and (only := next(iter(value))) in UNWRAPPED:
        value = value[only]
    if value is None:
        raise DbError("there is nothing to write: no input has a value")
    return value


def _write(props: Props, name: str, keys: list[str], value: Any, ctx: base.Context) -> base.Output:
    match props.operation:
        case "write":
            verb, size = "Wrote", ctx.files.write_text(name, content.dump(value, name, props.format))
        case "append":
            verb, size = "Appended", _append(name, value, ctx)
        case _:
            verb, size = "Updated", _update(name, keys, value, ctx)
    meta = {"operation": props.operation, "format": props.format, "file_path": name, "size": size}
    return base.Output(f"{verb} to {name} ({size} bytes)", meta=meta)


def _append(name: str, value: Any, ctx: base.Context) -> int:
    """A .json file is a list that grows; to any other a line is added."""
    if not name.endswith(".json"):
        line = value if isinstance(value, str) else content.compact_json(value)
        return ctx.files.append_text(name, line if line.endswith("\n") else f"{line}\n")
    before = ctx.files.read_text(name) if ctx.files.exists(name) else ""
    old = content.parse_strictly(before, name) if before.strip() else []
    items = old if isinstance(old, list) else [] if old == {} else [old]
    ctx.files.write_text(name, content.dump([*items, value], name, "json"))
    return len(content.compact_json(value).encode())


def _update(name: str, keys: list[str], value: Any, ctx: base.Context) -> int:
    before = ctx.files.read_text(name) if ctx.files.exists(name) else ""
    old = content.parse_strictly(before, name) if before.strip() else {}
    old = {} if old is None else old
    if not isinstance(old, dict):
        raise DbError(f'"{name}" holds {type(old).__name__}; only a map has keys to update')
    return ctx.files.write_text(name, content.dump(content.with_keys(old, keys, value), name, content.format_of(name)))
