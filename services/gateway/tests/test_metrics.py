"""Figures out of journals written by hand, so that every one of them can be checked by eye."""

from typing import Any

import pytest

from dipeo_gateway import metrics
from dipeo_protos.store.v1 import events_pb2 as ev

BASE_MS = 1_700_000_000_000


class Journal:
    """Events at given milliseconds; `ran` is a node from start to end."""

    def __init__(self) -> None:
        self.events: list[ev.Event] = []
        self.at(0, execution_created=ev.ExecutionCreated())
        self.at(0, execution_started=ev.ExecutionStarted())

    def at(self, ms: float, **body: Any) -> "Journal":
        event = ev.Event(**body)
        event.at.FromMicroseconds(round((BASE_MS + ms) * 1000))
        self.events.append(event)
        return self

    def begin(self, ms: float, node: str, *sources: str, type: str = "code_job", **more: Any) -> "Journal":
        started = {"iteration": 0, "attempt": 1} | more
        consumed = [ev.Consumed(arrow_id=f"{source}-{node}", token=1, source=source) for source in sources]
        return self.at(
            ms, node_started=ev.NodeStarted(node_id=node, label=node.title(), type=type, consumed=consumed, **started)
        )

    def end(self, ms: float, node: str, **more: Any) -> "Journal":
        return self.at(ms, node_completed=ev.NodeCompleted(node_id=node, **({"attempt": 1} | more)))

    def metrics(self, end_ms: float | None = None, **how: Any) -> dict[str, Any]:
        if end_ms is not None:
            self.at(end_ms, execution_completed=ev.ExecutionCompleted())
        self.events.sort(key=lambda event: event.at.ToMicroseconds())
        for seq, event in enumerate(self.events, start=1):
            event.seq = seq
        return metrics.of("exec_1", self.events, **how)


def path(found: dict[str, Any]) -> list[str]:
    return [run["label"] for run in found["critical_path"]]


def diamond() -> Journal:
    journal = Journal().begin(1, "s", type="start").end(2, "s").begin(3, "a", "s").begin(3, "b", "s")
    return journal.end(1103, "b").end(1403, "a").begin(1404, "e", "a", "b", type="endpoint").end(1405, "e")


def test_case_34_the_longer_of_two_parallel_nodes_is_on_the_critical_path() -> None:
    found = diamond().metrics(1406)
    assert (found["node_count"], found["total_duration_ms"]) == (4, 1406)
    assert [(slow["node_id"], slow["node_type"]) for slow in found["bottlenecks"]] == [
        ("a_iter_0", "code_job"),
        ("b_iter_0", "code_job"),
    ]
    assert (path(found), found["critical_path_length"], found["critical_path_ms"]) == (["S", "A", "E"], 3, 1402)
    assert found["parallelizable_groups"] == 0
    assert found["bottlenecks"][0]["percentage"] == pytest.approx(99.6)
    assert [run["node_id"] for run in found["node_breakdown"]] == ["s_iter_0", "a_iter_0", "b_iter_0", "e_iter_0"]
    assert found["waiting_ms"] == 0 and not found["running"]


def test_a_run_that_fell_behind_without_need_is_a_parallel_group() -> None:
    journal = Journal().begin(0, "s").end(1, "s").begin(2, "a", "s").end(502, "a")
    journal.begin(503, "b", "s").end(803, "b")  # ready at 1, started after a
    found = journal.metrics(804)
    assert [(group["labels"], group["saving_ms"]) for group in found["parallel_groups"]] == [(["A", "B"], 300)]
    serial = next(each for each in found["optimizations"] if each["kind"] == "serial")
    assert serial["saving_ms"] == 300 and "A and B" in serial["title"]


def test_a_chain_beside_a_short_node_is_no_parallel_group() -> None:
    journal = Journal().begin(0, "s").end(1, "s").begin(2, "a", "s").begin(2, "b", "s").end(102, "b").end(202, "a")
    found = journal.begin(203, "c", "a").end(303, "c").metrics(304)
    assert found["parallel_groups"] == []


