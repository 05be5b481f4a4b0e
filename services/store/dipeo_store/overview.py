"""What one reader of all executions has seen of them, pure. (spec/store.md §16.7)"""

from collections.abc import Sequence

from dipeo_store.model import TERMINAL, Execution

MAX_VANISHED = 100
Mark = tuple[int, str, bool, bool]


class View:
    """`statuses`: those the reader asked for, empty = all. One that was sent and fits no longer is sent once more."""

    def __init__(self, statuses: Sequence[str]) -> None:
        self._statuses = frozenset(statuses)
        self._sent: dict[str, Mark] = {}

    def changed(self, found: Sequence[Execution]) -> list[Execution]:
        """Those of `found` (all that have not ended, and what ended lately) that are news."""
        news = [each for each in found if self._sent.get(each.execution_id) != _mark(each) and self._concerns(each)]
        known = {each.execution_id for each in found}
        self._sent = {id_: mark for id_, mark in self._sent.items() if id_ in known}
        for each in news:
            self._sent[each.execution_id] = _mark(each)
        return news

    def vanished(self, found: Sequence[Execution]) -> list[str]:
        """Ids of those that ran when last sent and are not among `found`: an executor whose clock is behind says they
        ended long ago. A bearable number of them.
        """
        known = {each.execution_id for each in found}
        gone = [id_ for id_, mark in self._sent.items() if id_ not in known and mark[1] not in TERMINAL]
        return gone[:MAX_VANISHED]

    def _concerns(self, execution: Execution) -> bool:
        return not self._statuses or execution.status in self._statuses or execution.execution_id in self._sent


def _mark(execution: Execution) -> Mark:
    return execution.head_seq, execution.status, execution.waiting, execution.attempts > 0
