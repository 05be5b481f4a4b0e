"""The templates of manifests: Jinja, where what is undefined is empty. (node contract 3.3, 20.2)"""

import re
from collections.abc import Mapping
from typing import Any, NoReturn

from dipeo_executor import templates
from dipeo_executor.nodes.base import NodeError

_ONLY = re.compile(r"\s*\{\{\s*(\w+(?:\.\w+|\[\d+\])*)\s*\}\}\s*")


class OperationRefused(NodeError):
    """The manifest itself says that this cannot be asked: raise_error in one of its templates."""


def text(template: str, context: Mapping[str, Any], name: str) -> str:
    """Raises NodeError naming the template and the line."""
    if "{{" not in template and "{%" not in template:
        return template
    from dipeo_executor import jinja

    return jinja.render(template, {**context, "raise_error": _raise_error}, name=name, strict=False)


def value(template: Any, context: Mapping[str, Any], name: str) -> Any:
    """Maps and lists part by part. Text that is one path alone becomes the value itself: 3 stays 3, nothing is null."""
    if isinstance(template, str):
        only = _ONLY.fullmatch(template)
        return templates.lookup(only[1], (context,)) if only else text(template, context, name)
    if isinstance(template, Mapping):
        filled = {key: value(item, context, f"{name}.{key}") for key, item in template.items()}
        return {key: item for key, item in filled.items() if item is not None}
    return [value(item, context, name) for item in template] if isinstance(template, list) else template


def _raise_error(message: str) -> NoReturn:
    raise OperationRefused(message)
