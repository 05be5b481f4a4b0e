"""The scheduling cases of engine contract 8.3 without I/O, named by number (decision 32 lists the overridden ones)."""

import pytest
from playing import Branch, Played, Speech, SubProps, play, program

from dipeo_executor.engine.events import NodeCompleted, NodeFailed, NodePassed, NodeStarted, RunPaused, RunResumed
from dipeo_executor.engine.state import Limits
from dipeo_executor.program import Node


def persons_at_limit(made):
    """A detect_max_iterations condition over the persons of `made` (engine contract 3)."""
    limits = {node.id: node.max_iteration for node in made.nodes if node.max_iteration is not None}

    def decide(counts):
        ran = [(name, count) for name, count in counts.items() if name in limits and count]
        return Branch(bool(ran) and all(count >= limits[name] for name, count in ran))

    return decide


def play_detecting(made, conditions=("C",), behaviour=None):
    counts: dict[str, int] = {}
    decide = persons_at_limit(made)

    def person(name):
        def speak(_inputs, count):
            counts[name] = count
            return f"{name} {count}"

        return speak

    acts = {node.id: person(node.id) for node in made.nodes if node.max_iteration is not None}
    acts |= {name: lambda *_: decide(counts) for name in conditions}
    return play(made, acts | (behaviour or {}))


def skipped(played: Played) -> list[str]:
    return list(played.end.skipped)


def test_case_1_a_side_branch_finishes_its_work_after_the_endpoint_began():
    """Decision 3 overrides: D runs."""
    played = play(program("S:start A B X D E:endpoint", "S > A; A > E; S > B; B > X; X > D"))
    assert sorted(played.starts) == sorted(["S", "A", "B", "X", "E", "D"])
    assert played.end.status == "completed" and not skipped(played)


def test_case_2_a_condition_joins_both_branches_once():
    """Decision 2 overrides: C once with a and b, F once."""
    made = program(
        "S:start A B B2 C:condition F E:endpoint", "S > A; S > B; B > B2; A > C (a); B2 > C (b); C.f > F; F > E"
    )
    played = play(made, {"C": Branch(False), "F": lambda inputs, _: dict(inputs)})
    assert played.starts == ["S", "A", "B", "B2", "C", "F", "E"]
    assert played.inputs_of("C") == [{"a": "A", "b": "B2"}]
    assert played.inputs_of("F") == [{"default": {"a": "A", "b": "B2"}}]


def test_case_3_exclusive_endpoints_complete():
    made = program("S:start A C:condition E1:endpoint E2:endpoint", "S > A; A > C; C.t > E1; C.f > E2")
    played = play(made, {"A": {"x": 5}})
    assert played.starts == ["S", "A", "C", "E1"]
    assert played.end.status == "completed" and skipped(played) == ["E2"]
    assert played.state.root.output[3] == {"default": {"x": 5}}


def test_case_4_exclusive_branches_without_endpoints_complete():
    played = play(program("S:start A C:condition T F", "S > A; A > C; C.t > T; C.f > F"))
    assert played.starts == ["S", "A", "C", "T"] and played.end.status == "completed" and skipped(played) == ["F"]


def test_case_5_a_merge_after_if_else_takes_the_branch_that_came():
    made = program("S:start C:condition T F M E:endpoint", "S > C; C.t > T; C.f > F; T > M (t); F > M (f); M > E")
    played = play(made)
    assert played.starts == ["S", "C", "T", "M", "E"] and played.inputs_of("M") == [{"t": "T"}]


def test_case_6_an_inactive_branch_edge_is_not_required():
    made = program("S:start C:condition T M", "S > C; C.t > T; C.f > M (f); T > M (t)")
    assert play(made).inputs_of("M") == [{"t": "T"}]


def test_case_7_an_orphan_runs_once_with_the_variables():
    played = play(program("S:start O A B E:endpoint", "S > A; A > B; B > E"), variables={"v": 1})
    assert played.starts.count("O") == 1 and played.inputs_of("O") == [{"v": 1}]


@pytest.mark.parametrize("case", [8, 9])
def test_case_8_9_a_person_loop_runs_to_its_limit_skippable_or_not(case):
    made = program("S:start P:person_job/3 C:condition E:endpoint", "S > P; P > C; C.f > P; C.t > E")
    played = play_detecting(made)
    assert played.starts == ["S", "P", "C", "P", "C", "P", "C", "E"] and played.end.status == "completed"


