import json

import pytest
from compiling import codes, compiled, light, only, program_of

from dipeo_executor.program import Edge, Person

HELLO = """
version: light
nodes:
- {label: go, type: start}
- {label: end, type: endpoint}
connections:
- {from: go, to: end}
"""


def one_node(properties: str, rest: str = ""):
    """A node called `it` in line 5 between start and endpoint; properties begin in column 15."""
    return light(f"""
    version: light
    nodes:
    - {{label: go, type: start}}
    - {{label: it, {properties}}}
    - {{label: end, type: endpoint}}
    connections: [{{from: go, to: it}}, {{from: it, to: end}}]
    persons: {{Ann: {{service: mock, id: p1}}}}
    {rest}
    """)


def test_a_diagram_becomes_a_program():
    result = light(HELLO, path="flows/hello.light.yaml")
    program = program_of(result)
    assert [(node.id, node.type, node.label) for node in program.nodes] == [
        ("node_0", "start", "go"),
        ("node_1", "endpoint", "end"),
    ]
    assert program.edges == (Edge(0, "arrow_0", "node_0", "default", "node_1", "default", "default", "raw_text", 0),)
    assert (result.name, result.format, program.path) == ("hello", "light", "flows/hello.light.yaml")


def test_the_name_in_the_metadata_wins():
    assert light(HELLO + "name: Greeting\n").name == "Greeting"


def test_a_label_names_the_input_and_the_handle_stays():
    program = program_of(
        light("""
        nodes: [{label: s, type: start}, {label: p, type: person_job, person: A, default_prompt: x}]
        connections: [{from: s, to: p_first, label: topic, execution_priority: 3}, {from: s, to: 'p[first]'}]
        persons: {A: {service: mock}}
        """)
    )
    assert [(edge.key, edge.target_handle, edge.priority) for edge in program.edges] == [
        ("topic", "first", 3),
        ("first", "first", 0),
    ]


def test_native_arrows_take_their_content_type_from_the_source():
    types = {"person_job": {"person": "A", "default_prompt": "x"}, "code_job": {"code": "1"}, "user_response": {}}
    nodes = {"s": {"type": "start"}, **{name: {"type": name, "data": data} for name, data in types.items()}}
    arrows = {name: {"source": f"{name}_default_output", "target": "e_default_input"} for name in types}
    arrows["typed"] = {"source": "s_default_output", "target": "e_default_input", "data": {"contentType": "variable"}}
    persons = {"A": {"label": "A", "llm_config": {"service": "mock", "model": "m", "api_key_id": "k"}}}
    text = json.dumps({"nodes": {**nodes, "e": {"type": "endpoint"}}, "arrows": arrows, "persons": persons})
    kinds = {edge.arrow_id: edge.content_type for edge in program_of(compiled(text)).edges}
    assert kinds == {
        "person_job": "conversation_state",
        "code_job": "object",
        "user_response": "raw_text",
        "typed": "variable",
    }


def test_first_into_another_type_than_person_job_acts_as_default():
    result = light(HELLO.replace("to: end", "to: end_first"))
    assert codes(result) == ["V13"]
    assert program_of(result).edges[0].target_handle == "default"


def test_the_error_handle_leaves_any_node_but_an_endpoint():
    result = one_node("type: code_job, code: '1', on_error: continue", "")
    assert program_of(result).nodes[1].on_error == "continue"
    assert codes(light(HELLO.replace("from: go", "from: 'go[error]'"))) == []


def test_persons_are_folded_and_named_by_id():
    program = program_of(
        light(
            HELLO
            + """
persons:
  Ann: {service: Chat_GPT, id: p1, system_prompt: Be brief., api_key_id: KEY}
  Bob: {service: GPT-4}
  Cy: {service: openai_compatible, model: m, base_url: "http://127.0.0.1:1/v1"}
  Di: {service: google, model: g}
  Ed: {service: mock}
""".replace("Chat_GPT", "ChatGPT")
        )
    )
    assert program.persons["p1"] == Person("p1", "Ann", "openai", "gpt-5-nano-2025-08-07", "KEY", "Be brief.")
    assert [person.service for person in program.persons.values()] == [
        *("openai", "openai", "openai-compatible", "gemini", "mock"),
    ]
    assert program.persons["Cy"].base_url == "http://127.0.0.1:1/v1"


