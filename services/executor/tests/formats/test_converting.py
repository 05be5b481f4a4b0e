"""Round trips: any format -> any format means the same. (spec/formats.md §6.2)"""

import json
import os
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from compiling import compiled, loaded, program_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dipeo_executor.bundle import ProjectSource
from dipeo_executor.compiler import compile_diagram
from dipeo_executor.formats.converting import NotWritable, convert
from dipeo_executor.formats.detect import FORMATS, format_of_name
from dipeo_executor.formats.diagnostics import Report
from dipeo_executor.formats.loading import load
from dipeo_executor.formats.model import (
    CONTENT_TYPES,
    Arrow,
    Diagram,
    DiagramNode,
    DiagramPerson,
    Metadata,
    handle_id,
    handle_words,
    usual_handles,
)

SHARED = Path(os.environ.get("DIPEO_TEST_SHARED", "/nowhere"))
CORPUS = sorted(path for path in SHARED.glob("corpus/*/*") if format_of_name(path.name))
EXAMPLES = sorted((Path(__file__).parents[4] / "examples").glob("**/*.light.yaml"))


def read(text, format):
    report = Report()
    diagram, _ = load(text, flag=format, report=report)
    assert diagram is not None and not report.has_errors, report.found
    return diagram


def meaning(text, format, path, files):
    """What a text compiles to, ids left out: they are not kept."""
    program = compile_diagram(text, path=path, format=format, files=files).program
    if program is None:
        return None
    number = {node.id: index for index, node in enumerate(program.nodes)}
    edges = [replace(it, source=str(number[it.source]), target=str(number[it.target])) for it in program.edges]
    nodes = [(it.type, it.label, it.props, it.on_error, it.max_iteration) for it in program.nodes]
    return nodes, edges, dict(program.persons)


@pytest.mark.parametrize("path", [*CORPUS, *EXAMPLES], ids=lambda path: path.name)
@pytest.mark.parametrize("way", [*product(FORMATS, FORMATS)], ids="-".join)
def test_real_diagrams_mean_the_same_after_any_way(path, way):
    text, first = path.read_text(), format_of_name(path.name)
    folder = str(path.parent)
    if path.name.startswith("youtube"):
        pytest.skip("its arrows lead to nodes that do not exist")
    files = ProjectSource(path.parent / "files" if (path.parent / "files").is_dir() else path.parent)
    before = meaning(text, first, "", files)
    diagram = read(text, first)
    for target in way:
        result = convert(diagram, target)
        assert result.losses == (), folder
        diagram = read(result.text, target)
    assert meaning(result.text, target, "", files) == before


def test_light_through_native_and_back_is_the_same_model():
    text = EXAMPLES[0].read_text()
    before = read(text, "light")
    after = read(convert(before, "native").text, "native")
    assert after == replace(before, nodes=after.nodes, arrows=after.arrows, persons=after.persons)
    assert [replace(it, at=(), fields={}) for it in after.nodes] == [
        replace(it, at=(), fields={}) for it in before.nodes
    ]
    assert [replace(it, at=()) for it in after.arrows] == [replace(it, at=()) for it in before.arrows]


# --- diagrams that nobody would draw ---------------------------------------------------------------------------------

