"""The two text languages of nodes: double braces in prompts, single braces in file names. (node contract 3.1, 3.2)

    {{path}}   {{#if path}}…{{else}}…{{/if}}   {{#unless path}}…{{/unless}}
    {{#each path}}…{{this.k}} {{@index}} {{@first}} {{@last}}…{{/each}}

Blocks nest. What does not resolve, and what is not of these forms, stays in the text as it was written; so does a block
that is never closed. Work is linear in the length of the template, plus what loops produce.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

MAX_DEPTH = 50  # of blocks; deeper ones are plain text
MAX_OUTPUT = 10 * 1024 * 1024  # characters
MAX_ROUNDS = 100_000  # of all loops of one rendering

Scopes = Sequence[Mapping[str, Any]]

_PATH = r"@?\w+(?:\.\w+|\[[\w.]+\])*"
_TAG = re.compile(r"\{\{([^{}]*)\}\}")
_WHOLE_PATH = re.compile(_PATH)
_OPEN = re.compile(rf"#(if|unless|each)\s+({_PATH})")
_SINGLE = re.compile(rf"\{{\{{({_PATH})\}}\}}|\{{({_PATH})\}}")
_STEP = re.compile(r"\.?(@?\w+)|\[([\w.]+)\]")
_FALSE_WORDS = ("", "false", "0", "no", "none")


class TemplateError(Exception):
    """Rendering would produce more than the limits allow."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """`missing`: the paths that stayed in the text, each once, in order."""

    text: str
    missing: tuple[str, ...] = ()


def render(template: str, scopes: Scopes) -> Rendered:
    """Fill a prompt. Names are looked up in `scopes`, nearest first. Raises TemplateError."""
    if "{{" not in template:
        return Rendered(template)
    rendering = _Rendering()
    rendering.parts(_parse(template), tuple(scopes))
    return Rendered("".join(rendering.out), tuple(rendering.missing))


def render_path(template: str, scopes: Scopes) -> Rendered:
    """Fill a file name: {path}, and {{path}} as the same."""
    missing: dict[str, None] = {}

    def fill(match: re.Match[str]) -> str:
        path = match[1] or match[2]
        value = lookup(path, scopes)
        if value is None:
            missing[path] = None
        return match[0] if value is None else as_text(value)

    return Rendered(_SINGLE.sub(fill, template), tuple(missing))


def scopes_of(inputs: Mapping[str, Any], variables: Mapping[str, Any], custom_data: Mapping[str, Any]) -> Scopes:
    """Where templates look names up, nearest first (decision 5); `inputs` as they came, `globals` are the variables."""
    whole = {"inputs": dict(inputs), "globals": dict(variables), "local": {}}
    return (prepare(inputs), variables, custom_data, whole)


def prepare(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Inputs as templates see them: `default` and `first` unwrapped and spread, conversations as text and list."""
    top: dict[str, Any] = {}
    for port in ("default", "first"):
        if port in inputs:
            value = unwrap(inputs[port])
            if isinstance(value, Mapping):
                top = {**value, **top}
            top[port] = value
    for port, value in inputs.items():
        if port in ("default", "first"):
            continue
        if isinstance(value, Mapping) and "messages" in value:
            top.update(_conversation(port, value["messages"]))
        else:
            top[port] = value
    return top


def unwrap(value: Any) -> Any:
    """Strip the "default" levels that start and condition put around a value."""
    while isinstance(value, Mapping) and len(value) == 1 and "default" in value:
        value = value["default"]
    return value


def _conversation(port: str, messages: Any) -> dict[str, Any]:
    if not isinstance(messages, list) or not messages:
        return {}
    last = messages[-1]
    text = last.get("content") if isinstance(last, Mapping) else last
    return {f"{port}_last_message": text, f"{port}_messages": messages}


def lookup(path: str, scopes: Scopes) -> Any:
    """The value at a path such as `a.b[0].c` or `rows[i].k`; null when there is none."""
    value: Any = None
    for position, (name, index) in enumerate(_STEP.findall(path)):
        if position == 0:
            value = next((scope[name] for scope in scopes if name in scope), None)
        elif name:
            value = value.get(name) if isinstance(value, Mapping) else None
        else:
            at = int(index) if index.isdecimal() and len(index) < 10 else lookup(index, scopes)
            inside = isinstance(value, list | tuple) and isinstance(at, int) and 0 <= at < len(value)
            value = value[at] if inside else None
        if value is None:
            return None
    return value


