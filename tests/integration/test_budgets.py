"""Budgets of diagrams inside diagrams. The mock counts words: each call here uses 6 tokens, and needs 5 beforehand."""

from house import Finished, House
from lightly import light

ADA = "Ada: {service: mock, model: m, system_prompt: You are Ada.}"
ASK = "{label: P%d, type: person_job, person: Ada, default_prompt: hi, memorize_to: GOLDFISH}"
CHAIN = "- {label: S, type: start}\n" + "\n".join(f"- {ASK % n}" for n in range(2))
ARROWS = "- {from: S, to: P0}\n- {from: P0, to: P1}"


def asking_twice(home: House, budget: str = "") -> None:
    """The diagram `child`: two calls, one after the other."""
    (home.base / "child.light.yaml").write_text(light(CHAIN, ARROWS, ADA) + (f"budget: {budget}\n" if budget else ""))


def outer(more: str = "", top: str = "") -> str:
    nodes = f"- {{label: S, type: start}}\n- {{label: K, type: sub_diagram, diagram_name: child{more}}}\n- {ASK % 9}"
    return light(nodes, "- {from: S, to: K}\n- {from: K, to: P9}", ADA) + top


def calls(done: Finished) -> list[str]:
    """Labels of the persons who answered."""
    return [run.label for run in done.node_runs if run.HasField("usage") and run.usage.output]


async def test_a_sub_diagram_has_a_budget_of_its_own_and_the_error_names_it(home: House):
    asking_twice(home, "{max_tokens: 8}")
    done = await home.run(outer())
    error = done.execution.error
    assert (done.status, error.code, calls(done)) == ("failed", "budget_exceeded", ["P0"])
    assert "about 5 tokens, 6 of the budget of sub-diagram node_1 of 8 are used" in error.message


async def test_the_budget_around_it_counts_its_calls_too(home: House):
    asking_twice(home, "{max_tokens: 1000}")
    enough = await home.run(outer(top="budget: {max_tokens: 18}\n"))
    assert enough.status == "completed" and calls(enough) == ["P0", "P1", "P9"]
    for options in ({}, {"max_tokens": 16}):
        top = "" if options else "budget: {max_tokens: 16}\n"
        done = await home.run(outer(top=top), **options)
        assert (done.execution.error.code, calls(done)) == ("budget_exceeded", ["P0", "P1"])
        assert "12 of the budget of 16 are used" in done.execution.error.message


async def test_each_run_of_a_sub_diagram_has_its_budget_anew(home: House):
    asking_twice(home, "{max_tokens: 12}")
    batch = light(
        "- {label: S, type: start}\n- {label: L, type: code_job, code: 'result = [1, 2, 3]'}\n"
        "- {label: K, type: sub_diagram, diagram_name: child, batch: true, max_concurrent: 1}",
        "- {from: S, to: L}\n- {from: L, to: K, label: items}",
    )
    done = await home.run(batch)
    assert done.status == "completed" and len(calls(done)) == 6
    stopped = await home.run(batch, max_tokens=20)
    assert (stopped.status, stopped.execution.error.code) == ("failed", "budget_exceeded"), "no item goes on without"
    assert len(calls(stopped)) == 3


async def test_nothing_handles_a_budget_that_is_used_up_inside(home: House):
    asking_twice(home, "{max_tokens: 8}")
    done = await home.run(outer(", on_error: continue"), keep_going=True)
    assert (done.status, done.execution.error.code, calls(done)) == ("failed", "budget_exceeded", ["P0"])


async def test_a_retried_run_knows_what_the_sub_diagram_has_spent(home: House):
    asking_twice(home, "{max_tokens: 8}")
    done = await home.run(outer())
    again = await home.follow(await home.retry(done.execution_id))
    assert (again.status, again.execution.error.code) == ("failed", "budget_exceeded")
    assert "6 of the budget of sub-diagram" in again.execution.error.message
