import pytest
from compiling import loaded

GO = "{label: go, type: start}"


def codes(problems):
    return [problem.code for problem in problems]


def ends(text, nodes=""):
    """Source and target of the first connection between the nodes of a small diagram."""
    diagram, problems = loaded(f"""
nodes:
- {{label: go, type: start}}
- {{label: my node, type: person_job}}
- {{label: load, type: db}}
- {{label: load_csv, type: db}}
- {{label: "odd[1]", type: db}}
- {{label: gate, type: condition}}
- {{type: endpoint}}
connections:
- {text}
""")
    arrow = diagram.arrows[0] if diagram.arrows else None
    return arrow and (arrow.source, arrow.target), codes(problems)


@pytest.mark.parametrize(
    ("text", "source", "target"),
    [
        ("{from: go, to: my node}", "node_0_default_output", "node_1_default_input"),
        ("{from: go, to: my_node_first}", "node_0_default_output", "node_1_first_input"),
        ("{from: go, to: 'my node[first]'}", "node_0_default_output", "node_1_first_input"),
        ("{from: go, to: ' my node [ _first ] '}", "node_0_default_output", "node_1_first_input"),
        ("{from: load_csv, to: load}", "node_3_default_output", "node_2_default_input"),
        ("{from: 'odd[1]', to: load}", "node_4_default_output", "node_2_default_input"),
        ("{from: 'odd[1][error]', to: load}", "node_4_error_output", "node_2_default_input"),
        ("{from: gate_condtrue, to: node_6}", "node_5_condtrue_output", "node_6_default_input"),
        ("{from: gate__condfalse, to: node_6}", "node_5_condfalse_output", "node_6_default_input"),
        ("{from: 'gate[true]', to: node_6}", "node_5_condtrue_output", "node_6_default_input"),
        ("{from: gate_no, to: node_6}", "node_5_condfalse_output", "node_6_default_input"),
        ("{from: load_csv_error, to: node_6}", "node_3_error_output", "node_6_default_input"),
        ("{from: 'load[error]', to: node_6}", "node_2_error_output", "node_6_default_input"),
    ],
)
def test_ends_of_connections(text, source, target):
    found, problems = ends(text)
    assert (found, problems) == ((source, target), [])


def test_an_unknown_handle_word_means_default_and_is_told():
    assert ends("{from: load_frist, to: node_6}") == (("node_2_default_output", "node_6_default_input"), ["L11"])


def test_an_unknown_handle_in_brackets_is_an_error():
    assert ends("{from: go, to: 'load[first]'}") == (None, ["L10"])


def test_my_node_without_handle_does_not_find_my_node_with_a_space():
    assert ends("{from: go, to: my_node}") == (None, ["L9"])


def test_double_underscore_first_requires_the_first_execution():
    diagram, _ = loaded(f"nodes: [{GO}, {{label: p, type: person_job}}]\nconnections: [{{from: go, to: p__first}}]")
    assert diagram.arrows[0].data == {"requires_first_execution": True}


def test_ids_count_maps_only():
    diagram, problems = loaded(f"""
nodes:
- {GO}
-
- {{label: end, type: endpoint}}
connections:
-
- {{from: go, to: nowhere}}
- {{from: go, to: end}}
- {{from: go, to: end, data: {{id: mine}}}}
""")
    assert [node.id for node in diagram.nodes] == ["node_0", "node_1"]
    assert [arrow.id for arrow in diagram.arrows] == ["arrow_1", "mine"]
    assert codes(problems) == ["L9"]


def test_an_entry_that_is_neither_map_nor_null_is_told():
    _, problems = loaded(f"nodes: [{GO}, oops]")
    assert codes(problems) == ["L15"]


@pytest.mark.parametrize(
    ("section", "value"),
    [
        *((section, value) for section in ("connections", "persons", "metadata", "handles") for value in ("", " null")),
        *(("connections", " []"), ("persons", " []"), ("persons", " {}"), ("metadata", " {}"), ("handles", " {}")),
    ],
)
def test_an_empty_section_is_no_section(section, value):
    _, problems = loaded(f"nodes: [{GO}]\n{section}:{value}\n")
    assert problems == []


def test_top_level_properties_win_over_props_and_nulls_vanish():
    diagram, _ = loaded("""
nodes:
- label: a
  type: DB
  props: {file: inner, operation: read, format: null, keys: {x: null}}
  file: outer
  lines: ~
""")
    node = diagram.nodes[0]
    assert (node.type, dict(node.data)) == ("db", {"file": "outer", "operation": "read", "keys": {"x": None}})
    assert node.fields["file"] == ("nodes", 0, "file")


