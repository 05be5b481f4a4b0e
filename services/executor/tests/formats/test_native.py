import json

from compiling import loaded

SMALLEST = {
    "nodes": {
        "s": {"type": "start", "position": {"x": 0, "y": 0.5}, "data": {"label": "Go"}},
        "e": {"type": "endpoint", "position": {"x": 200, "y": 0}, "data": {"label": "Stop"}},
    },
    "arrows": {"a1": {"source": "s_default_output", "target": "e_default_input"}},
    "handles": {},
    "persons": {},
}


def native(**changes):
    diagram, problems = loaded(json.dumps(SMALLEST | changes), "x.native.json")
    return diagram, [problem.code for problem in problems]


def test_the_smallest_file_loads():
    diagram, problems = native()
    assert [(node.id, node.label, node.y) for node in diagram.nodes] == [("s", "Go", 0.5), ("e", "Stop", 0)]
    assert [handle.id for handle in diagram.handles] == ["s_default_output", "e_default_input"]
    assert problems == []


def test_lists_and_maps_are_the_same():
    listed = {key: [{"id": item, **entry} for item, entry in SMALLEST[key].items()] for key in ("nodes", "arrows")}
    assert [(n.id, n.data) for n in native(**listed)[0].nodes] == [(n.id, n.data) for n in native()[0].nodes]


def test_missing_sections_are_empty():
    diagram, problems = loaded('{"nodes": {"s": {"type": "start"}}}', "x.native.json")
    assert (len(diagram.nodes), diagram.arrows, diagram.persons, problems) == (1, (), (), [])


def test_nulls_in_data_are_absent():
    diagram, _ = native(nodes=[{"id": "c", "type": "code_job", "data": {"label": None, "language": None, "code": "1"}}])
    assert (diagram.nodes[0].label, diagram.nodes[0].data) == ("", {"code": "1"})


def test_old_branch_handles_are_read():
    diagram, _ = native(
        arrows=[{"id": "a", "source": "c_true_output", "target": "e_default_input"}],
        handles=[{"id": "c_false_output", "node_id": "c", "label": "false", "direction": "output"}],
    )
    assert diagram.arrows[0].source == "c_condtrue_output"
    assert (diagram.handles[0].id, diagram.handles[0].label) == ("c_condfalse_output", "condfalse")


def test_unknown_keys_are_warnings():
    assert native(apiKeys={}, nodes=[{"id": "s", "type": "start", "data": {}, "extra": 1}])[1] == ["L16", "L16"]


def test_an_odd_handle_is_skipped():
    assert native(handles=[{"id": "h", "node_id": "s", "label": "sideways", "direction": "output"}])[1] == ["L15"]


def test_types_are_exact():
    assert native(nodes=[{"id": "s", "type": "START"}])[0].nodes[0].type == "START"


def test_entries_without_id_are_errors():
    _, problems = native(nodes=[{"type": "start"}], arrows=[{"source": "a"}], persons=[{"llm_config": {}}])
    assert problems == ["L13", "L12", "L14"]


def test_a_person_has_its_configuration_inside():
    config = {"service": "ollama", "model": "m", "api_key_id": "k", "system_prompt": None}
    diagram, problems = native(persons={"p1": {"label": "Ann", "type": "person", "llm_config": config}})
    person = diagram.persons[0]
    assert (person.id, person.label, person.service, person.system_prompt) == ("p1", "Ann", "ollama", "")
    assert problems == []


def test_a_person_without_configuration_is_an_error():
    assert native(persons={"p1": {"label": "Ann"}})[1] == ["L14"]


def test_content_types_are_not_propagated():
    diagram, _ = native()
    assert diagram.arrows[0].content_type is None