def test_nodes_may_name_a_person_by_name_or_id():
    for name in ("Ann", "p1"):
        program = program_of(one_node(f"type: person_job, person: {name}, default_prompt: hi"))
        assert (program.nodes[1].props.person, program.nodes[1].max_iteration) == ("p1", 100)


def test_an_unknown_person_names_the_known_ones():
    problem = only(one_node("type: person_job, person: Anne, default_prompt: hi"), "T6")
    assert '"p1"' in problem.message
    assert (problem.field, problem.label, problem.line, problem.suggestion) == (
        "person",
        "it",
        5,
        'did you mean "Ann"?',
    )


def test_a_type_error_names_node_property_expected_and_got():
    problem = only(one_node("type: code_job, code: '1', timeout: soon"), "T1")
    assert problem.message == 'node "it" (code_job): timeout must be a whole number, not "soon"'
    assert (problem.node_id, problem.field, problem.line, problem.column) == ("node_1", "timeout", 5, 42)


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ("type: code_job, code: 5", "code must be text, not 5"),
        ("type: db, file: {a: 1}", 'file must be text or a list, not {"a": 1}'),
        (
            "type: db, file: x, operation: reed",
            "operation must be one of 'prompt', 'read', 'write', 'append' or 'update'",
        ),
        ("type: db, file: [x, 1]", "file.1 must be text, not 1"),
        ("type: user_response, required: maybe", 'required must be true or false, not "maybe"'),
        ("type: user_response, timeout: -1", "timeout must be at least 0, not -1"),
    ],
)
def test_type_errors_in_plain_words(properties, message):
    problems = [problem.message for problem in one_node(properties).diagnostics if problem.code == "T1"]
    assert any(message in problem for problem in problems), problems


def test_words_and_numbers_are_read_as_the_original_does():
    program = program_of(one_node("type: user_response, timeout: '7', show_context: 'off', prompt: null"))
    props = program.nodes[1].props
    assert (props.timeout, props.show_context, props.prompt) == (7, False, "")


def test_outdated_spellings_are_read_and_told():
    result = one_node("type: user_response, showContext: false, prompt: x")
    assert program_of(result).nodes[1].props.show_context is False
    problem = only(result, "T13")
    assert (problem.severity, problem.suggestion, problem.line) == ("info", "write show_context", 5)


def test_an_unknown_property_is_told_with_the_closest_one():
    problem = only(one_node("type: user_response, promt: x"), "T12")
    assert (problem.severity, problem.suggestion) == ("warning", 'did you mean "prompt"?')


def test_flipped_is_presentation_and_no_problem():
    assert codes(one_node("type: user_response, flipped: [true, false]")) == []


def test_file_path_in_camel_case_wins_for_code_jobs():
    result = light(
        """
        nodes: [{label: s, type: start}, {label: c, type: code_job, filePath: new.py, file_path: old.py}]
        connections: [{from: s, to: c}]
        """,
        files={"new.py": "1", "old.py": "2"},
    )
    assert (program_of(result).nodes[1].props.code, program_of(result).nodes[1].props.file_path) == ("1", "new.py")


def test_a_malformed_expression_is_reported_in_its_column():
    problem = only(one_node("type: condition, expression: a + * b"), "T8")
    assert (problem.line, problem.column) == (5, 44 + 4)  # the value begins in 44 - the "*" is its fifth character


def test_an_expression_in_a_block_is_reported_at_its_line():
    problem = only(
        light("""
        nodes:
        - {label: s, type: start}
        - label: c
          type: condition
          expression: |
            lambda x: x
        """),
        "T8",
    )
    assert "lambda" in problem.message
    assert problem.line == 6


def test_case_57_a_custom_condition_without_expression_is_a_compile_time_error():
    assert only(one_node("type: condition, condition_type: custom"), "T4").severity == "error"


def test_case_61_an_arrow_to_an_unknown_node_is_an_error():
    result = light(HELLO + "- {from: go, to: edn}\n- {from: nobody, to: end}\n")
    assert result.program is None
    first, second = [problem for problem in result.diagnostics if problem.code == "L9"]
    assert (first.arrow_id, first.field, first.line, first.column) == ("arrow_1", "to", 8, 14)
    assert first.suggestion == 'did you mean "end"?'
    assert (second.arrow_id, second.field) == ("arrow_2", "from")


