"""Pause and resume as signals: what is asked for, and when it takes effect. (gateway contract 10.2)"""

from collections.abc import Callable, Sequence

from dipeo_executor.engine import events as ev
from dipeo_executor.engine.state import State
from dipeo_executor.engine.transitions import apply
from dipeo_protos.store.v1 import store_pb2


class Pauses:
    """Of one run. `put` hands events to the run's next step."""

    def __init__(self, state: State, put: Callable[..., None]) -> None:
        self._state, self._put = state, put
        self._asked: tuple[ev.SignalConsumed, ev.RunPaused] | None = None
        self._resuming = False  # a RunResumed is on its way to the state

    @property
    def holding(self) -> bool:
        """A pause was asked for and waits for what runs: nothing may start."""
        return self._asked is not None

    def pause(self, asked: store_pb2.Pause, consumed: ev.SignalConsumed) -> None:
        if self._asked or (self._state.paused and not self._resuming):
            self._put(consumed)
        else:
            self._asked = (consumed, ev.RunPaused(asked.reason, asked.principal))
            self._put()

    def resume(self, asked: store_pb2.Resume, consumed: ev.SignalConsumed) -> None:
        """Also undoes a pause that has not taken effect yet."""
        if self._asked:
            self._put(self._asked[0], consumed)
            self._asked = None
        elif self._state.paused and not self._resuming:
            self._resuming = True
            self._put(consumed, ev.RunResumed(asked.principal))
        else:
            self._put(consumed)

    def due(self) -> Sequence[ev.Event]:
        """The pause that was asked for, once nothing runs but questions to humans; already applied."""
        if self._asked is None or self._state.leaves > self._state.open_questions:
            return ()
        events, self._asked = self._asked, None
        self._resuming = False
        apply(self._state, events[1])
        return events