def test_dotted_keys_nest():
    diagram, problems = loaded("nodes: [{label: a, type: start, custom_data.b.c: 1, custom_data.d: 2}]")
    assert (diagram.nodes[0].data["custom_data"], problems) == ({"b": {"c": 1}, "d": 2}, [])


def test_a_dotted_key_onto_a_scalar_is_an_error():
    _, problems = loaded("nodes: [{label: a, type: start, custom_data: 1, custom_data.b: 2}]")
    assert codes(problems) == ["L13"]


def test_structural_keys_under_props_are_ignored_with_a_warning():
    diagram, problems = loaded("nodes: [{label: a, type: start, props: {label: b, position: 1}}]")
    assert (diagram.nodes[0].label, codes(problems)) == ("a", ["L16", "L16"])


def test_nodes_that_share_an_anchor_do_not_share_their_data():
    diagram, _ = loaded("""
nodes:
- {label: a, type: start, props: &p {custom_data: {x: 1}}, custom_data.y: 2}
- {label: b, type: start, props: *p}
""")
    assert diagram.nodes[1].data["custom_data"] == {"x": 1}


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("{type: ENDPOINT, file_path: x}", {"file_name": "x"}),
        ("{type: endpoint, file_path: x, file_name: y}", {"file_path": "x", "file_name": "y"}),
        ("{type: code_job, code_type: bash}", {"language": "bash"}),
        ("{type: db, source_details: x}", {"file": "x"}),
        ("{type: json_schema_validator, strict: true}", {"strict_mode": True}),
        ("{type: start}", {"custom_data": {}, "output_data_structure": {}}),
        ("{type: person_job, memory_profile: FOCUSED, memory_config: {}}", {"memorize_to": "CONVERSATION_PAIRS"}),
        ("{type: person_job, memory_profile: FULL, memorize_to: me}", {"memorize_to": "me"}),
        ("{type: person_job, memory_profile: ODD, memory_settings: {}}", {}),
    ],
)
def test_aliases_are_folded_into_proper_names(written, kept):
    assert loaded(f"nodes: [{written}]")[0].nodes[0].data == kept


@pytest.mark.parametrize(("position", "x"), [("{x: 1.6, y: 0}", 2), ("{x: '3', y: 0}", 3), ("{}", 0), ("null", 0)])
def test_positions_are_rounded(position, x):
    diagram, problems = loaded(f"nodes: [{{label: a, type: start, position: {position}}}]")
    assert (diagram.nodes[0].x, problems) == (x, [])


@pytest.mark.parametrize("position", ["[1, 2]", "{x: 1}", "{x: far, y: 1}", "{x: .nan, y: 1}", "{x: yes, y: 1}"])
def test_an_unusable_position_is_an_error(position):
    _, problems = loaded(f"nodes: [{{label: a, type: start, position: {position}}}]")
    assert codes(problems) == ["L13"]


def test_a_label_that_yaml_takes_for_a_number_is_an_error_that_says_how_to_write_it():
    _, problems = loaded("nodes: [{label: 1, type: start}]\nconnections: [{from: 1, to: on}]")
    assert codes(problems) == ["L13", "L12", "L12"]
    assert problems[0].suggestion == 'write "1"'


def test_duplicate_labels_are_an_error():
    _, problems = loaded("nodes:\n- {label: a, type: start}\n- {label: a, type: db}")
    assert [(problem.code, problem.line) for problem in problems] == [("L8", 3)]
    assert "line 2" in problems[0].message


def test_condition_branches_mark_their_arrows():
    diagram, _ = loaded("""
nodes: [{label: c, type: condition}, {label: e, type: endpoint}]
connections: [{from: c_condtrue, to: e}, {from: c_condfalse, to: e, data: {branch: mine}}]
""")
    assert [arrow.data for arrow in diagram.arrows] == [
        {"branch": "true", "is_conditional": True},
        {"branch": "mine", "is_conditional": True},
    ]


