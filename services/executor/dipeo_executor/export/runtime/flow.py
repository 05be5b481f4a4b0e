"""In which order nodes run, loops and all."""

import asyncio
from collections.abc import Iterable
from typing import Any

from dipeo_executor.export.runtime.arrows import Arrow, Outcome
from dipeo_executor.export.runtime.kinds import Inputs, Output
from dipeo_executor.export.runtime.running import Count, Run, Step, Stopped, perform

MAX_RUNS = 1000  # of one node, so that a loop without an exit ends


class Flow(Outcome):
    """Steps, and the arrows between them. A step starts once an input has arrived and no other can still come.

    An arrow is fresh when its value has not been read. It is live when a step that runs or may run can still feed it in
    this round of the loops its target lies in. Steps and arrows are numbers here, in the order they were written.
    """

    def __init__(self, run: Run, steps: list[Step], arrows: list[Arrow]) -> None:
        super().__init__(run, steps, arrows)
        number = {step.work: index for index, step in enumerate(steps)}
        self.source = [number[arrow.source] for arrow in arrows]
        self.target = [number[arrow.target] for arrow in arrows]
        self.into = [[it for it, end in enumerate(self.target) if end == index] for index in range(len(steps))]
        self.out = [[it for it, end in enumerate(self.source) if end == index] for index in range(len(steps))]
        self.counts = [run.counts.setdefault(step.label, Count(step)) for step in steps]
        self.starts = {index for index, step in enumerate(steps) if step.type == "start"}
        self.published, self.read = [0] * len(arrows), [0] * len(arrows)
        self.carried: list[Any] = [None] * len(arrows)
        self.kept: list[Inputs] = [{} for _ in steps]  # inputs that stay for later rounds
        self.waiting = {index for index in range(len(steps)) if not self.into[index]}  # hold something unread
        self.busy: set[int] = set()
        self.branch: dict[int, str] = {}
        self.person_runs = 0
        self.passed_at: dict[int, int] = {}
        self.reach = [self._reachable({index}) for index in range(len(steps))]
        self.loops = self._loops()
        self.known_feeders: dict[tuple[int, int], set[int]] = {}

    async def play(self) -> None:
        tasks: dict[asyncio.Task[Output], int] = {}
        failure: BaseException | None = None
        while True:
            while failure is None and (index := self._next()) is not None:
                if self.counts[index].started >= MAX_RUNS:
                    if tasks:
                        break
                    raise Stopped(f'node "{self.steps[index].label}" has run {MAX_RUNS} times')
                inputs = self._take(index)
                self.busy.add(index)
                tasks[asyncio.create_task(perform(self.run, self.steps[index], inputs))] = index
                if self.steps[index].max_iteration is not None:
                    self.person_runs += 1
                await asyncio.sleep(0)  # it begins before anything else is decided
            if not tasks:
                if failure is not None:
                    raise failure
                if self._hand_on():
                    continue
                break
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in sorted(done, key=tasks.__getitem__):
                index = tasks.pop(task)
                self.busy.discard(index)
                error = self.ended(index, task)
                failure = failure or error
        is_reached = not self.ends or any(index in self.outputs for index in self.ends)
        if not is_reached and any(self._is_spent(index) for index in self.waiting):
            raise Stopped("no endpoint was reached: a person is at its max_iteration")

    # --- tokens ---

    def send(self, index: int, output: Output) -> None:
        super().send(index, output)
        if self.steps[index].type == "condition":
            self.branch[index] = output.port
        for it in self.out[index]:
            if self.arrows[it].takes(output):
                self.published[it] += 1
                self.carried[it] = self.arrows[it].carried(output)
                self.waiting.add(self.target[it])

    def _take(self, index: int) -> Inputs:
        """The inputs of a step: new values over those that stay from earlier rounds."""
        if not self.into[index]:
            self.waiting.discard(index)
            return dict(self.run.variables)
        fresh = {self.arrows[it].key: self.carried[it] for it in self.into[index] if self._is_fresh(it)}
        inputs: Inputs = {}
        for it in self.into[index]:
            key = self.arrows[it].key
            if key in fresh or key in self.kept[index]:
                inputs[key] = fresh[key] if key in fresh else self.kept[index][key]
        for it in self.into[index]:
            if self._is_fresh(it):
                self.read[it] = self.published[it]
                if self.arrows[it].key == "first" or self.arrows[it].talk:
                    self.kept[index].pop(self.arrows[it].key, None)
                else:
                    self.kept[index][self.arrows[it].key] = self.carried[it]
        self.waiting.discard(index)
        return inputs

    def _is_fresh(self, arrow: int) -> bool:
        return self.published[arrow] > self.read[arrow]

    # --- what may start ---

    def _next(self) -> int | None:
        """The first step that may start now."""
        may = sorted(index for index in self.waiting - self.busy if not self._is_spent(index))
        if self.ends and all(self.counts[index].started for index in self.ends):
            may = [index for index in may if not self._is_cyclic(index)]  # loops stop, side branches finish
        active = {*may, *self.busy}
        ready = (index for index in may if self._is_ready(index, active))
        found = next(ready, None)
        return found if found is not None or self.busy else self._released(may, active)

    def _is_ready(self, index: int, active: set[int], ranked: bool = True) -> bool:
        if any(self.target[it] in self.busy and self._is_fresh(it) for it in self.out[index]):
            return False  # a running reader takes the last value first
        if not self.into[index]:
            return True
        hit = False
        for it in self._awaited(index):
            if self._is_fresh(it):
                hit = hit or self._is_required(it)
            elif self.source[it] != index and self._feeders(index, self.source[it]) & (active - {index}):
                return False
        return hit and not (ranked and self._is_outranked(index, active))

    def _awaited(self, index: int) -> list[int]:
        """Arrows from a start node count for the first run only."""
        first = not self.counts[index].started
        return [it for it in self.into[index] if first or self.source[it] not in self.starts]

    def _is_required(self, arrow: int) -> bool:
        """Not the branch that a condition did not take."""
        port = self.arrows[arrow].port
        return port not in ("condtrue", "condfalse") or self.branch.get(self.source[arrow], port) == port

    def _is_spent(self, index: int) -> bool:
        limit = self.steps[index].max_iteration
        return limit is not None and self.counts[index].started >= limit

    def _is_outranked(self, index: int, active: set[int]) -> bool:
        return any(
            self.arrows[rival].priority > self.arrows[it].priority
            and self.target[rival] != index
            and self.target[rival] in active
            for it in self.into[index]
            for rival in self.out[self.source[it]]
        )

    def _released(self, may: list[int], active: set[int]) -> int | None:
        """Nothing runs and nothing is ready although values are unread: one entry of a tangled loop goes first."""
        for index in may:
            if self._is_ready(index, active, ranked=False):
                return index
        entries = [
            index
            for index in may
            if not self.counts[index].started
            or any(self._is_fresh(it) and self._closes_cycle(it) for it in self.into[index])
        ]
        spent = {index for index in range(len(self.steps)) if self._is_spent(index)}
        for cycles_wait in (False, True):
            for index in entries:
                alive = self._reachable(set(entries) - {index}, avoiding=spent | {index})
                missing = [it for it in self._awaited(index) if self._is_required(it) and not self._is_fresh(it)]
                if all(self._is_forgone(it, alive, cycles_wait) for it in missing):
                    return index
        return None

    def _is_forgone(self, arrow: int, alive: set[int], cycles_wait: bool) -> bool:
        if self.source[arrow] not in alive or self.read[arrow] > 0:
            return True
        return self._closes_cycle(arrow) and (cycles_wait or self.arrows[arrow].port in ("condtrue", "condfalse"))

    def _hand_on(self) -> bool:
        """A person at its limit hands its last value on while another person of its loop may still speak."""
        if self.ends and all(self.counts[index].started for index in self.ends):
            return False
        for index in sorted(self.waiting):
            company = any(
                other != index and index in self.reach[other] and other in self.reach[index]
                and step.max_iteration is not None and not self._is_spent(other)
                for other, step in enumerate(self.steps)
            )  # fmt: skip
            fed = any(self._is_fresh(it) and self._closes_cycle(it) for it in self.into[index])
            news = self.passed_at.get(index, -1) < self.person_runs
            if self._is_spent(index) and company and fed and news and index in self.outputs:
                self.passed_at[index] = self.person_runs
                self._take(index)
                self.send(index, self.outputs[index])
                return True
        return False

    # --- what is true of the diagram for ever ---

    def _reachable(self, roots: set[int], avoiding: Iterable[int] = ()) -> set[int]:
        """The roots, and all that arrows lead to from them."""
        seen, todo, avoided = set(roots), list(roots), set(avoiding)
        while todo:
            for it in self.out[todo.pop()]:
                if self.target[it] not in seen | avoided:
                    seen.add(self.target[it])
                    todo.append(self.target[it])
        return seen

    def _closes_cycle(self, arrow: int) -> bool:
        return self.source[arrow] in self.reach[self.target[arrow]]

    def _is_cyclic(self, index: int) -> bool:
        return any(self._closes_cycle(it) for it in self.out[index])

    def _feeders(self, index: int, source: int) -> set[int]:
        """Steps with a way to `source` that passes neither `index` nor the way back of a loop it lies in."""
        if (index, source) not in self.known_feeders:
            backward = {it for it, loop in self.loops.items() if index in loop}
            self.known_feeders[index, source] = self._leading_to(source, avoiding=index, without=backward)
        return self.known_feeders[index, source]

    def _leading_to(self, root: int, avoiding: int, without: Iterable[int] = ()) -> set[int]:
        seen, todo, left_out = {root}, [root], set(without)
        while todo:
            for it in self.into[todo.pop()]:
                before = self.source[it]
                if before != avoiding and before not in seen and it not in left_out:
                    seen.add(before)
                    todo.append(before)
        return seen

    def _loops(self) -> dict[int, set[int]]:
        """Arrow that leads back -> the steps of its loop. Found by walking from the starts, depth first."""
        found: dict[int, set[int]] = {}
        state = dict.fromkeys(range(len(self.steps)), "")
        roots = [*sorted(self.starts), *sorted(self.waiting), *range(len(self.steps))]
        for root in roots:
            path = [] if state[root] else [(root, iter(self.out[root]))]
            state[root] = state[root] or "open"
            while path:
                index, arrows = path[-1]
                arrow = next(arrows, None)
                if arrow is None:
                    state[index] = "done"
                    path.pop()
                    continue
                after = self.target[arrow]
                if state[after] == "open":
                    inside = {index} if index == after else self._leading_to(index, avoiding=after)
                    found[arrow] = {after, *inside}
                elif not state[after]:
                    state[after] = "open"
                    path.append((after, iter(self.out[after])))
        return found