def as_text(value: Any) -> str:
    """Maps and lists as indented JSON, the rest as Python writes it (True, 2.5)."""
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(value, indent=2, ensure_ascii=False, default=str)
    return str(value)


def is_true(value: Any) -> bool:
    return value.lower() not in _FALSE_WORDS if isinstance(value, str) else bool(value)


@dataclass(slots=True)
class _Block:
    kind: str  # if, unless, each
    path: str
    tag: str  # as written
    body: list["_Part"] = field(default_factory=list)
    otherwise: list["_Part"] | None = None  # after {{else}}

    def add(self, part: "_Part") -> None:
        (self.body if self.otherwise is None else self.otherwise).append(part)


@dataclass(frozen=True, slots=True)
class _Variable:
    path: str
    tag: str


_Part = str | _Variable | _Block


@lru_cache(maxsize=256)
def _parse(template: str) -> tuple[_Part, ...]:
    root = _Block("", "", "")
    stack = [root]
    open_kinds: list[str] = []
    end = 0
    for match in _TAG.finditer(template):
        stack[-1].add(template[end : match.start()])
        end = match.end()
        tag, inner = match[0], match[1]
        opening = _OPEN.fullmatch(inner)
        if opening and len(stack) <= MAX_DEPTH:
            stack.append(_Block(opening[1], opening[2], tag))
            open_kinds.append(opening[1])
        elif inner[:1] == "/" and inner[1:] in open_kinds:
            while True:  # blocks left open inside this one are plain text
                block, kind = stack.pop(), open_kinds.pop()
                if kind == inner[1:]:
                    break
                _spill(block, stack[-1])
            stack[-1].add(block)
        elif inner.strip() == "else" and len(stack) > 1 and stack[-1].otherwise is None:
            stack[-1].otherwise = []
        elif _WHOLE_PATH.fullmatch(inner.strip(" ")):
            stack[-1].add(_Variable(inner.strip(" "), tag))
        else:
            stack[-1].add(tag)
    stack[-1].add(template[end:])
    while len(stack) > 1:
        _spill(stack.pop(), stack[-1])
    return tuple(root.body)


def _spill(block: _Block, into: _Block) -> None:
    parts = [block.tag, *block.body]
    if block.otherwise is not None:
        parts += [_Variable("else", "{{else}}"), *block.otherwise]
    for part in parts:
        into.add(part)


class _Rendering:
    def __init__(self) -> None:
        self.out: list[str] = []
        self.missing: dict[str, None] = {}
        self.size = 0
        self.rounds = 0

    def parts(self, parts: Sequence[_Part], scopes: tuple[Mapping[str, Any], ...]) -> None:
        for part in parts:
            if isinstance(part, str):
                self.write(part)
            elif isinstance(part, _Variable):
                value = lookup(part.path, scopes)
                if value is None:
                    self.missing[part.path] = None
                self.write(part.tag if value is None else as_text(value))
            else:
                self.block(part, scopes)

    def block(self, block: _Block, scopes: tuple[Mapping[str, Any], ...]) -> None:
        value = lookup(block.path, scopes)
        if block.kind != "each":
            holds = is_true(value) is (block.kind == "if")
            self.parts(block.body if holds else block.otherwise or (), scopes)
            return
        items = value if isinstance(value, list | tuple) else ()
        if not items:
            self.parts(block.otherwise or (), scopes)
        for index, item in enumerate(items):
            self.rounds += 1
            if self.rounds > MAX_ROUNDS:
                raise TemplateError(f"the loops of the template go round more than {MAX_ROUNDS} times")
            inner = {"this": item, "@index": index, "@first": index == 0, "@last": index == len(items) - 1}
            self.parts(block.body, (inner, *scopes))

    def write(self, text: str) -> None:
        self.size += len(text)
        if self.size > MAX_OUTPUT:
            raise TemplateError(f"the filled template is longer than {MAX_OUTPUT} characters")
        self.out.append(text)
