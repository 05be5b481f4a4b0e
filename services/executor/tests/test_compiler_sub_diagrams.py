import pytest
from compiling import codes, light, only, program_of

CHILD = """
version: light
nodes:
- {label: in, type: start}
- {label: out, type: endpoint}
connections:
- {from: in, to: out}
"""


def parent(properties: str, more: str = "") -> str:
    return f"""
version: light
nodes:
- {{label: s, type: start}}
- {{label: sub, type: sub_diagram, {properties}}}
{more}
- {{label: e, type: endpoint}}
connections: [{{from: s, to: sub}}, {{from: sub, to: e}}]
"""


@pytest.mark.parametrize(
    "place",
    [
        *("flows/child.light.yaml", "flows/child.yml", "child.light.yaml", "files/child.light.yml"),
        *("projects/child.yaml", "examples/child.light.yaml"),
    ],
)
def test_a_name_is_looked_for_beside_the_parent_and_in_the_project(place):
    result = light(parent("diagram_name: child"), path="flows/x.light.yaml", files={place: CHILD})
    child = program_of(result).nodes[1].child
    assert ([node.label for node in child.nodes], child.path) == (["in", "out"], place)


def test_the_hinted_format_comes_first_within_a_folder():
    files = {"child.native.json": '{"nodes": {"s": {"type": "start"}}, "arrows": {}}', "child.light.yaml": CHILD}
    result = light(parent("diagram_name: child, diagram_format: native"), files=files)
    assert program_of(result).nodes[1].child.path == "child.native.json"


def test_a_name_with_its_extension_is_taken_as_it_is():
    result = light(parent("diagram_name: a/child.light.yaml"), files={"a/child.light.yaml": CHILD})
    assert program_of(result).nodes[1].child.path == "a/child.light.yaml"


def test_a_missing_diagram_names_the_places():
    problem = only(light(parent("diagram_name: sub/none"), path="flows/x.light.yaml"), "T10")
    for folder in ("flows/", "", "files/", "projects/", "examples/"):
        assert f" {folder}sub/none.light.yaml" in problem.message


def test_problems_of_the_child_stand_at_the_node_that_names_it():
    broken = CHILD.replace("type: endpoint", "type: endpoint, save_to_file: perhaps")
    result = light(parent("diagram_name: child"), files={"child.light.yaml": broken})
    problem = only(result, "T1")
    assert problem.message.startswith("child.light.yaml:5:")
    assert (problem.label, problem.node_id, problem.line) == ("sub/out", "node_1/node_1", 5)
    assert result.program is None


def test_warnings_of_the_child_do_not_stop_the_parent():
    result = light(parent("diagram_name: c"), files={"c.yaml": CHILD.replace("- {label: out", "- {odd: 1, label: out")})
    assert codes(result) == ["T12"]
    assert result.program is not None


def test_inline_data_in_any_format():
    inline = "{version: light, nodes: [{label: in, type: start}], connections: []}"
    native = "{nodes: {s: {type: start}}, arrows: {}}"
    for data in (inline, native, f"'{inline}'"):
        result = light(parent(f"diagram_data: {data}"))
        assert len(program_of(result).nodes[1].child.nodes) == 1


def test_inline_data_finds_files_beside_its_parent():
    inline = "{nodes: [{label: in, type: start}, {label: c, type: sub_diagram, diagram_name: child}]}"
    result = light(parent(f"diagram_data: {inline}"), path="flows/x.light.yaml", files={"flows/child.yaml": CHILD})
    assert program_of(result).nodes[1].child.nodes[1].child.path == "flows/child.yaml"


def test_problems_of_inline_data_name_the_node():
    problem = only(light(parent("diagram_data: {nodes: [{label: a, type: endpoint}]}")), "V4")
    assert (problem.label, problem.line) == ("sub", 5)


def test_a_diagram_that_contains_itself_names_the_cycle():
    files = {"a.light.yaml": parent("diagram_name: b"), "b.light.yaml": parent("diagram_name: a")}
    problem = only(light(files["a.light.yaml"], path="a.light.yaml", files=files), "T10")
    assert "b.light.yaml → a.light.yaml → b.light.yaml" in problem.message


def test_a_diagram_may_name_itself_where_it_would_be_skipped():
    text = parent("diagram_name: a, ignore_if_sub: true")
    child = program_of(light(text, path="a.light.yaml", files={"a.light.yaml": text})).nodes[1].child
    assert child.nodes[1].child.nodes == ()


def test_too_many_levels_are_an_error():
    files = {f"d{n}.yaml": parent(f"diagram_name: d{n + 1}") for n in range(60)} | {"d60.yaml": CHILD}
    result = light(files["d0.yaml"], files=files)
    assert "more than 50 diagrams" in only(result, "T10").message


def test_diagrams_that_fan_out_at_every_level_are_compiled_once_each():
    twice = "- {label: sub2, type: sub_diagram, diagram_name: %s}"
    files = {f"d{n}.yaml": parent(f"diagram_name: d{n + 1}", twice % f"d{n + 1}") for n in range(40)}
    result = light(files["d0.yaml"], files=files | {"d40.yaml": CHILD})
    first = program_of(result).nodes
    assert first[1].child is first[2].child


def test_a_broken_child_is_told_once_however_often_it_is_named():
    more = "- {label: again, type: sub_diagram, diagram_name: child}"
    result = light(parent("diagram_name: child", more), files={"child.yaml": "nodes: []"})
    assert [code for code in codes(result) if code in ("V1", "T10")] == ["V1", "T10"]
    assert 'as told at node "sub"' in only(result, "T10").message


def test_a_batch_holds_the_diagram_its_items_run():
    compiled = light(parent("diagram_name: c, batch: true"), files={"c.yaml": CHILD})
    assert compiled.program is not None
    node = next(node for node in compiled.program.nodes if node.type == "sub_diagram")
    assert node.child is not None and node.props.batch


def test_a_sub_diagram_must_name_one():
    assert only(light(parent("pass_input_data: true")), "T10").suggestion == "set diagram_name, or diagram_data"
