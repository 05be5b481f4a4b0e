"""In which order nodes run, where no arrow leads back."""

import asyncio
from typing import Any

from dipeo_executor.export.runtime.arrows import Arrow, Outcome
from dipeo_executor.export.runtime.kinds import Output
from dipeo_executor.export.runtime.running import Run, Step, perform


class Dag(Outcome):
    """Every step waits for all that lead to it, and runs if any of them sent something along its arrow."""

    def __init__(self, run: Run, steps: list[Step], arrows: list[Arrow]) -> None:
        super().__init__(run, steps, arrows)
        self.number = {step.work: index for index, step in enumerate(steps)}
        self.into = [[arrow for arrow in arrows if arrow.target is step.work] for step in steps]
        self.settled: set[int] = set()  # steps that have run, or never will

    async def play(self) -> None:
        tasks: dict[asyncio.Task[Output], int] = {}
        failure: BaseException | None = None
        while True:
            if failure is None:
                for index, inputs in self.ready(set(tasks.values())):
                    tasks[asyncio.create_task(perform(self.run, self.steps[index], inputs))] = index
            if not tasks:
                break
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in sorted(done, key=tasks.__getitem__):
                index = tasks.pop(task)
                self.settled.add(index)
                error = self.ended(index, task)
                failure = failure or error
        if failure is not None:
            raise failure

    def ready(self, running: set[int]) -> list[tuple[int, dict[str, Any]]]:
        """(step, its inputs) of those that may start; those that never will are settled on the way."""
        found: dict[int, dict[str, Any]] = {}
        moved = True
        while moved:
            moved = False
            for index, into in enumerate(self.into):
                if index in self.settled or index in running or index in found:
                    continue
                if any(self.number[arrow.source] not in self.settled for arrow in into):
                    continue
                sent = [(arrow, self.outputs.get(self.number[arrow.source])) for arrow in into]
                inputs = {arrow.key: arrow.carried(output) for arrow, output in sent if output and arrow.takes(output)}
                if inputs or not into:
                    found[index] = inputs if into else dict(self.run.variables)
                else:
                    self.settled.add(index)
                    moved = True
        return sorted(found.items())
