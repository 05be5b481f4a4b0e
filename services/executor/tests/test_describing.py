import json
import re
from xml.etree import ElementTree

import jsonschema_rs
import pytest
import yaml
from compiling import loaded
from lightly import light

from dipeo_executor.describing import describe
from dipeo_executor.finding import find
from dipeo_executor.formats.model import NODE_TYPES
from dipeo_executor.nodes import REGISTRY
from dipeo_executor.pictures import PICTURES
from dipeo_executor.reference import light_schema, node_kinds

LOOP = """version: light
metadata: {name: Talk & <more>}
persons:
  Ann: {service: openai, model: m}
  Bob: {service: openai, model: m}
nodes:
  - {label: Go, type: start}
  - {label: Ask, type: person_job, person: Ann, default_prompt: hi, max_iteration: 2}
  - {label: "Enough?", type: condition, condition_type: detect_max_iterations}
  - {label: Alone, type: code_job, code: result = 1}
  - {label: Done, type: endpoint}
connections:
  - {from: Go, to: "Ask[first]"}
  - {from: Ask, to: "Enough?"}
  - {from: "Enough?[condfalse]", to: Ask}
  - {from: "Enough?[condtrue]", to: Done, label: talk}
"""


@pytest.fixture
def diagram():
    return loaded(LOOP)[0]


def test_figures_of_a_diagram(diagram):
    found = describe(diagram)
    assert (found.nodes, found.edges, found.depth) == (5, 4, 3)
    assert found.node_types == {"code_job": 1, "condition": 1, "endpoint": 1, "person_job": 1, "start": 1}
    assert [(person.label, nodes) for person, nodes in found.persons] == [("Ann", 1), ("Bob", 0)]
    assert found.loops == [["Ask", "Enough?"]]
    assert found.unreachable == ["Alone"]


def test_an_empty_diagram_has_no_depth():
    found = describe(loaded("version: light\nnodes: []\n")[0])
    assert (found.nodes, found.depth, found.loops) == (0, 0, [])


def test_ascii_shows_boxes_lines_and_the_way_back(diagram):
    assert (
        PICTURES["ascii"](diagram)
        == """\
┌───────┐   ┌───────────┐
│  Go   │   │   Alone   │
│ start │   │ code job  │
└───────┘   └───────────┘
    │
    └───────┐
            ▼
     ┌─────────────┐
     │     Ask     │
     │ person job  │
     └─────────────┘
            │
            ▼
    ┌───────────────┐
    │    Enough?    │
    │   condition   │
    │ ↺ false → Ask │
    └───────────────┘
            │
            ▼ true: talk
      ┌───────────┐
      │   Done    │
      │ endpoint  │
      └───────────┘
"""
    )


def test_svg_is_well_formed_and_has_every_node_and_arrow(diagram):
    root = ElementTree.fromstring(PICTURES["svg"](diagram))
    spaces = {"s": "http://www.w3.org/2000/svg"}
    assert root.find("s:title", spaces).text == "Talk & <more>"
    assert len(root.findall("s:rect", spaces)) == 5
    assert len(root.findall("s:path", spaces)) == 4
    assert float(root.get("height")) > 3 * 96


def test_mermaid_and_dot_name_every_arrow(diagram):
    mermaid, dot = PICTURES["mermaid"](diagram), PICTURES["dot"](diagram)
    assert mermaid.startswith("flowchart TD\n")
    assert '    n2 -->|"true: talk"| n4\n' in mermaid and '    n2{"Enough?"}\n' in mermaid
    assert '    n2 -> n4 [label="true: talk"];\n' in dot and dot.count("->") == 4


@pytest.mark.parametrize("picture", PICTURES)
def test_hostile_labels_do_not_break_a_picture(picture):
    text = 'nodes:\n- {label: "a\\"]; <b> & \\n --> x", type: start}\n- {label: "Z", type: endpoint}\n'
    drawn = PICTURES[picture](loaded(text + 'connections:\n- {from: "a\\"]; <b> & \\n --> x", to: Z}\n')[0])
    if picture == "svg":
        ElementTree.fromstring(drawn)
    if picture == "mermaid":
        assert len(re.findall("^    n", drawn, re.MULTILINE)) == 3


