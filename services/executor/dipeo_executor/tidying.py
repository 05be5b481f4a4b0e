"""The usual layout of a diagram's text, comments kept: `dipeo fmt`."""

import io
import json
from typing import Any

from dipeo_executor.formats.comparing import differences
from dipeo_executor.formats.detect import Format
from dipeo_executor.formats.diagnostics import Report
from dipeo_executor.formats.loading import load
from dipeo_executor.formats.model import Diagram

SHORT = ("from", "to", "content_type", "label", "execution_priority", "in", "as", "naming", "priority", "id")
WIDTH = 10_000  # lines are left as long as they are


class NotTidied(ValueError):
    """The text would mean something else in another layout."""


def tidy(text: str, diagram: Diagram, format: Format) -> str:
    """Raises NotTidied."""
    tidied = json.dumps(json.loads(text), indent=2, ensure_ascii=False) + "\n" if is_json(text) else _yaml(text)
    again, _ = load(tidied, flag=format, report=Report())
    changes = differences(diagram, again) if again else ["it can no longer be read"]
    if changes:
        raise NotTidied(f"the text is left as it is: {changes[0]}")
    return tidied


def is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def _yaml(text: str) -> str:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = WIDTH
    yaml.indent(mapping=2, sequence=4, offset=2)
    try:
        document = yaml.load(text)
        _lay_out(document)
        out = io.StringIO()
        yaml.dump(document, out)
    except YAMLError as error:
        raise NotTidied(f"the text is left as it is: {str(error).splitlines()[0]}") from error
    return out.getvalue()


def _lay_out(document: Any) -> None:
    for node in _maps(document.get("nodes")):
        if isinstance(node.get("position"), dict) and not _commented(node["position"]):
            node["position"].fa.set_flow_style()
    for entry in (*_maps(document.get("connections")), *_destinations(document.get("flow"))):
        if not _commented(entry) and all(key in SHORT and not _has_lines(value) for key, value in entry.items()):
            entry.fa.set_flow_style()


def _maps(section: Any) -> list[Any]:
    return [entry for entry in section if isinstance(entry, dict)] if isinstance(section, list) else []


def _destinations(flow: Any) -> list[Any]:
    values = [value for entry in _maps(flow) for value in entry.values()]
    return [one for value in values for one in (value if isinstance(value, list) else [value]) if isinstance(one, dict)]


def _commented(value: Any) -> bool:
    return bool(value.ca.items or value.ca.comment)


def _has_lines(value: Any) -> bool:
    return not isinstance(value, str | int | float | bool | None) or "\n" in str(value)