WORDS = st.sampled_from(
    ["load", "load_csv", "load[error]", "A (x)", "on", "12", "a -> b", "Z [start]", "P @(1,2)", "node_1", 'say "hi"',
     "- x", "a: b", "#c", "é 🎉", "true", "first", "to \"B\"", "load~1"]
)  # fmt: skip
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
LABELS = (WORDS | TEXT).map(str.strip).filter(lambda it: it and not it.startswith("__"))
SCALARS = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
LINES = st.lists(TEXT | st.sampled_from(["", " x", "\t", "# no", "a:  "]), max_size=4).map("\n".join)
KEYS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=6).filter(
    lambda it: not it.startswith("__")
)
VALUES = st.recursive(
    SCALARS | LINES | LABELS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@st.composite
def diagrams(draw):
    persons = [
        DiagramPerson(f"p{index}" if draw(st.booleans()) else label, label, "openai", "m", system_prompt=draw(LINES))
        for index, label in enumerate(draw(st.lists(LABELS, max_size=3, unique=True)))
    ]
    types = [
        "start",
        *draw(st.lists(st.sampled_from(["code_job", "condition", "person_job", "db", "hook"]), max_size=5)),
    ]
    nodes = [_node(draw, index, kind, persons) for index, kind in enumerate([*types, "endpoint"])]
    arrows = [_arrow(draw, index, nodes) for index in range(draw(st.integers(0, 6)))]
    handles = tuple(handle for node in nodes for handle in usual_handles(node))
    metadata = Metadata(name=draw(LABELS), tags=tuple(draw(st.lists(LABELS, max_size=2))))
    return Diagram(tuple(nodes), tuple(arrows), handles, tuple(persons), draw(st.sampled_from([Metadata(), metadata])))


def _node(draw, index, kind, persons):
    data = {}
    if kind == "code_job":
        data = {"code": draw(LINES), "odd": draw(VALUES.filter(lambda it: it is not None)), "timeout": 0}
    if kind == "condition":
        data = {"condition_type": "custom", "expression": "n > 1", "skippable": draw(st.booleans())}
    if kind == "person_job" and persons:
        data = {"person": draw(st.sampled_from(persons)).id, "default_prompt": draw(LINES), "batch": False, "tools": []}
    label = draw(LABELS) if draw(st.integers(0, 9)) else ""
    node_id = f"node_{index}" if draw(st.booleans()) else f"n-{index}"
    return DiagramNode(node_id, kind, label, draw(st.integers(-99, 99)), 0, data)


def _arrow(draw, index, nodes):
    source, target = draw(st.sampled_from(nodes[:-1])), draw(st.sampled_from(nodes[1:]))
    leaves = draw(st.sampled_from(handle_words(source.type, "output")))
    enters = draw(st.sampled_from(handle_words(target.type, "input")))
    return Arrow(
        f"arrow_{index}" if draw(st.booleans()) else f"a{index}",
        handle_id(source.id, leaves, "output"),
        handle_id(target.id, enters, "input"),
        draw(st.sampled_from([None, *CONTENT_TYPES])),
        draw(st.just("") | LABELS),
        draw(st.sampled_from([0, 0, 2, -1.5])),
        draw(st.just({}) | st.just({"requires_first_execution": True, "controlPointOffsetX": 1.5})),
    )


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(diagrams(), st.sampled_from(FORMATS), st.sampled_from(FORMATS))
def test_made_diagrams_survive_any_two_conversions(diagram, first, second):
    renamed = tuple(f'node "{it.name}" is now called' for it in diagram.nodes)
    once = convert(diagram, first)
    assert [loss for loss in once.losses if not loss.startswith(renamed)] == [], once.text
    again = convert(read(once.text, first), second)
    assert [loss for loss in again.losses if not loss.startswith(renamed)] == [], again.text


# --- single points ---------------------------------------------------------------------------------------------------


def light(nodes, connections="", persons=""):
    return loaded(f"version: light\nnodes:\n{nodes}\nconnections:\n{connections}\n{persons}")[0]


def test_falsy_values_persons_and_odd_labels_stay():
    diagram = light(
        "- {label: load, type: db, file: x, serialize_json: false, keys: []}\n"
        "- {label: load_csv, type: person_job, person: Ann, timeout: 0, default_prompt: ''}",
        "- {from: load, to: 'load_csv[first]', label: x, data: {id: z, note: 1}, execution_priority: 2}",
        "persons: {Ann: {id: p1, service: openai, model: m, prompt_file: ann.txt}}",
    )
    text = convert(diagram, "light").text
    assert "serialize_json: false" in text and "keys: []" in text and "timeout: 0" in text
    assert "{from: load, to: 'load_csv[first]'" not in text  # it has data, so it is written over several lines
    assert "to: load_csv[first]" in text and "id: z" in text and "execution_priority: 2" in text
    assert "person: Ann" in text and "id: p1" in text and "prompt_file: ann.txt" in text


def test_aliases_leave_under_their_proper_names():
    diagram = light("- {label: E, type: ENDPOINT, file_path: out.txt}\n- {label: C, type: code_job, code_type: bash}")
    text = convert(diagram, "light").text
    assert "file_name: out.txt" in text and "language: bash" in text


def test_captured_texts_of_prompt_files_stay_behind():
    node = DiagramNode("n", "person_job", "A", 0, 0, {"prompt_file": "a.txt", "resolved_prompt": "secret"})
    for target in FORMATS:
        assert "secret" not in convert(Diagram((node,), ()), target).text


def test_a_branch_keeps_its_own_content_type_on_the_way_through_light():
    nodes = {
        "s": {"type": "start"}, "c": {"type": "condition", "data": {"expression": "True"}}, "e": {"type": "endpoint"},
    }  # fmt: skip
    arrows = {
        "x": {"source": "s_default_output", "target": "c_default_input", "content_type": "conversation_state"},
        "y": {"source": "c_condtrue_output", "target": "e_default_input", "content_type": "object"},
    }
    diagram = read(json.dumps({"nodes": nodes, "arrows": arrows}), "native")
    for target in FORMATS:
        assert [it.content_type for it in read(convert(diagram, target).text, target).arrows] == [
            "conversation_state", "object",
        ]  # fmt: skip


def test_what_cannot_be_kept_is_named():
    twice = Diagram(
        (DiagramNode("a", "start", "Go", 0, 0, {}), DiagramNode("b", "endpoint", "Go", 0, 0, {"a.b": 1})),
        (Arrow("lost", "a_default_output", "nowhere_default_input"),),
    )
    assert convert(twice, "light").losses == (
        'node "Go" is now called "Go~1"',
        'node "Go": a.b is lost, it was 1',
        'node "Go": a is new, {"b": 1}',
        'arrow "lost" is left out: it does not lead from a node to a node',
    )


def test_a_number_json_does_not_know_cannot_be_written_as_native():
    with pytest.raises(NotWritable, match="native"):
        convert(light("- {label: S, type: start, custom_data: {x: .inf}}"), "native")


def test_the_text_of_a_light_diagram():
    diagram = light(
        '- {label: Go, type: start}\n- {label: Do, type: code_job, code: "a = 1\\nresult = a", flipped: [true, false]}',
        "- {from: Go, to: Do}",
    )
    assert (
        convert(diagram, "light").text
        == """version: light
nodes:
  - label: Go
    type: start
    position: {x: 0, y: 0}
  - label: Do
    type: code_job
    position: {x: 0, y: 0}
    code: |-
      a = 1
      result = a
    flipped: [true, false]
connections:
  - {from: Go, to: Do}
"""
    )
    again = program_of(compiled(convert(diagram, "readable").text))
    assert again.edges[0].key == "default"
