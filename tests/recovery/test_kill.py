"""kill -9 of the stack at any moment loses nothing (store contract I7, architecture §3)."""

import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import Project, chain, wait_for

NODES = 30
STEP = "open('trace.txt', 'a').write(node_id + '\\\\n'); import time; time.sleep(0.03); result = len(inputs)"
STEPS = [f'{{label: n{i}, type: code_job, code: "{STEP}"}}' for i in range(NODES)]


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    made = Project(tmp_path)
    yield made
    made.stop()


def ended(project: Project, execution_id: str) -> str:
    status: str = project.results(execution_id)["status"]
    return status if status not in ("pending", "running") else ""


def check_nothing_lost_nothing_repeated(project: Project, execution_id: str, before: list) -> None:
    """`before` is the journal that was read before the kill."""
    assert wait_for(lambda: ended(project, execution_id), "the run to end", 60) == "completed"
    events = project.events(execution_id)
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1)), "the journal has a gap"
    assert events[: len(before)] == before, "an event that had been seen is gone or changed"
    completed_before = {event["node_id"] for event in before if event["type"] == "NODE_COMPLETED"}
    begun = Counter(attempt_of(event) for event in events if is_begin(event))
    assert all(count == 1 for count in begun.values()), "an attempt began twice"
    again = {event["node_id"] for event in events[len(before) :] if is_begin(event)}
    assert not completed_before & again, "a node whose completion was journaled ran again"
    attempts = Counter(node for node, _, _ in begun if node not in ("node_0", f"node_{NODES + 1}"))
    lines = Counter((project.base / "trace.txt").read_text().split())
    assert set(lines) == set(attempts)
    for node, count in attempts.items():
        # an attempt that was killed between its journaled start and its first line left none
        assert lines[node] == count or (count > 1 and lines[node] == count - 1), node


def is_begin(event: dict) -> bool:
    return event["type"] == "NODE_STARTED" or (event["data"] or {}).get("event") == "node.retrying"


def attempt_of(event: dict) -> tuple[str, int, int]:
    return event["node_id"], event["data"]["iteration"], event["data"]["attempt"]


def killed_and_resumed(project: Project, after_s: float) -> None:
    diagram = project.write("chain.light.yaml", chain(*STEPS))
    execution_id = project.background(diagram)
    wait_for(lambda: (project.base / "trace.txt").exists(), "the first node")
    time.sleep(after_s)  # the random moment itself, nothing is waited for
    before = project.events(execution_id)
    project.kill_stack()
    project("up", check=0)
    check_nothing_lost_nothing_repeated(project, execution_id, before)


@pytest.mark.parametrize("moment", range(5))
def test_a_run_survives_kill_9_at_a_random_moment(project: Project, moment: int):
    killed_and_resumed(project, random.Random(moment).uniform(0, 0.8))


@pytest.mark.nightly
@pytest.mark.parametrize("moment", range(5, 25))
def test_a_run_survives_kill_9_at_twenty_random_moments(project: Project, moment: int):
    killed_and_resumed(project, random.Random(moment).uniform(0, 1.2))


def test_a_question_survives_kill_9_and_takes_its_answer_afterwards(project: Project):
    diagram = project.write(
        "ask.light.yaml",
        "version: light\nnodes:\n  - {label: S, type: start}\n  - {label: Ask, type: user_response, prompt: 'Name?'}\n"
        "  - {label: E, type: endpoint}\nconnections:\n  - {from: S, to: Ask}\n  - {from: Ask, to: E}\n",
    )
    execution_id = project.background(diagram)
    wait_for(lambda: project.results(execution_id).get("pending_prompts"), "the question")
    project.kill_stack()
    project("up", check=0)
    wait_for(lambda: project.results(execution_id).get("pending_prompts"), "the question again")
    project("answer", execution_id, "Ask", "Bob", check=0)
    assert wait_for(lambda: ended(project, execution_id), "the run to end") == "completed"
    results = project.results(execution_id)
    assert results["final_output"] == "Bob"
    opened = [event for event in project.events(execution_id) if event["type"] == "INTERACTIVE_PROMPT"]
    assert len(opened) == 1, "the question was asked twice"
