"""Following a run to its end: events in, progress and questions out, over dropped connections (spec/cli.md §3.8)."""

import signal
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, suppress
from types import FrameType
from typing import Any

from dipeo_cli.client import Gateway, StreamLost
from dipeo_cli.errors import Conflict, Stopped, Unreachable
from dipeo_cli.progress import View
from dipeo_cli.prompts import Desk

Event = dict[str, Any]
Step = tuple[Gateway | None, Event | None]
RECONNECT_S = 60.0
ASKING_POLL_S = 0.03
LIVE_POLL_S = 0.1
IDLE_POLL_S = 0.5


class GaveUp(Exception):
    """No end came although the run's own deadline is long over."""


class WaitedLongEnough(Exception):
    """The run goes on, but nobody wants to wait for it any longer."""


def events(
    connect: Callable[[], Gateway],
    execution_id: str,
    after_seq: int = 0,
    poll_s: Callable[[], float] = lambda: IDLE_POLL_S,
) -> Generator[Step, None, None]:
    """Every event once, in order, with the gateway it came from, up to the terminal one.

    Between events (None) comes often, as `poll_s` says; (None, None) while the gateway is lost and `connect` looks for
    it. Raises Unreachable when it stays lost, CliError when the gateway refuses.
    """
    seq, lost_at, pause_s = after_seq, 0.0, 0.1
    while True:
        try:
            with connect() as gateway, gateway.subscribe(execution_id, seq) as stream:
                while True:
                    event = stream.next(poll_s())
                    if event is not None and event["seq"] <= seq:
                        continue
                    if event is not None:
                        seq, lost_at, pause_s = event["seq"], 0.0, 0.1
                    yield gateway, event
                    if event is not None and (event.get("data") or {}).get("is_final"):
                        return
        except (StreamLost, Unreachable) as error:
            lost_at = lost_at or time.monotonic()
            if time.monotonic() - lost_at > RECONNECT_S:
                hint = f"the run may go on: `dipeo watch {execution_id}`"
                raise Unreachable(f"lost the gateway: {error}", hint=hint) from error
        yield None, None
        time.sleep(pause_s)
        pause_s = min(pause_s * 2, 2.0)


class Follower:
    """One run on screen. `connect` finds the gateway again after a loss, and may start the stack anew."""

    def __init__(
        self, connect: Callable[[], Gateway], execution_id: str, view: View, desk: Desk, *, fail_fast: bool = False
    ) -> None:
        self._connect, self._view, self._desk = connect, view, desk
        self.execution_id = execution_id
        self._fail_fast = fail_fast
        self._seq = 0
        self._paused = False

    def to_end(self, patience_s: float | None = None, wait_s: float | None = None) -> None:
        """Until the run has ended. Patience is spent while it neither is paused nor awaits a human; then GaveUp.

        After `wait_s`, however they are spent, WaitedLongEnough.
        """
        begun = before = time.monotonic()
        with closing(events(self._connect, self.execution_id, self._seq, self._poll_s)) as steps:
            for gateway, event in steps:
                if event is not None:
                    self._seq = event["seq"]
                    if (kind := (event.get("data") or {}).get("event")) in ("execution.paused", "execution.resumed"):
                        self._paused = kind == "execution.paused"
                    self._desk.take(event)
                    self._view.show(event)
                    if self._fail_fast and gateway is not None:
                        self._abort_after(event, gateway)
                elif not self._desk.reading:
                    self._view.tick()
                if gateway is not None:
                    self._desk.work(gateway)
                now = time.monotonic()
                if patience_s is not None and not self._desk.waiting and not self._paused:
                    patience_s -= now - before
                    if patience_s < 0:
                        raise GaveUp
                if wait_s is not None and now - begun > wait_s:
                    raise WaitedLongEnough
                before = now

    def _abort_after(self, event: Event, gateway: Gateway) -> None:
        """A failure the diagram deals with would let the run go on."""
        if event["type"] == "NODE_ERROR" and (event.get("data") or {}).get("handled"):
            self._fail_fast = False
            with suppress(Conflict):  # it has just ended
                gateway.abort(self.execution_id, f'node "{event.get("node_name")}" failed (--fail-fast)')

    def _poll_s(self) -> float:
        if self._desk.reading:
            return ASKING_POLL_S
        return LIVE_POLL_S if self._view.is_live else IDLE_POLL_S


@contextmanager
def signals_raise() -> Iterator[None]:
    """Ctrl-C, SIGTERM and SIGHUP raise Stopped in here. A SIGHUP that was ignored, as under nohup, stays so."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Stopped(number)

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    for number, handler in before.items():
        if number != signal.SIGHUP or handler is not signal.SIG_IGN:
            signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
