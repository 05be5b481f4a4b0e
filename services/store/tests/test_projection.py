"""Case 9: every legal and every illegal transition (spec/store.md §16.1), without a database."""

from typing import Any

import pytest

from dipeo_store.errors import IllegalTransition, Refused, Terminal
from dipeo_store.journal import Head, RunFacts, RunKey
from dipeo_store.model import Event
from dipeo_store.payload import dump
from dipeo_store.projection import project

STATUSES = ("pending", "running", "paused", "completed", "failed", "aborted", "maxiter_reached")
RUN_STATUSES = ("none", "running", "completed", "failed", "aborted", "skipped", "maxiter_reached")
KEY = RunKey("a", 0, 1)

EXECUTION_TABLE = {
    "execution.started": {"pending": "running"},
    "execution.paused": {"running": "paused"},
    "execution.resumed": {"paused": "running"},
    "execution.recovered": {"running": "running", "paused": "paused"},
    "execution.completed": {"running": "completed", "paused": "completed"},
    "execution.failed": {"pending": "failed", "running": "failed", "paused": "failed"},
    "execution.aborted": {"pending": "aborted", "running": "aborted", "paused": "aborted"},
    "execution.maxiter": {"running": "maxiter_reached", "paused": "maxiter_reached"},
    "execution.created": {},
}
RUN_TABLE = {
    "node.started": {"none": "running"},
    "node.completed": {"running": "completed"},
    "node.failed": {"running": "failed"},
    "node.aborted": {"running": "aborted"},
    "node.skipped": {"none": "skipped", "running": "skipped"},
}


def an_event(type_: str, **body: Any) -> Event:
    return Event(b"\0" * 16, type_, 1, body, dump(body))


def a_head(status: str = "running", runs: dict[RunKey, RunFacts] | None = None) -> Head:
    return Head(1, "exec_" + "0" * 32, status, 5, fence=1, claimed=True, runs=runs or {})


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("type_", EXECUTION_TABLE)
def test_case_9_an_execution_changes_status_only_as_the_table_says(type_: str, status: str):
    wanted = EXECUTION_TABLE[type_].get(status)
    if wanted is None:
        with pytest.raises(Terminal if status in STATUSES[3:] else IllegalTransition):
            project(a_head(status), [an_event(type_)], 1)
    else:
        after, placed, changes = project(a_head(status), [an_event(type_)], 1)
        assert (after.status, placed[0].seq, len(changes.events)) == (wanted, 6, 1)


@pytest.mark.parametrize("status", RUN_STATUSES)
@pytest.mark.parametrize("type_", RUN_TABLE)
def test_case_9_a_node_run_changes_status_only_as_the_table_says(type_: str, status: str):
    head = a_head(runs={} if status == "none" else {KEY: RunFacts(status, "A", "code_job", "")})
    event = an_event(type_, node_id="a", attempt=1)
    wanted = RUN_TABLE[type_].get(status)
    if wanted is None:
        with pytest.raises(IllegalTransition, match='node "a" iteration 0 attempt 1'):
            project(head, [event], 1)
        assert head.head_seq == 5
    else:
        assert project(head, [event], 1)[0].runs[KEY].status == wanted


@pytest.mark.parametrize("type_", ["node.started", "node.completed", "message.appended", "interaction.opened"])
def test_nothing_happens_in_an_execution_that_has_not_started(type_: str):
    event = an_event(type_, node_id="a", attempt=1, interaction_id="q")
    with pytest.raises(IllegalTransition, match="the execution is pending"):
        project(a_head("pending", {KEY: RunFacts("running", "A", "", "")}), [event], 1)


@pytest.mark.parametrize(("reason", "closed_as"), [("executor_lost", "aborted"), ("429 from the model", "failed")])
def test_a_retry_closes_the_attempt_before_and_opens_the_next_with_its_names(reason: str, closed_as: str):
    head = a_head(runs={KEY: RunFacts("running", "A", "code_job", "p")})
    after, _, changes = project(head, [an_event("node.retrying", node_id="a", attempt=2, reason=reason)], 1)
    assert (changes.closed[0].status, changes.closed[0].attempt) == (closed_as, 1)
    assert after.runs[RunKey("a", 0, 2)] == RunFacts("running", "A", "code_job", "p")
    assert (changes.opened[0].label, changes.opened[0].attempt, changes.advanced[0].runs_failed) == ("A", 2, 0)


@pytest.mark.parametrize("status", ["none", "completed", "skipped"])
def test_a_retry_of_what_did_not_break_off_is_refused(status: str):
    head = a_head(runs={} if status == "none" else {KEY: RunFacts(status, "A", "", "")})
    with pytest.raises(IllegalTransition):
        project(head, [an_event("node.retrying", node_id="a", attempt=2)], 1)


def test_a_batch_is_all_or_nothing():
    head = a_head()
    batch = [
        an_event("node.started", node_id="a", attempt=1),
        an_event("node.completed", node_id="a", attempt=1),
        an_event("node.completed", node_id="a", attempt=1),
    ]
    with pytest.raises(Refused):
        project(head, batch, 1)
    assert (head.head_seq, head.runs) == (5, {})
