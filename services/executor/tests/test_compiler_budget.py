"""A diagram's own budget: read from every format, told when it is wrong, kept over conversion."""

import json

import pytest
from compiling import codes, compiled

from dipeo_executor.program import Budget

LIGHT = """
version: light
nodes:
- {label: S, type: start}
- {label: E, type: endpoint}
connections:
- {from: S, to: E}
"""
NATIVE = {
    "nodes": [{"id": "s", "type": "start"}, {"id": "e", "type": "endpoint"}],
    "arrows": [{"id": "a", "source": "s_default_output", "target": "e_default_input"}],
}


@pytest.mark.parametrize(
    ("budget", "meant"),
    [
        ("budget: {max_cost_usd: 1.5}", Budget(max_cost_usd=1.5)),
        ("budget: {max_tokens: 1000, max_cost_usd: 2}", Budget(2, 1000)),
        ("metadata: {budget: {max_tokens: 7}}", Budget(max_tokens=7)),
        ("budget: null", Budget()),
    ],
)
def test_a_budget_is_read_from_the_top_or_from_the_metadata(budget, meant):
    program = compiled(LIGHT + budget).program
    assert program is not None and program.budget == meant


def test_a_native_diagram_has_one_too():
    program = compiled(json.dumps({**NATIVE, "budget": {"max_tokens": 9}})).program
    assert program is not None and program.budget == Budget(max_tokens=9)


@pytest.mark.parametrize(
    ("budget", "words"),
    [
        ("budget: 5", "budget must be a map"),
        ("budget: {max_tokens: 1.5}", "max_tokens must be a whole number above 0"),
        ("budget: {max_cost_usd: -1}", "max_cost_usd must be a number above 0"),
    ],
)
def test_a_budget_that_makes_no_sense_is_told_with_its_line(budget, words):
    done = compiled(LIGHT + budget)
    assert codes(done) == ["L7"] and words in done.diagnostics[0].message and done.diagnostics[0].line == 8


def test_the_stricter_of_two_budgets_counts_limit_by_limit():
    assert Budget(1.0, 500).stricter(Budget(2.0, 0)) == Budget(1.0, 500)
    assert Budget(0.0, 500).stricter(Budget(2.0, 100)) == Budget(2.0, 100)
