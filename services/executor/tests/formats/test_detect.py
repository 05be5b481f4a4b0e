import pytest
from compiling import compiled

from dipeo_executor.formats.detect import format_of_content, format_of_name


@pytest.mark.parametrize(
    ("path", "format"),
    [
        ("a/b.light.yaml", "light"),
        ("B.LIGHT.YML", "light"),
        ("b.light.json", "light"),
        ("b.readable.yaml", "readable"),
        ("b.native.json", "native"),
        ("b.json", None),
        ("light/b.yaml", None),
        ("", None),
    ],
)
def test_the_file_name_tells_the_format(path, format):
    assert format_of_name(path) == format


@pytest.mark.parametrize(
    ("value", "format"),
    [
        ({"version": "readable", "connections": []}, "readable"),
        ({"format": "native"}, "native"),
        ({"flow": [], "connections": []}, "readable"),
        ({"connections": []}, "light"),
        ({"arrows": []}, "native"),
        ({"nodes": {}}, "native"),
        ({"nodes": [{"Begin": {}}, {"End": {}}]}, "readable"),
        ({"nodes": [{"label": "a", "type": "start"}]}, "light"),
        ({"version": "1.0"}, None),
    ],
)
def test_the_content_tells_the_format_otherwise(value, format):
    assert format_of_content(value) == format


def test_the_flag_wins_over_the_content():
    assert compiled("version: native\nnodes: []", format="light").format == "light"


def test_a_flag_that_contradicts_the_name_names_both():
    problem = compiled("nodes: []", path="x.light.yaml", format="native").diagnostics[0]
    assert problem.code == "L5"
    assert "native" in problem.message and "x.light.yaml" in problem.message


def test_yaml_in_flow_style_may_come_from_a_pipe():
    assert compiled("{version: light, nodes: [{label: a, type: start}]}").program is not None


def test_native_may_stand_in_a_yaml_file():
    text = "nodes: {s: {type: start, data: {label: Go}}}\narrows: {}"
    assert compiled(text, path="x.yaml").format == "native"