def test_case_10_a_loop_entered_from_an_ordinary_node():
    made = program(
        "S:start I B C:condition E:endpoint", "S > I; I > B (state); B > C (state); C.f > B (state); C.t > E"
    )
    played = play(
        made,
        {
            "I": {"n": 0},
            "B": lambda inputs, _: {"n": inputs["state"].get("state", inputs["state"])["n"] + 1},
            "C": lambda inputs, _: Branch(inputs["state"]["n"] >= 3),
        },
    )
    assert played.starts.count("B") == 3
    assert played.inputs_of("B")[1] == {"state": {"state": {"n": 1}}}


def test_case_11_a_person_at_its_limit_ends_the_run_as_maxiter_reached():
    made = program("S:start P:person_job/2 C:condition E:endpoint", "S > P; P > C; C.f > P; C.t > E")
    played = play(made, {"C": Branch(False)})
    assert played.starts.count("P") == 2 and played.end.status == "maxiter_reached"


DEBATE = """
    Start > Topic; Topic > Optimist.first (topic); Topic > Pessimist.first (topic); Optimist > Pessimist
    Pessimist > Detect; Detect.f > Optimist; Detect.t > Judge; Judge > Save
"""


def test_case_12_the_debate_runs_as_drawn():
    made = program(
        "Start:start Topic Optimist:person_job/2 Pessimist:person_job/3 Detect:condition"
        " Judge:person_job/1 Save:endpoint",
        DEBATE,
    )
    played = play_detecting(made, conditions=("Detect",))
    assert played.starts == [
        "Start", "Topic", "Optimist", "Pessimist", "Detect", "Optimist", "Pessimist", "Detect", "Pessimist", "Detect",
        "Judge", "Save",
    ]  # fmt: skip
    assert [event.node for event in played.journal if isinstance(event, NodePassed)] == ["Optimist"]
    assert played.end.status == "completed"


def test_case_13_an_exposed_index_counts_the_evaluations():
    made = program("S:start C:condition F E:endpoint", "S > C; C.f > F; F > C; C.t > E")
    played = play(made, {"C": lambda _, count: Branch(count - 1 >= 2)})
    assert played.starts.count("C") == 3 and played.starts.count("F") == 2


def test_case_14_a_person_without_max_iteration_runs_a_hundred_times():
    made = program("S:start P:person_job C:condition E:endpoint", "S > P; P > C; C.f > P; C.t > E")
    assert play_detecting(made).starts.count("P") == 100


def test_case_15_a_person_that_never_ran_is_ignored():
    made = program(
        "S:start A:person_job/2 C:condition P:person_job/5 E:endpoint", "S > A; A > C; C.f > A; C.t > P; P > E"
    )
    played = play_detecting(made)
    assert played.starts == ["S", "A", "C", "A", "C", "P", "E"]


def test_case_16_a_run_without_endpoint_goes_on_to_quiescence():
    made = program("S:start P:person_job/3 C:condition", "S > P; P > C; C.f > P")
    played = play_detecting(made)
    assert played.starts.count("P") == 3 and played.end.status == "completed"


def test_case_17_two_exits_of_a_loop_join_once_in_the_endpoint():
    """Decision 2 overrides, by its executable definition: E waits while the loop can still feed it, then runs once."""
    made = program("S:start P:person_job/3 C:condition E:endpoint", "S > P; P > C; C.f > P; C.t > E (c); P > E (p)")
    played = play_detecting(made)
    assert played.starts == ["S", "P", "C", "P", "C", "P", "C", "E"]
    assert played.inputs_of("E") == [{"c": {"default": "P 3"}, "p": "P 3"}]


def test_case_18_a_join_on_two_conditions_takes_the_branch_that_holds():
    made = program(
        "S:start C1:condition C2:condition J E:endpoint", "S > C1; S > C2; C1.t > J (a); C2.t > J (b); J > E"
    )
    played = play(made, {"C1": Branch(True), "C2": Branch(False)})
    assert [sorted(inputs) for inputs in played.inputs_of("J")] == [["a"]]


def test_case_19_a_condition_and_a_node_join_once():
    made = program("S:start C:condition A X", "S > C; S > A; C.t > X (c); A > X (a)")
    played = play(made)
    assert [sorted(inputs) for inputs in played.inputs_of("X")] == [["a", "c"]]


def test_case_20_a_skippable_condition_is_waited_for_like_any_other():
    """Decision 2 overrides: X once, with a and c."""
    made = program(
        "S:start A D C:condition X Y Z E:endpoint",
        "S > A; A > X (a); A > D; D > C; C.t > X (c); X > E (x); D > Y; Y > Z; Z > E (z)",
    )
    played = play(made)
    assert [sorted(inputs) for inputs in played.inputs_of("X")] == [["a", "c"]] and played.starts.count("E") == 1


