"""Text -> a plain value with positions. YAML as PyYAML's safe loader reads it (1.1), JSON as the standard says.

Beyond that: dates become ISO text, keys with two leading underscores vanish, nothing is shared between two places of
the value, and what could exhaust the process is refused. (spec/formats.md §2)
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import yaml

from dipeo_executor.formats.diagnostics import Report
from dipeo_executor.formats.positions import JsonPositions, Mark, YamlPositions, mark_of

MAX_CHARACTERS = 4 * 1024 * 1024
MAX_DEPTH = 100  # the C composer recurses without a check of its own and takes the process down
MAX_BITS = (
    1024  # of a whole number in YAML: hexadecimal ones escape the interpreter's own limit and then cannot be shown
)
MAX_VALUES = 200_000  # counted after aliases are expanded


@dataclass(frozen=True, slots=True)
class Document:
    value: Any


def parse(text: str, path: str, report: Report, *, json_only: bool = False) -> Document | None:
    """Read a text, or report L1, L2 and return None. Sets the report's positions.

    A text that opens with "{" is tried as JSON first. Whether YAML may be tried after that (flow style) depends on the
    file name; `json_only` is the answer for a text without one.
    """
    text = text.removeprefix("\ufeff")
    if len(text) > MAX_CHARACTERS:
        report.add("L1", f"the text has {len(text)} characters; at most {MAX_CHARACTERS} are read")
        return None
    is_json_name = path.casefold().endswith(".json")
    is_yaml_name = path.casefold().endswith((".yaml", ".yml"))
    if is_json_name or text.lstrip().startswith("{"):
        value, problem, mark = _from_json(text)
        if not problem:
            return _checked_json(text, value, report)
        if is_json_name or (json_only and not is_yaml_name):
            report.add("L2", f"this is not JSON: {problem}", mark=mark)
            return None
    return _from_yaml(text, report)


def _from_json(text: str) -> tuple[Any, str, Mark]:
    try:
        value = json.loads(text, parse_constant=_no_constant)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()
        return value, "", (0, 0)
    except UnicodeEncodeError:
        return None, "an escape stands for half a character", (0, 0)
    except json.JSONDecodeError as error:
        return None, error.msg[0].lower() + error.msg[1:], (error.lineno, error.colno)
    except RecursionError:
        return None, "it is nested too deeply", (0, 0)
    except ValueError as error:  # an endless number, NaN
        return None, str(error), (0, 0)


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is no JSON value")


def _checked_json(text: str, value: Any, report: Report) -> Document | None:
    count, level = 0, [value]
    for _ in range(MAX_DEPTH):
        count += len(level)
        level = [child for item in level for child in (item.values() if isinstance(item, dict) else _items(item))]
        if not level or count > MAX_VALUES:
            break
    if level:
        report.add("L1", _too_much(count))
        return None
    report.positions = JsonPositions(text)
    return Document(_clean(value))


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _too_much(count: int) -> str:
    if count > MAX_VALUES:
        return f"the diagram holds more than {MAX_VALUES} values, aliases expanded"
    return f"the diagram is nested more than {MAX_DEPTH} deep"


def _from_yaml(text: str, report: Report) -> Document | None:
    try:
        text.encode()
        _check_depth(text)
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return Document(None)
            report.positions = YamlPositions(node)
            count, depth = _expanded(node)
            if count > MAX_VALUES or depth > MAX_DEPTH:
                report.add("L1", _too_much(count))
                return None
            value = loader.construct_document(node)
        finally:
            loader.dispose()
    except _TooDeep as error:
        report.add("L1", _too_much(0), mark=error.at)
    except yaml.MarkedYAMLError as error:
        ends_early = error.problem_mark is not None and error.problem_mark.index >= len(text)
        mark = error.context_mark if ends_early and error.context_mark else error.problem_mark
        report.add("L2", _yaml_words(error, text), mark=mark_of(mark))
    except (yaml.reader.ReaderError, UnicodeEncodeError) as error:
        offset = error.start if isinstance(error, UnicodeEncodeError) else error.position
        before = text[:offset]
        report.add(
            "L2",
            f"character {text[offset : offset + 1]!a} cannot stand in a diagram",
            mark=(before.count("\n") + 1, offset - before.rfind("\n")),
        )
    else:
        _report_repeated_keys(node, report)
        return Document(_clean(value))
    return None


def _yaml_words(error: yaml.MarkedYAMLError, text: str) -> str:
    words = [str(part) for part in (error.context, error.problem) if part]
    mark = error.problem_mark
    if mark and "\t" in "".join(text.splitlines()[mark.line : mark.line + 1])[: mark.column + 1]:
        words.append("indent with spaces, not tabs")
    return f"this is not YAML: {', '.join(words)}"


class _TooDeep(Exception):
    def __init__(self, at: Mark) -> None:
        self.at = at


def _check_depth(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise _TooDeep(mark_of(event.start_mark))
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _expanded(root: yaml.Node) -> tuple[int, int]:
    """How many values there are, and how deep, once every alias is a copy. A value within itself counts as endless.

    Recursion follows the text, not the aliases: what an alias names has always been met before.
    """
    known: dict[int, tuple[int, int]] = {}

    def measure(node: yaml.Node) -> tuple[int, int]:
        if id(node) in known:
            return known[id(node)]
        known[id(node)] = (MAX_VALUES + 1, 0)  # what an alias to an enclosing value finds
        children: list[yaml.Node] = []
        if isinstance(node, yaml.MappingNode):
            children = [child for entry in node.value for child in entry]
        elif isinstance(node, yaml.SequenceNode):
            children = node.value
        measured = [measure(child) for child in children]
        total = 1 + sum(count for count, _ in measured)
        known[id(node)] = (total, 1 + max((depth for _, depth in measured), default=0))
        return known[id(node)]

    return measure(root)


def _report_repeated_keys(root: yaml.Node, report: Report) -> None:
    seen: set[int] = set()
    nodes = [root]
    while nodes:
        node = nodes.pop()
        if id(node) in seen or not isinstance(node, yaml.CollectionNode):
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            nodes.extend(node.value)
            continue
        keys: set[str] = set()
        for key, value in node.value:
            nodes.append(value)
            # entries that came in through "<<" stand first and are meant to be overridden
            if isinstance(key, yaml.ScalarNode) and key.value in keys and not _is_merged(key, node):
                report.add(
                    "L17",
                    f'the key "{key.value}" stands twice in this map; the last one counts',
                    mark=mark_of(key.start_mark),
                )
            elif isinstance(key, yaml.ScalarNode) and not _is_merged(key, node):
                keys.add(key.value)


def _is_merged(key: yaml.Node, node: yaml.Node) -> bool:
    return not node.start_mark.index <= key.start_mark.index < node.end_mark.index


class _Loader(yaml.CSafeLoader):
    """PyYAML's safe loader with only the tags that make JSON values, and no crash on a malformed scalar."""

    yaml_constructors: ClassVar[dict[str | None, Callable[..., Any]]] = {}  # filled below


