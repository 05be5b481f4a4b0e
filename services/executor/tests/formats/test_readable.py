from textwrap import indent

import pytest
from compiling import codes, compiled, loaded

STYLES = {
    "old": """
- Fetch:
  - Ann_first (raw_text)(topic)
  - Bob_first (raw_text)(topic)
- Go: Fetch (raw_text)
- Ann: Bob (conversation_state)
- Bob: Enough (conversation_state)
- Enough_condfalse: Ann (conversation_state)
- Enough_condtrue: End (raw_text)
""",
    "new": """
- Fetch:
  - to "Ann" in "_first" as "raw_text" naming "topic"
  - to "Bob" in "_first" as "raw_text" naming "topic"
- Go: to "Fetch" as "raw_text"
- Ann: to "Bob" as "conversation_state"
- Bob: to "Enough" as "conversation_state"
- Enough:
  - from "_condfalse" to "Ann" as "conversation_state" - from "_condtrue" to "End" as "raw_text"
""",
    "maps": """
- Fetch:
  - {to: Ann, in: _first, as: raw_text, naming: topic}
  - {to: Bob, in: first, as: raw_text, naming: topic}
- Go: {to: Fetch, as: raw_text}
- Ann: {to: Bob, as: conversation_state}
- Bob: {to: Enough, as: conversation_state}
- Enough:
  - {from: _condfalse, to: Ann, as: conversation_state}
  - {from: condtrue, to: End}
""",
}
NODES = """version: readable
persons:
- Ann: {service: openai, model: m, system_prompt: Be brief.}
- Bob: {service: openai, model: m}
nodes:
- Go @(279,406): {}
- Fetch @(431,148): {operation: read, sub_type: file, file: topic.txt}
- Ann @(600,453): {first_only_prompt: 'On {{topic}}', default_prompt: Go on., max_iteration: 2, person: person_Ann}
- Bob [person_job] @(-1.6, 380): {default_prompt: Go on., max_iteration: 2, person: Bob}
- Enough @(785,647) [condition]:
    condition_type: detect_max_iterations
- End @(58,668): {file_format: txt, save_to_file: true, file_name: out.txt}
flow:"""


def arrows(diagram):
    return [(it.source, it.target, it.content_type, it.label) for it in diagram.arrows]


@pytest.mark.parametrize("style", STYLES)
def test_three_ways_to_write_a_flow_mean_the_same(style):
    diagram, problems = loaded(NODES + STYLES[style], "x.readable.yaml")
    assert problems == []
    assert [(node.type, node.label, node.x) for node in diagram.nodes] == [
        ("start", "Go", 279), ("db", "Fetch", 431), ("person_job", "Ann", 600), ("person_job", "Bob", -2),
        ("condition", "Enough", 785), ("endpoint", "End", 58),
    ]  # fmt: skip
    assert arrows(diagram) == [
        ("node_1_default_output", "node_2_first_input", "raw_text", "topic"),
        ("node_1_default_output", "node_3_first_input", "raw_text", "topic"),
        ("node_0_default_output", "node_1_default_input", "raw_text", ""),
        ("node_2_default_output", "node_3_default_input", "conversation_state", ""),
        ("node_3_default_output", "node_4_default_input", "conversation_state", ""),
        ("node_4_condfalse_output", "node_2_default_input", "conversation_state", ""),
        ("node_4_condtrue_output", "node_5_default_input", "conversation_state", ""),
    ]
    assert diagram.arrows[5].data == {"branch": "false", "is_conditional": True}
    assert [node.data["person"] for node in diagram.nodes if "person" in node.data] == ["Ann", "Bob"]
    assert len(diagram.handles) == 1 + 2 + 3 + 3 + 3 + 1
    files = {"topic.txt": "tea"}
    assert [
        it.severity for it in compiled(NODES + STYLES[style], path="x.readable.yaml", files=files).diagnostics
    ] == []


def flow(lines, nodes="- A [start]: {}\n- B [code_job]: {code: result = 1}\n- C (x) [endpoint]: {}\n"):
    return loaded(f"version: readable\nnodes:\n{indent(nodes, '  ')}flow:\n{indent(lines, '  ')}\n", "x.readable.yaml")