# --- reference -------------------------------------------------------------------------------------------------------


def test_every_node_type_is_described_by_its_own_properties():
    kinds = {kind.name: kind for kind in node_kinds()}
    assert tuple(kinds) == NODE_TYPES and all(kind.summary for kind in kinds.values())
    job = {it.name: it for it in kinds["person_job"].properties}
    assert job["person"].required and job["person"].type == "text"
    assert (job["max_iteration"].type, job["max_iteration"].default) == ("whole number", 100)
    assert "resolved_prompt" not in job
    timeout = next(it for it in kinds["code_job"].properties if it.name == "timeout")
    assert timeout.help.startswith("seconds")
    assert kinds["condition"].outputs == ("condtrue", "condfalse", "error")
    json.dumps([it.default for kind in kinds.values() for it in kind.properties])
    assert all(
        {*REGISTRY[name].props.model_fields} >= {it.name for it in kind.properties} for name, kind in kinds.items()
    )


def test_the_schema_accepts_diagrams_and_tells_a_wrong_property():
    schema = jsonschema_rs.validator_for(light_schema())
    assert schema.is_valid(yaml.safe_load(LOOP))
    wrong = LOOP.replace("max_iteration: 2", "max_iteration: soon").replace("type: start", "type: zebra")
    found = [[*error.instance_path] for error in schema.iter_errors(yaml.safe_load(wrong))]
    assert sorted(found, key=str) == [["nodes", 0, "type"], ["nodes", 1, "max_iteration"]]


# --- finding ---------------------------------------------------------------------------------------------------------


def test_only_diagrams_are_found_each_once(tmp_path):
    native = {"nodes": {"s": {"type": "start"}}, "arrows": {}}
    diagrams = ["b.light.yaml", "a/plain.yaml", "node_modules/c.light.yaml", ".hidden/d.light.yaml", "generated/e.yaml"]
    texts = dict.fromkeys([*diagrams, "notes.txt"], LOOP) | {
        "a/n.native.json": json.dumps(native),
        "package.json": '{"nodes": []}',
        "broken.yaml": "nodes: [",
        "other.yaml": "x: 1",
    }
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    found = find(tmp_path, tmp_path)
    assert [(it.path, it.name, it.format) for it in found] == [
        ("a/n.native.json", "n", "native"), ("a/plain.yaml", "plain", "light"), ("b.light.yaml", "b", "light"),
    ]  # fmt: skip
    assert [it.path for it in find(tmp_path, tmp_path / "a")] == ["a/n.native.json", "a/plain.yaml"]


def test_boxes_keep_their_shape_around_wide_signs_line_breaks_and_long_labels():
    text = light(
        """
        - {label: "取得 first\\n source", type: start}
        - {label: e\u0301te, type: code_job, code: result = 1}
        - {label: A label that goes on and on and on past every column there is, type: code_job, code: result = 1}
        - {label: Join, type: endpoint}
        """,
        """
        - {from: "取得 first\\n source", to: e\u0301te}
        - {from: "取得 first\\n source", to: A label that goes on and on and on past every column there is}
        - {from: "取得 first\\n source", to: Join, label: third}
        - {from: e\u0301te, to: Join, label: first}
        - {from: A label that goes on and on and on past every column there is, to: Join, label: second}
        """,
    )
    drawn = PICTURES["ascii"](loaded(text)[0]).splitlines()
    assert any("│ 取得 first source │" in line for line in drawn)
    assert any("│    e\u0301te    │" in line for line in drawn), "an accent takes no column"
    assert any("past every c…  │" in line for line in drawn)
    words = "\n".join(drawn)
    assert all(word in words for word in ("first", "second", "third")), words
