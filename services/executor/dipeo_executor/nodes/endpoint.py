"""endpoint: the final result, optionally written to a file. (node contract 5)"""

import json
from pathlib import PurePosixPath
from typing import Any

import yaml
from pydantic import AliasChoices, Field

from dipeo_executor.nodes import base

IMAGES = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp"}  # what a file of that name should hold
TEXT_FORMATS = ("", "txt", "text", "md", "markdown")


class Props(base.Props):
    save_to_file: bool = False
    file_name: str = Field(default="", validation_alias=AliasChoices("file_name", "fileName", "file_path", "filePath"))
    file_format: str = ""  # json, yaml, txt, md; absent: text as it is, everything else as JSON


async def run(props: Props, inputs: base.Inputs, ctx: base.Context) -> base.Output:
    """The value is a map always: what is none comes as {"default": it}, and meta says "wrapped"."""
    data: Any = inputs["default"] if list(inputs) == ["default"] else dict(inputs)
    is_map = isinstance(data, dict)
    meta: dict[str, Any] = {} if is_map else {"wrapped": True}
    if props.save_to_file:
        name = props.file_name or f"output_{ctx.node.id}.json"
        size = _saved_image(name, ctx)
        if size is None:
            size = ctx.files.write_text(name, _as_file(data, props.file_format.lower(), ctx))
        meta |= {"size": size, "saved_to": name}
    return base.Output(data if is_map else {"default": data}, meta=meta)


def _saved_image(name: str, ctx: base.Context) -> int | None:
    """The last image that the nodes before have made, in a file of an image's name (19.6); None: there is none."""
    kind = IMAGES.get(PurePosixPath(name).suffix.lower())
    if kind is None:
        return None
    if not ctx.pictures:
        ctx.log("warning", f'the nodes before this one made no image; "{name}" is given the text')
        return None
    picture = ctx.pictures[-1]
    made = IMAGES.get(PurePosixPath(picture).suffix.lower())
    if made != kind:
        ctx.log("warning", f'the image is {made or "of another format"}, though "{name}" is named as {kind}')
    return ctx.files.write_bytes(name, ctx.files.read_bytes(picture))


def _as_file(data: Any, file_format: str, ctx: base.Context) -> str:
    if file_format in ("yaml", "yml"):
        return yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
    if file_format not in (*TEXT_FORMATS, "json"):
        ctx.log("warning", f'file_format "{file_format}" is not known; there are json, yaml, txt and md')
    if isinstance(data, str):
        return _text_as_json(data) if file_format == "json" else data
    return json.dumps(data, indent=2)


def _text_as_json(text: str) -> str:
    """Text that is JSON already (a code job that dumped its result) is not quoted a second time."""
    try:
        json.loads(text)
    except ValueError:
        return json.dumps(text)
    return text
