"""What is true of a program for ever: its loops, and which nodes can still feed which edge (decision 2).

Nodes are numbered in declaration order; sets of nodes are integers, bit i = node i. Everything beyond the adjacency
lists is computed at first need and kept: an event costs what it touches, never what the program holds.
"""

from collections.abc import Iterable, Iterator
from functools import cached_property

from dipeo_executor.program import Program


class Graph:
    """Adjacency and loop structure of one program. `shared`: what is inside every node of it, when that is the same."""

    def __init__(self, program: Program, *, shared: "Graph | None" = None) -> None:
        self.program = program
        self._shared = shared
        self.index = {node.id: i for i, node in enumerate(program.nodes)}
        self.size = len(program.nodes)
        self.source = [self.index[edge.source] for edge in program.edges]
        self.target = [self.index[edge.target] for edge in program.edges]
        self.arrow = {edge.arrow_id: edge.index for edge in program.edges}
        self.incoming: list[list[int]] = [[] for _ in program.nodes]
        self.outgoing: list[list[int]] = [[] for _ in program.nodes]
        for edge in program.edges:
            self.incoming[self.target[edge.index]].append(edge.index)
            self.outgoing[self.source[edge.index]].append(edge.index)
        self.starts = _mask(i for i, node in enumerate(program.nodes) if node.type == "start")
        self.endpoints = _mask(i for i, node in enumerate(program.nodes) if node.type == "endpoint")
        self.sourceless = _mask(i for i in range(self.size) if not self.incoming[i])
        self.branching = [edge.handle in ("condtrue", "condfalse") for edge in program.edges]
        self.ranked = any(edge.priority for edge in program.edges)
        self._reach: dict[tuple[int, int], int] = {}
        self._children: dict[int, Graph] = {}

    def child(self, node: int) -> "Graph":
        """The graph of the sub-diagram inside `node`, made once."""
        if self._shared is not None:
            return self._shared
        if node not in self._children:
            program = self.program.nodes[node].child
            if program is None:
                raise ValueError(f"node {self.program.nodes[node].id} holds no sub-diagram")
            self._children[node] = Graph(program)
        return self._children[node]

    def feeders(self, node: int, source: int) -> int:
        """Nodes with a path to `source` that avoids `node` and takes no back edge of a loop `node` lies in."""
        key = (node, source)
        if key not in self._reach:
            avoided = {edge for edge, loop in self.loops.items() if loop >> node & 1}
            seen, todo = 1 << source, [source]
            while todo:
                for edge in self.incoming[todo.pop()]:
                    before = self.source[edge]
                    if before == node or seen >> before & 1 or edge in avoided:
                        continue
                    seen |= 1 << before
                    todo.append(before)
            self._reach[key] = seen
        return self._reach[key]

    @cached_property
    def loops(self) -> dict[int, int]:
        """Back edge -> its natural loop: the head, and every node that reaches the edge without passing the head."""
        return {edge: self._natural_loop(edge) for edge in self._back_edges()}

    @cached_property
    def component(self) -> list[int]:
        """Strongly connected component of each node (Tarjan, without recursion)."""
        return _components(self)

    @cached_property
    def cyclic(self) -> int:
        """Nodes that lie on a cycle."""
        return _mask(self.source[edge] for edge in range(len(self.source)) if self.closes_cycle(edge))

    def closes_cycle(self, edge: int) -> bool:
        """Whether the edge's source can be reached from its target."""
        return self.component[self.source[edge]] == self.component[self.target[edge]]

    def reachable_from(self, roots: int, *, through: int) -> int:
        """Nodes reachable from `roots` (included), walking over nodes of `through` only."""
        seen, todo = roots, list(bits(roots))
        while todo:
            for edge in self.outgoing[todo.pop()]:
                after = self.target[edge]
                if not seen >> after & 1 and through >> after & 1:
                    seen |= 1 << after
                    todo.append(after)
        return seen

    def _back_edges(self) -> list[int]:
        """Edges that lead to a node still on the path of a depth-first walk: starts first, then source-less nodes."""
        found: list[int] = []
        state = [""] * self.size
        roots = [*bits(self.starts), *bits(self.sourceless), *range(self.size)]
        for root in roots:
            if state[root]:
                continue
            state[root] = "open"
            path = [(root, iter(self.outgoing[root]))]
            while path:
                node, edges = path[-1]
                for edge in edges:
                    after = self.target[edge]
                    if state[after] == "open":
                        found.append(edge)
                    elif not state[after]:
                        state[after] = "open"
                        path.append((after, iter(self.outgoing[after])))
                        break
                else:
                    state[node] = "done"
                    path.pop()
        return found

    def _natural_loop(self, back_edge: int) -> int:
        source, head = self.source[back_edge], self.target[back_edge]
        inside = 1 << head | 1 << source
        todo = [source] if source != head else []
        while todo:
            for edge in self.incoming[todo.pop()]:
                before = self.source[edge]
                if not inside >> before & 1:
                    inside |= 1 << before
                    todo.append(before)
        return inside


def bits(mask: int) -> Iterator[int]:
    """Positions of the set bits, ascending."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def _mask(nodes: Iterable[int]) -> int:
    mask = 0
    for node in nodes:
        mask |= 1 << node
    return mask


def _components(graph: Graph) -> list[int]:
    order: list[int] = [-1] * graph.size
    low: list[int] = [0] * graph.size
    component: list[int] = [-1] * graph.size
    stack: list[int] = []
    clock = 0
    for root in range(graph.size):
        if order[root] >= 0:
            continue
        work = [(root, iter(graph.outgoing[root]))]
        order[root] = low[root] = clock
        clock += 1
        stack.append(root)
        while work:
            node, edges = work[-1]
            for edge in edges:
                after = graph.target[edge]
                if order[after] < 0:
                    order[after] = low[after] = clock
                    clock += 1
                    stack.append(after)
                    work.append((after, iter(graph.outgoing[after])))
                    break
                if component[after] < 0:
                    low[node] = min(low[node], order[after])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == order[node]:
                    while True:
                        member = stack.pop()
                        component[member] = node
                        if member == node:
                            break
    return component
