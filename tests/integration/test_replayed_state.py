"""What a recovering executor rebuilds from the stored journal is what the one before it had in memory: states are
compared, after every append, which is wherever a crash may fall. (decision 27)
"""

import asyncio
import copy
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from house import House
from lightly import light

from dipeo_executor import executions, values, wire
from dipeo_executor.engine import events as ev
from dipeo_executor.engine.scheduler import advance
from dipeo_executor.engine.state import State, new_state
from dipeo_executor.engine.transitions import apply
from dipeo_executor.runner import Run
from dipeo_protos.store.v1 import events_pb2

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(path.name for path in (ROOT / "examples").glob("*.light.yaml"))
ODD_VALUES = light(
    """
    - {label: S, type: start, custom_data: {tea: "grün \\U0001F375"}}
    - {label: A, type: code_job, code: "result = {'big': 10**20, 'small': -0.1, 'none': None, 'nul': chr(0), 'deep': [[[{}]]]}"}
    - {label: B, type: code_job, on_error: continue, code: "raise ValueError('no')"}
    - {label: C, type: code_job, code: "result = 'x' * 20_000"}
    - {label: Q, type: user_response, prompt: "Go on?"}
    - {label: E, type: endpoint}
    """,  # noqa: E501
    """
    - {from: S, to: A}
    - {from: S, to: B}
    - {from: A, to: C}
    - {from: B, to: Q}
    - {from: C, to: E}
    - {from: Q, to: E}
    """,
)


class Watched(Run):
    """Keeps a copy of its state as of every append."""

    seen: ClassVar[list[tuple["Watched", int, State]]] = []

    async def _append(self, events: Sequence[ev.Event]) -> None:
        await super()._append(events)
        self.seen.append((self, self._head_seq, copy.deepcopy(self.state)))


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> type[Watched]:
    Watched.seen.clear()
    monkeypatch.setattr(executions, "Run", Watched)
    return Watched


def _replayed(live: Run, events: Sequence[events_pb2.Event], variables: Any) -> State:
    program = live.state.root.program
    state, names = new_state(program, variables, live.options.limits), wire.Names(program)
    for stored in events:
        if (event := wire.from_pb(stored, names)) is not None:
            apply(state, event)
    assert advance(state) == [], "something may start that had not"
    if state.ended:
        state.touched = dict(live.state.touched)  # what would be looked at next, if anything came next
    return state


async def _compare(home: House, watched: type[Watched], execution_id: str, appends: int) -> None:
    done = await home.follow(execution_id)
    assert done.status == "completed"
    variables = values.decode(done.execution.variables_json or b"{}")
    seen = [(run, seq, state) for run, seq, state in watched.seen if run.claim.execution_id == execution_id]
    assert len(seen) >= appends and seen[-1][1] == len(done.events)
    for run, seq, state in seen:
        assert _replayed(run, done.events[:seq], variables) == state, f"after seq {seq}"


@pytest.mark.parametrize("name", EXAMPLES)
async def test_the_journal_of_an_example_rebuilds_every_state_it_went_through(home: House, watched, name: str):
    shutil.copytree(ROOT / "examples", home.base / "examples")
    path = f"examples/{name}"
    submitted = await home.submit((home.base / path).read_text(), path=path, non_interactive=True)
    await _compare(home, watched, submitted.execution_id, appends=2)


async def test_odd_values_errors_answers_and_a_retry_rebuild_every_state(home: House, watched):
    submitted = await home.submit(ODD_VALUES)
    await _answer(home, submitted.execution_id)
    await _compare(home, watched, submitted.execution_id, appends=4)
    again = await home.retry(submitted.execution_id, from_node="C")
    await _answer(home, again)  # the question came after C began
    await _compare(home, watched, again, appends=2)


async def _answer(home: House, execution_id: str) -> None:
    async with asyncio.timeout(20):
        async for event in home.watch(execution_id):
            if event.HasField("interaction_opened"):
                await home.answer(execution_id, "Q", "ja \0 🍵")
                return