def test_case_62_what_the_original_refuses_is_refused_and_a_condition_needs_no_type():
    assert codes(one_node("type: person_job, default_prompt: x")) == ["T2"]
    assert codes(one_node("type: person_job, person: '', default_prompt: x")) == ["T2"]
    assert codes(one_node("type: person_job, person: Ann, default_prompt: x, max_iteration: 0")) == ["T3"]
    assert codes(light(HELLO.replace("type: start", "type: db, file: x")))[0] == "V4"
    assert codes(light(HELLO + "- {from: end, to: end}\n")) == ["V11"]
    gate = one_node("type: condition, expression: 'n > 1'")
    assert program_of(gate).nodes[1].props.condition_type == "custom"


def test_llm_decision_needs_a_person_and_something_to_judge_by():
    assert codes(one_node("type: condition, condition_type: llm_decision")).count("T2") == 1
    assert only(one_node("type: condition, condition_type: llm_decision, person: Ann"), "T15").severity == "error"
    gate = one_node("type: condition, condition_type: llm_decision, person: Ann, judge_by: Good?")
    assert program_of(gate).nodes[1].props.person == "p1"


@pytest.mark.parametrize("word", ["ALL_MESSAGES", "goldfish", "SENT_TO_ME", "''"])
def test_fixed_memory_words_are_no_criteria(word):
    assert codes(one_node(f"type: person_job, person: Ann, default_prompt: x, memorize_to: {word}")) == []


def test_a_cycle_through_a_condition_is_no_waste():
    result = light("""
    nodes:
    - {label: s, type: start}
    - {label: a, type: code_job, code: '1'}
    - {label: c, type: condition, expression: 'a > 1'}
    - {label: e, type: endpoint}
    connections: [{from: s, to: a}, {from: a, to: c}, {from: c_condfalse, to: a}, {from: c_condtrue, to: e}]
    """)
    assert codes(result) == []


def test_a_self_loop_is_a_cycle():
    result = light("""
    nodes: [{label: s, type: start}, {label: a, type: code_job, code: '1'}, {label: e, type: endpoint}]
    connections: [{from: s, to: a}, {from: a, to: a}, {from: a, to: e}]
    """)
    assert "through a" in only(result, "O2").message


def test_long_chains_and_big_cycles_need_no_recursion():
    nodes = "".join(f"- {{label: n{n}, type: user_response}}\n" for n in range(3000))
    wires = "".join(f"- {{from: n{n}, to: n{(n + 1) % 3000}}}\n" for n in range(3000))
    text = f"nodes:\n- {{label: s, type: start}}\n{nodes}connections:\n- {{from: s, to: n0}}\n{wires}"
    assert codes(light(text)) == ["V5", "O2"]


def test_unreachable_nodes_come_in_node_order():
    extra = "".join(f"- {{label: n{n}, type: user_response}}\n" for n in range(5))
    result = light(HELLO.replace("connections:", extra + "connections:"))
    assert [problem.label for problem in result.diagnostics] == [f"n{n}" for n in range(5)]


def test_a_misspelled_branch_is_not_also_a_missing_one():
    result = light("""
    nodes: [{label: s, type: start}, {label: c, type: condition, expression: 'true'}, {label: e, type: endpoint}]
    connections: [{from: s, to: c}, {from: 'c[maybe]', to: e}]
    """)
    assert codes(result) == ["L10"]


JOIN = """\
nodes:
- {label: s, type: start}
- {label: a, type: user_response}
- {label: b, type: user_response}
- {label: c, type: condition, expression: "true"}
- {label: e, type: endpoint}
connections:
"""


def joined(*arrows):
    return light(JOIN + "".join(f"- {{{arrow}}}\n" for arrow in arrows))


def test_arrows_that_collide_are_named_but_not_those_of_which_one_delivers():
    result = joined("from: s, to: a", "from: s, to: b", "from: a, to: e", "from: b, to: e")
    assert only(result, "O3").message == '"e" gets its input "default" from "a", "b"; the last one counts'
    for arrows in (
        ("from: s, to: a", "from: s, to: b", "from: a, to: e, label: x", "from: b, to: e"),
        ("from: s, to: c", "from: c_condtrue, to: a", "from: c_condfalse, to: b", "from: a, to: e", "from: b, to: e"),
        ("from: s, to: a", "from: 'a[error]', to: b", "from: b, to: e", "from: a, to: e"),
        ("from: s, to: a", "from: a, to: b", "from: b, to: a", "from: b, to: e"),
    ):
        assert all(problem.code != "O3" for problem in joined(*arrows).diagnostics)
