"""The scheduler of exported scripts against the engine: the same nodes start, in the same order, on the same inputs."""

import asyncio
from collections.abc import Mapping
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from playing import Branch, play
from structured import structured_program
from tangled import tangled_program

from dipeo_executor.engine.state import Limits
from dipeo_executor.export.order import needs_rounds
from dipeo_executor.export.runtime import flow as scripts
from dipeo_executor.export.runtime.arrows import Outcome
from dipeo_executor.export.runtime.dag import Dag
from dipeo_executor.export.runtime.kinds import Inputs, Output
from dipeo_executor.export.runtime.running import Run, Step, Stopped
from dipeo_executor.program import Node, Program

SEEDS = st.integers(min_value=0, max_value=2**32)
MANY = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
SETTLED = 12  # turns of the event loop after which nothing moves any more by itself


class Script:
    """A program as a script runs it; of the running nodes the oldest ends first, one at a time."""

    def __init__(self, program: Program, behaviour: Mapping[str, Any], order: type[Outcome]) -> None:
        self.program, self.behaviour, self.order = program, behaviour, order
        self.starts: list[tuple[str, Inputs]] = []
        self.running: list[asyncio.Future[None]] = []

    def work(self, node: Node) -> Any:
        async def run(run: Run, inputs: Inputs) -> Any:
            self.starts.append((node.id, inputs))
            gate = asyncio.get_running_loop().create_future()
            self.running.append(gate)
            await gate
            act = self.behaviour.get(node.id)
            value = act(inputs, run.count) if act else None
            if node.type == "condition":
                holds = value.taken if isinstance(value, Branch) else True
                return Output(dict(inputs), "condtrue" if holds else "condfalse")
            if node.type == "endpoint":
                return inputs["default"] if list(inputs) == ["default"] else dict(inputs)
            return {"default": dict(inputs)} if node.type == "start" else node.id

        return run

    async def play(self) -> str:
        """How it ended: completed, maxiter_reached or runaway."""
        works = {node.id: self.work(node) for node in self.program.nodes}
        steps = [
            Step(works[node.id], node.label, node.type, max_iteration=node.max_iteration) for node in self.program.nodes
        ]
        arrows = [
            scripts.Arrow(works[edge.source], works[edge.target], edge.key, edge.handle) for edge in self.program.edges
        ]
        ending = asyncio.create_task(self.order(Run({}, {}), steps, arrows).result())
        while not ending.done():
            for _ in range(SETTLED + 4 * len(steps)):
                await asyncio.sleep(0)
            if self.running:
                self.running.pop(0).set_result(None)
        try:
            await ending
        except Stopped as error:
            return "maxiter_reached" if "max_iteration" in str(error) else "runaway"
        return "completed"


def check(program: Program, behaviour: Mapping[str, Any], order: type[Outcome] = scripts.Flow) -> None:
    script = Script(program, behaviour, order)
    ended = asyncio.run(script.play())
    played = play(program, behaviour, limits=Limits(runs_per_node=scripts.MAX_RUNS))
    status = "runaway" if played.end.error is not None else played.end.status
    assert (ended, script.starts) == (status, played.inputs)


@MANY
@given(SEEDS)
def test_structured_programs_run_as_in_the_engine(seed):
    check(*structured_program(seed))


@MANY
@given(SEEDS)
def test_programs_without_a_way_back_run_as_in_the_engine_by_the_simple_rule_too(seed):
    program, behaviour = structured_program(seed, loops=False)
    assert not needs_rounds(program)
    check(program, behaviour, Dag)


@MANY
@given(SEEDS)
def test_tangled_programs_run_as_in_the_engine(seed):
    before, scripts.MAX_RUNS = scripts.MAX_RUNS, 6  # each round of conditions doubles what they hand on
    try:
        check(*tangled_program(seed))
    finally:
        scripts.MAX_RUNS = before