def test_a_chain_is_an_arrow_for_each_pair():
    diagram, problems = flow("- A -> B -> C (x) (object)(sum)")
    assert problems == []
    assert arrows(diagram) == [
        ("node_0_default_output", "node_1_default_input", "raw_text", ""),
        ("node_1_default_output", "node_2_default_input", "object", "sum"),
    ]


def test_a_condition_in_the_middle_of_a_chain_is_left_by_the_branch_that_is_named():
    nodes = "- A [start]: {}\n- Ok [condition]: {expression: 'True'}\n- Z [endpoint]: {}\n"
    diagram, problems = flow("- A -> Ok_condtrue -> Z\n- Ok_condfalse -> Z", nodes)
    assert problems == []
    assert [arrow.source for arrow in diagram.arrows] == [
        "node_0_default_output", "node_1_condtrue_output", "node_1_condfalse_output",
    ]  # fmt: skip
    assert diagram.arrows[0].target == "node_1_default_input"


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("- A: Nobody", "L9", 'there is no node "Nobody"'),
        ("- Nobody: B", "L9", 'there is no node "Nobody"'),
        ('- A: \'to "B" into "x"\'', "L12", "cannot read"),
        ("- A: 'as \"object\"'", "L12", 'does not say to "NAME"'),
        ("- A: B (raw_text)(x)(y)", "L12", "more than a content type and a label"),
        ("- A: {as: raw_text}", "L12", "does not say `to`"),
        ("- A: {to: B, with: x}", "L12", '"with" is no part of a destination'),
        ("- A: {to: B, in: first}", "L10", 'has no input handle "first"'),
        ("- A: {to: B, as: text}", "L12", '"text" is no content type'),
        ("- A: [12]", "L12", "a destination is a name"),
        ("- A B", "L12", "leads nowhere"),
        ("- 3", "L15", "is skipped"),
    ],
)
def test_an_unusable_flow_line_is_told_with_its_place(line, code, words):
    _, problems = flow(line)
    assert [it.code for it in problems] == [code]
    assert words in problems[0].message
    assert problems[0].line == 7


@pytest.mark.parametrize(
    ("node", "node_type"),
    [
        ("Ask: {person: P, default_prompt: hi}", "person_job"),
        ("Ask: {type: job, person: P}", "person_job"),
        ("Work: {type: job, code: x}", "code_job"),
        ("Work: {language: bash, file_path: x.sh}", "code_job"),
        ("Call: {url: http://x}", "api_job"),
        ("Fill: {template_content: x}", "template_job"),
        ("Sub: {diagram_name: x}", "sub_diagram"),
        ("Start: {label: x, flipped: true}", "start"),
        ("Nothing:", "start"),
        ("Odd [draft] [endpoint]: {}", "endpoint"),
        ("Odd: {prompt: hi}", ""),
        ("Odd [zebra]: {}", "zebra"),
    ],
)
def test_the_type_of_a_node_is_written_or_told_by_its_properties(node, node_type):
    diagram, _ = loaded(f"version: readable\nnodes:\n- First [start]: {{}}\n- {node}\n", "x.readable.yaml")
    assert diagram.nodes[1].type == node_type


def test_unknown_types_and_entries_with_two_keys_are_errors():
    text = "version: readable\nnodes:\n- A: {}\n- B [zebra]: {}\n- C: {}\n  D: {}\n"
    result = compiled(text, path="x.readable.yaml")
    assert [(it.code, it.line) for it in result.diagnostics if it.severity == "error"] == [("V3", 4), ("L13", 5)]


def test_persons_may_be_written_as_in_the_model():
    text = """
    version: readable
    persons: [{id: p1, label: Ann, type: person, llm_config: {service: openai, model: m, api_key_id: k}}]
    nodes: [{A: {}}, {B: {person: Ann, default_prompt: hi}}]
    """
    diagram, problems = loaded(text, "x.readable.yaml")
    assert problems == []
    assert (diagram.persons[0].id, diagram.nodes[1].data["person"]) == ("p1", "p1")


def test_a_readable_diagram_compiles_like_any_other():
    text = "nodes:\n- Go: {}\n- Do: {code: result = 1}\n- End [endpoint]: {}\nflow:\n- Go -> Do -> End\n"
    assert codes(compiled(text)) == []
