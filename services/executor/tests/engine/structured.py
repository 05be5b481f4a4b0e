"""Random structured programs: nested sequences, if, if-else, while, do-while and parallel blocks, start to endpoint."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from playing import Branch

from dipeo_executor.program import Edge, Node, Program

Exit = tuple[str, str]  # (node, handle)


@dataclass
class Decision:
    """What a condition answers: always the same, or true at every n-th evaluation."""

    always: bool | None = None
    every: int = 1

    def __call__(self, _inputs: Any, count: int) -> Branch:
        return Branch(self.always if self.always is not None else count % self.every == 0)


class Builder:
    """Grows one program; declaration order is shuffled in most of them, since it must not matter."""

    def __init__(self, rng: random.Random, *, loops: bool) -> None:
        self.rng = rng
        around = ["do_while", "while_"] if loops else []
        self.kinds = ["node", "node", "sequence", "if", "if_else", *around, "parallel"]
        self.nodes: list[tuple[str, str]] = [("n0", "start")]
        self.arrows: list[tuple[str, str, str]] = []
        self.decisions: dict[str, Decision] = {}

    def new(self, kind: str) -> str:
        self.nodes.append((f"n{len(self.nodes)}", kind))
        return self.nodes[-1][0]

    def join(self, exits: list[Exit], target: str) -> None:
        self.arrows += [(source, target, handle) for source, handle in exits]

    def block(self, depth: int) -> tuple[str, list[Exit]]:
        entry, exits = getattr(self, self.rng.choice(self.kinds if depth else ["node"]))(depth - 1)
        return entry, exits

    def node(self, _depth: int) -> tuple[str, list[Exit]]:
        node = self.new("code_job")
        return node, [(node, "default")]

    def sequence(self, depth: int) -> tuple[str, list[Exit]]:
        first, exits = self.block(depth)
        second, last = self.block(depth)
        self.join(exits, second)
        return first, last

    def if_(self, depth: int, *, other: bool) -> tuple[str, list[Exit]]:
        condition = self.new("condition")
        self.decisions[condition] = Decision(always=self.rng.random() < 0.5)
        entry, exits = self.block(depth)
        self.arrows.append((condition, entry, "condtrue"))
        if other:
            entry, others = self.block(depth)
            self.arrows.append((condition, entry, "condfalse"))
        else:
            others = [(condition, "condfalse")]
        merge = self.new("code_job")
        self.join(exits + others, merge)
        return condition, [(merge, "default")]

    def if_else(self, depth: int) -> tuple[str, list[Exit]]:
        return self.if_(depth, other=True)

    def do_while(self, depth: int) -> tuple[str, list[Exit]]:
        entry, exits = self.block(depth)
        condition = self.new("condition")
        self.join(exits, condition)
        self.arrows.append((condition, entry, "condfalse"))
        self.decisions[condition] = Decision(every=self.rng.randint(1, 3))
        return entry, [(condition, "condtrue")]

    def while_(self, depth: int) -> tuple[str, list[Exit]]:
        condition = self.new("condition")
        body, exits = self.block(depth)
        self.arrows.append((condition, body, "condfalse"))
        self.join(exits, condition)
        self.decisions[condition] = Decision(every=self.rng.randint(1, 3))
        return condition, [(condition, "condtrue")]

    def parallel(self, depth: int) -> tuple[str, list[Exit]]:
        fork, exits = self.new("code_job"), []
        for _ in range(self.rng.randint(2, 3)):
            entry, more = self.block(depth)
            self.arrows.append((fork, entry, "default"))
            exits += more
        merge = self.new("code_job")
        self.join(exits, merge)
        return fork, [(merge, "default")]


setattr(Builder, "if", lambda self, depth: self.if_(depth, other=False))


def structured_program(seed: int, *, loops: bool = True) -> tuple[Program, Mapping[str, Any]]:
    """(program, behaviour) for one seed. Nodes return what they were given and how often they ran."""
    builder = Builder(random.Random(seed), loops=loops)
    entry, exits = builder.block(builder.rng.randint(1, 4))
    builder.arrows.append(("n0", entry, "default"))
    builder.join(exits, builder.new("endpoint"))
    if builder.rng.random() < 0.7:
        builder.rng.shuffle(builder.nodes)
        builder.rng.shuffle(builder.arrows)
    nodes = tuple(Node(name, kind, name, None) for name, kind in builder.nodes)
    edges = tuple(
        Edge(i, f"arrow_{i}", source, handle, target, f"from_{source}_{handle}", "default", "raw_text")
        for i, (source, target, handle) in enumerate(builder.arrows)
    )
    return Program(nodes, edges), builder.decisions
