"""What the writers of nodes share: the names of a script, and what it needs. One writer per node type: writers.py."""

import keyword
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from dipeo_executor.export.literals import block, call, literal
from dipeo_executor.program import Node, Person, Program


class CannotExport(Exception):
    """The message says what of the node a script cannot do."""


@dataclass(slots=True)
class Writer:
    """One diagram of a script. `uses` collects names of the runtime, `packages` what a script needs installed."""

    program: Program
    names: Mapping[str, str]  # node id -> name of its function
    persons: Mapping[str, str]  # person id -> name of its constant
    inner: Mapping[str, str]  # id of a sub-diagram node -> name of the function that runs its diagram
    taken: set[str]  # names of the script
    is_inner: bool = False  # the diagram is inside another
    uses: set[str] = field(default_factory=set)
    packages: set[str] = field(default_factory=set)
    has_blocks: bool = False  # prompts with {{#if}} and the like
    filters: set[str] = field(default_factory=set)
    function: str = ""  # the one that is being written
    constants: list[str] = field(default_factory=list)  # to stand above it

    def ports(self, node: Node) -> list[str]:
        return list(dict.fromkeys(edge.key for edge in self.program.edges if edge.target == node.id))

    def person(self, name: str) -> str:
        return self.persons[name]

    def text(self, text: str, what: str) -> str:
        """An expression for a text: its name where it has several lines, which then stand above the function."""
        if not (quoted := block(text)):
            return literal(text)
        name = constant_name(f"{self.function}_{what}", self.taken)
        self.constants.append(f"{name} = {quoted}")
        return name

    def filled(self, text: str, what: str = "text") -> str:
        """An expression for a text with {{names}}."""
        if "{{" not in text:
            return self.text(text, what)
        if "{{#" in text:
            self.has_blocks = True
        self.uses.add("fill")
        return call("fill", [self.text(text, what), "run", "inputs"])


def name_of(label: str, taken: set[str], fallback: str) -> str:
    """A name for Python that reads like the label, with `fallback_` before it where the plain one is taken."""
    plain = re.sub(r"_+", "_", re.sub(r"\W", "_", label.strip().lower(), flags=re.ASCII)).strip("_")
    is_unfit = not plain or plain[0].isdigit() or keyword.iskeyword(plain) or keyword.issoftkeyword(plain)
    if is_unfit or plain in taken:
        plain = f"{fallback}_{plain}".rstrip("_")
    name, number = plain, 1
    while name in taken:
        number += 1
        name = f"{plain}_{number}"
    taken.add(name)
    return name


def constant_name(words: str, taken: set[str]) -> str:
    name = name_of(words, {word.lower() for word in taken}, "the").upper()
    taken.add(name)
    return name


def person_text(name: str, person: Person, taken: set[str]) -> str:
    lines, more = [], {}
    if quoted := block(person.system_prompt):
        constant = constant_name(f"{name}_system_prompt", taken)
        lines.append(f"{constant} = {quoted}")
        more["system_prompt"] = constant
    elif person.system_prompt:
        more["system_prompt"] = literal(person.system_prompt)
    more |= {"base_url": literal(person.base_url)} if person.base_url else {}
    more |= {"label": literal(person.label)} if person.label != person.id else {}
    arguments = [literal(person.id), literal(person.service), literal(person.model)]
    return "\n".join([*lines, f"{name} = {call('Person', arguments, more)}"])