def test_case_21_an_arrow_without_branch_never_carries_anything():
    played = play(program("S:start C:condition X T", "S > C; C > X; C.t > T"))
    assert played.starts == ["S", "C", "T"] and skipped(played) == ["X"]


def test_case_22_two_starts_feed_one_node():
    played = play(program("S1:start S2:start X", "S1 > X (s1); S2 > X (s2)"), variables={"v": 1})
    assert played.inputs_of("X") == [{"s1": {"default": {"v": 1}}, "s2": {"default": {"v": 1}}}]


@pytest.mark.parametrize("case", [26, 27])
def test_case_26_27_arrows_convert_nothing(case):
    played = play(program("S:start A B", "S > A; A > B"), {"A": {"k": [1, None]}})
    assert played.inputs_of("B") == [{"default": {"k": [1, None]}}]


def test_case_28_the_arrow_declared_last_wins_a_collision():
    made = program("S:start A B X", "S > A; S > B; B > X (k); A > X (k)")
    assert play(made).inputs_of("X") == [{"k": "A"}]


def boom(*_):
    raise ValueError("boom")


def test_case_30_a_failing_node_fails_the_run_and_what_runs_is_awaited():
    """Decision 1 overrides."""
    played = play(program("S:start A B X E:endpoint", "S > A; S > B; A > X; X > E; B > E"), {"A": boom})
    assert played.starts == ["S", "A", "B"] and played.end.status == "failed"
    assert played.end.error is not None and (played.end.error.type, played.end.error.message) == ("ValueError", "boom")
    assert any(isinstance(event, NodeCompleted) and event.node == "B" for event in played.journal)


def test_decision_1_an_error_arrow_carries_the_error_and_only_it():
    played = play(program("S:start A X Y E:endpoint", "S > A; A > X; A.error > Y; X > E; Y > E"), {"A": boom})
    assert played.starts == ["S", "A", "Y", "E"]
    assert played.inputs_of("Y") == [{"default": {"error": "boom", "type": "ValueError", "node": "A"}}]
    assert played.end.status == "completed" and "1 node run(s) failed" in played.end.warnings[0]


def test_decision_1_on_error_continue_sends_the_error_along_the_default_arrow():
    played = play(program("S:start A! E:endpoint", "S > A; A > E"), {"A": boom})
    assert played.end.status == "completed" and played.end.result_is_error
    assert played.end.result == {"error": "boom", "type": "ValueError", "node": "A"}


def test_decision_1_keep_going_treats_every_node_so():
    played = play(program("S:start A B", "S > A; A > B"), {"A": boom}, limits=Limits(keep_going=True))
    assert played.starts == ["S", "A", "B"] and played.end.status == "completed" and not played.end.result_is_error
    assert [event.port for event in played.journal if isinstance(event, NodeFailed)] == ["default"]


def test_case_42_44_conversation_arrows_carry_the_payload_others_the_text():
    made = program("S:start P:person_job X Y", "S > P; P > X; P > Y (a) conversation")
    played = play(made, {"P": lambda *_: Speech("hello", {"messages": [1]})})
    assert played.inputs_of("X") == [{"default": "hello"}] and played.inputs_of("Y") == [{"a": {"messages": [1]}}]


def test_case_45_a_first_handle_is_an_ordinary_required_arrow():
    made = program("S:start A B P:person_job", "S > A; S > B; A > P.first; B > P")
    assert play(made, {"A": {"topic": 1}}).inputs_of("P") == [{"first": {"topic": 1}, "default": "B"}]


def child(name="K", **props):
    inner = program("s:start c e:endpoint", "s > c; c > e", name="inner")
    return {name: Node(name, "sub_diagram", name, SubProps(**props), child=inner)}


def test_case_48_a_sub_diagram_hands_back_the_body_of_its_endpoint():
    made = program("S:start K E:endpoint", "S > K; K > E", children=child(pass_input_data=True))
    played = play(made, {"c": lambda inputs, _: {"got": inputs["default"]}}, variables={"a": 1})
    assert played.starts == ["S", "K", "K/s", "K/c", "K/e", "E"]
    assert played.end.result == {"got": {"default": {"default": {"a": 1}}}}
    assert played.state.root.variables == {"a": 1}


def test_case_49_input_mapping_names_the_variables_of_the_child():
    made = program("S:start A K", "S > A; A > K", children=child(input_mapping={"zz": "default"}))
    played = play(made, {"A": {"q": 1}})
    assert played.inputs_of("K/c") == [{"default": {"default": {"zz": {"q": 1}}}}]