def test_branches_carry_what_enters_their_condition():
    diagram, _ = loaded("""
nodes: [{label: s, type: start}, {label: c, type: condition}, {label: d, type: condition}, {label: e, type: endpoint}]
connections:
- {from: d_condtrue, to: e, content_type: raw_text}
- {from: s, to: c, content_type: object}
- {from: c_condtrue, to: d}
- {from: c_condfalse, to: e, content_type: conversation_state}
- {from: d_condfalse, to: e}
""")
    kinds = [arrow.content_type for arrow in diagram.arrows]
    # the first arrow was written before its condition's own input was known: one pass, in order
    assert kinds == ["raw_text", "object", "object", "object", "object"]


def test_content_types_of_node_10_do_not_leak_into_node_1():
    nodes = "\n".join(f"- {{label: n{n}, type: {'condition' if n == 1 else 'db'}}}" for n in range(12))
    diagram, _ = loaded(f"""
nodes:
{nodes}
connections:
- {{from: n0, to: n1, content_type: object}}
- {{from: n0, to: n10, content_type: raw_text}}
- {{from: n1_condtrue, to: n2}}
""")
    assert diagram.arrows[2].content_type == "object"


def test_mixed_content_types_leave_a_branch_as_written():
    diagram, _ = loaded("""
nodes: [{label: s, type: start}, {label: c, type: condition}, {label: e, type: endpoint}]
connections:
- {from: s, to: c, content_type: object}
- {from: e, to: c, content_type: raw_text}
- {from: c_condtrue, to: e, content_type: conversation_state}
""")
    assert diagram.arrows[2].content_type == "conversation_state"


def test_connection_fields():
    diagram, problems = loaded(f"""
nodes: [{GO}, {{label: e, type: endpoint}}]
connections:
- {{from: go, to: e, type: object, label: x, execution_priority: 2.5, data: null, packing: spread}}
""")
    arrow = diagram.arrows[0]
    assert (arrow.content_type, arrow.label, arrow.execution_priority, arrow.data) == ("object", "x", 2.5, {})
    assert codes(problems) == ["L16"]


@pytest.mark.parametrize(
    "field", ["content_type: Object", "label: 5", "data: [1]", "execution_priority: high", "execution_priority: yes"]
)
def test_an_unusable_connection_field_is_an_error(field):
    _, problems = loaded(f"nodes: [{GO}, {{label: e, type: endpoint}}]\nconnections: [{{from: go, to: e, {field}}}]")
    assert codes(problems) == ["L12"]


def test_persons_by_name_with_defaults():
    diagram, problems = loaded(f"""
nodes: [{GO}, {{label: p, type: person_job, person: Ann}}, {{label: c, type: condition, person: Ann}}]
persons:
  Ann: {{service: anthropic, id: person_1, api_key_id: null, system_prompt: Be kind.}}
  Bob: {{}}
""")
    ann, bob = diagram.persons
    assert (ann.id, ann.label, ann.service, ann.api_key_id) == ("person_1", "Ann", "anthropic", "default")
    assert (bob.id, bob.service) == ("Bob", "openai")
    assert [node.data.get("person") for node in diagram.nodes] == [None, "person_1", "person_1"]
    assert problems == []


@pytest.mark.parametrize(
    "entry", ["{name: Ann, model: m}", "{label: Ann, model: m}", "{id: Ann, model: m}", "{Ann: {model: m}}"]
)
def test_persons_may_be_a_list(entry):
    diagram, problems = loaded(f"nodes: [{GO}]\npersons: [{entry}]")
    assert [(person.label, person.model) for person in diagram.persons] == [("Ann", "m")]
    assert problems == []


def test_a_misindented_person_field_is_skipped_with_a_warning():
    diagram, problems = loaded(f"nodes: [{GO}]\npersons:\n  Ann: {{model: m}}\n  api_key_id: APIKEY_1\n")
    assert ([person.id for person in diagram.persons], codes(problems)) == (["Ann"], ["L15"])


def test_metadata_is_filled_up_from_the_top():
    diagram, problems = loaded(f"nodes: [{GO}]\nname: n\ndescription: d\nmetadata: {{created: 2025-01-11, name: m}}")
    metadata = diagram.metadata
    assert (metadata.name, metadata.description, metadata.created, metadata.version) == ("m", "d", "2025-01-11", "1.0")
    assert problems == []


def test_handles_in_the_file_replace_the_generated_ones_of_their_node():
    diagram, _ = loaded(f"""
nodes: [{GO}, {{label: p, type: person_job}}]
handles: {{h1: {{node_id: node_1, label: default, direction: input, data_type: string}}}}
""")
    assert [handle.id for handle in diagram.handles] == ["h1", "node_0_default_output"]
