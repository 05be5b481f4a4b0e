"""Values as YAML that people like to read, and that reads back as the same values. (spec/formats.md §6.1)"""

from typing import Any

import yaml

WIDTH = 120


class Inline(dict[str, Any]):
    """A map written in one line: {x: 1, y: 2}."""


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)  # list items are indented below their key


def _text(dumper: _Dumper, value: str) -> yaml.Node:
    lines = value.split("\n")
    block = len(lines) > 1 and value.strip() != "" and all(line.isprintable() for line in lines)
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if block else None)


def _inline(dumper: _Dumper, value: Inline) -> yaml.Node:
    return dumper.represent_mapping("tag:yaml.org,2002:map", value.items(), flow_style=True)


def _list(dumper: _Dumper, value: list[Any]) -> yaml.Node:
    pair = len(value) == 2 and all(isinstance(item, bool) for item in value)  # flipped: [true, false]
    return dumper.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=pair)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(Inline, _inline)
_Dumper.add_representer(list, _list)


def dump(value: Any) -> str:
    text: str = yaml.dump(value, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=WIDTH)
    return text
