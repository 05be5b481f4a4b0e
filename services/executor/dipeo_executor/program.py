"""The compiled diagram: frozen, typed, no behaviour. Order of nodes and edges is declaration order and carries meaning.

The compiler makes it (compiler.py), the engine schedules it (engine/), nodes read their own `props` (nodes/).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Person:
    """Who answers prompts. `id` is what nodes name; in light files it equals the label unless given."""

    id: str
    label: str
    service: str  # folded and aliased: openai, anthropic, gemini, ollama, openai-compatible, mock …
    model: str
    api_key_id: str
    system_prompt: str = ""
    base_url: str = ""


@dataclass(frozen=True, slots=True)
class Edge:
    """One arrow. `key` names the input at the target: the arrow's label, else the target handle (0.2)."""

    index: int  # position in Program.edges
    arrow_id: str
    source: str
    handle: str  # default, condtrue, condfalse, success, error, results
    target: str
    key: str
    target_handle: str  # default, first
    content_type: str  # converts nothing; conversation_state out of a person_job selects the payload (2.2)
    priority: float = 0


@dataclass(frozen=True, slots=True)
class Node:
    """One node. Ids contain no "/": that separates the levels of a sub-diagram's paths."""

    id: str
    type: str
    label: str
    props: Any  # the typed model of nodes/<type>.py
    on_error: str = "fail"  # fail, continue (decision 1)
    max_iteration: int | None = None  # person_job only; other types run without bound
    child: "Program | None" = None  # a single sub_diagram, nested (decision 43)


@dataclass(frozen=True, slots=True)
class Budget:
    """What the model calls of a diagram may use while it runs, those of sub-diagrams included; 0 = no limit."""

    max_cost_usd: float = 0.0
    max_tokens: int = 0  # input and output

    def stricter(self, other: "Budget") -> "Budget":
        """Both limits at once."""

        def least(one: float, two: float) -> float:
            return min(one, two) if one and two else one or two

        return Budget(least(self.max_cost_usd, other.max_cost_usd), int(least(self.max_tokens, other.max_tokens)))


@dataclass(frozen=True, slots=True)
class Program:
    """A diagram ready to run."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    persons: Mapping[str, Person] = field(default_factory=dict)
    name: str = ""
    path: str = ""  # of the diagram file, relative to BASE when inside it; "" when it came from a pipe
    budget: Budget = Budget()
