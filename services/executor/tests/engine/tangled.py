"""Random programs without structure: any arrow between any two nodes, persons with limits, several ends."""

import random
from collections.abc import Mapping
from typing import Any

from playing import Branch

from dipeo_executor.program import Edge, Node, Program

KINDS = ["code_job", "code_job", "code_job", "condition", "condition", "person_job", "endpoint"]


def tangled_program(seed: int) -> tuple[Program, Mapping[str, Any]]:
    """(program, behaviour). Conditions are true at every k-th evaluation, or never."""
    rng = random.Random(seed)
    kinds = ["start", *(["start"] if rng.random() < 0.2 else []), *rng.choices(KINDS, k=rng.randint(1, 9))]
    nodes = tuple(
        Node(f"n{i}", kind, f"n{i}", None, max_iteration=rng.randint(1, 4) if kind == "person_job" else None)
        for i, kind in enumerate(kinds)
    )
    sources = [node for node in nodes if node.type != "endpoint"]
    targets = [node for node in nodes if node.type != "start"]
    edges = []
    for index in range(rng.randint(1, 2 * len(nodes))):
        source, target = rng.choice(sources), rng.choice(targets)
        handle = rng.choice(["condtrue", "condfalse"]) if source.type == "condition" else "default"
        key = rng.choice(["default", "a", "b"])
        edges.append(Edge(index, f"arrow_{index}", source.id, handle, target.id, key, "default", "raw_text"))

    def decide(every: int) -> Any:
        return lambda _inputs, count: Branch(bool(every) and count % every == 0)

    return Program(nodes, tuple(edges)), {
        node.id: decide(rng.choice([0, 1, 2, 3])) for node in nodes if node.type == "condition"
    }