def test_output_mapping_selects_from_the_result_and_from_nodes():
    mapping = {"v": "got.x", "whole": "c", "deep": "c.got.x", "none": "nope"}
    made = program("S:start K", "S > K", children=child(output_mapping=mapping))
    played = play(made, {"c": {"got": {"x": 3}}})
    assert played.end.result == {"v": 3, "whole": {"got": {"x": 3}}, "deep": 3, "none": None}


def test_case_50_a_batch_runs_the_child_once_per_item_in_order():
    made = program("S:start A K E:endpoint", "S > A; A > K; K > E", children=child(batch=True))
    acts = {"A": {"items": ["x", "y"]}, "c": lambda inputs, _: inputs["default"]["default"]}
    played = play(made, acts)
    assert played.starts == [
        "S", "A", "K", "K/0", "K/0/s", "K/1", "K/1/s", "K/0/c", "K/1/c", "K/0/e", "K/1/e", "E",
    ]  # fmt: skip
    assert played.inputs_of("K/1/c") == [
        {"default": {"default": {"default": "y", "_batch_index": 1, "_batch_total": 2}}}
    ]
    assert [one["index"] for one in played.end.result] == [0, 1]


def test_sub_4_a_batch_runs_so_many_items_at_a_time_and_keeps_their_order():
    made = program("S:start K", "S > K", children=child(batch=True, max_concurrent=2))
    played = play(
        made, {"c": lambda inputs, _: inputs["default"]["default"]["default"] * 10}, variables={"items": [1, 2, 3, 4]}
    )
    begun = [path for path in played.starts if path.startswith("K/") and path.count("/") == 1]
    assert begun == ["K/0", "K/1", "K/2", "K/3"] and played.starts.index("K/2") > played.starts.index("K/0/e")
    assert [one["output"] for one in played.end.result] == [{"default": n} for n in (10, 20, 30, 40)]


def test_a_failed_item_keeps_its_place_and_the_batch_goes_on():
    def fussy(inputs, _):
        item = inputs["default"]["default"]["default"]
        return 1 // item

    made = program("S:start K", "S > K", children=child(batch=True, batch_parallel=False))
    played = play(made, {"c": fussy}, variables={"items": [1, 0]})
    assert played.end.status == "completed"
    assert played.end.result[0]["output"] == {"default": 1} and played.end.result[1] == {
        "index": 1,
        "error": "integer division or modulo by zero",
    }
    assert play(made, {"c": fussy}, variables={"items": [0, 0]}).end.status == "failed"


def test_a_batch_without_items_gives_the_empty_list():
    made = program("S:start K", "S > K", children=child(batch=True))
    assert play(made, variables={"items": []}).end.result == []


def test_a_half_done_batch_goes_on_after_a_crash_without_repeating_finished_items():
    made = program("S:start K", "S > K", children=child(batch=True, max_concurrent=2))
    acts = {"c": lambda inputs, _: inputs["default"]["default"]["default"]}
    whole = play(made, acts, variables={"items": [1, 2, 3]})
    cut = (
        next(i for i, event in enumerate(whole.journal) if isinstance(event, NodeCompleted) and event.node == "K/0") + 1
    )
    again = play(made, acts, variables={"items": [1, 2, 3]}, prefix=whole.journal[:cut])
    assert again.starts.count("K/0/c") == 1 and again.end.result == whole.end.result


def test_an_isolated_sub_diagram_has_a_conversation_of_its_own():
    inner = program("s:start p:person_job", "s > p")
    node = Node("K", "sub_diagram", "K", SubProps(isolate_conversation=True), child=inner)
    made = program("S:start P:person_job K Q:person_job", "S > P; P > K; K > Q", children={"K": node})
    talk = Speech("hi", None)
    played = play(made, {"P": talk, "p": talk, "Q": talk})
    histories = {event.node: event.history for event in played.journal if isinstance(event, NodeStarted)}
    assert (histories["K/p"], histories["Q"]) == (0, 1)


def test_a_sub_diagram_may_refuse_to_run_inside_another():
    shy = Node("K", "sub_diagram", "K", SubProps(ignore_if_sub=True), child=program(""))
    outer = Node("O", "sub_diagram", "O", SubProps(), child=program("s:start K", "s > K", children={"K": shy}))
    played = play(program("S:start O", "S > O", children={"O": outer}))
    assert played.end.result == {"skipped": True, "reason": "this diagram runs as a sub-diagram"}