def _guarded(construct: Callable[..., Any], kind: str) -> Callable[..., Any]:
    def guarded(loader: _Loader, node: yaml.ScalarNode) -> Any:
        try:
            return construct(loader, node)
        except (ValueError, LookupError, AttributeError):
            problem = f'"{node.value[:40]}" looks like a {kind} but is none; quote it to make it text'
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from None

    return guarded


def _whole_number(loader: _Loader, node: yaml.ScalarNode) -> int:
    value = int(loader.construct_yaml_int(node))
    if value.bit_length() > MAX_BITS:
        raise ValueError
    return value


def _iso_date(loader: _Loader, node: yaml.ScalarNode) -> str:
    return str(loader.construct_yaml_timestamp(node).isoformat())


_Safe = yaml.constructor.SafeConstructor
for _tag, _construct in {
    "null": _Safe.construct_yaml_null,
    "bool": _guarded(_Safe.construct_yaml_bool, "truth value"),
    "int": _guarded(_whole_number, "whole number"),
    "float": _guarded(_Safe.construct_yaml_float, "number"),
    "timestamp": _guarded(_iso_date, "date"),
    "str": _Safe.construct_yaml_str,
    "seq": _Safe.construct_yaml_seq,
    "map": _Safe.construct_yaml_map,
}.items():
    _Loader.yaml_constructors[f"tag:yaml.org,2002:{_tag}"] = _construct
_Loader.yaml_constructors[None] = _Safe.construct_undefined


def _clean(value: Any) -> Any:
    """A copy without keys that start with two underscores."""
    if isinstance(value, dict):
        return {key: _clean(item) for key, item in value.items() if not (isinstance(key, str) and key.startswith("__"))}
    if isinstance(value, list):
        return [_clean(item) for item in value]
    return value
