"""Properties of a node with their placeholders filled in. (node contract 3.1)"""

import json
import re
from collections.abc import Mapping
from typing import Any

from dipeo_executor import templates
from dipeo_executor.nodes import base

_ONLY = re.compile(r"\{\{\s*(@?\w[\w.\[\]]*)\s*\}\}")


class PlaceholderUnknown(base.NodeError):
    """A placeholder names something for which there is no value."""


class Filler:
    """Fills what one node run was given, from its inputs and the outer scopes."""

    def __init__(self, inputs: base.Inputs, ctx: base.Context) -> None:
        self._scopes = templates.scopes_of(inputs, ctx.variables, ctx.custom_data)
        self._ctx = ctx

    def text(self, template: str, name: str) -> str:
        """Raises PlaceholderUnknown: an address or a key with a hole in it is of no use."""
        filled = self._rendered(template, name)
        if filled.missing:
            raise PlaceholderUnknown(f"{name}: there is no value for {', '.join(filled.missing)}")
        return filled.text

    def all_texts(self, value: Any, name: str) -> Any:
        """The same for every text inside a map or list; keys stay as they are."""
        if isinstance(value, str):
            return self.text(value, name)
        if isinstance(value, Mapping):
            return {key: self.all_texts(item, f"{name}.{key}") for key, item in value.items()}
        return [self.all_texts(item, name) for item in value] if isinstance(value, list) else value

    def value(self, value: Any, name: str) -> Any:
        """Data: what is one placeholder alone becomes the value itself, so that 3 stays 3; unknown ones stay."""
        if isinstance(value, str):
            only = _ONLY.fullmatch(value.strip())
            found = templates.lookup(only[1], self._scopes) if only else None
            if found is not None:
                return found
            filled = self._rendered(value, name)
            if filled.missing:
                self._ctx.log("warning", f"{name}: there is no value for {', '.join(filled.missing)}")
            return filled.text
        if isinstance(value, Mapping):
            return {key: self.value(item, f"{name}.{key}") for key, item in value.items()}
        return [self.value(item, name) for item in value] if isinstance(value, list) else value

    def mapping(self, given: Mapping[str, Any] | str, name: str) -> dict[str, Any]:
        """A map, or JSON text of one, with its texts filled."""
        value = self.all_texts(given, name)
        value = json_or_text(value) if isinstance(value, str) and value.strip() else value or {}
        if not isinstance(value, dict):
            raise base.NodeError(f"{name} must be a map or JSON text of one, not {type(value).__name__}")
        return value

    def body(self, given: Any, name: str) -> Any:
        """Any value; text that is JSON, before or after filling, becomes that value."""
        if not isinstance(given, str):
            return self.value(given, name)
        parsed = json_or_text(given)
        return json_or_text(self.value(given, name)) if isinstance(parsed, str) else self.value(parsed, name)

    def _rendered(self, template: str, name: str) -> templates.Rendered:
        try:
            return templates.render(template, self._scopes)
        except templates.TemplateError as error:
            raise base.NodeError(f"{name}: {error}") from error


def json_or_text(text: Any) -> Any:
    """The value of JSON text, else what was given."""
    if not isinstance(text, str):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
