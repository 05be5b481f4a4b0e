"""Which budgets a node's model calls count against: that of its diagram and of every diagram around it."""

from dataclasses import astuple

from dipeo_executor.engine.state import Frame, State
from dipeo_executor.llm.ledger import Ledger
from dipeo_executor.llm.prices import Prices
from dipeo_executor.nodes.base import Usage
from dipeo_executor.program import Budget


class Ledgers:
    """Of one run. `budget`: of the run as such, besides what its diagrams say."""

    def __init__(self, state: State, budget: Budget, prices: Prices) -> None:
        self._state, self._budget, self._prices = state, budget, prices
        self._kept: dict[str, tuple[int, Ledger]] = {}  # by path of the frame; the run of its node it belongs to

    def of(self, frame: Frame) -> Ledger:
        """Of the innermost diagram that has a budget. It begins with what the journal says was spent there: after a
        crash, or in a retry of a run.
        """
        if frame.path and frame.program.budget == Budget():
            return self.of(self._state.around(frame)[1])
        run = self._state.runs.get(frame.path, 0)
        known, ledger = self._kept.get(frame.path, (-1, None))
        if ledger is None or known != run:
            ledger = self._opened(frame)
            self._kept[frame.path] = run, ledger
        return ledger

    def _opened(self, frame: Frame) -> Ledger:
        spent = Usage(*astuple(frame.spent))
        if not frame.path:
            return Ledger(frame.program.budget.stricter(self._budget), self._prices, spent)
        outer = self.of(self._state.around(frame)[1])
        return Ledger(frame.program.budget, self._prices, spent, outer, f" of sub-diagram {frame.path}")