def test_what_runs_inside_a_sub_diagram_is_on_the_path_in_its_stead() -> None:
    journal = Journal().begin(0, "s").end(1, "s").begin(2, "sub", "s", type="sub_diagram")
    journal.begin(3, "sub/x").end(103, "sub/x").begin(104, "sub/y", "sub/x").end(304, "sub/y").begin(
        104, "sub/z", "sub/x"
    )
    journal.end(150, "sub/z").end(305, "sub").begin(306, "e", "sub").end(307, "e")
    found = journal.metrics(308)
    assert path(found) == ["S", "Sub/X", "Sub/Y", "E"]
    assert found["node_count"] == 6
    assert found["idle_ms"] < 10


def test_items_of_a_batch_that_wait_for_a_place_stand_one_after_another_on_the_path() -> None:
    journal = Journal().begin(0, "s").end(1, "s").begin(1, "k", "s", type="sub_diagram")
    for number, at in ((0, 1), (1, 101)):
        journal.begin(at, f"k/{number}", type="sub_diagram").begin(at, f"k/{number}/a", type="start")
        journal.end(at + 10, f"k/{number}/a").begin(at + 10, f"k/{number}/b", f"k/{number}/a")
        journal.end(at + 100, f"k/{number}/b").end(at + 100, f"k/{number}")
    found = journal.end(201, "k").begin(201, "e", "k").end(202, "e").metrics(202)
    assert path(found) == ["S", "K/0/A", "K/0/B", "K/1/A", "K/1/B", "E"]
    assert found["critical_path_ms"] == 202


def test_a_passed_node_links_the_runs_around_it() -> None:
    journal = Journal().begin(0, "a").end(100, "a")
    passed = ev.NodePassed(node_id="p", consumed=[ev.Consumed(arrow_id="x", token=1, source="a")])
    found = journal.at(101, node_passed=passed).begin(102, "b", "p").end(202, "b").metrics(203)
    assert path(found) == ["A", "B"]


def test_attempts_are_told_apart_and_what_failed_is_time_lost() -> None:
    journal = Journal().begin(0, "a")
    journal.at(400, node_retrying=ev.NodeRetrying(node_id="a", attempt=2, reason="RateLimited: slow down"))
    found = journal.end(500, "a", attempt=2).metrics(501)
    assert [(run["attempt"], run["duration_ms"], run["error"]) for run in found["node_breakdown"]] == [
        (1, 400, "RateLimited: slow down"),
        (2, 100, None),
    ]
    assert path(found) == ["A", "A"]
    retries = next(each for each in found["optimizations"] if each["kind"] == "retries")
    assert retries["saving_ms"] == 400 and "slow down" in retries["evidence"]


def test_the_time_before_another_attempt_is_nobody_s_work() -> None:
    journal = Journal().begin(0, "a")
    journal.at(100, node_retrying=ev.NodeRetrying(node_id="a", attempt=2, reason="busy", wait_ms=700))
    found = journal.end(900, "a", attempt=2).metrics(900)
    assert [(run["start_offset_ms"], run["duration_ms"]) for run in found["critical_path"]] == [(0, 100), (800, 100)]
    assert (found["backoff_ms"], found["idle_ms"], found["critical_path_ms"]) == (700, 0, 200)
    assert found["node_breakdown"][1]["module_timings"] == {"waiting_for_start": 700}
    kinds = {each["kind"]: each["saving_ms"] for each in found["optimizations"]}
    assert kinds == {"retries": 800}, "the node itself is not slow"


def test_an_attempt_that_ended_before_it_began_took_no_time() -> None:
    journal = Journal().begin(0, "a")
    journal.at(100, node_retrying=ev.NodeRetrying(node_id="a", attempt=2, reason="busy", wait_ms=5000))
    found = journal.at(300, node_aborted=ev.NodeAborted(node_id="a", attempt=2)).metrics(301)
    assert (found["node_breakdown"][1]["duration_ms"], found["backoff_ms"], found["idle_ms"]) == (0, 200, 1)


def test_what_a_lost_executor_took_along_is_not_the_node_s_time() -> None:
    journal = Journal().begin(0, "a").end(100, "a").begin(100, "b", "a")
    journal.at(3100, execution_recovered=ev.ExecutionRecovered(attempt=2))
    journal.at(3101, node_retrying=ev.NodeRetrying(node_id="b", attempt=2, reason="executor_lost"))
    found = journal.end(3201, "b", attempt=2).metrics(3201)
    assert (found["lost_ms"], found["total_duration_ms"], found["critical_path_ms"]) == (3000, 3201, 3201)
    titles = [each["title"] for each in found["optimizations"]]
    assert titles == ["See why the executor of B was lost"]


