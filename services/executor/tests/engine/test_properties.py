"""Random structured programs: the order in which nodes end changes nothing (decision 2), and replay is exact."""

import importlib.util
import os
import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from playing import Played, play, replayed
from structured import structured_program
from tangled import tangled_program

from dipeo_executor.engine.events import NodePassed, NodeStarted
from dipeo_executor.engine.state import Limits

ORDERS = 4
NO_GUARD = Limits(runs_per_node=10**6)


def firings(played: Played) -> Counter[tuple[str, int, tuple[tuple[int, int], ...]]]:
    """What started, which time, and from which tokens."""
    return Counter(
        (event.node, event.iteration, tuple((token.edge, token.token) for token in event.consumed))
        for event in played.journal
        if isinstance(event, NodeStarted)
    )


def check_completion_orders(seed: int) -> None:
    program, behaviour = structured_program(seed)
    runs = [play(program, behaviour, order=random.Random(order), limits=NO_GUARD) for order in range(ORDERS)]
    endpoint = next(node.id for node in program.nodes if node.type == "endpoint")
    for played in runs:
        assert played.end.status == "completed"
        assert played.starts.count(endpoint) == 1
        assert not any(isinstance(event, NodePassed) for event in played.journal)
        assert not played.state.root.holding, "a token was left unread"
    assert len({frozenset(firings(played).items()) for played in runs}) == 1
    assert len({repr(played.end.result) for played in runs}) == 1


def check_any_program(seed: int) -> None:
    """No stall, and replay is exact, whatever the arrows; loops that never end meet the guard."""
    program, behaviour = tangled_program(seed)
    played = play(program, behaviour, order=random.Random(seed), limits=Limits(runs_per_node=25))
    assert played.end.status in ("completed", "maxiter_reached", "failed")
    assert played.end.status != "failed" or (played.end.error is not None and played.end.error.code == "runaway")
    assert replayed(program, played) == played.state


def many(examples: int):
    """Hypothesis settings for plain seeds: nothing to shrink, no deadline on a shared machine."""
    return settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))


SEEDS = st.integers(min_value=0, max_value=2**32)


@given(SEEDS)
@many(300)
def test_every_completion_order_gives_the_same_firings_and_one_endpoint_run(seed):
    check_completion_orders(seed)


@pytest.mark.nightly
@given(SEEDS)
@many(2000)
def test_two_thousand_programs_under_every_completion_order(seed):
    check_completion_orders(seed)


@given(SEEDS)
@many(300)
def test_no_program_stalls_and_its_journal_replays(seed):
    check_any_program(seed)


@pytest.mark.nightly
@given(SEEDS)
@many(2000)
def test_two_thousand_tangled_programs_end_and_replay(seed):
    check_any_program(seed)


@given(SEEDS, SEEDS)
@many(300)
def test_replaying_any_journal_gives_the_same_state(seed, order):
    program, behaviour = structured_program(seed)
    played = play(program, behaviour, order=random.Random(order), limits=NO_GUARD)
    assert replayed(program, played) == played.state


@given(SEEDS)
@many(100)
def test_a_replayed_prefix_continues_to_the_same_end(seed):
    """A crash at any moment: what the journal holds so far is enough to go on."""
    program, behaviour = structured_program(seed)
    whole = play(program, behaviour, limits=NO_GUARD)
    cut = random.Random(seed).randrange(len(whole.journal))
    continued = play(program, behaviour, limits=NO_GUARD, prefix=whole.journal[:cut])
    assert firings(continued) == firings(whole) and continued.end.result == whole.end.result


@pytest.mark.parametrize("seed", range(60))
def test_firings_equal_those_of_the_executable_definition(seed):
    model = shared_model()
    program, behaviour = structured_program(seed)
    short = {"default": "d", "condtrue": "t", "condfalse": "f"}
    nodes = [(node.id, node.type, 0) for node in program.nodes]
    edges = [(edge.source, edge.target, short[edge.handle]) for edge in program.edges]
    reference = model.Run(
        nodes, edges, lambda node, count: "t" if behaviour[node]({}, count).taken else "f", seed
    ).run()
    expected = Counter((node, count, sources) for node, count, sources in reference.firings)
    played = play(program, behaviour, limits=NO_GUARD)
    ours = Counter(
        (event.node, event.iteration + 1, tuple(sorted(program.edges[token.edge].source for token in event.consumed)))
        for event in played.journal
        if isinstance(event, NodeStarted)
    )
    assert ours == expected


def shared_model():
    path = Path(os.environ.get("DIPEO_TEST_SHARED", "nowhere")) / "spec" / "readiness_model.py"
    if not path.exists():
        pytest.skip("the executable definition is not at hand (DIPEO_TEST_SHARED)")
    spec = importlib.util.spec_from_file_location("readiness_model", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
