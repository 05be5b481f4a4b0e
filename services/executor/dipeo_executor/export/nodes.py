"""What the writers of nodes share: the names of a script, and what it needs. One writer per node type: writers.py."""

import keyword
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from dipeo_executor.export.literals import call, literal
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
    is_inner: bool = False  # the diagram is inside another
    uses: set[str] = field(default_factory=set)
    packages: set[str] = field(default_factory=set)
    has_blocks: bool = False  # prompts with {{#if}} and the like
    filters: set[str] = field(default_factory=set)

    def ports(self, node: Node) -> list[str]:
        return list(dict.fromkeys(edge.key for edge in self.program.edges if edge.target == node.id))

    def person(self, name: str) -> str:
        return self.persons[name]

    def filled(self, text: str) -> str:
        """An expression for a text with {{names}}."""
        if "{{" not in text:
            return literal(text)
        if "{{#" in text:
            self.has_blocks = True
        self.uses.add("fill")
        return call("fill", [literal(text), "run", "inputs"])


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


def person_text(name: str, person: Person) -> str:
    more = {"system_prompt": literal(person.system_prompt)} if person.system_prompt else {}
    more |= {"base_url": literal(person.base_url)} if person.base_url else {}
    more |= {"label": literal(person.label)} if person.label != person.id else {}
    arguments = [literal(person.id), literal(person.service), literal(person.model)]
    return f"{name} = {call('Person', arguments, more)}"