def test_waiting_for_a_human_and_pauses_are_reported_apart() -> None:
    journal = Journal().begin(0, "ask")
    journal.at(10, interaction_opened=ev.InteractionOpened(interaction_id="i", node_id="ask"))
    journal.at(910, interaction_closed=ev.InteractionClosed(interaction_id="i", node_id="ask", outcome="answered"))
    journal.end(920, "ask").at(930, execution_paused=ev.ExecutionPaused())
    found = journal.at(1930, execution_resumed=ev.ExecutionResumed()).metrics(1935)
    assert (found["waiting_ms"], found["paused_ms"]) == (900, 1000)
    assert found["optimizations"][0]["kind"] == "questions"
    assert "dominating" not in [each["kind"] for each in found["optimizations"]]
    assert found["idle_ms"] == 15


def test_tokens_add_up_and_a_cost_that_is_not_wholly_known_is_not_shown() -> None:
    priced = ev.TokenUsage(input=3000, output=50, cached=7, cost_usd=0.01)
    journal = Journal().begin(0, "a").end(10, "a", usage=priced)
    found = journal.begin(11, "b", "a").end(20, "b", usage=ev.TokenUsage(input=1, output=1, cost_usd=0.02)).metrics(21)
    usage = found["total_token_usage"]
    assert usage == {"input": 3001, "output": 51, "total": 3052, "cached": 7, "cost_usd": pytest.approx(0.03)}
    heavy = next(each for each in found["optimizations"] if each["kind"] == "heavy_input")
    assert heavy["title"].endswith("A") and heavy["saving_ms"] is None
    unpriced = Journal().begin(0, "a").end(1, "a", usage=ev.TokenUsage(input=5, output=5, cost_usd=0.01, unpriced=1))
    assert "cost_usd" not in unpriced.metrics(2)["total_token_usage"]


def test_the_same_prompt_to_the_same_person_is_noticed() -> None:
    journal = Journal()
    for number in range(3):
        journal.begin(number * 200, "ask", iteration=number)
        message = ev.MessageAppended(node_id="ask", iteration=number, person_id="p", role="user", content="Well?")
        journal.at(number * 200 + 99, message_appended=message).end(number * 200 + 100, "ask", iteration=number)
    found = journal.metrics(600)
    repeated = next(each for each in found["optimizations"] if each["kind"] == "repeated_prompt")
    assert repeated["saving_ms"] == 200 and "3 times" in repeated["evidence"]


def test_the_same_words_in_a_longer_conversation_are_another_prompt() -> None:
    journal = Journal()
    for number in range(2):
        journal.begin(number * 200, "ask", iteration=number)
        message = ev.MessageAppended(node_id="ask", iteration=number, person_id="p", role="user", content="Well?")
        used = ev.TokenUsage(input=10 * (number + 1), output=1)
        journal.at(number * 200 + 99, message_appended=message)
        journal.end(number * 200 + 100, "ask", iteration=number, usage=used)
    assert "repeated_prompt" not in [each["kind"] for each in journal.metrics(400)["optimizations"]]


def test_a_run_in_progress_has_figures_so_far() -> None:
    found = Journal().begin(0, "a").end(100, "a").begin(101, "b", "a").metrics()
    assert found["running"] and found["node_breakdown"][1]["duration_ms"] is None
    assert path(found) == ["A"]


def test_journals_that_name_no_sources_follow_the_order_of_completion() -> None:
    journal = Journal().begin(0, "a").end(100, "a").begin(101, "b").end(201, "b")
    assert path(journal.metrics(202)) == ["A", "B"]


def test_nothing_happened_yet() -> None:
    found = Journal().metrics()
    assert (found["node_count"], found["critical_path"], found["optimizations"]) == (0, [], [])


def test_the_threshold_of_a_bottleneck_can_be_set() -> None:
    assert [slow["label"] for slow in diamond().metrics(1406, threshold_ms=1200)["bottlenecks"]] == ["A"]