def test_a_child_that_fails_fails_its_node_with_the_childs_message():
    made = program("S:start K E:endpoint", "S > K; K > E", children=child())
    played = play(made, {"c": boom})
    assert played.end.status == "failed" and played.end.error is not None
    assert (played.end.error.message, played.end.error.node) == ("boom", "K/c")


def test_when_the_run_fails_a_sub_diagram_starts_nothing_more_and_is_aborted():
    made = program("S:start A K", "S > A; S > K", children=child())
    played = play(made, {"A": boom})
    assert (
        played.starts == ["S", "A", "K", "K/s"] and played.end.status == "failed" and set(played.state.frames) == {""}
    )


def test_a_sub_diagram_in_a_loop_counts_its_iterations_over_the_whole_run():
    made = program("S:start K C:condition E:endpoint", "S > K; K > C; C.f > K; C.t > E", children=child())
    played = play(made, {"C": lambda _, count: Branch(count == 2)})
    assert played.starts.count("K/c") == 2 and played.state.runs["K/c"] == 2


def test_case_59_two_persons_at_their_limit_end_without_endless_pass_through():
    made = program(
        "S:start A:person_job/2 B:person_job/2 C:condition E:endpoint", "S > A; A > B; B > C; C.f > A; C.t > E"
    )
    played = play(made, {"C": Branch(False)})
    assert (played.starts.count("A"), played.starts.count("B")) == (2, 2) and played.end.status == "maxiter_reached"


def test_case_63_a_one_shot_input_stays_available_in_every_iteration():
    made = program(
        "S:start Cfg I B C:condition E:endpoint",
        "S > Cfg; Cfg > B (cfg); S > I; I > B (state); B > C; C.f > B (state); C.t > E",
    )
    played = play(made, {"C": lambda _, count: Branch(count == 3)})
    assert [inputs["cfg"] for inputs in played.inputs_of("B")] == ["Cfg"] * 3
    assert [inputs["state"] for inputs in played.inputs_of("B")] == ["I", {"default": "B"}, {"default": "B"}]


def test_decision_4_values_of_first_and_of_conversations_do_not_stick():
    made = program(
        "S:start A P:person_job Q:person_job C:condition E:endpoint",
        "S > A; A > P.first; S > Q; Q > P (talk) conversation; P > C; C.f > P; C.t > E",
    )
    talk = Speech("hi", {"messages": []})
    played = play(made, {"Q": lambda *_: talk, "C": lambda _, count: Branch(count == 2)})
    assert sorted(played.inputs_of("P")[0]) == ["first", "talk"] and sorted(played.inputs_of("P")[1]) == ["default"]


def test_decision_9_a_runaway_loop_fails_with_the_nodes_name():
    made = program("S:start A B", "S > A; A > B; B > A")
    played = play(made, limits=Limits(runs_per_node=10))
    assert played.end.status == "failed" and played.end.error is not None
    assert played.end.error.code == "runaway" and '"A"' in played.end.error.message


def test_fix_9_an_arrow_of_higher_priority_runs_its_target_first():
    made = program("S:start low high", "S > low; S > high #5")
    assert play(made).starts == ["S", "high", "low"]


def test_two_entries_of_equal_claim_are_released_in_declaration_order():
    made = program("S:start A B C:condition E:endpoint", "S > A; S > B; A > B; B > A; B > C; C.t > E")
    played = play(made, limits=Limits(runs_per_node=20))
    assert played.starts[:2] == ["S", "A"] and "E" in played.starts


def test_at_most_so_many_nodes_run_at_a_time():
    made = program("S:start " + " ".join(f"n{i}" for i in range(10)) + " J", "; ".join(
        [f"S > n{i}" for i in range(10)] + [f"n{i} > J (k{i})" for i in range(10)]))  # fmt: skip
    played = play(made, limits=Limits(parallel=3))
    running = most = 0
    for event in played.journal:
        running += event.__class__.__name__ == "NodeStarted"
        running -= isinstance(event, NodeCompleted)
        most = max(most, running)
    assert most == 3 and played.starts[-1] == "J" and len(played.starts) == 12


def test_a_paused_run_starts_nothing_until_it_is_resumed():
    made = program("S:start A B", "S > A; A > B")
    whole = play(made)
    cut = next(i for i, event in enumerate(whole.journal) if isinstance(event, NodeStarted) and event.node == "A") + 1
    paused = play(made, prefix=[*whole.journal[:cut], RunPaused()])
    assert paused.starts == ["S", "A"] and paused.state.ended is None
    resumed = play(made, prefix=[*paused.journal, RunResumed()])
    assert resumed.starts == ["S", "A", "B"] and resumed.end.status == "completed"
